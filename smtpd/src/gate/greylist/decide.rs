//! What follows from what is known of a triplet: a plain function, the same for a live session and for a dry run.

use super::GreylistConfig;

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// What is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// How often mail from the network and domain has come again.
    pub client_passes: u32,
    /// Whether this very triplet has come again.
    pub has_passed: bool,
    /// When it came for the first time (seconds since 1970), if that still counts.
    pub first: Option<u64>,
}

/// What is said of a recipient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Greylisting {
    /// Nobody was asked to come again.
    #[default]
    Off,
    /// Welcome.
    Passes(Why),
    /// To come again.
    PutOff {
        /// Seconds before which that does not count.
        seconds: u64,
    },
}

/// Why somebody is welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Mail from the network and domain has come again often enough.
    KnownClient,
    /// This triplet has come again before.
    KnownTriplet,
    /// It has come again just now.
    CameAgain {
        /// So many seconds after the first time.
        after: u64,
    },
    /// Mail of its domain has come again before, from hosts that the domain lets send it.
    KnownDomain,
    /// Nobody knows: the store does not answer.
    NotKnown,
}

/// What is to be remembered, and until when (seconds since 1970).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lesson {
    /// It came for the first time.
    First {
        /// Now.
        at: u64,
        /// When that does not count any more.
        until: u64,
    },
    /// The triplet is known.
    Triplet {
        /// When that ends.
        until: u64,
    },
    /// So often has mail from the network and domain come again.
    Client {
        /// How often.
        passes: u32,
        /// When that ends.
        until: u64,
    },
}

/// Decides at `now`, and says what is to be remembered of it.
#[must_use]
pub fn decide(config: &GreylistConfig, known: &Known, now: u64) -> (Greylisting, Vec<Lesson>) {
    let until = now.saturating_add(config.known_days.saturating_mul(SECONDS_PER_DAY));
    let client = |passes| Lesson::Client { passes, until };
    if config.passes > 0 && known.client_passes >= config.passes {
        return (Greylisting::Passes(Why::KnownClient), vec![client(known.client_passes)]);
    }
    if known.has_passed {
        return (Greylisting::Passes(Why::KnownTriplet), vec![Lesson::Triplet { until }]);
    }
    let after = known.first.map(|first| now.saturating_sub(first));
    match after.filter(|after| *after <= config.window_seconds) {
        Some(after) if after >= config.wait_seconds => {
            let lessons = vec![Lesson::Triplet { until }, client(known.client_passes.saturating_add(1))];
            (Greylisting::Passes(Why::CameAgain { after }), lessons)
        }
        // The first time stays the first one, however often somebody comes too early.
        Some(after) => {
            (Greylisting::PutOff { seconds: config.wait_seconds.saturating_sub(after) }, Vec::new())
        }
        None => {
            let first = Lesson::First { at: now, until: now.saturating_add(config.window_seconds) };
            (Greylisting::PutOff { seconds: config.wait_seconds }, vec![first])
        }
    }
}

impl Greylisting {
    /// What is said by the sender's domain, where it stands for the network.
    pub(super) const fn by_domain(self) -> Self {
        match self {
            Self::Passes(Why::KnownClient | Why::KnownTriplet | Why::CameAgain { .. } | Why::KnownDomain) => {
                Self::Passes(Why::KnownDomain)
            }
            Self::Off | Self::Passes(Why::NotKnown) | Self::PutOff { .. } => self,
        }
    }

    /// In words, for the trace of a message; nothing where nobody was asked.
    #[must_use]
    pub fn row(&self) -> Option<String> {
        Some(match self {
            Self::Off => return None,
            Self::Passes(Why::KnownClient) => {
                "greylist=pass by [greylist] passes: mail from that network and domain has come again before"
                    .to_owned()
            }
            Self::Passes(Why::KnownTriplet) => {
                "greylist=pass: mail of that sender to that recipient has come again before".to_owned()
            }
            Self::Passes(Why::CameAgain { after }) => {
                format!("greylist=pass: it has come again after {after} s")
            }
            Self::Passes(Why::KnownDomain) => {
                "greylist=pass by [greylist] spf: mail of that domain, which lets this host send it, has come again before"
                    .to_owned()
            }
            Self::Passes(Why::NotKnown) => "greylist=pass: the store does not say who is known".to_owned(),
            Self::PutOff { seconds } => {
                format!("greylist=wait by [greylist] wait_seconds: to come again in {seconds} s")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> GreylistConfig {
        toml::from_str("enabled = true\nwait_seconds = 60\nwindow_seconds = 1000\nknown_days = 1\npasses = 2")
            .unwrap()
    }

    fn first(at: u64) -> Known {
        Known { first: Some(at), ..Known::default() }
    }

    #[test]
    fn a_stranger_is_put_off_until_it_comes_again_in_time() {
        let (said, lessons) = decide(&config(), &Known::default(), 5000);
        assert_eq!(said, Greylisting::PutOff { seconds: 60 });
        assert_eq!(lessons, [Lesson::First { at: 5000, until: 6000 }]);
        for (now, expected) in [
            (5000, Greylisting::PutOff { seconds: 60 }),
            (5059, Greylisting::PutOff { seconds: 1 }),
            (5060, Greylisting::Passes(Why::CameAgain { after: 60 })),
            (6000, Greylisting::Passes(Why::CameAgain { after: 1000 })),
            (6001, Greylisting::PutOff { seconds: 60 }),
            // The clock was set back.
            (4000, Greylisting::PutOff { seconds: 60 }),
        ] {
            assert_eq!(decide(&config(), &first(5000), now).0, expected, "{now}");
        }
        assert!(decide(&config(), &first(5000), 5059).1.is_empty(), "the first time stays the first one");
    }

    #[test]
    fn who_came_again_is_known_and_so_is_its_network_after_some_times() {
        let (_, lessons) = decide(&config(), &first(5000), 5060);
        let until = 5060 + SECONDS_PER_DAY;
        assert_eq!(lessons, [Lesson::Triplet { until }, Lesson::Client { passes: 1, until }]);
        let triplet = Known { has_passed: true, client_passes: 1, ..Known::default() };
        let (said, lessons) = decide(&config(), &triplet, 9000);
        assert_eq!(said, Greylisting::Passes(Why::KnownTriplet));
        assert_eq!(lessons, [Lesson::Triplet { until: 9000 + SECONDS_PER_DAY }]);
        let client = Known { client_passes: 2, ..Known::default() };
        assert_eq!(decide(&config(), &client, 9000).0, Greylisting::Passes(Why::KnownClient));
        let never = GreylistConfig { passes: 0, ..config() };
        assert_eq!(decide(&never, &client, 9000).0, Greylisting::PutOff { seconds: 60 });
    }

    #[test]
    fn all_that_was_asked_leaves_a_row() {
        assert_eq!(Greylisting::Off.row(), None);
        for said in [
            Greylisting::Passes(Why::KnownClient),
            Greylisting::Passes(Why::KnownTriplet),
            Greylisting::Passes(Why::CameAgain { after: 9 }),
            Greylisting::Passes(Why::NotKnown),
        ] {
            assert!(said.row().unwrap().starts_with("greylist=pass"));
        }
        assert!(Greylisting::PutOff { seconds: 7 }.row().unwrap().ends_with("in 7 s"));
    }
}

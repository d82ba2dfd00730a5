//! The table `[checks]` of the configuration: what is looked at in mail from outside, and what follows.

use std::net::IpAddr;
use std::time::Duration;

use mailwire::address::Domain;
use mailwire::daemon::config::positive;
use mailwire::net::Network;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// What the table `[checks]` says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Checks {
    /// Whether anything is looked at.
    pub enabled: bool,
    /// Whether the sender's domain lets the client send its mail (RFC 7208).
    pub spf: Action,
    /// Whether the client's address has a name that leads back to it (RFC 8601 §2.7.3).
    pub iprev: Action,
    /// Whether the sender's domain takes mail at all (RFC 7505).
    pub null_mx: Action,
    /// Whether the message has a signature that is right (RFC 6376).
    pub dkim: Action,
    /// Whether the author's domain is proven; what follows is what its owner wants, at most (RFC 7489).
    pub dmarc: Action,
    /// Whether the chain of those who have handed it on holds, if there is one (RFC 8617).
    pub arc: Action,
    /// Domains that are believed when they have sealed that DMARC passed at theirs.
    #[serde(deserialize_with = "domains")]
    pub trusted_sealers: Vec<String>,
    /// What becomes of mail whose check could not be made now, where it would be refused if that check failed.
    pub temporary: Temporary,
    /// Networks whose mail is not looked at: relays of one's own.
    pub networks: Vec<Network>,
    /// Domains whose mail is marked, and nothing more.
    #[serde(deserialize_with = "domains")]
    pub domains: Vec<String>,
    /// Seconds that all checks of a message may take together.
    #[serde(deserialize_with = "positive")]
    pub seconds: u64,
    /// Most look-ups for one message.
    #[serde(deserialize_with = "positive")]
    pub look_ups_max: u32,
}

/// What becomes of mail that does not pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nobody looks.
    Off,
    /// It comes in, and Authentication-Results say how it is.
    #[default]
    Mark,
    /// It is taken for junk.
    Junk,
    /// It is refused.
    Refuse,
}

/// What becomes of mail that could not be checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Temporary {
    /// It comes in.
    #[default]
    Accept,
    /// The other server tries again later.
    PutOff,
}

impl Action {
    /// As it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Mark => "mark",
            Self::Junk => "junk",
            Self::Refuse => "refuse",
        }
    }

    pub(super) fn is_on(self) -> bool {
        self != Self::Off
    }
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            enabled: true,
            spf: Action::Mark,
            iprev: Action::Mark,
            null_mx: Action::Mark,
            dkim: Action::Mark,
            dmarc: Action::Mark,
            arc: Action::Mark,
            trusted_sealers: Vec::new(),
            temporary: Temporary::Accept,
            networks: Vec::new(),
            domains: Vec::new(),
            seconds: 10,
            look_ups_max: 200,
        }
    }
}

impl Checks {
    /// Nothing is looked at.
    #[must_use]
    pub fn off() -> Self {
        Self { enabled: false, ..Self::default() }
    }

    /// True where anything is looked at.
    pub(crate) fn is_on(&self) -> bool {
        self.reads() || self.enabled && [self.spf, self.iprev, self.null_mx].into_iter().any(Action::is_on)
    }

    /// True where anything of the message itself is looked at.
    pub(crate) fn reads(&self) -> bool {
        self.enabled && [self.dkim, self.dmarc, self.arc].into_iter().any(Action::is_on)
    }

    /// True for clients whose mail is looked at. Programs of this machine are at home.
    pub(crate) fn covers(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.is_on() && !peer.is_loopback() && !self.networks.iter().any(|network| network.contains(peer))
    }

    /// True for domains, in A-labels, whose mail is marked only.
    pub(super) fn spares(&self, domain: &str) -> bool {
        self.domains.iter().any(|spared| spared.eq_ignore_ascii_case(domain))
    }

    pub(super) const fn deadline(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// In A-labels and lower case.
fn domains<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let domain = |name: String| match Domain::parse(&name).as_ref().map(Domain::in_a_labels).as_deref() {
        Ok(Domain::Name(name)) => Ok(name.to_lowercase()),
        Ok(Domain::Address(_)) | Err(_) => Err(D::Error::custom(format!("\"{name}\" is not a domain"))),
    };
    names.into_iter().map(domain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<Checks, toml::de::Error> {
        toml::from_str(toml)
    }

    #[test]
    fn an_empty_table_gives_the_defaults_which_mark_only() {
        let checks = read("").unwrap();
        assert_eq!(checks, Checks::default());
        assert_eq!((checks.spf, checks.iprev), (Action::Mark, Action::Mark));
    }

    #[test]
    fn nobody_at_home_is_looked_at_and_nobody_where_nothing_is_on() {
        let checks = read("networks = [\"192.0.2.0/24\"]").unwrap();
        for (peer, expected) in [
            ("127.0.0.1", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("192.0.2.7", false),
            ("::ffff:192.0.2.7", false),
            ("198.51.100.1", true),
            ("2001:db8::1", true),
        ] {
            assert_eq!(checks.covers(peer.parse().unwrap()), expected, "{peer}");
        }
        assert!(!Checks::off().covers("198.51.100.1".parse().unwrap()) && !Checks::off().reads());
        for one in ["spf", "iprev", "null_mx", "dkim", "dmarc", "arc"] {
            let off = "null_mx = \"off\"\nspf = \"off\"\niprev = \"off\"\ndkim = \"off\"\ndmarc = \"off\"\narc = \"off\"";
            assert!(!read(off).unwrap().is_on());
            let on = off.replace(&format!("{one} = \"off\""), &format!("{one} = \"mark\""));
            assert!(read(&on).unwrap().is_on(), "{one}");
        }
    }

    #[test]
    fn keys_are_checked() {
        for wrong in ["seconds = 0", "look_ups_max = 0", "spf = \"reject\"", "domains = [\"a b\"]", "x = 1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let domains = read("domains = [\"Ä.example\", \"B.example\"]").unwrap();
        assert!(domains.spares("xn--4ca.example") && domains.spares("b.example"));
        assert!(!domains.spares("a.b.example"));
    }
}

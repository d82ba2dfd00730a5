//! Who has come before, asked of the store. While it does not answer, mail passes.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mailstore::{Note, Recollections, Unavailable};
use mailwire::address::{Domain, Mailbox, ReversePath};
use mailwire::cause::chain;
use mailwire::net::Network;
use tokio::time::timeout;
use tracing::warn;

use super::triplet::client;
use super::{GreylistConfig, Greylisting, Known, Lesson, Triplet, Why, decide};

/// Triplets that came for the first time. They have a topic to themselves, so that however many strangers come, nobody is
/// forgotten for them who has come again.
pub const WAITING: &str = "greylist-waiting";
/// Triplets that came again.
pub const PASSED: &str = "greylist-passed";
/// Networks and domains, and how often they came again.
pub const CLIENTS: &str = "greylist-clients";
/// How long the store may think about it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Seconds between two complaints.
const COMPLAINT_SECONDS: u64 = 600;

/// Greylisting, with the store that remembers.
pub(crate) struct Keeper {
    config: GreylistConfig,
    recollections: Arc<dyn Recollections>,
    /// When the administrator was last told that the store does not answer, seconds since 1970.
    complained: AtomicU64,
    patience: Duration,
}

impl Keeper {
    pub(crate) fn new(config: GreylistConfig, recollections: Arc<dyn Recollections>) -> Self {
        Self { config, recollections, complained: AtomicU64::new(0), patience: PATIENCE }
    }

    /// What is said at `now` of mail from there to this recipient.
    pub(crate) async fn judge(
        &self,
        address: IpAddr,
        reverse_path: &ReversePath,
        recipient: &Mailbox,
        now: u64,
    ) -> Greylisting {
        if !self.config.is_about(address) {
            return Greylisting::Off;
        }
        self.look_up(&Triplet::new(&self.config, address, reverse_path, recipient), now).await
    }

    /// What is said at `now` of mail of this sender, whose domain lets the host send it, where the network is not known.
    pub(crate) async fn judge_domain(&self, sender: &Mailbox, recipient: &Mailbox, now: u64) -> Greylisting {
        self.look_up(&Triplet::of_domain(sender, recipient), now).await.by_domain()
    }

    async fn look_up(&self, triplet: &Triplet, now: u64) -> Greylisting {
        let failure = match timeout(self.patience, self.look(triplet, now)).await {
            Ok(Ok(said)) => return said,
            Ok(Err(error)) => chain(&error),
            Err(_) => "it has not answered in time".to_owned(),
        };
        let before = self.complained.load(Ordering::Relaxed);
        if now.saturating_sub(before) >= COMPLAINT_SECONDS {
            self.complained.store(now, Ordering::Relaxed);
            warn!(reason = failure, "the store does not say who is known, so nobody is greylisted");
        }
        Greylisting::Passes(Why::NotKnown)
    }

    async fn look(&self, triplet: &Triplet, now: u64) -> Result<Greylisting, Unavailable> {
        let known = self.known(triplet, now).await?;
        let (said, lessons) = decide(&self.config, &known, now);
        let notes: Vec<_> = lessons.iter().flat_map(|lesson| notes(triplet, lesson)).collect();
        if !notes.is_empty() {
            self.recollections.remember(notes).await?;
        }
        Ok(said)
    }

    /// What is known, as far as it is needed.
    async fn known(&self, triplet: &Triplet, now: u64) -> Result<Known, Unavailable> {
        let mut known = Known::default();
        if let Some(client) = &triplet.client {
            known.client_passes =
                self.recall(CLIENTS, client, now).await?.as_deref().and_then(number).unwrap_or(0);
            if self.config.passes > 0 && known.client_passes >= self.config.passes {
                return Ok(known);
            }
        }
        known.has_passed = self.recall(PASSED, &triplet.name, now).await?.is_some();
        if !known.has_passed {
            known.first = self.recall(WAITING, &triplet.name, now).await?.as_deref().and_then(number);
        }
        Ok(known)
    }

    async fn recall(&self, topic: &str, name: &str, now: u64) -> Result<Option<String>, Unavailable> {
        let recalled = self.recollections.recall(topic, &[name.to_owned()], now).await?;
        Ok(recalled.into_iter().next().map(|note| note.text))
    }
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// As the store keeps it. What has come again is not waited for any more.
fn notes(triplet: &Triplet, lesson: &Lesson) -> Vec<Note> {
    let note = |topic: &str, name: &str, text: String, until| Note {
        topic: topic.to_owned(),
        name: name.to_owned(),
        text,
        until,
    };
    match lesson {
        Lesson::First { at, until } => vec![note(WAITING, &triplet.name, at.to_string(), *until)],
        Lesson::Triplet { until } => vec![
            note(PASSED, &triplet.name, String::new(), *until),
            note(WAITING, &triplet.name, String::new(), 0),
        ],
        Lesson::Client { passes, until } => {
            let client = triplet.client.iter();
            client.map(|client| note(CLIENTS, client, passes.to_string(), *until)).collect()
        }
    }
}

/// What makes all mail of a domain from a network pass until then (seconds since 1970).
#[must_use]
pub fn welcome(network: Network, domain: &Domain, until: u64) -> Note {
    let name = client(network, domain);
    Note { topic: CLIENTS.to_owned(), name, text: u32::MAX.to_string(), until }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;

    /// A store's memory that may be away.
    #[derive(Default)]
    struct Memory {
        notes: Mutex<Vec<Note>>,
        is_away: bool,
        hangs: bool,
    }

    #[async_trait]
    impl Recollections for Memory {
        async fn recall(&self, topic: &str, names: &[String], now: u64) -> Result<Vec<Note>, Unavailable> {
            if self.hangs {
                std::future::pending::<()>().await;
            }
            if self.is_away {
                return Err(Unavailable("away".to_owned()));
            }
            let notes = self.notes.lock().unwrap();
            let is_meant =
                |note: &&Note| note.topic == topic && names.contains(&note.name) && note.until > now;
            Ok(notes.iter().filter(is_meant).cloned().collect())
        }

        async fn remember(&self, recollections: Vec<Note>) -> Result<(), Unavailable> {
            let mut notes = self.notes.lock().unwrap();
            for new in recollections {
                notes.retain(|note| (&note.topic, &note.name) != (&new.topic, &new.name));
                notes.push(new);
            }
            Ok(())
        }

        async fn recollections(&self, _: &str, _: &str, _: u64) -> Result<Vec<Note>, Unavailable> {
            Ok(Vec::new())
        }
    }

    fn keeper(memory: Memory) -> Keeper {
        let config = toml::from_str("enabled = true\ntrusted = [\"192.0.2.128/25\"]").unwrap();
        Keeper::new(config, Arc::new(memory))
    }

    async fn said(keeper: &Keeper, address: &str, sender: &str, recipient: &str, now: u64) -> Greylisting {
        let reverse_path = match sender {
            "" => ReversePath::Null,
            sender => ReversePath::Mailbox(Mailbox::parse(sender).unwrap()),
        };
        let recipient = Mailbox::parse(recipient).unwrap();
        keeper.judge(address.parse().unwrap(), &reverse_path, &recipient, now).await
    }

    #[tokio::test]
    async fn who_comes_again_is_let_in_and_known_for_other_recipients_too() {
        let keeper = keeper(Memory::default());
        let put_off = Greylisting::PutOff { seconds: 60 };
        for (address, recipient, now, expected) in [
            ("192.0.2.1", "bob@a.test", 1000, put_off),
            ("192.0.2.1", "bob@a.test", 1030, Greylisting::PutOff { seconds: 30 }),
            // Another one of the sender's hosts.
            ("192.0.2.2", "bob@a.test", 1060, Greylisting::Passes(Why::CameAgain { after: 60 })),
            ("192.0.2.1", "bob@a.test", 1061, Greylisting::Passes(Why::KnownTriplet)),
            ("192.0.2.1", "carol@a.test", 1062, put_off),
            ("192.0.2.1", "carol@a.test", 1200, Greylisting::Passes(Why::CameAgain { after: 138 })),
            ("192.0.2.1", "dora@a.test", 1201, Greylisting::Passes(Why::KnownClient)),
            ("192.0.3.1", "dora@a.test", 1202, put_off),
            ("192.0.2.129", "dora@a.test", 1203, Greylisting::Off),
        ] {
            assert_eq!(
                said(&keeper, address, "x@b.example", recipient, now).await,
                expected,
                "{address} at {now}"
            );
        }
    }

    #[tokio::test]
    async fn a_domain_stands_for_its_hosts_once_its_mail_has_come_again() {
        let keeper = keeper(Memory::default());
        let mailbox = |text| Mailbox::parse(text).unwrap();
        let known = Greylisting::Passes(Why::KnownDomain);
        for (sender, recipient, now, expected) in [
            ("x@b.example", "bob@a.test", 1000, Greylisting::PutOff { seconds: 60 }),
            ("x@b.example", "bob@a.test", 1030, Greylisting::PutOff { seconds: 30 }),
            ("x@B.example", "bob@a.test", 1060, known),
            ("x@b.example", "carol@a.test", 1061, Greylisting::PutOff { seconds: 60 }),
            ("x@b.example", "carol@a.test", 1200, known),
            // All of its mail, by now.
            ("y@b.example", "dora@a.test", 1201, known),
            ("y@c.example", "dora@a.test", 1202, Greylisting::PutOff { seconds: 60 }),
        ] {
            let said = keeper.judge_domain(&mailbox(sender), &mailbox(recipient), now).await;
            assert_eq!(said, expected, "{sender} at {now}");
        }
        // A network is known by itself, whatever its hosts may send.
        let put_off = Greylisting::PutOff { seconds: 60 };
        assert_eq!(said(&keeper, "192.0.2.1", "y@b.example", "dora@a.test", 1203).await, put_off);
    }

    #[tokio::test]
    async fn reports_come_again_as_well_and_make_no_domain_known() {
        let keeper = keeper(Memory::default());
        for recipient in ["bob@a.test", "carol@a.test", "dora@a.test"] {
            assert_eq!(
                said(&keeper, "192.0.2.1", "", recipient, 1000).await,
                Greylisting::PutOff { seconds: 60 }
            );
            let again = said(&keeper, "192.0.2.1", "", recipient, 1100).await;
            assert_eq!(again, Greylisting::Passes(Why::CameAgain { after: 100 }));
        }
    }

    #[tokio::test]
    async fn while_the_store_does_not_answer_mail_passes() {
        for memory in
            [Memory { is_away: true, ..Memory::default() }, Memory { hangs: true, ..Memory::default() }]
        {
            let keeper = Keeper { patience: Duration::from_millis(1), ..keeper(memory) };
            let said = said(&keeper, "192.0.2.1", "x@b.example", "bob@a.test", 1000).await;
            assert_eq!(said, Greylisting::Passes(Why::NotKnown));
        }
    }
}

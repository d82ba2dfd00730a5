//! Answers of accounts that are away: who is owed one comes into the queue with the same commit, and who has had one is remembered.
//!
//! An answer is not sent from here. It is an entry of the queue, made by the commit that accepts the message; the relay makes
//! the answer (`relay/answer/`) by one commit with the end of that entry. So before the first commit nothing is owed and the
//! client tries again, between the two the answer is owed and a restart goes on with it, and behind the second one the entry is gone: no
//! message is answered twice, and none of which we have said 250 stays without its answer.
//!
//! Where each recipient has a verdict (LMTP), one whose maildrop has just become full may have answered all the same: its server
//! tells the sender of the rest.
//!
//! That a sender has been answered is a recollection of the store, noted right behind the second commit. A process that is killed
//! may take the last minutes of them with it, and recollections have a bound. What that costs is an answer to another message
//! of the same sender within the days that the rule names, and nothing else.

use mailstore::{Delivery, Note, RecipientTerms, Recollections, RelayRecipient, Unavailable};
use mailwire::address::{Mailbox, ReversePath};

use super::rules::{Answer, Vacation, fingerprint};

/// What recollections of answers are about.
pub(crate) const TOPIC: &str = "vacation";
/// Where an attempt was made that is an answer: this, and the account.
pub const PLACE: &str = "vacation of ";

/// Who answers whom, with what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Correspondence<'a> {
    pub(crate) account: &'a Mailbox,
    pub(crate) sender: &'a Mailbox,
    /// See [`Vacation::handle`].
    pub(crate) handle: &'a str,
}

impl Correspondence<'_> {
    /// The name of the recollection. It tells nobody who has written to whom.
    fn name(&self) -> String {
        let Self { account, sender, handle } = self;
        let text = format!("{}\0{}\0{handle}", account.key_in_a_labels(), sender.key_in_a_labels());
        fingerprint(&text)
    }

    /// When the sender was answered, where that is not long enough ago.
    pub(crate) async fn answered_at(
        &self,
        recollections: &dyn Recollections,
        now: u64,
    ) -> Result<Option<u64>, Unavailable> {
        let found = recollections.recall(TOPIC, &[self.name()], now).await?;
        Ok(found.first().and_then(|note| note.text.parse().ok()))
    }

    /// Remembers that the sender is answered now.
    pub(crate) async fn remember(
        &self,
        recollections: &dyn Recollections,
        vacation: &Vacation,
        now: u64,
    ) -> Result<(), Unavailable> {
        let until = now.saturating_add(vacation.seconds());
        let note = Note { topic: TOPIC.to_owned(), name: self.name(), text: now.to_string(), until };
        recollections.remember(vec![note]).await
    }
}

/// Owes the sender an answer, which is tried for so many seconds.
pub(super) fn owe(delivery: &mut Delivery, account: &Mailbox, answer: &Answer, seconds: u64) {
    let (None, ReversePath::Mailbox(sender)) = (&answer.why_not, &delivery.reverse_path) else { return };
    let terms = RecipientTerms::answer(account, &answer.vacation.handle());
    // Another maildrop of the account may have the same rules.
    if delivery.relay.iter().any(|known| known.terms == terms) {
        return;
    }
    let now = delivery.trace.at;
    let due = delivery.terms.release_at.unwrap_or(now).max(now);
    let mailbox = sender.clone();
    delivery.relay.push(RelayRecipient { mailbox, due, expires: due.saturating_add(seconds), terms });
}

#[cfg(test)]
mod tests {
    use mailstore::Options;

    use super::*;

    const DAY: u64 = 24 * 60 * 60;
    const NOW: u64 = 4_000_000_000;

    #[tokio::test]
    async fn a_sender_is_answered_once_in_as_many_days_as_the_rule_says_and_that_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let options = || Options { path: folder.path().to_owned(), reserve_octets: 0, ..Options::default() };
        let mailbox = |text: &str| Mailbox::parse(text).unwrap();
        let (alice, bob, eve) =
            (mailbox("alice@example.test"), mailbox("bob@x.example"), mailbox("Eve@x.example"));
        let vacation = Vacation {
            text: "x".to_owned(),
            subject: None,
            days: 2,
            from: None,
            until: None,
            addresses: Vec::new(),
        };
        let handle = vacation.handle();
        let to_bob = Correspondence { account: &alice, sender: &bob, handle: &handle };
        let store = mailstore::open(options()).await.unwrap();
        assert_eq!(to_bob.answered_at(&*store.recollections, NOW).await, Ok(None));
        to_bob.remember(&*store.recollections, &vacation, NOW).await.unwrap();
        store.close().await;

        let store = mailstore::open(options()).await.unwrap();
        let answered =
            async |who: Correspondence<'_>, now| who.answered_at(&*store.recollections, now).await.unwrap();
        for (now, expected) in [(NOW, Some(NOW)), (NOW + 2 * DAY - 1, Some(NOW)), (NOW + 2 * DAY, None)] {
            assert_eq!(answered(to_bob, now).await, expected, "{now}");
        }
        let shouted = mailbox("bob@X.EXAMPLE");
        assert_eq!(answered(Correspondence { sender: &shouted, ..to_bob }, NOW).await, Some(NOW));
        // Another sender, another account and another text know nothing of it.
        for other in [
            Correspondence { sender: &eve, ..to_bob },
            Correspondence { account: &eve, ..to_bob },
            Correspondence { handle: "0f", ..to_bob },
        ] {
            assert_eq!(answered(other, NOW).await, None, "{other:?}");
        }
        store.close().await;
    }
}

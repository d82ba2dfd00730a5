//! What a sender asks of those who carry and deliver a message, beside its addresses; it is kept with the message.
//!
//! These types are on disk as they are here: their fields are never changed, and none is added.

use mailwire::address::Mailbox;
use serde::{Deserialize, Serialize};

/// What is asked for all recipients alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What a report about the message brings back.
    pub returns: Option<Returns>,
    /// What a report calls the message: words of the sender.
    pub envelope_id: Option<String>,
    /// Seconds since 1970 before which nobody gets it.
    pub release_at: Option<u64>,
    /// Until when it is of use.
    pub deliver_by: Option<DeliverBy>,
    /// -9 to 9; the higher the sooner.
    pub priority: Option<i8>,
    /// It may travel over verified TLS only.
    pub requires_tls: bool,
    /// What its content is made of, where the sender has said so.
    pub body: Option<Body>,
    /// Its addresses or header fields may be in UTF-8.
    pub is_utf8: bool,
}

/// What is asked for one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipientTerms {
    /// What the sender wants to hear about.
    pub notify: Option<Notify>,
    /// The address that the sender used first, which reports name.
    pub original: Option<OriginalRecipient>,
}

/// What an address for which a message is forwarded has in the place of its type. These forms are never changed, and no
/// sender can write a blank there (`address-type = atom`, RFC 3461 §4.2).
const FORWARDED: &str = "forwarded for";
/// What stands in front of the type, or of `-` where there is none, of an address whose mail is not taken, and of the words about it.
const REFUSED: &str = "refused ";
/// What stands in front of it for an address whose mail is here.
const DELIVERED: &str = "delivered ";
/// The same for an address to which mail goes whatever is wrong with TLS there.
const RELAXED: &str = "relaxed ";
/// What stands in front of the name of an answer, of which the address is the account that gives it.
const ANSWER: &str = "answer ";
/// No type.
const NOTHING: &str = "-";
/// What a report of this server to those who run another one has in the place of the type.
const REPORT: &str = "report to";

impl RecipientTerms {
    /// For a recipient to whom `original`, who has got the message, has it forwarded.
    #[must_use]
    pub fn forwarded(original: &Mailbox, notify: Option<Notify>) -> Self {
        let (address_type, address) = (FORWARDED.to_owned(), original.text());
        Self { notify, original: Some(OriginalRecipient { address_type, address }) }
    }

    /// With `mark` in front of the type of the address that the sender used first.
    fn marked(&self, mark: &str) -> Self {
        let (address_type, address) = match self.original() {
            Some(OriginalRecipient { address_type, address }) => (address_type, address),
            None => (NOTHING.to_owned(), String::new()),
        };
        let original = OriginalRecipient { address_type: format!("{mark}{address_type}"), address };
        Self { notify: self.notify, original: Some(original) }
    }

    /// True where the message was not sent to this recipient, but forwarded by another one.
    #[must_use]
    pub fn is_forwarded(&self) -> bool {
        self.original.as_ref().is_some_and(|original| original.address_type == FORWARDED)
    }

    /// The same for a recipient who does not take the message, and says why in these words: it goes nowhere, but its sender
    /// hears of it.
    #[must_use]
    pub fn refused(&self, words: &str) -> Self {
        let original = self.original();
        let (address_type, address) = match original {
            Some(OriginalRecipient { address_type, address }) => (address_type, address),
            None => (NOTHING.to_owned(), String::new()),
        };
        let address_type = format!("{REFUSED}{address_type} {words}");
        Self { notify: self.notify, original: Some(OriginalRecipient { address_type, address }) }
    }

    /// The same for a recipient who has got the message here: it goes nowhere, but its sender hears of that.
    #[must_use]
    pub fn delivered(&self) -> Self {
        self.marked(DELIVERED)
    }

    /// The same for a recipient elsewhere whose mail is not held up by what its domain promises about TLS.
    #[must_use]
    pub fn relaxed(&self) -> Self {
        self.marked(RELAXED)
    }

    /// True for a recipient to whom mail goes whatever is wrong with TLS there.
    #[must_use]
    pub fn is_relaxed(&self) -> bool {
        self.relaxed_type().is_some()
    }

    fn relaxed_type(&self) -> Option<&str> {
        self.original.as_ref()?.address_type.strip_prefix(RELAXED)
    }

    /// True for a recipient who has got the message here.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        self.delivered_type().is_some()
    }

    /// The type of the address that is told to the sender.
    fn delivered_type(&self) -> Option<&str> {
        self.original.as_ref()?.address_type.strip_prefix(DELIVERED)
    }

    /// The words of a recipient who does not take the message.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        self.refused_type().map(|(_, words)| words)
    }

    /// The type of the address that is told to the sender, and the words.
    fn refused_type(&self) -> Option<(&str, &str)> {
        self.original.as_ref()?.address_type.strip_prefix(REFUSED)?.split_once(' ')
    }

    /// For a sender to whom `account` owes an answer, of which `handle` tells which one, in one word. The message does not go
    /// there.
    #[must_use]
    pub fn answer(account: &Mailbox, handle: &str) -> Self {
        let original =
            OriginalRecipient { address_type: format!("{ANSWER}{handle}"), address: account.text() };
        Self { notify: Some(Notify::Never), original: Some(original) }
    }

    /// The account that owes the recipient an answer, and which one.
    #[must_use]
    pub fn answering(&self) -> Option<(&str, &str)> {
        let original = self.original.as_ref()?;
        Some((&original.address, original.address_type.strip_prefix(ANSWER)?))
    }

    /// For somebody who gets a report of this server about theirs; nobody hears what became of it.
    #[must_use]
    pub fn report() -> Self {
        let original = OriginalRecipient { address_type: REPORT.to_owned(), address: String::new() };
        Self { notify: Some(Notify::Never), original: Some(original) }
    }

    /// True where the message is such a report.
    #[must_use]
    pub fn is_report(&self) -> bool {
        self.original.as_ref().is_some_and(|original| original.address_type == REPORT)
    }

    /// The address that the sender used first, with a type that others know.
    #[must_use]
    pub fn original(&self) -> Option<OriginalRecipient> {
        if self.answering().is_some() || self.is_report() {
            return None;
        }
        let mut original = self.original.clone()?;
        let refused = self.refused_type().map(|(address_type, _)| address_type);
        match refused.or(self.delivered_type()).or(self.relaxed_type()) {
            Some(NOTHING) => return None,
            Some(address_type) => address_type.clone_into(&mut original.address_type),
            None => {}
        }
        if original.address_type == FORWARDED {
            let address_type = if original.address.is_ascii() { "rfc822" } else { "utf-8" };
            address_type.clone_into(&mut original.address_type);
        }
        Some(original)
    }
}

/// A recipient whose mail stays here, and for whom something is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalRecipient {
    /// The address.
    pub mailbox: Mailbox,
    /// What is asked.
    pub terms: RecipientTerms,
}

/// What comes back with a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Returns {
    /// The whole message.
    Full,
    /// Its header section.
    Headers,
}

/// What the sender wants to hear about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notify {
    /// Nothing.
    Never,
    /// Any of these.
    On {
        /// It was delivered.
        success: bool,
        /// It never will be.
        failure: bool,
        /// It takes long.
        delay: bool,
    },
}

/// An address of whatever kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginalRecipient {
    /// `rfc822`, `utf-8`, ..., in lower case.
    pub address_type: String,
    /// The address as text.
    pub address: String,
}

/// Until when a message is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverBy {
    /// Seconds since 1970; counted from the moment when the message was offered.
    pub at: u64,
    /// What becomes of it afterwards.
    pub mode: ByMode,
    /// Whoever hands it on says so.
    pub trace: bool,
}

/// What becomes of a message whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ByMode {
    /// It goes back to its sender.
    Return,
    /// Its sender hears so, and it is delivered nevertheless.
    Notify,
}

/// What content is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// Lines of ASCII.
    SevenBit,
    /// Lines of octets.
    EightBit,
    /// Octets.
    Binary,
}

impl Terms {
    /// True once whoever the message is for may have it.
    #[must_use]
    pub fn is_released(&self, now: u64) -> bool {
        is_released(self.release_at, now)
    }
}

/// True once `now` has reached the time of release.
pub(crate) fn is_released(release_at: Option<u64>, now: u64) -> bool {
    release_at.is_none_or(|at| at <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_forwards_is_the_original_recipient() {
        let terms = RecipientTerms::forwarded(&Mailbox::parse("a@b.example").unwrap(), Some(Notify::Never));
        assert!(terms.is_forwarded());
        assert_eq!(terms.notify, Some(Notify::Never));
        let original = terms.original().unwrap();
        assert_eq!((original.address_type.as_str(), original.address.as_str()), ("rfc822", "a@b.example"));
        let asked = RecipientTerms { notify: None, original: Some(original) };
        assert!(!asked.is_forwarded() && asked.original() == asked.original);
    }

    #[test]
    fn whose_mail_is_not_taken_keeps_what_the_sender_has_asked() {
        let original = OriginalRecipient { address_type: "rfc822".to_owned(), address: "x@y".to_owned() };
        for original in [None, Some(original)] {
            let asked = RecipientTerms { notify: Some(Notify::Never), original };
            assert_eq!(asked.refusal(), None);
            for words in ["", "no more of this", "a - b"] {
                let refused = asked.refused(words);
                assert_eq!(refused.refusal(), Some(words));
                assert_eq!((refused.notify, refused.original()), (asked.notify, asked.original.clone()));
            }
        }
    }

    #[test]
    fn who_has_got_it_here_keeps_what_the_sender_has_asked() {
        let original = OriginalRecipient { address_type: "rfc822".to_owned(), address: "x@y".to_owned() };
        for original in [None, Some(original)] {
            let notify = Some(Notify::On { success: true, failure: false, delay: false });
            let asked = RecipientTerms { notify, original };
            let delivered = asked.delivered();
            assert!(delivered.is_delivered() && !asked.is_delivered());
            let relaxed = asked.relaxed();
            assert!(relaxed.is_relaxed() && !asked.is_relaxed() && !delivered.is_relaxed());
            assert_eq!((relaxed.notify, relaxed.original()), (asked.notify, asked.original.clone()));
            assert_eq!((delivered.notify, delivered.original()), (asked.notify, asked.original.clone()));
            assert!(delivered.refusal().is_none() && !delivered.is_forwarded());
        }
    }

    #[test]
    fn who_is_owed_an_answer_is_no_recipient() {
        let terms = RecipientTerms::answer(&Mailbox::parse("a@b.example").unwrap(), "0f");
        assert_eq!(terms.answering(), Some(("a@b.example", "0f")));
        assert_eq!((terms.notify, terms.original(), terms.refusal()), (Some(Notify::Never), None, None));
        assert!(!terms.is_forwarded());
        let forwarded = RecipientTerms::forwarded(&Mailbox::parse("a@b.example").unwrap(), None);
        assert_eq!((forwarded.answering(), RecipientTerms::default().answering()), (None, None));
    }

    #[test]
    fn a_message_is_released_in_the_second_that_was_named() {
        let terms = Terms { release_at: Some(1000), ..Terms::default() };
        assert!(!terms.is_released(999));
        assert!(terms.is_released(1000));
        assert!(Terms::default().is_released(0));
    }
}

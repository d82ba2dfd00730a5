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
    fn a_message_is_released_in_the_second_that_was_named() {
        let terms = Terms { release_at: Some(1000), ..Terms::default() };
        assert!(!terms.is_released(999));
        assert!(terms.is_released(1000));
        assert!(Terms::default().is_released(0));
    }
}

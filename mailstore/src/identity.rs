//! The names of things in the store: maildrops, messages, queue entries, unique-ids.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One maildrop, for as long as the store exists; never used again after its account is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MaildropId(pub u64);

/// One accepted message, however many maildrops and queue entries hold it: the number of its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MessageId(pub u64);

/// One recipient's entry in the outbound queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QueueId {
    /// The message.
    pub message: MessageId,
    /// Which of its relay recipients, from 0.
    pub recipient: u32,
}

/// What UIDL shows: 128 random bits, minted when the message is committed and never again (RFC 1939 §7).
///
/// Its text form is 26 characters of `0-9a-v`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UniqueId(pub [u8; 16]);

impl fmt::Display for UniqueId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        for digit in (0..26).rev() {
            let value = u32::try_from((bits >> (digit * 5)) & 31).unwrap_or(0);
            let character = char::from_digit(value, 32).unwrap_or('0');
            write!(formatter, "{character}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for UniqueId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

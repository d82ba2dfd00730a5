//! Entries of the queue as people name them: the message's number, and that of its recipient behind a dot.

use std::fmt;
use std::str::FromStr;

use mailstore::{MessageId, QueueId};
use thiserror::Error;

/// One entry, or all of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryName {
    pub(crate) message: MessageId,
    /// `None`: all of them.
    pub(crate) recipient: Option<u32>,
}

/// Why a text names no entry.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("name an entry as `mailstack queue list` shows it (147.0), or a message by its number (147)")]
pub(crate) struct NoEntryName;

impl FromStr for EntryName {
    type Err = NoEntryName;

    fn from_str(text: &str) -> Result<Self, NoEntryName> {
        let (message, recipient) = match text.split_once('.') {
            Some((message, recipient)) => (message, Some(recipient)),
            None => (text, None),
        };
        let message = MessageId(number(message)?);
        let recipient = recipient.map(number).transpose()?;
        let recipient = recipient.map(u32::try_from).transpose().map_err(|_| NoEntryName)?;
        Ok(Self { message, recipient })
    }
}

fn number(digits: &str) -> Result<u64, NoEntryName> {
    if !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(NoEntryName);
    }
    digits.parse().map_err(|_| NoEntryName)
}

impl From<QueueId> for EntryName {
    fn from(id: QueueId) -> Self {
        Self { message: id.message, recipient: Some(id.recipient) }
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.message.0)?;
        self.recipient.map_or(Ok(()), |recipient| write!(formatter, ".{recipient}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_named_as_it_is_shown() {
        let name = |message, recipient| EntryName { message: MessageId(message), recipient };
        for (text, expected) in [("147.0", name(147, Some(0))), ("147", name(147, None))] {
            assert_eq!(text.parse(), Ok(expected));
            assert_eq!(expected.to_string(), text);
        }
        for text in
            ["", ".", "147.", ".0", "a.0", "147.0.0", "+147", "-1", "147.4294967296", "18446744073709551616"]
        {
            assert_eq!(text.parse::<EntryName>(), Err(NoEntryName), "{text}");
        }
    }
}

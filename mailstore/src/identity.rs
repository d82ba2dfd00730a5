//! The names of things in the store: maildrops, messages, queue entries, unique-ids.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most octets of a unique-id (RFC 1939 §7).
const UNIQUE_ID_OCTETS_MAX: usize = 70;

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

/// What UIDL shows (RFC 1939 §7): minted when the message is committed, or carried over from where it was before.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UniqueId(Form);

/// A minted one is kept as its bits: there are many of them in memory.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
enum Form {
    Minted([u8; 16]),
    Carried(Box<str>),
}

/// Why a text is no unique-id.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0:?} is no unique-id: it has 1 to 70 characters, none of them a space or a control (RFC 1939)")]
pub struct NoUniqueId(String);

impl UniqueId {
    /// 128 random bits; its text form is 26 characters of `0-9a-v`.
    #[must_use]
    pub const fn minted(bits: [u8; 16]) -> Self {
        Self(Form::Minted(bits))
    }

    /// One that a message had before it came here.
    ///
    /// # Errors
    /// Where it is not `unique-id`, 1 to 70 characters from 0x21 to 0x7E (RFC 1939 §7).
    pub fn parse(text: &str) -> Result<Self, NoUniqueId> {
        let fits = (1..=UNIQUE_ID_OCTETS_MAX).contains(&text.len());
        if fits && text.bytes().all(|octet| octet.is_ascii_graphic()) {
            // What was minted here once is the same again, whichever way it comes back.
            return Ok(minted(text).map_or_else(|| Self(Form::Carried(text.into())), Self::minted));
        }
        Err(NoUniqueId(text.to_owned()))
    }
}

/// Digits of the text form of a minted unique-id, five bits each.
const DIGITS: u32 = 26;

fn minted(text: &str) -> Option<[u8; 16]> {
    let upper_case = |character: char| character.is_ascii_uppercase();
    if text.chars().count() != DIGITS as usize || text.contains(upper_case) {
        return None;
    }
    let mut bits: u128 = 0;
    for (place, character) in text.chars().enumerate() {
        let digit = character.to_digit(32)?;
        if place == 0 && digit >= 8 {
            return None;
        }
        bits = (bits << 5) | u128::from(digit);
    }
    Some(bits.to_be_bytes())
}

impl fmt::Display for UniqueId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = match &self.0 {
            Form::Minted(bits) => u128::from_be_bytes(*bits),
            Form::Carried(text) => return formatter.write_str(text),
        };
        // In one piece: a listing has a hundred thousand of them.
        let mut text = [b'0'; DIGITS as usize];
        for (place, digit) in (0..DIGITS).rev().zip(&mut text) {
            let value = u8::try_from((bits >> (place * 5)) & 31).unwrap_or(0);
            *digit = if value < 10 { b'0' + value } else { b'a' + (value - 10) };
        }
        formatter.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for UniqueId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_unique_id_is_the_same_after_its_text() {
        for bits in [[0; 16], [0xff; 16], [7; 16]] {
            let id = UniqueId::minted(bits);
            assert_eq!(id.to_string().len(), 26);
            assert_eq!(UniqueId::parse(&id.to_string()), Ok(id));
        }
    }

    #[test]
    fn a_carried_unique_id_stays_as_it_is() {
        for text in ["000000015f3b2a1c", "!", &"~".repeat(70), &"v".repeat(26), &"A".repeat(26)] {
            assert_eq!(UniqueId::parse(text).unwrap().to_string(), text);
        }
        for text in ["", " ", "a b", "\u{e9}", &"x".repeat(71)] {
            assert!(UniqueId::parse(text).is_err(), "{text}");
        }
    }
}

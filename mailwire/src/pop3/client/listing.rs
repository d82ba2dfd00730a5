//! What a maildrop holds, put together from the answers to STAT, UIDL and LIST.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::Failure;
use crate::pop3::MessageNumber;

/// Messages of one maildrop that a client takes: an entry is about a hundred octets of memory.
const MESSAGES_MAX: usize = 1_000_000;
/// Octets of a unique-id that a client takes: RFC 1939 §7 allows 70, some servers send more.
const UNIQUE_ID_OCTETS_MAX: usize = 200;

/// One message of the maildrop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number in this session.
    pub number: MessageNumber,
    /// Its size as the server says.
    pub octets: u64,
    /// What names it in all sessions, where the server has UIDL.
    pub unique_id: Option<String>,
}

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `UIDL`.
    UniqueIds,
    /// `LIST`.
    Sizes,
}

#[derive(Debug)]
pub(super) struct Listing {
    messages: BTreeMap<MessageNumber, Message>,
}

impl Listing {
    pub(super) const fn new() -> Self {
        Self { messages: BTreeMap::new() }
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.values()
    }

    /// `+OK nn mm`, RFC 1939 §5; refuses at once what would be too much.
    pub(super) fn check_stat(text: &str) -> Result<(), Failure> {
        let count = text.split(' ').next().and_then(|count| count.parse::<usize>().ok());
        match count {
            None => Err(Failure::unexpected(text.as_bytes())),
            Some(count) if count > MESSAGES_MAX => Err(Failure::TooMany(MESSAGES_MAX, "messages")),
            Some(_) => Ok(()),
        }
    }

    /// `scan-listing` or `unique-id listing`, RFC 1939 §5 and §7. What follows the second word is ignored.
    pub(super) fn line(&mut self, kind: Kind, line: &[u8]) -> Result<(), Failure> {
        let unexpected = || Failure::unexpected(line);
        let text = std::str::from_utf8(line).map_err(|_| unexpected())?;
        let mut words = text.split_ascii_whitespace();
        let number = words.next().and_then(|word| word.parse::<NonZeroU32>().ok());
        let number = MessageNumber::new(number.ok_or_else(unexpected)?);
        let word = words.next().ok_or_else(unexpected)?;
        if self.messages.len() == MESSAGES_MAX && !self.messages.contains_key(&number) {
            return Err(Failure::TooMany(MESSAGES_MAX, "messages"));
        }
        let message = self.messages.entry(number).or_insert(Message { number, octets: 0, unique_id: None });
        match kind {
            Kind::Sizes => message.octets = word.parse().map_err(|_| unexpected())?,
            Kind::UniqueIds if is_unique_id(word) => message.unique_id = Some(word.to_owned()),
            Kind::UniqueIds => return Err(unexpected()),
        }
        Ok(())
    }
}

/// `unique-id = 1*70 %x21-7E`, RFC 1939 §7.
fn is_unique_id(word: &str) -> bool {
    word.len() <= UNIQUE_ID_OCTETS_MAX && word.bytes().all(|octet| octet.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_unique_ids_come_together_in_any_order() {
        let mut listing = Listing::new();
        listing.line(Kind::UniqueIds, b"2 b").unwrap();
        listing.line(Kind::UniqueIds, b"1 a").unwrap();
        listing.line(Kind::Sizes, b"1 120").unwrap();
        listing.line(Kind::Sizes, b"2 7 more words").unwrap();
        let found: Vec<_> =
            listing.messages().map(|m| (m.number.get(), m.octets, m.unique_id.as_deref())).collect();
        assert_eq!(found, [(1, 120, Some("a")), (2, 7, Some("b"))]);
    }

    #[test]
    fn lines_that_name_no_message_are_refused() {
        for line in ["", "1", "0 5", "-1 5", "4294967296 5", "x 5", "1 -5", "1 x", "1 18446744073709551616"] {
            assert!(Listing::new().line(Kind::Sizes, line.as_bytes()).is_err(), "{line:?}");
        }
        let long = format!("1 {}", "x".repeat(UNIQUE_ID_OCTETS_MAX + 1));
        for line in [long.as_bytes(), b"1 \x1b[1m", "1 ä".as_bytes(), b"1 \xff"] {
            assert!(Listing::new().line(Kind::UniqueIds, line).is_err());
        }
    }

    #[test]
    fn a_maildrop_without_bound_is_refused() {
        assert_eq!(Listing::check_stat("1000000 1"), Ok(()));
        assert_eq!(Listing::check_stat("1000001 1"), Err(Failure::TooMany(MESSAGES_MAX, "messages")));
        assert!(Listing::check_stat("x").is_err());
    }
}

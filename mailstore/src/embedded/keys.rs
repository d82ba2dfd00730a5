//! The sled trees: every key and value of the index, with a version. The index may be deleted at any time.
//!
//! | tree | key | value |
//! |---|---|---|
//! | `entries` | maildrop, message | [`EntryValue`] |
//! | `came` | maildrop, message | seconds since 1970 at which it came, where the entry does not say so |
//! | `expunged` | maildrop, message | [`ExpungedValue`]: can be brought back |
//! | `queue` | message, recipient | [`QueueValue`] |
//! | `due` | due, message, recipient | nothing |
//! | `domains` | domain of the recipient, message, recipient | whether it is held |
//! | `traces` | message, recipient, attempt ([`TraceKey`]) | [`super::traced::TraceRecord`] |
//! | `trace_names` | what people know of a message, message | nothing |
//! | `accounts` | address | [`super::record::AccountRecord`] |
//! | `scram` | maildrop | [`super::credentials::ScramRecord`] of its account |
//! | `app_passwords` | maildrop, name | [`super::app_passwords::AppPasswordRecord`] |
//! | `grants` | maildrop, address or domain | nothing: its account may send as that |
//! | `subaddresses` | maildrop of the account, detail | the further maildrop |
//! | `aliases` | address | list of addresses |
//! | `quotas` | maildrop | [`crate::Quota`] |
//! | `rules` | maildrop | [`crate::OwnRules`], where there are some |
//! | `rule_files` | maildrop, number of the piece | a piece of the rules that its account has for its mail |
//! | `usage` | maildrop | [`Usage`] at the last orderly close |
//! | `moved` | message, segment | nothing: the message was copied there |
//! | `torn` | segment, offset | octets that a crash left half written |
//! | `meta` | `checkpoint` | [`Checkpoint`] |
//! | `meta` | `segments` | ranges of the segments that must be there |
//! | `meta` | `scrubbed` | [`Location`] up to which content was read and compared with its checksums |
//! | `meta` | `closed` | nothing; there only after an orderly close |
//!
//! Numbers in keys are big-endian, so that sled's order is theirs. Values stay far below the size from which
//! sled writes them to files of their own that it never syncs.

use serde::{Deserialize, Serialize};

use super::journal::Location;
use crate::{RecipientTerms, Repertoire, Terms, UniqueId};

/// Version of this table; an index of another version is rebuilt.
pub(crate) const SCHEMA: u32 = 8;

pub(crate) const CHECKPOINT: &[u8] = b"checkpoint";
pub(crate) const CLOSED: &[u8] = b"closed";
pub(crate) const SEGMENTS: &[u8] = b"segments";
pub(crate) const SCRUBBED: &[u8] = b"scrubbed";

/// A message in a maildrop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EntryValue {
    pub(crate) unique_id: UniqueId,
    pub(crate) received_at: u64,
    pub(crate) subject: Subject,
    /// Seconds since 1970 before which no lease shows it.
    pub(crate) release_at: Option<u64>,
}

/// A message that was expunged from a maildrop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExpungedValue {
    pub(crate) entry: EntryValue,
    /// Seconds since 1970.
    pub(crate) at: u64,
}

/// Where a message's octets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subject {
    pub(crate) location: Location,
    /// Octets of frame and head, behind which the content begins.
    pub(crate) front_octets: u32,
    /// Octets of all of it.
    pub(crate) octets: u64,
    pub(crate) header_octets: u64,
    pub(crate) repertoire: Repertoire,
    /// The file that holds what is not in the record.
    pub(crate) file: Option<ContentFile>,
}

/// A file in the content folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContentFile {
    /// Its name: the unique-id with which the message was committed.
    pub(crate) name: [u8; 16],
    pub(crate) octets: u64,
}

impl Subject {
    /// Octets of content in the record itself.
    pub(crate) fn inline_octets(&self) -> u64 {
        self.octets.saturating_sub(self.file.map_or(0, |file| file.octets))
    }
}

/// What is in a maildrop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) messages: u64,
    pub(crate) octets: u64,
}

impl Usage {
    /// One message more.
    pub(crate) fn add(&mut self, entry: &EntryValue) {
        self.messages = self.messages.saturating_add(1);
        self.octets = self.octets.saturating_add(entry.subject.octets);
    }

    /// Both together.
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_add(other.messages),
            octets: self.octets.saturating_add(other.octets),
        }
    }

    /// One message less.
    pub(crate) fn remove(&mut self, entry: &EntryValue) {
        self.messages = self.messages.saturating_sub(1);
        self.octets = self.octets.saturating_sub(entry.subject.octets);
    }
}

/// A recipient that waits for relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueValue {
    pub(crate) reverse_path: String,
    pub(crate) mailbox: String,
    pub(crate) accepted_at: u64,
    pub(crate) due: u64,
    pub(crate) expires: u64,
    pub(crate) attempts: u32,
    pub(crate) last_result: String,
    pub(crate) held: bool,
    /// The sender has been told that it takes long.
    pub(crate) warned: bool,
    /// Octets at its front that are not relayed.
    pub(crate) delivery_prefix_octets: u32,
    pub(crate) subject: Subject,
    pub(crate) terms: Terms,
    pub(crate) recipient_terms: RecipientTerms,
}

/// Up to where the index is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) schema: u32,
    pub(crate) epoch_seed: u32,
    /// Where the next record begins.
    pub(crate) next: Location,
    pub(crate) next_sequence: u64,
    pub(crate) live: u64,
}

/// Key of one message in a maildrop.
pub(crate) fn entry(maildrop: u64, message: u64) -> [u8; 16] {
    joined(maildrop.to_be_bytes(), message.to_be_bytes())
}

/// What all keys of one maildrop begin with.
pub(crate) const fn maildrop(maildrop: u64) -> [u8; 8] {
    maildrop.to_be_bytes()
}

/// Key of what the account of a maildrop has under a name.
pub(crate) fn named(maildrop: u64, name: &str) -> Vec<u8> {
    [&maildrop.to_be_bytes(), name.as_bytes()].concat()
}

/// Maildrop and name in such a key.
pub(crate) fn named_parts(key: &[u8]) -> Option<(u64, &str)> {
    let (maildrop, name) = key.split_first_chunk()?;
    Some((u64::from_be_bytes(*maildrop), std::str::from_utf8(name).ok()?))
}

/// Key of a piece of what is too long for one value.
pub(crate) fn piece(maildrop: u64, number: u16) -> Vec<u8> {
    [maildrop.to_be_bytes().as_slice(), &number.to_be_bytes()].concat()
}

/// The maildrop in such a key.
pub(crate) fn piece_maildrop(key: &[u8]) -> Option<u64> {
    key.split_first_chunk().map(|(maildrop, _)| u64::from_be_bytes(*maildrop))
}

/// The keys of a maildrop's messages behind `after`.
pub(crate) fn behind(maildrop: u64, after: Option<u64>) -> std::ops::RangeInclusive<[u8; 16]> {
    let first = after.map_or(0, |after| after.saturating_add(1));
    entry(maildrop, first)..=entry(maildrop, u64::MAX)
}

/// Maildrop and message in a key of `entries` or `expunged`.
pub(crate) fn entry_parts(key: &[u8]) -> Option<(u64, u64)> {
    let mut fields = super::record::Fields(key);
    Some((u64::from_be_bytes(fields.take()?), u64::from_be_bytes(fields.take()?)))
}

/// Key of a segment that a message was copied to.
pub(crate) fn moved(message: u64, segment: u32) -> [u8; 12] {
    joined(message.to_be_bytes(), segment.to_be_bytes())
}

/// The segment in a key of `moved`.
pub(crate) fn moved_segment(key: &[u8]) -> Option<u32> {
    key.last_chunk::<4>().map(|octets| u32::from_be_bytes(*octets))
}

/// Key of octets that a crash left half written.
pub(crate) fn torn(segment: u32, offset: u64) -> [u8; 12] {
    joined(segment.to_be_bytes(), offset.to_be_bytes())
}

/// Key of one recipient in the queue.
pub(crate) fn queue(message: u64, recipient: u32) -> [u8; 12] {
    joined(message.to_be_bytes(), recipient.to_be_bytes())
}

/// Message and recipient in a key of `queue`.
pub(crate) fn queue_parts(key: &[u8]) -> Option<(u64, u32)> {
    let mut fields = super::record::Fields(key);
    Some((u64::from_be_bytes(fields.take()?), u32::from_be_bytes(fields.take()?)))
}

/// Key of one recipient by the time of its next attempt.
pub(crate) fn due(due: u64, message: u64, recipient: u32) -> [u8; 20] {
    joined(due.to_be_bytes(), queue(message, recipient))
}

/// Due time, message and recipient in a key of `due`.
pub(crate) fn due_parts(key: &[u8]) -> Option<(u64, u64, u32)> {
    let mut fields = super::record::Fields(key);
    Some((
        u64::from_be_bytes(fields.take()?),
        u64::from_be_bytes(fields.take()?),
        u32::from_be_bytes(fields.take()?),
    ))
}

/// What all keys of `domains` for one domain begin with. A domain has no control characters in it.
pub(crate) fn domain(domain: &str) -> Vec<u8> {
    [domain.as_bytes(), &[0]].concat()
}

/// Key of one recipient in the queue by its domain.
pub(crate) fn in_domain(domain: &str, message: u64, recipient: u32) -> Vec<u8> {
    [domain.as_bytes(), &[0], &queue(message, recipient)].concat()
}

/// Domain, message and recipient in such a key.
pub(crate) fn in_domain_parts(key: &[u8]) -> Option<(&str, u64, u32)> {
    let (front, id) = key.split_last_chunk::<12>()?;
    let (domain, (message, recipient)) = (front.strip_suffix(&[0])?, queue_parts(id)?);
    Some((std::str::from_utf8(domain).ok()?, message, recipient))
}

/// Whose row of a life it is. Never changed: it is in the journal as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct TraceKey {
    pub(crate) message: u64,
    /// 0: the message itself; else the recipient's number and 1.
    pub(crate) place: u32,
    /// Of an attempt, from 1; 0: who it is; the last one: its end.
    pub(crate) number: u32,
}

impl TraceKey {
    pub(crate) const END: u32 = u32::MAX;
    pub(crate) const OCTETS: usize = 16;

    /// Of the message itself.
    pub(crate) const fn accepted(message: u64) -> Self {
        Self { message, place: 0, number: 0 }
    }

    /// Of a recipient.
    pub(crate) const fn of(message: u64, recipient: u32, number: u32) -> Self {
        Self { message, place: recipient.saturating_add(1), number }
    }

    /// True where the row tells of a time at which nothing more may have come.
    pub(crate) const fn may_be_the_end(&self) -> bool {
        self.place == 0 || self.number == Self::END
    }

    pub(crate) fn encode(&self) -> [u8; Self::OCTETS] {
        let number: [u8; 8] = joined(self.place.to_be_bytes(), self.number.to_be_bytes());
        joined(self.message.to_be_bytes(), number)
    }

    pub(crate) fn decode(key: &[u8]) -> Option<Self> {
        let mut fields = super::record::Fields(key);
        Some(Self {
            message: u64::from_be_bytes(fields.take()?),
            place: u32::from_be_bytes(fields.take()?),
            number: u32::from_be_bytes(fields.take()?),
        })
    }
}

/// Key of a message that is known by a name.
pub(crate) fn traced_as(name: [u8; 9], message: u64) -> [u8; 17] {
    joined(name, message.to_be_bytes())
}

/// The message in such a key.
pub(crate) fn traced_message(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().map(|octets| u64::from_be_bytes(*octets))
}

fn joined<const A: usize, const B: usize, const C: usize>(front: [u8; A], back: [u8; B]) -> [u8; C] {
    let mut key = [0; C];
    key.iter_mut().zip(front.into_iter().chain(back)).for_each(|(to, from)| *to = from);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_numbers_and_are_taken_apart_again() {
        assert!(entry(1, 300) < entry(2, 1));
        assert!(entry(1, 2) < entry(1, 300));
        assert_eq!(entry_parts(&entry(5, 300)), Some((5, 300)));
        assert_eq!(named_parts(&named(5, "phone")), Some((5, "phone")));
        assert_eq!(moved_segment(&moved(300, 7)), Some(7));
        assert!(due(9, 1, 1) < due(10, 0, 0));
        assert_eq!(due_parts(&due(9, 300, 7)), Some((9, 300, 7)));
        let row = TraceKey::of(300, 1, TraceKey::END);
        assert!(TraceKey::accepted(300).encode() < TraceKey::of(300, 0, 0).encode());
        assert!(TraceKey::of(300, 0, TraceKey::END).encode() < row.encode());
        assert_eq!(TraceKey::decode(&row.encode()), Some(row));
        assert_eq!(traced_message(&traced_as([7; 9], 300)), Some(300));
        assert!(in_domain("a.test", 300, 0) < in_domain("a.test.b", 1, 0));
        assert!(in_domain("a.test", 1, 0).starts_with(&domain("a.test")));
        assert_eq!(in_domain_parts(&in_domain("a.test", 300, 7)), Some(("a.test", 300, 7)));
    }
}

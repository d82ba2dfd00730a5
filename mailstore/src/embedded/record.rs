//! One record of the journal: a fixed frame, a head that says what became true, content octets, and frame and head once
//! more, so that damage to either one costs nothing.
//!
//! ```text
//! 0   magic            4   "MSR1"; "MSRC" in the copy
//! 4   kind             1   which event the head holds
//! 5   flags            1   1 where a copy stands behind the content (since format 2)
//! 6   0                2
//! 8   head_octets      4   little-endian, as all numbers here
//! 12  content_octets   8
//! 20  sequence         8   counts commits from 1; a message's identity
//! 28  group            8   sequence of the first record that was synced together with this one; a record of what a
//!                          crash left behind bears the group that it is about
//! 36  live             8   maildrop and queue entries that exist once this record is applied; since format 2 with
//!                          those that were expunged and can be brought back
//! 44  checksum         4   CRC-32C over 0..44 and the head, begun from the store's secret seed
//! 48  head                 postcard of [`Event`]
//!     content              as its readers get it; its checksums are in the head
//!     copy                 of frame and head
//! ```
//!
//! A group is written only after the one before it was synced, so whatever precedes the last group is on disk:
//! what cannot be read there is damage, while in the last group it may never have been written (and was never
//! answered for).
//!
//! The seed keeps a message that holds octets of a made-up record from ever being taken for one.
//! Events and their fields are never changed, only added as new variants: a journal is read for ever.

use serde::{Deserialize, Serialize};

use super::app_passwords::AppPasswordRecord;
use super::circumstances::Circumstances;
use super::credentials::ScramRecord;
use super::grants::Grant;
use crate::{Quota, TraceRow, UniqueId};

/// Octets of the fixed part.
pub(crate) const FRAME_OCTETS: usize = 48;
/// Octets of content that one checksum covers.
pub(crate) const BLOCK_OCTETS: usize = 64 << 10;
/// Most octets of a head; a longer one is damage, not a record. A thousand recipients need less than 400 KiB.
pub(crate) const HEAD_OCTETS_MAX: u32 = 4 << 20;

pub(crate) const MAGIC: [u8; 4] = *b"MSR1";
pub(crate) const COPY_MAGIC: [u8; 4] = *b"MSRC";
/// What both begin with.
pub(crate) const MAGIC_STEM: [u8; 3] = *b"MSR";
/// The flag of a record with a copy of its front.
const HAS_COPY: u8 = 1;

/// What became true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// A message was accepted, for all its recipients at once.
    Message(Message),
    /// Messages left a maildrop.
    Expunge {
        maildrop: u64,
        /// Message identities; all of them were there.
        messages: Vec<u64>,
        /// Seconds since 1970.
        at: u64,
    },
    /// An account was added, or its password changed, by a release of format 2 or 1: without keys for SCRAM.
    Account(AccountRecord),
    /// An account and its maildrop are gone.
    AccountRemoved { address: String, maildrop: u64 },
    /// An alias has these targets from now on.
    Alias { address: String, targets: Vec<String> },
    /// An alias is gone.
    AliasRemoved { address: String },
    /// An attempt failed for now, or the entry was held or released.
    QueueChanged { message: u64, recipient: u32, due: u64, attempts: u32, last_result: String, held: bool },
    /// The recipient got the message, or never will.
    QueueFinished { message: u64, recipient: u32, at: u64 },
    /// A crash left octets in the last group that were never acknowledged: they are no damage, and the message,
    /// where its head could still be read, does not exist.
    Torn {
        segment: u32,
        offset: u64,
        octets: u64,
        /// The sequence and head of the record, where it is one.
        message: Option<(u64, Message)>,
    },
    /// Expunged messages are in their maildrop again.
    Returned {
        maildrop: u64,
        /// Message identities, each with a new unique-id where it is to be fetched again.
        messages: Vec<(u64, Option<UniqueId>)>,
    },
    /// Expunged messages cannot be brought back any more.
    Purged { maildrop: u64, messages: Vec<u64> },
    /// A message came from another store, with the unique-id that it had there.
    Imported { message: Message, unique_id: UniqueId },
    /// A message lies here from now on; this is all that is left of it.
    Moved(Box<Moved>),
    /// Carried on from a segment that goes: what became of messages that lie elsewhere.
    Restated { entries: Vec<Restated> },
    /// The segments that exist, as ranges of numbers, besides those after this record: one of them goes right after it.
    Segments { present: Vec<(u32, u32)> },
    /// A maildrop's own limits from now on; `None`: those of the configuration.
    Quota { maildrop: u64, quota: Option<Quota> },
    /// The store was closed in order: everything before this is on disk, and what cannot be read there is damage.
    Closed,
    /// An account was added, its password changed, or its keys were derived (since format 3).
    KeyedAccount { account: AccountRecord, scram: ScramRecord },
    /// An application password of the account with this maildrop; `None`: it is gone.
    AppPassword { maildrop: u64, name: String, password: Option<AppPasswordRecord> },
    /// The account with this maildrop may send as an address or as all of a domain, or may not any more.
    Grant { maildrop: u64, addresses: String, grant: Grant },
    /// A message was accepted, of which more is known than [`Event::Message`] and [`Event::Imported`] can say.
    Accepted(Box<Accepted>),
    /// As [`Event::Moved`], for such a message.
    MovedWith { moved: Box<Moved>, circumstances: Box<Circumstances> },
}

/// A message with what is kept beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) message: Message,
    /// The one that it had in another store, where it comes from there.
    pub(crate) unique_id: Option<UniqueId>,
    pub(crate) circumstances: Box<Circumstances>,
}

/// A message that was copied out of a segment that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moved {
    /// The message's identity: the sequence of the record that first held it.
    pub(crate) sequence: u64,
    /// Its head, without maildrops and recipients elsewhere.
    pub(crate) message: Message,
    pub(crate) entries: Vec<MovedEntry>,
    pub(crate) queue: Vec<MovedRecipient>,
}

/// A maildrop that holds a moved message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MovedEntry {
    pub(crate) maildrop: u64,
    pub(crate) unique_id: UniqueId,
    /// When it was expunged, where it was.
    pub(crate) expunged_at: Option<u64>,
}

/// A recipient elsewhere who has not got a moved message yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MovedRecipient {
    pub(crate) recipient: u32,
    pub(crate) mailbox: String,
    pub(crate) due: u64,
    pub(crate) expires: u64,
    pub(crate) attempts: u32,
    pub(crate) last_result: String,
    pub(crate) held: bool,
}

/// What has become of a message in a maildrop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Restated {
    pub(crate) maildrop: u64,
    pub(crate) message: u64,
    pub(crate) state: EntryState,
}

/// Where a message is in its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EntryState {
    /// In its maildrop.
    Live {
        unique_id: UniqueId,
    },
    /// It can be brought back.
    Expunged {
        unique_id: UniqueId,
        at: u64,
    },
    Gone,
}

/// An accepted message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    /// What UIDL shows.
    pub(crate) unique_id: [u8; 16],
    /// Seconds since 1970.
    pub(crate) accepted_at: u64,
    /// Without brackets; empty is the null reverse-path.
    pub(crate) reverse_path: String,
    /// Octets at the front that only final delivery shows.
    pub(crate) delivery_prefix_octets: u32,
    /// Octets of the header section, blank line included.
    pub(crate) header_octets: u64,
    /// Checksums of the content in this record, a block each.
    pub(crate) checksums: Vec<u32>,
    /// The rest of the content, where it lies in a file of its own.
    pub(crate) file: Option<FileContent>,
    /// Maildrops that hold it.
    pub(crate) maildrops: Vec<u64>,
    /// Recipients elsewhere.
    pub(crate) relay: Vec<RelayRecord>,
    /// The first row of its trace.
    pub(crate) trace: TraceRow,
}

/// Content in `content/UNIQUE-ID`, behind what the record itself holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileContent {
    pub(crate) octets: u64,
    /// A block each.
    pub(crate) checksums: Vec<u32>,
}

/// A recipient elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RelayRecord {
    pub(crate) mailbox: String,
    pub(crate) due: u64,
    pub(crate) expires: u64,
}

/// An account as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccountRecord {
    /// The key of its address.
    pub(crate) address: String,
    pub(crate) maildrop: u64,
    /// argon2id, in PHC form.
    pub(crate) password_hash: String,
    /// Seconds since 1970.
    pub(crate) created_at: u64,
}

/// The fixed part, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) head_octets: u32,
    pub(crate) content_octets: u64,
    pub(crate) sequence: u64,
    pub(crate) group: u64,
    pub(crate) live: u64,
    pub(crate) checksum: u32,
    /// Frame and head stand behind the content once more.
    pub(crate) has_copy: bool,
}

/// Which of the two fronts of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Before the content.
    Front,
    /// Behind it.
    Copy,
}

impl Side {
    const fn magic(self) -> [u8; 4] {
        match self {
            Self::Front => MAGIC,
            Self::Copy => COPY_MAGIC,
        }
    }
}

/// A record's own octets, ready to be written around its content.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) front: Vec<u8>,
    pub(crate) copy: Vec<u8>,
}

impl Encoded {
    /// Octets of both.
    pub(crate) fn octets(&self) -> u64 {
        (self.front.len() as u64).saturating_add(self.copy.len() as u64)
    }
}

/// Where a record stands in the course of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) sequence: u64,
    pub(crate) group: u64,
    pub(crate) live: u64,
}

impl Event {
    /// What says all that an account is.
    pub(crate) fn of_account(account: AccountRecord, scram: Option<ScramRecord>) -> Self {
        match scram {
            Some(scram) => Self::KeyedAccount { account, scram },
            None => Self::Account(account),
        }
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Message(_) => 1,
            Self::Expunge { .. } => 2,
            Self::Account(_) => 3,
            Self::AccountRemoved { .. } => 4,
            Self::Alias { .. } => 5,
            Self::AliasRemoved { .. } => 6,
            Self::QueueChanged { .. } => 7,
            Self::QueueFinished { .. } => 8,
            Self::Torn { .. } => 9,
            Self::Returned { .. } => 10,
            Self::Purged { .. } => 11,
            Self::Imported { .. } => 12,
            Self::Moved(_) => 13,
            Self::Restated { .. } => 14,
            Self::Segments { .. } => 15,
            Self::Quota { .. } => 16,
            Self::Closed => 17,
            Self::KeyedAccount { .. } => 18,
            Self::AppPassword { .. } => 19,
            Self::Grant { .. } => 20,
            Self::Accepted(_) => 21,
            Self::MovedWith { .. } => 22,
        }
    }

    /// The head of the message whose content stands behind this one; `None` where there is no content.
    pub(crate) fn message(&self) -> Option<&Message> {
        match self {
            Self::Message(message) | Self::Imported { message, .. } => Some(message),
            Self::Accepted(accepted) => Some(&accepted.message),
            Self::Moved(moved) | Self::MovedWith { moved, .. } => Some(&moved.message),
            Self::Expunge { .. }
            | Self::Account(_)
            | Self::AccountRemoved { .. }
            | Self::Alias { .. }
            | Self::AliasRemoved { .. }
            | Self::QueueChanged { .. }
            | Self::QueueFinished { .. }
            | Self::Torn { .. }
            | Self::Returned { .. }
            | Self::Purged { .. }
            | Self::Restated { .. }
            | Self::Segments { .. }
            | Self::Quota { .. }
            | Self::KeyedAccount { .. }
            | Self::AppPassword { .. }
            | Self::Grant { .. }
            | Self::Closed => None,
        }
    }

    /// What is kept beside that message.
    pub(crate) const fn circumstances(&self) -> Option<&Circumstances> {
        match self {
            Self::Accepted(accepted) => Some(&accepted.circumstances),
            Self::MovedWith { circumstances, .. } => Some(circumstances),
            Self::Message(_)
            | Self::Imported { .. }
            | Self::Moved(_)
            | Self::Expunge { .. }
            | Self::Account(_)
            | Self::KeyedAccount { .. }
            | Self::AppPassword { .. }
            | Self::Grant { .. }
            | Self::AccountRemoved { .. }
            | Self::Alias { .. }
            | Self::AliasRemoved { .. }
            | Self::QueueChanged { .. }
            | Self::QueueFinished { .. }
            | Self::Torn { .. }
            | Self::Returned { .. }
            | Self::Purged { .. }
            | Self::Restated { .. }
            | Self::Segments { .. }
            | Self::Quota { .. }
            | Self::Closed => None,
        }
    }

    /// The message that was copied here, where it was.
    pub(crate) const fn moved(&self) -> Option<&Moved> {
        if let Self::Moved(moved) | Self::MovedWith { moved, .. } = self { Some(moved) } else { None }
    }

    /// The unique-id that the message had in another store.
    pub(crate) const fn carried_unique_id(&self) -> Option<&UniqueId> {
        if let Self::Imported { unique_id, .. } = self {
            return Some(unique_id);
        }
        if let Self::Accepted(accepted) = self { accepted.unique_id.as_ref() } else { None }
    }
}

/// What is written around a record's content.
pub(crate) fn encode(
    event: &Event,
    content_octets: u64,
    place: Place,
    seed: u32,
) -> Result<Encoded, postcard::Error> {
    let mut front = vec![0; FRAME_OCTETS];
    front = postcard::to_extend(event, front)?;
    let head_octets = u32::try_from(front.len() - FRAME_OCTETS)
        .ok()
        .filter(|octets| *octets <= HEAD_OCTETS_MAX)
        .ok_or(postcard::Error::SerializeBufferFull)?;
    let mut fields = Vec::with_capacity(FRAME_OCTETS);
    fields.extend_from_slice(&[event.kind(), HAS_COPY, 0, 0]);
    fields.extend_from_slice(&head_octets.to_le_bytes());
    fields.extend_from_slice(&content_octets.to_le_bytes());
    fields.extend_from_slice(&place.sequence.to_le_bytes());
    fields.extend_from_slice(&place.group.to_le_bytes());
    fields.extend_from_slice(&place.live.to_le_bytes());
    let mut copy = front.clone();
    for (side, octets) in [(Side::Front, &mut front), (Side::Copy, &mut copy)] {
        let (frame, head) = octets.split_at_mut(FRAME_OCTETS);
        let fixed = [&side.magic(), fields.as_slice()].concat();
        let checksum = crc32c::crc32c_append(crc32c::crc32c_append(seed, &fixed), head);
        frame.copy_from_slice(&[fixed.as_slice(), &checksum.to_le_bytes()].concat());
    }
    Ok(Encoded { front, copy })
}

impl Frame {
    /// Takes the fixed part apart; `None` where it is not one.
    pub(crate) fn parse(octets: &[u8], side: Side) -> Option<Self> {
        let mut fields = Fields(octets);
        if fields.take::<4>()? != side.magic() {
            return None;
        }
        let [_kind, flags, ..] = fields.take::<4>()?;
        let frame = Self {
            head_octets: u32::from_le_bytes(fields.take()?),
            content_octets: u64::from_le_bytes(fields.take()?),
            sequence: u64::from_le_bytes(fields.take()?),
            group: u64::from_le_bytes(fields.take()?),
            live: u64::from_le_bytes(fields.take()?),
            checksum: u32::from_le_bytes(fields.take()?),
            has_copy: flags & HAS_COPY != 0,
        };
        (frame.head_octets <= HEAD_OCTETS_MAX).then_some(frame)
    }

    /// Octets of the whole record.
    pub(crate) const fn record_octets(&self) -> u64 {
        let copy = if self.has_copy { self.content_offset() } else { 0 };
        self.copy_offset().saturating_add(copy)
    }

    /// Where the copy of frame and head stands, from the record's own begin.
    pub(crate) const fn copy_offset(&self) -> u64 {
        self.content_offset().saturating_add(self.content_octets)
    }

    /// Where its content begins, from the record's own begin.
    pub(crate) const fn content_offset(&self) -> u64 {
        FRAME_OCTETS as u64 + self.head_octets as u64
    }
}

/// The event of a record, `octets` being its frame and head and maybe more; `None` where anything is damaged.
pub(crate) fn decode(octets: &[u8], side: Side, seed: u32) -> Option<(Frame, Event)> {
    let frame = Frame::parse(octets, side)?;
    let end = usize::try_from(frame.content_offset()).ok()?;
    let head = octets.get(FRAME_OCTETS..end)?;
    let fixed = octets.get(..FRAME_OCTETS - 4)?;
    let checksum = crc32c::crc32c_append(crc32c::crc32c_append(seed, fixed), head);
    if checksum != frame.checksum {
        return None;
    }
    postcard::from_bytes(head).ok().map(|event| (frame, event))
}

/// Numbers of a fixed layout, one behind the other.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    /// The next `N` octets; `None` at the end.
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*front)
    }
}

/// Checksums of content that comes in pieces: one for each whole block, and one for the rest.
#[derive(Debug, Default)]
pub(crate) struct BlockChecksums {
    done: Vec<u32>,
    current: u32,
    current_octets: usize,
}

impl BlockChecksums {
    pub(crate) fn update(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() {
            let take = octets.len().min(BLOCK_OCTETS - self.current_octets);
            let (now, rest) = octets.split_at(take);
            self.current = crc32c::crc32c_append(self.current, now);
            self.current_octets += take;
            if self.current_octets == BLOCK_OCTETS {
                self.done.push(self.current);
                (self.current, self.current_octets) = (0, 0);
            }
            octets = rest;
        }
    }

    pub(crate) fn finish(mut self) -> Vec<u32> {
        if self.current_octets > 0 {
            self.done.push(self.current);
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { sequence: 3, group: 2, live: 2 };

    fn event() -> Event {
        Event::Message(Message { maildrops: vec![1, 2], checksums: vec![7], ..Message::default() })
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let Encoded { front, copy } = encode(&event(), 10, PLACE, 99).unwrap();
        for (side, octets) in [(Side::Front, &front), (Side::Copy, &copy)] {
            let (frame, decoded) = decode(octets, side, 99).unwrap();
            assert_eq!(decoded, event());
            assert_eq!((frame.sequence, frame.group, frame.live, frame.content_octets), (3, 2, 2, 10));
            assert_eq!(frame.content_offset(), octets.len() as u64);
            assert_eq!(frame.record_octets(), 2 * octets.len() as u64 + 10);
        }
        assert_eq!(decode(&front, Side::Copy, 99), None);
        assert_eq!(decode(&copy, Side::Front, 99), None);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let octets = encode(&event(), 10, PLACE, 99).unwrap().front;
        for bit in 0..octets.len() * 8 {
            let mut damaged = octets.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&damaged, Side::Front, 99), None, "bit {bit}");
        }
    }

    #[test]
    fn a_record_of_another_store_is_not_one_of_ours() {
        let octets = encode(&event(), 10, PLACE, 99).unwrap().front;
        assert_eq!(decode(&octets, Side::Front, 98), None);
    }

    #[test]
    fn block_checksums_do_not_depend_on_the_pieces() {
        let content: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut whole = BlockChecksums::default();
        whole.update(&content);
        let mut pieces = BlockChecksums::default();
        content.chunks(777).for_each(|piece| pieces.update(piece));
        let whole = whole.finish();
        assert_eq!(whole.len(), 4);
        assert_eq!(whole, pieces.finish());
    }
}

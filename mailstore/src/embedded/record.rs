//! One record of the journal: a fixed frame, a head that says what became true, and content octets behind it.
//!
//! ```text
//! 0   magic            4   "MSR1"
//! 4   kind             1   which event the head holds
//! 5   flags            3   0
//! 8   head_octets      4   little-endian, as all numbers here
//! 12  content_octets   8
//! 20  sequence         8   counts commits from 1; a message's identity
//! 28  group            8   sequence of the first record that was synced together with this one; a record of what a
//!                          crash left behind bears the group that it is about
//! 36  live             8   maildrop and queue entries that exist once this record is applied
//! 44  checksum         4   CRC-32C over 0..44 and the head, begun from the store's secret seed
//! 48  head                 postcard of [`Event`]
//!     content              as its readers get it; its checksums are in the head
//! ```
//!
//! A group is written only after the one before it was synced, so whatever precedes the last group is on disk:
//! what cannot be read there is damage, while in the last group it may never have been written (and was never
//! answered for).
//!
//! The seed keeps a message that holds octets of a made-up record from ever being taken for one.
//! Events and their fields are never changed, only added as new variants: a journal is read for ever.

use serde::{Deserialize, Serialize};

use crate::TraceRow;

/// Octets of the fixed part.
pub(crate) const FRAME_OCTETS: usize = 48;
/// Octets of content that one checksum covers.
pub(crate) const BLOCK_OCTETS: usize = 64 << 10;
/// Most octets of a head; a longer one is damage, not a record. A thousand recipients need less than 400 KiB.
pub(crate) const HEAD_OCTETS_MAX: u32 = 4 << 20;

pub(crate) const MAGIC: [u8; 4] = *b"MSR1";

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
    /// An account was added, or its password changed.
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
}

/// Where a record stands in the course of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) sequence: u64,
    pub(crate) group: u64,
    pub(crate) live: u64,
}

impl Event {
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
        }
    }
}

/// Frame and head of a record, ready to be written in front of its content.
pub(crate) fn encode(
    event: &Event,
    content_octets: u64,
    place: Place,
    seed: u32,
) -> Result<Vec<u8>, postcard::Error> {
    let mut octets = vec![0; FRAME_OCTETS];
    octets = postcard::to_extend(event, octets)?;
    let head_octets = u32::try_from(octets.len() - FRAME_OCTETS)
        .ok()
        .filter(|octets| *octets <= HEAD_OCTETS_MAX)
        .ok_or(postcard::Error::SerializeBufferFull)?;
    let mut frame = Vec::with_capacity(FRAME_OCTETS);
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&[event.kind(), 0, 0, 0]);
    frame.extend_from_slice(&head_octets.to_le_bytes());
    frame.extend_from_slice(&content_octets.to_le_bytes());
    frame.extend_from_slice(&place.sequence.to_le_bytes());
    frame.extend_from_slice(&place.group.to_le_bytes());
    frame.extend_from_slice(&place.live.to_le_bytes());
    let (fixed, head) = octets.split_at_mut(FRAME_OCTETS);
    let checksum = crc32c::crc32c_append(crc32c::crc32c_append(seed, &frame), head);
    frame.extend_from_slice(&checksum.to_le_bytes());
    fixed.copy_from_slice(&frame);
    Ok(octets)
}

impl Frame {
    /// Takes the fixed part apart; `None` where it is not one.
    pub(crate) fn parse(octets: &[u8]) -> Option<Self> {
        let mut fields = Fields(octets);
        if fields.take::<4>()? != MAGIC {
            return None;
        }
        let _kind_and_flags = fields.take::<4>()?;
        let frame = Self {
            head_octets: u32::from_le_bytes(fields.take()?),
            content_octets: u64::from_le_bytes(fields.take()?),
            sequence: u64::from_le_bytes(fields.take()?),
            group: u64::from_le_bytes(fields.take()?),
            live: u64::from_le_bytes(fields.take()?),
            checksum: u32::from_le_bytes(fields.take()?),
        };
        (frame.head_octets <= HEAD_OCTETS_MAX).then_some(frame)
    }

    /// Octets of the whole record.
    pub(crate) const fn record_octets(&self) -> u64 {
        self.content_offset().saturating_add(self.content_octets)
    }

    /// Where its content begins, from the record's own begin.
    pub(crate) const fn content_offset(&self) -> u64 {
        FRAME_OCTETS as u64 + self.head_octets as u64
    }
}

/// The event of a record, `octets` being its frame and head and maybe more; `None` where anything is damaged.
pub(crate) fn decode(octets: &[u8], seed: u32) -> Option<(Frame, Event)> {
    let frame = Frame::parse(octets)?;
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
        let octets = encode(&event(), 10, PLACE, 99).unwrap();
        let (frame, decoded) = decode(&octets, 99).unwrap();
        assert_eq!(decoded, event());
        assert_eq!((frame.sequence, frame.group, frame.live, frame.content_octets), (3, 2, 2, 10));
        assert_eq!(frame.content_offset(), octets.len() as u64);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let octets = encode(&event(), 10, PLACE, 99).unwrap();
        for bit in 0..octets.len() * 8 {
            let mut damaged = octets.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&damaged, 99), None, "bit {bit}");
        }
    }

    #[test]
    fn a_record_of_another_store_is_not_one_of_ours() {
        let octets = encode(&event(), 10, PLACE, 99).unwrap();
        assert_eq!(decode(&octets, 98), None);
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

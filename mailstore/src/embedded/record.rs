//! One record of the journal: a fixed frame, a head that says what became true, content octets, and frame and head once
//! more, so that damage to either one costs nothing.
//!
//! ```text
//! 0   magic            4   "MSR1"; "MSRC" in the copy
//! 4   kind             1   which event the head holds
//! 5   flags            1   1 where a copy stands behind the content (since format 2); of a message, 2 where its header
//!                          fields are in ASCII, 4 where there is UTF-8 in its header section alone, 6 where there is
//!                          some in fields elsewhere, none of these where an older release did not look
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

pub(crate) use super::event::{
    Accepted, AccountRecord, EntryState, Event, FileContent, Message, Moved, MovedEntry, MovedOn,
    MovedRecipient, RelayRecord, Restated, Taken,
};
use crate::Repertoire;

/// Octets of the fixed part.
pub(crate) const FRAME_OCTETS: usize = 48;
/// Room for the front of a usual record, taken at once.
const FRONT_OCTETS: usize = 512;
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
/// The flags that say what the header fields of a message hold.
const REPERTOIRE: u8 = 6;

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
    /// What the header fields of a message hold.
    pub(crate) repertoire: Repertoire,
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

/// What is written around a record's content.
pub(crate) fn encode(
    event: &Event,
    content_octets: u64,
    place: Place,
    seed: u32,
) -> Result<Encoded, postcard::Error> {
    let mut front = Vec::with_capacity(FRONT_OCTETS);
    front.resize(FRAME_OCTETS, 0);
    front = postcard::to_extend(event, front)?;
    let head_octets = u32::try_from(front.len() - FRAME_OCTETS)
        .ok()
        .filter(|octets| *octets <= HEAD_OCTETS_MAX)
        .ok_or(postcard::Error::SerializeBufferFull)?;
    let mut fields = Vec::with_capacity(FRAME_OCTETS);
    let repertoire = event.message().map_or(Repertoire::Unknown, |message| message.repertoire);
    fields.extend_from_slice(&[event.kind(), HAS_COPY | flags(repertoire), 0, 0]);
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
            repertoire: repertoire(flags),
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
    let mut event: Event = postcard::from_bytes(head).ok()?;
    if let Some(message) = event.message_mut() {
        message.repertoire = frame.repertoire;
    }
    Some((frame, event))
}

const fn flags(repertoire: Repertoire) -> u8 {
    match repertoire {
        Repertoire::Unknown => 0,
        Repertoire::Ascii => 2,
        Repertoire::Utf8 => 4,
        Repertoire::Utf8Within => 6,
    }
}

const fn repertoire(flags: u8) -> Repertoire {
    match flags & REPERTOIRE {
        2 => Repertoire::Ascii,
        4 => Repertoire::Utf8,
        6 => Repertoire::Utf8Within,
        _ => Repertoire::Unknown,
    }
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
    fn what_header_fields_hold_stands_in_the_flags_and_changes_no_head() {
        let unknown = encode(&event(), 10, PLACE, 99).unwrap();
        for known in [Repertoire::Ascii, Repertoire::Utf8, Repertoire::Utf8Within, Repertoire::Unknown] {
            let mut event = event();
            event.message_mut().unwrap().repertoire = known;
            let Encoded { front, copy } = encode(&event, 10, PLACE, 99).unwrap();
            assert_eq!(front[FRAME_OCTETS..], unknown.front[FRAME_OCTETS..]);
            for (side, octets) in [(Side::Front, &front), (Side::Copy, &copy)] {
                let (frame, decoded) = decode(octets, side, 99).unwrap();
                assert_eq!((frame.repertoire, decoded), (known, event.clone()));
                assert!(frame.has_copy);
            }
        }
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

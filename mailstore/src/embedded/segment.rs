//! One file of the journal: its name, its header, and the records in it.
//!
//! ```text
//! 0   magic            8   "MSJOURNL"
//! 8   format           4   [`FORMAT`]
//! 12  number           4   counts from 1; also the file's name
//! 16  epoch            8   random, one for the whole store
//! 24  first_sequence   8   of the first record in it
//! 32  live             8   maildrop and queue entries that exist before its first record
//! 40  created_at       8   seconds since 1970
//! 48  checksum         4   CRC-32C over 0..48
//! 52  0               12
//! ```

use std::io;
use std::sync::Arc;

use super::files::File;
use super::record::{self, Event, FRAME_OCTETS, Fields, Frame, MAGIC_STEM, Side};

/// The version of everything under the store's folder; a newer one is left untouched.
///
/// 1: up to [`Event::Torn`]. 2: events up to [`Event::Closed`]; a copy of each record's front; `live` counts expunged
/// messages as well. 3: later events.
pub(crate) const FORMAT: u32 = 3;
/// From this one on `live` counts expunged messages as well.
pub(crate) const FORMAT_OF_LIVE: u32 = 2;
/// Octets of the header.
pub(crate) const HEADER_OCTETS: u64 = 64;

const SEGMENT_MAGIC: [u8; 8] = *b"MSJOURNL";
/// How much is read at a time while looking at records one after the other.
const WINDOW_OCTETS: usize = 128 << 10;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) format: u32,
    pub(crate) number: u32,
    pub(crate) epoch: u64,
    pub(crate) first_sequence: u64,
    pub(crate) live: u64,
    pub(crate) created_at: u64,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut octets = SEGMENT_MAGIC.to_vec();
        octets.extend_from_slice(&self.format.to_le_bytes());
        octets.extend_from_slice(&self.number.to_le_bytes());
        for number in [self.epoch, self.first_sequence, self.live, self.created_at] {
            octets.extend_from_slice(&number.to_le_bytes());
        }
        octets.extend_from_slice(&crc32c::crc32c(&octets).to_le_bytes());
        octets.extend_from_slice(&[0; 12]);
        octets
    }

    /// `None` where the header is damaged. The format is given even where it is a newer one.
    pub(crate) fn parse(octets: &[u8]) -> Option<Self> {
        let mut fields = Fields(octets);
        if fields.take::<8>()? != SEGMENT_MAGIC {
            return None;
        }
        let header = Self {
            format: u32::from_le_bytes(fields.take()?),
            number: u32::from_le_bytes(fields.take()?),
            epoch: u64::from_le_bytes(fields.take()?),
            first_sequence: u64::from_le_bytes(fields.take()?),
            live: u64::from_le_bytes(fields.take()?),
            created_at: u64::from_le_bytes(fields.take()?),
        };
        let checksum = u32::from_le_bytes(fields.take()?);
        (checksum == crc32c::crc32c(octets.get(..48)?)).then_some(header)
    }
}

/// The file name of segment `number`.
pub(crate) fn name(number: u32) -> String {
    format!("{number:08}.segment")
}

/// The number in a segment's file name; `None` for any other file.
pub(crate) fn number(name: &str) -> Option<u32> {
    name.strip_suffix(".segment")?.parse().ok()
}

/// What comes next in a segment.
#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    /// A record; its content has not been looked at. `side` is where its head could be read.
    Record { offset: u64, frame: Frame, event: Box<Event>, side: Side },
    /// Octets that are no record, with a record behind them.
    Gap { offset: u64, octets: u64 },
    /// Octets that are no record up to the end of the file (none, where `octets` is 0).
    End { offset: u64, octets: u64 },
}

/// Whether a segment is still written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// It is the last one: what stands at its end may never have been written as a whole.
    Growing,
    /// It is not: a record that goes on behind its end was cut off.
    Sealed,
}

/// Looks at the records of one segment, one after the other, by their heads.
pub(crate) struct Scan {
    file: Arc<dyn File>,
    seed: u32,
    extent: Extent,
    file_octets: u64,
    offset: u64,
    window: Vec<u8>,
    window_offset: u64,
}

impl Scan {
    /// From `offset` on, which is where a record begins.
    pub(crate) fn new(file: Arc<dyn File>, seed: u32, extent: Extent, offset: u64) -> io::Result<Self> {
        let file_octets = file.octets()?;
        Ok(Self { file, seed, extent, file_octets, offset, window: Vec::new(), window_offset: 0 })
    }

    /// The next record, gap or the end.
    pub(crate) fn find_next(&mut self) -> io::Result<Found> {
        let offset = self.offset;
        if let Some((frame, event)) = self.front_at(offset)? {
            self.offset = offset.saturating_add(frame.record_octets()).min(self.file_octets);
            return Ok(Found::Record { offset, frame, event: Box::new(event), side: Side::Front });
        }
        let mut candidate = offset;
        while let Some(at) = self.magic_from(candidate.saturating_add(1))? {
            if self.front_at(at)?.is_some() {
                self.offset = at;
                return Ok(Found::Gap { offset, octets: at - offset });
            }
            if let Some((frame, event)) = self.decode_at(at, Side::Copy)?
                && let Some(begin) = at.checked_sub(frame.copy_offset()).filter(|begin| *begin >= offset)
            {
                if begin > offset {
                    self.offset = begin;
                    return Ok(Found::Gap { offset, octets: begin - offset });
                }
                self.offset = offset.saturating_add(frame.record_octets());
                return Ok(Found::Record { offset, frame, event: Box::new(event), side: Side::Copy });
            }
            candidate = at;
        }
        Ok(Found::End { offset, octets: self.file_octets.saturating_sub(offset) })
    }

    fn front_at(&mut self, offset: u64) -> io::Result<Option<(Frame, Event)>> {
        let found = self.decode_at(offset, Side::Front)?;
        let file_octets = self.file_octets;
        let is_there = |frame: &Frame| offset.saturating_add(frame.record_octets()) <= file_octets;
        Ok(found.filter(|(frame, _)| self.extent == Extent::Sealed || is_there(frame)))
    }

    fn decode_at(&mut self, offset: u64, side: Side) -> io::Result<Option<(Frame, Event)>> {
        let Some(frame) = Frame::parse(self.octets_at(offset, FRAME_OCTETS)?, side) else { return Ok(None) };
        if offset.saturating_add(frame.content_offset()) > self.file_octets {
            return Ok(None);
        }
        let Ok(wanted) = usize::try_from(frame.content_offset()) else { return Ok(None) };
        let seed = self.seed;
        Ok(record::decode(self.octets_at(offset, wanted)?, side, seed))
    }

    /// The next place at or behind `offset` where a record, or the copy of one's front, may begin.
    fn magic_from(&mut self, mut offset: u64) -> io::Result<Option<u64>> {
        while offset < self.file_octets {
            let window = self.octets_at(offset, FRAME_OCTETS)?;
            if let Some(at) = memchr::memmem::find(window, &MAGIC_STEM) {
                return Ok(Some(offset.saturating_add(at as u64)));
            }
            let step = window.len().saturating_sub(MAGIC_STEM.len() - 1).max(1);
            offset = offset.saturating_add(step as u64);
        }
        Ok(None)
    }

    /// At least `wanted` octets from `offset` on, where the file has them, and whatever more is in the window.
    fn octets_at(&mut self, offset: u64, wanted: usize) -> io::Result<&[u8]> {
        let start = offset.checked_sub(self.window_offset).and_then(|start| usize::try_from(start).ok());
        let covered = start.is_some_and(|start| self.window.len().saturating_sub(start) >= wanted);
        if !covered {
            let left = usize::try_from(self.file_octets.saturating_sub(offset)).unwrap_or(usize::MAX);
            self.window.resize(wanted.max(WINDOW_OCTETS).min(left), 0);
            let read = self.file.read_at(&mut self.window, offset)?;
            self.window.truncate(read);
            self.window_offset = offset;
        }
        let start = offset.checked_sub(self.window_offset).and_then(|start| usize::try_from(start).ok());
        Ok(start.and_then(|start| self.window.get(start..)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written_and_any_damage_is_seen() {
        let header = Header { format: 1, number: 7, epoch: 8, first_sequence: 9, live: 10, created_at: 11 };
        let octets = header.encode();
        assert_eq!(octets.len() as u64, HEADER_OCTETS);
        assert_eq!(Header::parse(&octets), Some(header));
        for at in 0..52 {
            let mut damaged = octets.clone();
            damaged[at] ^= 1;
            assert_eq!(Header::parse(&damaged), None, "octet {at}");
        }
    }

    #[test]
    fn names_and_numbers_fit() {
        assert_eq!(number(&name(42)), Some(42));
        assert_eq!(number("index"), None);
    }
}

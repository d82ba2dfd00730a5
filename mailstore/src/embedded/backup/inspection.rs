//! Looking at every record of a segment, and at content: is it as it was written?

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::super::content::{damaged_blocks, file_name};
use super::super::files::File;
use super::super::journal::Location;
use super::super::record::{self, Event, FileContent, Frame, Side};
use super::super::segment::{Extent, Found, HEADER_OCTETS, Header, Scan};
use super::damage::{Addresses, Holder, holders};
use super::manifest::Place;
use crate::Problem;

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Harm {
    pub(super) problem: Problem,
    pub(super) place: Place,
    pub(super) offset: u64,
    pub(super) octets: u64,
    pub(super) holders: Vec<Holder>,
    /// Where the record begins, or would.
    record: u64,
}

/// A content file, as the record says that it is.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    content: FileContent,
    holders: Vec<Holder>,
}

/// What the records of one segment or of several say.
#[derive(Clone, Debug, Default)]
pub(super) struct Inspection {
    harms: Vec<Harm>,
    /// What a crash explains, in whatever segment.
    torn: Vec<Location>,
    expected: HashMap<String, Expected>,
    pub(super) addresses: Addresses,
    pub(super) messages: u64,
}

/// A segment to look at.
pub(super) struct Segment {
    pub(super) number: u32,
    pub(super) file: Arc<dyn File>,
    pub(super) seed: u32,
    pub(super) extent: Extent,
}

impl Inspection {
    /// What is not as it was written, and is not what a crash has left.
    pub(super) fn harms(&self) -> impl Iterator<Item = &Harm> {
        self.harms.iter().filter(|harm| match &harm.place {
            Place::Segment(segment) => {
                !self.torn.contains(&Location { segment: *segment, offset: harm.record })
            }
            Place::Content(_) => true,
        })
    }

    /// What another one says as well.
    pub(super) fn add(&mut self, other: &Self) {
        self.harms.extend(other.harms.iter().cloned());
        self.torn.extend(&other.torn);
        self.expected.extend(other.expected.iter().map(|(name, expected)| (name.clone(), expected.clone())));
        self.addresses.add(&other.addresses);
        self.messages = self.messages.saturating_add(other.messages);
    }

    /// Takes note of more.
    pub(super) fn note(&mut self, harms: &[Harm]) {
        self.harms.extend_from_slice(harms);
    }

    /// Octets of a segment that are no records, or are not there.
    pub(super) fn lost(&mut self, segment: u32, offset: u64, octets: u64) {
        let (problem, place) = (Problem::RecordLost, Place::Segment(segment));
        self.harms.push(Harm { problem, place, offset, octets, holders: Vec::new(), record: offset });
    }

    /// Looks at the records of a segment from `from` on, where one begins, or at all of it, where that is 0.
    pub(super) fn segment(&mut self, segment: &Segment, from: u64) -> io::Result<()> {
        if from < HEADER_OCTETS {
            let mut header = vec![0; usize::try_from(HEADER_OCTETS).unwrap_or(0)];
            segment.file.read_at(&mut header, 0)?;
            if Header::parse(&header).is_none() {
                let (problem, place) = (Problem::SegmentHeader, Place::Segment(segment.number));
                let (offset, octets, holders) = (0, HEADER_OCTETS, Vec::new());
                self.harms.push(Harm { problem, place, offset, octets, holders, record: 0 });
            }
        }
        let from = from.max(HEADER_OCTETS);
        let mut scan = Scan::new(Arc::clone(&segment.file), segment.seed, segment.extent, from)?;
        loop {
            match scan.find_next()? {
                Found::Record { offset, frame, event, side } => {
                    self.record(segment, (offset, &frame, &event), side)?;
                }
                Found::Gap { offset, octets } => self.lost(segment.number, offset, octets),
                Found::End { offset, octets } => {
                    if octets > 0 {
                        self.lost(segment.number, offset, octets);
                    }
                    return Ok(());
                }
            }
        }
    }

    fn record(
        &mut self,
        segment: &Segment,
        (begin, frame, event): (u64, &Frame, &Event),
        side: Side,
    ) -> io::Result<()> {
        if let Event::Torn { segment, offset, .. } = event {
            self.torn.push(Location { segment: *segment, offset: *offset });
        }
        if let Event::Account(account) | Event::KeyedAccount { account, .. } = event {
            self.addresses.account(account.maildrop, &account.address);
        }
        if let Event::MaildropAdded { account, detail, maildrop } = event {
            self.addresses.further(*maildrop, *account, detail);
        }
        let place = Place::Segment(segment.number);
        let harm = |problem, offset, octets| Harm {
            problem,
            place: place.clone(),
            offset,
            octets,
            holders: holders(event),
            record: begin,
        };
        let front_octets = frame.content_offset();
        if side == Side::Copy {
            self.harms.push(harm(Problem::HeadDamaged, begin, front_octets));
        } else if !has_copy(segment, begin, frame, event)? {
            let offset = begin.saturating_add(frame.copy_offset());
            self.harms.push(harm(Problem::HeadDamaged, offset, front_octets));
        }
        let Some(message) = event.message() else { return Ok(()) };
        self.messages = self.messages.saturating_add(1);
        let content = begin.saturating_add(front_octets);
        let blocks = damaged_blocks(&*segment.file, content, frame.content_octets, &message.checksums)?;
        let blocks = blocks.into_iter().map(|(offset, octets)| harm(Problem::ContentDamaged, offset, octets));
        self.harms.extend(blocks);
        if let Some(content) = &message.file {
            let expected = Expected { content: content.clone(), holders: holders(event) };
            self.expected.insert(file_name(message.unique_id), expected);
        }
        Ok(())
    }

    /// Looks at a content file, where a record says what must be in it.
    pub(super) fn content(&self, name: &str, file: &dyn File) -> io::Result<Vec<Harm>> {
        let Some(Expected { content, holders }) = self.expected.get(name) else { return Ok(Vec::new()) };
        let blocks = damaged_blocks(file, 0, content.octets, &content.checksums)?;
        let harm = |(offset, octets)| Harm {
            problem: Problem::ContentDamaged,
            place: Place::Content(name.to_owned()),
            offset,
            octets,
            holders: holders.clone(),
            record: 0,
        };
        Ok(blocks.into_iter().map(harm).collect())
    }
}

/// True where the second front of a record is as good as the first.
fn has_copy(segment: &Segment, begin: u64, frame: &Frame, event: &Event) -> io::Result<bool> {
    if !frame.has_copy {
        return Ok(true);
    }
    let mut copy = vec![0; usize::try_from(frame.content_offset()).map_err(io::Error::other)?];
    segment.file.read_at(&mut copy, begin.saturating_add(frame.copy_offset()))?;
    Ok(record::decode(&copy, Side::Copy, segment.seed).is_some_and(|(_, found)| found == *event))
}

//! Reading the journal into the index: all of it, or what comes behind a checkpoint.

use std::sync::Arc;

use tracing::info;

use super::apply::Committed;
use super::content;
use super::index::{Index, IndexError};
use super::journal::{Journal, Location};
use super::record::{Event, Frame, Message, Side};
use super::segment::{FORMAT, Found, HEADER_OCTETS, Header};

/// Octets that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) at: Location,
    pub(crate) octets: u64,
    /// Sequence of the last record before it; 0 where there is none.
    pub(crate) behind: u64,
    /// What comes behind it.
    pub(crate) end: GapEnd,
}

/// What comes behind a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GapEnd {
    /// Nothing: the journal ends in it.
    Journal,
    /// A record, or the next segment.
    More,
}

/// What a replay found.
#[derive(Debug)]
pub(crate) struct Replay {
    /// Of the next record to be written.
    pub(crate) next_sequence: u64,
    /// Entries that exist, as the last record says.
    pub(crate) live: u64,
    /// Format of the segment that says so.
    pub(crate) live_format: u32,
    /// Everything that is no record and is not explained by an earlier recovery.
    pub(crate) gaps: Vec<Gap>,
    /// Records whose head is damaged, and was read from its copy.
    pub(crate) mended: Vec<Location>,
    /// The records that were synced together last. They are not applied before it is known that they are whole.
    last_group: Vec<(Location, Frame, Event)>,
    /// What earlier recoveries have declared void.
    torn_before: Vec<Location>,
    applied: u64,
    /// Octets of what was read.
    octets: u64,
}

impl Replay {
    /// Applies every record from `from` on but those of the last group; `next_sequence` and `live` are what holds there.
    pub(crate) fn run(
        journal: &Arc<Journal>,
        index: &Index,
        from: Location,
        (next_sequence, live): (u64, u64),
    ) -> Result<Self, IndexError> {
        let mut replay = Self {
            next_sequence,
            live,
            live_format: FORMAT,
            gaps: Vec::new(),
            mended: Vec::new(),
            last_group: Vec::new(),
            torn_before: Vec::new(),
            applied: 0,
            octets: 0,
        };
        let segments = journal.segments();
        for segment in segments.iter().copied().filter(|segment| *segment >= from.segment) {
            let mut offset = from.offset;
            if segment != from.segment || offset <= HEADER_OCTETS {
                offset = HEADER_OCTETS;
                replay.enter(journal.header(segment));
            }
            let end = if Some(&segment) == segments.last() { GapEnd::Journal } else { GapEnd::More };
            replay.segment(journal, index, Location { segment, offset }, end)?;
        }
        let torn = &replay.torn_before;
        replay.gaps.retain(|gap| !torn.contains(&gap.at));
        Ok(replay)
    }

    /// What a segment says of the state before its first record: there may be none in it, nor before it.
    fn enter(&mut self, header: Option<Header>) {
        let Some(header) = header else { return };
        self.next_sequence = self.next_sequence.max(header.first_sequence);
        (self.live, self.live_format) = (header.live, header.format);
    }

    fn segment(
        &mut self,
        journal: &Arc<Journal>,
        index: &Index,
        from: Location,
        segment_end: GapEnd,
    ) -> Result<(), IndexError> {
        let segment = from.segment;
        let mut scan = journal.scan(from)?;
        loop {
            match scan.find_next()? {
                Found::Record { offset, frame, event, side } => {
                    let location = Location { segment, offset };
                    if side == Side::Copy {
                        self.mended.push(location);
                    }
                    self.octets = self.octets.saturating_add(frame.record_octets());
                    journal.note_replayed(self.octets);
                    self.record(index, location, frame, *event)?;
                }
                Found::Gap { offset, octets } => self.gap(Location { segment, offset }, octets, GapEnd::More),
                Found::End { offset, octets } => {
                    if octets > 0 {
                        self.gap(Location { segment, offset }, octets, segment_end);
                    }
                    return Ok(());
                }
            }
        }
    }

    fn gap(&mut self, at: Location, octets: u64, end: GapEnd) {
        self.gaps.push(Gap { at, octets, behind: self.next_sequence.saturating_sub(1), end });
    }

    fn record(
        &mut self,
        index: &Index,
        location: Location,
        frame: Frame,
        event: Event,
    ) -> Result<(), IndexError> {
        if self.last_group.last().is_some_and(|(_, last, _)| last.group != frame.group) {
            // The group before this one was synced, or this one would not be here.
            self.apply_last_group(index, &[])?;
        }
        if let Event::Torn { segment, offset, .. } = &event {
            self.torn_before.push(Location { segment: *segment, offset: *offset });
        }
        self.next_sequence = self.next_sequence.max(frame.sequence.saturating_add(1));
        self.live = frame.live;
        self.last_group.push((location, frame, event));
        self.applied = self.applied.saturating_add(1);
        if self.applied.is_multiple_of(250_000) {
            info!(records = self.applied, segment = location.segment, "reading the journal");
        }
        Ok(())
    }

    /// Applies the last group, but for what a crash has torn: `torn`, and what an earlier recovery found to be so.
    pub(crate) fn apply_last_group(&mut self, index: &Index, torn: &[Location]) -> Result<(), IndexError> {
        for (location, frame, event) in std::mem::take(&mut self.last_group) {
            if !torn.contains(&location) && !self.torn_before.contains(&location) {
                index.apply(Committed::new(location, &frame, &event))?;
            }
        }
        Ok(())
    }

    /// Records that were read.
    pub(crate) const fn applied(&self) -> u64 {
        self.applied
    }

    /// The group that was synced last; `None` where no record was read.
    pub(crate) fn last_group(&self) -> Option<u64> {
        self.last_group.last().map(|(_, frame, _)| frame.group)
    }

    /// Takes the gaps that a crash explains: they lie in the last group, which was never acknowledged.
    pub(crate) fn take_torn_gaps(&mut self) -> Vec<Gap> {
        let last_group = self.last_group().unwrap_or(0);
        let (torn, damaged) = std::mem::take(&mut self.gaps)
            .into_iter()
            .partition(|gap| gap.end == GapEnd::Journal || gap.behind.saturating_add(1) >= last_group);
        self.gaps = damaged;
        torn
    }

    /// Messages of the last group whose content never came to the disk.
    pub(crate) fn torn_messages(
        &self,
        journal: &Arc<Journal>,
    ) -> std::io::Result<Vec<(Location, Frame, Message)>> {
        let mut torn = Vec::new();
        for (location, frame, event) in &self.last_group {
            if let Some(message) = event.message()
                && !self.torn_before.contains(location)
                && !content::is_whole(&*journal.file(location.segment)?, *location, frame, message)?
            {
                torn.push((*location, *frame, message.clone()));
            }
        }
        Ok(torn)
    }
}

//! Which deletions must be remembered: those of messages of which some record is left that would bring them back.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use super::carry::Grave;
use super::compaction::CompactionError;
use super::host::Core;
use super::index::IndexError;
use super::journal::{Journal, Location};
use super::segment::{Found, HEADER_OCTETS};

/// Knows where records of a message may be.
#[derive(Debug, Default)]
pub(crate) struct Graves {
    /// The last sequence of segments whose next one is gone; it never changes.
    last_sequences: Mutex<HashMap<u32, u64>>,
}

impl Graves {
    /// Whether a segment other than `going` may hold a record that brings `message` back.
    pub(crate) fn needed(&self, core: &Core, message: u64, going: u32) -> Result<Grave, CompactionError> {
        let journal = &core.contents.journal;
        let copies = core.index.ask(|index| index.moved(message).collect::<Result<Vec<_>, IndexError>>())?;
        if copies.into_iter().any(|segment| segment != going && journal.has(segment)) {
            return Ok(Grave::Kept);
        }
        let original = self.original(journal, message)?;
        Ok(if original.is_some_and(|segment| segment != going) { Grave::Kept } else { Grave::Needless })
    }

    /// The segment with the record that first held `message`; `None` where it is gone.
    fn original(&self, journal: &Journal, message: u64) -> io::Result<Option<u32>> {
        let mut before = None;
        for segment in journal.segments() {
            match journal.header(segment) {
                Some(header) if header.first_sequence > message => break,
                Some(_) => before = Some(segment),
                // Nobody knows what is in it.
                None => return Ok(Some(segment)),
            }
        }
        let Some(segment) = before else { return Ok(None) };
        let next = segment.saturating_add(1);
        let is_last = journal.segments().last() == Some(&segment);
        if is_last || journal.has(next) || self.last_sequence(journal, segment)? >= message {
            return Ok(Some(segment));
        }
        Ok(None)
    }

    fn last_sequence(&self, journal: &Journal, segment: u32) -> io::Result<u64> {
        let known = || self.last_sequences.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = known().get(&segment) {
            return Ok(*last);
        }
        let mut scan = journal.scan(Location { segment, offset: HEADER_OCTETS })?;
        let mut last = 0;
        loop {
            match scan.find_next()? {
                Found::Record { frame, .. } => last = frame.sequence,
                // What cannot be read may have been anything.
                Found::Gap { .. } => last = u64::MAX,
                Found::End { octets, .. } => {
                    let last = if octets > 0 { u64::MAX } else { last };
                    known().insert(segment, last);
                    return Ok(last);
                }
            }
        }
    }
}

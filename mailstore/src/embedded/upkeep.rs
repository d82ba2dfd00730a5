//! What the store does when nobody asks: mail expires, expunged mail goes when its time is over, and space comes back.

use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use mailwire::cause::chain;
use mailwire::clock;
use tokio::sync::oneshot;
use tracing::{debug, error, info, warn};

use super::change::{Change, Refused};
use super::check::{self, Ended, Watcher};
use super::committer::{Request, Work};
use super::compaction::{self, CompactionError, Memory};
use super::expiry::Which;
use super::host::Core;
use super::index::{Index, IndexError};
use super::journal::Location;
use super::recovery::Trust;
use super::survey::{self, Survey};
use crate::{Finding, Gain, Progress, Speed};

/// Pause between two looks at what there is to do.
const INTERVAL: Duration = Duration::from_mins(1);
/// A look at the whole index is followed by a pause of so many times its duration.
const PAUSE_FACTOR: u32 = 20;
/// Octets of the journal that are read at least, each time.
const SCRUB_OCTETS_MIN: u64 = 1 << 20;
/// Octets of the index for each entry, and besides, above which it is made anew.
const INDEX_ENTRY_OCTETS_MAX: u64 = 400;
const INDEX_OCTETS_MIN: u64 = 4 << 20;
/// Entries of which an index is made in so little time that nobody minds waiting.
const QUICKLY_INDEXED_MAX: u64 = 200_000;
/// Pause between two looks for expunged mail whose time is over: each goes through all that is expunged.
const PURGE_INTERVAL: Duration = Duration::from_hours(1);
/// Messages that are found with one look.
const PURGE_MAX: usize = 100_000;
/// Messages that are purged in one commit.
const PURGED_TOGETHER_MAX: usize = 1000;
/// Counts of a wrong index before it is taken for wrong.
const COUNTS: usize = 3;
/// Pause between them.
const INTERVAL_OF_COUNTS: Duration = Duration::from_millis(200);
pub(super) const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// Everything that is done in the background.
pub(crate) struct Upkeep<'a>(pub(crate) &'a Arc<Core>);

/// Says what is found in the log.
struct Log;

impl Watcher for Log {
    fn found(&mut self, finding: Finding) -> ControlFlow<()> {
        if finding.problem.is_loss() {
            error!(%finding, "the store is damaged; `mailstack store check --deep` looks at all of it");
        } else {
            warn!(%finding, "the store is damaged, and nothing is lost");
        }
        ControlFlow::Continue(())
    }

    fn progress(&mut self, _: Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl Upkeep<'_> {
    /// Works until the store is closed.
    pub(crate) fn run(&self, trust: Trust) {
        if trust == Trust::Claimed {
            self.verify();
        }
        let mut pause = INTERVAL;
        let mut purged: Option<Instant> = None;
        while !self.0.progress.stopped_within(pause) {
            let begun = clock::instant();
            if self.0.options.undelete_days == 0 || purged.is_none_or(|at| at.elapsed() >= PURGE_INTERVAL) {
                self.pass(Speed::Budgeted);
                purged = Some(begun);
            } else {
                let _passing = self.0.passing.lock().unwrap_or_else(PoisonError::into_inner);
                self.expire(Which::Due, Speed::Budgeted);
                self.retire_traces_soon();
                self.reclaim(Speed::Budgeted);
            }
            self.scrub();
            self.0.memory.write();
            pause = INTERVAL.max(begun.elapsed().saturating_mul(PAUSE_FACTOR).min(INTERVAL * 30));
        }
    }

    /// Counts what the index holds. One that has lost something is noticed here, and opened anew.
    pub(crate) fn verify(&self) {
        for count in 1..=COUNTS {
            let Ok(Some(wrong)) = self.0.index.ask(|index| self.0.miscounted(index)) else { return };
            if count == COUNTS {
                // The slot hears of it, and has the index exchanged.
                let _ = self.0.index.ask(|_| Err::<(), _>(wrong));
                while self.0.index.has_failed() && !self.0.progress.stopped_within(INTERVAL_OF_COUNTS) {}
            } else if self.0.progress.stopped_within(INTERVAL_OF_COUNTS) {
                return;
            }
        }
    }

    /// Does what there is to do now, but for reading all content.
    pub(crate) fn pass(&self, speed: Speed) -> Gain {
        let _passing = self.0.passing.lock().unwrap_or_else(PoisonError::into_inner);
        let which = match speed {
            Speed::Budgeted => Which::Due,
            Speed::Full => Which::All,
        };
        let expired = self.expire(which, speed);
        let purged = self.purge();
        self.retire_traces();
        Gain { expired, purged, ..self.reclaim(speed) }
    }

    /// Brings back the space of what is needed no more.
    fn reclaim(&self, speed: Speed) -> Gain {
        if self.0.holds.any() {
            return Gain::default();
        }
        if !self.0.index.ask(|index| Ok(index.take_freed())).unwrap_or(false) {
            return Gain::default();
        }
        let gain = match survey::sweep_content(self.0, || self.0.index.ask(Survey::of)) {
            Ok((survey, files)) => {
                let segments = self.compact(&survey, speed);
                let gain = Gain { files: files as u64, segments, ..Gain::default() };
                self.shrink_index();
                gain
            }
            Err(error) => {
                error!(error = chain(&error), "looking for space that can come back failed");
                Gain::default()
            }
        };
        if self.0.holds.any() {
            // What could not go because of it goes another time. An index that fails now is looked at anew anyway.
            let _ = self.0.index.ask(|index| {
                index.note_freed();
                Ok(())
            });
        }
        gain
    }

    /// sled keeps the room of what was removed for a long time; a small index is quickly made anew.
    fn shrink_index(&self) {
        let entries = self.0.progress.live();
        let Ok(octets) = self.0.files.octets(&self.0.layout.index.join("db")) else { return };
        let expected = entries.saturating_mul(INDEX_ENTRY_OCTETS_MAX).saturating_add(INDEX_OCTETS_MIN);
        if entries > QUICKLY_INDEXED_MAX || octets <= expected {
            return;
        }
        info!(entries, octets, "the index is much larger than it need be; it is made anew");
        let (answer, answered) = oneshot::channel();
        if self.0.ask_committer(Work::Rebuild(answer)).is_ok() {
            // The committer has said why where it failed, and tries again.
            let _ = answered.blocking_recv();
        }
    }

    /// Reads a slice of all content, so that damage is found while a backup may still have what was lost.
    fn scrub(&self) {
        let days = self.0.options.scrub_days;
        if days == 0 {
            return;
        }
        let outcome = self.0.contents.journal.octets().map_err(IndexError::from).and_then(|octets| {
            let minutes = days.saturating_mul(SECONDS_PER_DAY / 60);
            let slice = (octets / minutes).max(SCRUB_OCTETS_MIN);
            let begin = Location { segment: 0, offset: 0 };
            let from = self.0.index.ask(Index::scrubbed)?.unwrap_or(begin);
            match check::check_slice(self.0, from, slice, &mut Log) {
                Ok(next) => self.0.index.ask(|index| index.put_scrubbed(next.unwrap_or(begin))),
                Err(Ended::Error(error)) => Err(error),
                Err(Ended::Stopped) => Ok(()),
            }
        });
        if let Err(error) = outcome {
            error!(error = chain(&error), "reading through the store failed");
        }
    }

    /// Gives up what was expunged long enough ago. Tells how many messages.
    fn purge(&self) -> u64 {
        let kept_seconds = self.0.options.undelete_days.saturating_mul(SECONDS_PER_DAY);
        let until = clock::unix_seconds().saturating_sub(kept_seconds);
        let mut purged: u64 = 0;
        loop {
            let due = self.0.index.ask(|index| {
                index.expunged_until(until).take(PURGE_MAX).collect::<Result<Vec<_>, IndexError>>()
            });
            let due = due.unwrap_or_default();
            for due_there in due.chunk_by(|(one, _), (other, _)| one == other) {
                for chunk in due_there.chunks(PURGED_TOGETHER_MAX) {
                    let Some((maildrop, _)) = chunk.first().copied() else { continue };
                    let messages = chunk.iter().map(|(_, message)| *message).collect();
                    if let Err(refused) = self.commit(Change::Purge { maildrop, messages }, None) {
                        debug!(?refused, "expunged mail stays for now");
                        return purged;
                    }
                    purged = purged.saturating_add(chunk.len() as u64);
                }
            }
            if due.len() < PURGE_MAX {
                return purged;
            }
        }
    }

    /// See [`Core::commit_content`].
    pub(super) fn commit(&self, change: Change, held: Option<Box<dyn Send>>) -> Result<u64, Refused> {
        let closed = || Refused::Unavailable("the store is closed".to_owned());
        let (answer, answered) = oneshot::channel();
        let request = Request { change, content: Vec::new(), held, answer };
        self.0.ask_committer(Work::Commit(request)).map_err(|()| closed())?;
        answered.blocking_recv().map_err(|_| closed())?.map(|answer| answer.sequence)
    }

    /// Compacts what is wasteful. Tells how many segments are gone.
    fn compact(&self, survey: &Survey, speed: Speed) -> u64 {
        let wasteful = match survey.wasteful(self.0) {
            Ok(wasteful) => wasteful,
            Err(error) => {
                error!(error = chain(&error), "the sizes of the journal's segments cannot be read");
                return 0;
            }
        };
        let mut gone: u64 = 0;
        for segment in wasteful {
            match self.compact_segment(segment, Memory::Keeps, speed) {
                Ok(octets) => {
                    info!(
                        segment,
                        octets,
                        needed = survey.octets(),
                        "a segment of the journal was compacted"
                    );
                    gone = gone.saturating_add(1);
                }
                Err(
                    error @ (CompactionError::Damaged | CompactionError::Explains | CompactionError::Growing),
                ) => debug!(segment, %error, "a segment of the journal is not compacted"),
                Err(CompactionError::Held | CompactionError::Closed) => return gone,
                Err(error) => {
                    error!(segment, error = chain(&error), "compacting a segment of the journal failed");
                    return gone;
                }
            }
        }
        gone
    }

    /// Compacts one segment, be it the last one. Gives the octets that came back.
    pub(crate) fn compact_segment(
        &self,
        segment: u32,
        memory: Memory,
        speed: Speed,
    ) -> Result<u64, CompactionError> {
        if self.0.contents.journal.segments().last() == Some(&segment) {
            self.rotate()?;
        }
        let mut pace = |octets: u64| self.0.pause(octets, speed).is_continue();
        compaction::compact(self.0, segment, memory, &mut pace)
    }

    fn rotate(&self) -> Result<(), CompactionError> {
        let (answer, answered) = oneshot::channel();
        self.0.ask_committer(Work::Rotate(answer)).map_err(|()| CompactionError::Closed)?;
        answered.blocking_recv().map_err(|_| CompactionError::Closed)?.map_err(CompactionError::Refused)
    }
}

//! What the store does when nobody asks: expunged mail goes when its time is over, and space comes back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mailwire::cause::chain;
use mailwire::clock;
use tokio::sync::oneshot;
use tracing::{debug, error, info};

use super::change::{Change, Refused};
use super::committer::{Request, Work};
use super::compaction::{self, CompactionError, Memory};
use super::graves::Graves;
use super::host::Core;
use super::index::{Index, IndexError};
use super::recovery::Trust;
use super::survey::{self, Survey};

/// Pause between two looks at what there is to do.
const INTERVAL: Duration = Duration::from_mins(1);
/// A look at the whole index is followed by a pause of so many times its duration.
const PAUSE_FACTOR: u32 = 20;
/// Messages that are purged in one commit.
const PURGE_MAX: usize = 1000;
/// Counts of a wrong index before it is taken for wrong.
const COUNTS: usize = 3;
/// Pause between them.
const INTERVAL_OF_COUNTS: Duration = Duration::from_millis(200);
const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// Everything that is done in the background.
pub(crate) struct Upkeep {
    core: Arc<Core>,
    graves: Graves,
    /// One pass at a time.
    passing: Mutex<()>,
}

/// What a pass has brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gain {
    /// Expunged messages whose time was over.
    pub(crate) purged: u64,
    /// Segments that are gone.
    pub(crate) segments: u64,
    /// Content files that are gone.
    pub(crate) files: u64,
}

/// How fast a pass may work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speed {
    /// As the configuration says, so that nobody notices.
    Budgeted,
    /// As fast as the disk: somebody waits for it.
    Full,
}

impl Upkeep {
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        Self { core: Arc::clone(core), graves: Graves::default(), passing: Mutex::default() }
    }

    /// Works until the store is closed.
    pub(crate) fn run(&self, trust: Trust) {
        if trust == Trust::Claimed {
            self.verify();
            self.core.counted.send_replace(true);
        }
        let mut pause = INTERVAL;
        while !self.core.progress.stopped_within(pause) {
            let begun = clock::instant();
            self.pass(Speed::Budgeted);
            pause = INTERVAL.max(begun.elapsed().saturating_mul(PAUSE_FACTOR).min(INTERVAL * 30));
        }
    }

    /// Counts what the index holds. One that has lost something is noticed here, and opened anew.
    pub(crate) fn verify(&self) {
        for count in 1..=COUNTS {
            let Ok(Some(wrong)) = self.core.index.ask(|index| self.miscounted(index)) else { return };
            if count == COUNTS {
                // The slot hears of it, and has the index exchanged.
                let _ = self.core.index.ask(|_| Err::<(), _>(wrong));
                while self.core.index.has_failed() && !self.core.progress.stopped_within(INTERVAL_OF_COUNTS) {
                }
            } else if self.core.progress.stopped_within(INTERVAL_OF_COUNTS) {
                return;
            }
        }
    }

    /// What is wrong with the number of entries, as far as one can tell while it changes.
    fn miscounted(&self, index: &Index) -> Result<Option<IndexError>, IndexError> {
        let before = index.changes();
        let expected = self.core.progress.live();
        let (counted, _) = index.count()?;
        let changes = index.changes().saturating_sub(before);
        let is_right = counted.abs_diff(expected) <= changes;
        Ok((!is_right).then_some(IndexError::Miscounted { counted, expected }))
    }

    /// Does what there is to do now.
    pub(crate) fn pass(&self, speed: Speed) -> Gain {
        let _passing = self.passing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gain = Gain { purged: self.purge(), ..Gain::default() };
        if !self.core.index.ask(|index| Ok(index.take_freed())).unwrap_or(false) {
            return gain;
        }
        match survey::sweep_content(&self.core, || self.core.index.ask(Survey::of)) {
            Ok((survey, files)) => {
                gain.files = files as u64;
                gain.segments = self.compact(&survey, speed);
            }
            Err(error) => error!(error = chain(&error), "looking for space that can come back failed"),
        }
        gain
    }

    /// Gives up what was expunged long enough ago. Tells how many messages.
    fn purge(&self) -> u64 {
        let kept_seconds = self.core.options.undelete_days.saturating_mul(SECONDS_PER_DAY);
        let until = clock::unix_seconds().saturating_sub(kept_seconds);
        let mut purged: u64 = 0;
        loop {
            let due = self
                .core
                .index
                .ask(|index| index.expunged_until(until).take(PURGE_MAX).collect::<Result<Vec<_>, _>>());
            let due = match due {
                Ok(due) if due.is_empty() => return purged,
                Ok(due) => due,
                Err(_) => return purged,
            };
            let count = due.len() as u64;
            let mut by_maildrop: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
            for (maildrop, message) in due {
                by_maildrop.entry(maildrop).or_default().push(message);
            }
            for (maildrop, messages) in by_maildrop {
                if let Err(refused) = self.commit(Change::Purge { maildrop, messages }) {
                    debug!(?refused, "expunged mail stays for now");
                    return purged;
                }
            }
            purged = purged.saturating_add(count);
            if self.core.progress.stopped_within(Duration::ZERO) {
                return purged;
            }
        }
    }

    fn commit(&self, change: Change) -> Result<u64, Refused> {
        let closed = || Refused::Unavailable("the store is closed".to_owned());
        let (answer, answered) = oneshot::channel();
        let request = Request { change, content: Vec::new(), adopted: None, answer };
        self.core.ask_committer(Work::Commit(request)).map_err(|()| closed())?;
        answered.blocking_recv().map_err(|_| closed())?
    }

    /// Compacts what is wasteful. Tells how many segments are gone.
    fn compact(&self, survey: &Survey, speed: Speed) -> u64 {
        let wasteful = match survey.wasteful(&self.core) {
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
        if self.core.contents.journal.segments().last() == Some(&segment) {
            self.rotate()?;
        }
        let rate = self.core.options.upkeep_octets_per_second.max(1);
        let mut pace = |octets: u64| {
            let pause = match speed {
                Speed::Budgeted => Duration::from_millis(octets.saturating_mul(1000) / rate),
                Speed::Full => Duration::ZERO,
            };
            !self.core.progress.stopped_within(pause)
        };
        compaction::compact(&self.core, &self.graves, segment, memory, &mut pace)
    }

    fn rotate(&self) -> Result<(), CompactionError> {
        let (answer, answered) = oneshot::channel();
        self.core.ask_committer(Work::Rotate(answer)).map_err(|()| CompactionError::Closed)?;
        answered.blocking_recv().map_err(|_| CompactionError::Closed)?.map_err(CompactionError::Refused)
    }
}

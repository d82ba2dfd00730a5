//! Up to where the index is complete: said about once a second by a thread that nobody waits for.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::error;

use super::committer::Work;
use super::index::{Index, IndexError};
use super::index_slot::IndexSlot;
use super::journal::Location;
use super::keys::{Checkpoint, SCHEMA};
use super::queue_leases::QueueChanges;
use mailwire::cause::chain;

/// Pause between two checkpoints.
const INTERVAL: Duration = Duration::from_secs(1);

/// How far the committer has come; what the next checkpoint will say.
#[derive(Debug)]
pub(crate) struct Progress {
    state: Mutex<State>,
    wake: Condvar,
    /// For those who wait for something to be due.
    pub(crate) queue_changes: QueueChanges,
}

#[derive(Clone, Copy, Debug)]
struct State {
    applied: Checkpoint,
    ending: Option<Ending>,
    /// What nobody waits for is to end.
    stopping: bool,
    /// Nothing can be written to the journal until it is mended.
    journal_failed: bool,
}

impl Progress {
    /// `applied` is what recovery ended with.
    pub(crate) fn new(applied: Checkpoint) -> Self {
        let state = State { applied, ending: None, stopping: false, journal_failed: false };
        Self { state: Mutex::new(state), wake: Condvar::new(), queue_changes: QueueChanges::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Maildrop and queue entries after the last applied record.
    pub(crate) fn live(&self) -> u64 {
        self.state().applied.live
    }

    /// Where the last applied record ends.
    pub(crate) fn applied(&self) -> Location {
        self.state().applied.next
    }

    /// A group has been applied.
    pub(crate) fn advance(&self, next: Location, next_sequence: u64, live: u64) {
        let mut state = self.state();
        state.applied = Checkpoint { next, next_sequence, live, ..state.applied };
    }

    /// The journal has failed, or is mended.
    pub(crate) fn set_journal(&self, health: Health) {
        self.state().journal_failed = health == Health::Failed;
    }

    /// Ends [`run`]; the first ending counts.
    pub(crate) fn end(&self, ending: Ending) {
        self.state().ending.get_or_insert(ending);
        self.stop();
    }

    /// Ends what waits by [`Self::stopped_within`].
    pub(crate) fn stop(&self) {
        self.state().stopping = true;
        self.wake.notify_all();
    }

    /// True where the store is about to be closed, or is so before `pause` is over.
    pub(crate) fn stopped_within(&self, pause: Duration) -> bool {
        let waited = self.wake.wait_timeout_while(self.state(), pause, |state| !state.stopping);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopping
    }

    /// Says up to where the index is complete, now.
    pub(crate) fn write(&self, slot: &IndexSlot) -> Result<(), IndexError> {
        let applied = self.state().applied;
        slot.ask(|index| write(index, &applied))
    }
}

/// How the work on a store ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The committer has ended: a last checkpoint, and the mark of an orderly close.
    Closed,
    /// As after a crash: the next start looks at everything again.
    Abandoned,
}

/// A checkpoint of what recovery ended with.
pub(crate) const fn checkpoint(epoch_seed: u32, next: Location, next_sequence: u64, live: u64) -> Checkpoint {
    Checkpoint { schema: SCHEMA, epoch_seed, next, next_sequence, live }
}

/// Whether something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It does.
    Well,
    /// It does not.
    Failed,
}

/// Writes checkpoints until [`Progress::end`], then perhaps marks an orderly close. Asks the committer to mend what fails.
pub(crate) fn run(slot: &IndexSlot, progress: &Arc<Progress>, requests: &mpsc::Sender<Work>) {
    let mut written = None;
    loop {
        let state = *progress.state();
        if state.ending == Some(Ending::Abandoned) {
            return;
        }
        if !slot.has_failed() && (written != Some(state.applied) || state.ending.is_some()) {
            let mark = |index: &Index| if state.ending.is_some() { index.mark_closed() } else { Ok(()) };
            match slot.ask(|index| write(index, &state.applied).and_then(|()| mark(index))) {
                Ok(()) => written = Some(state.applied),
                Err(error) => error!(error = chain(&error), "a checkpoint of the index failed"),
            }
        }
        if state.ending.is_some() {
            return;
        }
        if state.journal_failed || slot.has_failed() {
            // A full channel means that the committer will notice by itself.
            let _ = requests.try_send(Work::Mend);
        }
        let waited =
            progress.wake.wait_timeout_while(progress.state(), INTERVAL, |state| state.ending.is_none());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// First the index is made durable, then the claim that it is: the claim can never be ahead.
fn write(index: &Index, applied: &Checkpoint) -> Result<(), IndexError> {
    index.sync()?;
    index.put_checkpoint(applied)
}

#[cfg(test)]
mod tests {
    use super::super::files::Disk;
    use super::*;

    #[test]
    fn only_an_orderly_close_is_marked_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let slot = IndexSlot::new(Index::open(&Disk, folder.path()).unwrap());
        let (requests, _) = mpsc::channel(1);
        for (ending, marked) in [(Ending::Abandoned, false), (Ending::Closed, true)] {
            let applied = checkpoint(1, Location { segment: 1, offset: 64 }, 1, 0);
            let progress = Arc::new(Progress::new(applied));
            progress.end(ending);
            // What a drop says after a close changes nothing.
            progress.end(Ending::Abandoned);
            run(&slot, &progress, &requests);
            assert_eq!(slot.ask(Index::take_closed).unwrap(), marked, "{ending:?}");
        }
    }
}

//! The check, the rebuild and the compaction that somebody asks for.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailwire::cause::chain;
use tokio::sync::{mpsc, oneshot};

use super::change::Refused;
use super::check::{self, Ended, Watcher};
use super::committer::Work;
use super::host::Core;
use super::upkeep::Upkeep;
use crate::{Depth, Finding, Gain, Progress, Repair, Seen, Speed, Unavailable};

/// Pause between two reports of how far a rebuild is.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Hands on what a check sees.
struct Teller {
    core: Arc<Core>,
    speed: Speed,
    seen: mpsc::Sender<Seen>,
    done: u64,
}

impl Teller {
    fn tell(&self, seen: Seen) -> ControlFlow<()> {
        if self.seen.blocking_send(seen).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

impl Watcher for Teller {
    fn found(&mut self, finding: Finding) -> ControlFlow<()> {
        self.tell(Seen::Finding(finding))
    }

    fn progress(&mut self, progress: Progress) -> ControlFlow<()> {
        let octets = progress.done.saturating_sub(self.done);
        self.done = progress.done;
        if self.core.pause(octets, self.speed) == ControlFlow::Break(()) {
            return ControlFlow::Break(());
        }
        self.tell(Seen::Progress(progress))
    }
}

impl Core {
    /// Waits as long as `octets` may take. It breaks where the store is about to be closed.
    pub(crate) fn pause(&self, octets: u64, speed: Speed) -> ControlFlow<()> {
        let rate = self.options.upkeep_octets_per_second.max(1);
        let pause = match speed {
            Speed::Budgeted => Duration::from_millis(octets.saturating_mul(1000) / rate),
            Speed::Full => Duration::ZERO,
        };
        if self.progress.stopped_within(pause) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` calls")]
fn unavailable(why: impl ToString) -> Unavailable {
    Unavailable(why.to_string())
}

#[async_trait]
impl Repair for Arc<Core> {
    async fn check(&self, depth: Depth, speed: Speed, seen: mpsc::Sender<Seen>) -> Result<(), Unavailable> {
        let core = Self::clone(self);
        let checked = tokio::task::spawn_blocking(move || {
            let mut teller = Teller { core: Self::clone(&core), speed, seen, done: 0 };
            match check::check(&core, depth, &mut teller) {
                Ok(()) | Err(Ended::Stopped) => Ok(()),
                Err(Ended::Error(error)) => Err(unavailable(chain(&error))),
            }
        });
        checked.await.map_err(unavailable)?
    }

    async fn rebuild(&self, seen: mpsc::Sender<Seen>) -> Result<(), Unavailable> {
        let core = Self::clone(self);
        let (answer, mut answered) = oneshot::channel();
        let closed = || unavailable("the store is closed");
        let asked = tokio::task::spawn_blocking(move || core.ask_committer(Work::Rebuild(answer)));
        asked.await.map_err(unavailable)?.map_err(|()| closed())?;
        let rebuilt = loop {
            tokio::select! {
                rebuilt = &mut answered => break rebuilt.map_err(|_| closed())?,
                () = tokio::time::sleep(PROGRESS_INTERVAL) => {
                    let journal = &self.contents.journal;
                    let total = journal.octets().map_err(unavailable)?;
                    let progress = Progress { done: journal.replayed().min(total), total };
                    // Nobody has to listen.
                    let _ = seen.try_send(Seen::Progress(progress));
                }
            }
        };
        rebuilt.map_err(|refused| match refused {
            Refused::Full => unavailable("the disk is full"),
            Refused::Unavailable(why) => unavailable(why),
            Refused::Missing | Refused::Concluded => unavailable("there is nothing to rebuild"),
            Refused::OverQuota { why, .. } => unavailable(why),
            Refused::Administration(error) => unavailable(error),
        })
    }

    async fn compact(&self) -> Result<Gain, Unavailable> {
        let core = Self::clone(self);
        let compacted = tokio::task::spawn_blocking(move || Upkeep(&core).pass(Speed::Full));
        compacted.await.map_err(unavailable)
    }
}

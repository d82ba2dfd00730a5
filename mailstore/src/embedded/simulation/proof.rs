//! What is to be proved, by how many crashes, and what came of it.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use thiserror::Error;

use super::super::temporary::TemporaryFolder;
use super::disk::Sabotage;
use super::walk::Walk;

/// Crashes of one store; then the next walk begins with an empty one.
const CUTS_OF_A_WALK: u64 = 40;
/// A place in memory, where there is one: the index of each cut is made anew.
const MEMORY: &str = "/dev/shm";

/// What is to be proved.
#[derive(Clone, Copy, Debug)]
pub struct ProofPlan {
    /// Of all choices. The second walk of a seed is the first one of the next seed.
    pub seed: u64,
    /// How many crashes.
    pub cuts: u64,
    /// What the disk does wrong.
    pub sabotage: Sabotage,
}

/// What was found: nothing wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Crashes after which everything was as promised.
    pub cuts: u64,
    /// How many of them were power cuts; in the others only the process ended.
    pub power_cuts: u64,
    /// How many of them came while the store was recovering from the one before.
    pub during_recovery: u64,
    /// Changes that were acknowledged before them.
    pub acknowledged: u64,
    /// Changes that were asked for and not acknowledged.
    pub unanswered: u64,
    /// Segments of the journal that were compacted meanwhile.
    pub compacted: u64,
    /// Snapshots that were restored from a backup which was cut off as well.
    pub restored: u64,
}

/// Why it is not proved.
#[derive(Debug, Error)]
pub enum ProofError {
    /// The store broke its promise.
    #[error("the store broke its promise (seed {seed}, crash {cut}): {what}")]
    Broken {
        /// The seed whose first walk shows it.
        seed: u64,
        /// The crash of that walk after which it showed.
        cut: u64,
        /// What is not as it must be.
        what: String,
    },
    /// The machine's own disk failed.
    #[error("a folder for the indexes of the simulation could not be used")]
    Io(#[from] io::Error),
}

/// Crashes a store on a simulated disk again and again, and compares what it holds then with what it had
/// acknowledged. `progress` hears of the number of crashes so far, and may end it there.
///
/// # Errors
/// Where the store breaks its promise, or a temporary folder cannot be used.
pub fn prove(plan: ProofPlan, mut progress: impl FnMut(u64) -> ControlFlow<()>) -> Result<Proof, ProofError> {
    let walks = plan.cuts.div_ceil(CUTS_OF_A_WALK);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(0);
    let (done, results) = mpsc::sync_channel(workers);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (next, done) = (&next, done.clone());
            scope.spawn(move || {
                loop {
                    let walk = next.fetch_add(1, Ordering::Relaxed);
                    let before = walk.saturating_mul(CUTS_OF_A_WALK);
                    if walk >= walks {
                        return;
                    }
                    let cuts = plan.cuts.saturating_sub(before).min(CUTS_OF_A_WALK);
                    let plan = ProofPlan { seed: plan.seed.wrapping_add(walk), cuts, ..plan };
                    // Nobody listens any more once a walk has failed.
                    if done.send(walk_alone(plan)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut proof = Proof::default();
        for result in results {
            proof.add(&result.inspect_err(|_| next.store(walks, Ordering::Relaxed))?);
            if progress(proof.cuts).is_break() {
                next.store(walks, Ordering::Relaxed);
                break;
            }
        }
        Ok(proof)
    })
}

impl Proof {
    fn add(&mut self, other: &Self) {
        self.cuts = self.cuts.saturating_add(other.cuts);
        self.power_cuts = self.power_cuts.saturating_add(other.power_cuts);
        self.during_recovery = self.during_recovery.saturating_add(other.during_recovery);
        self.acknowledged = self.acknowledged.saturating_add(other.acknowledged);
        self.unanswered = self.unanswered.saturating_add(other.unanswered);
        self.compacted = self.compacted.saturating_add(other.compacted);
        self.restored = self.restored.saturating_add(other.restored);
    }
}

/// One walk, on a runtime and in a folder of its own.
fn walk_alone(plan: ProofPlan) -> Result<Proof, ProofError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let in_memory = TemporaryFolder::within(Path::new(MEMORY));
    let folder = in_memory.or_else(|_| TemporaryFolder::within(&std::env::temp_dir()))?;
    let mut walk = Walk::begin(&plan, folder.path());
    let broken = |walk: &Walk, what| ProofError::Broken { seed: plan.seed, cut: walk.proof.cuts, what };
    for _ in 0..plan.cuts {
        if let Err(what) = runtime.block_on(walk.session()) {
            return Err(broken(&walk, what));
        }
    }
    let last = runtime.block_on(walk.look_once_more());
    last.map_err(|what| broken(&walk, what))?;
    Ok(walk.proof)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proved(seed: u64, cuts: u64, sabotage: Sabotage) -> Result<Proof, ProofError> {
        prove(ProofPlan { seed, cuts, sabotage }, |_| ControlFlow::Continue(()))
    }

    #[test]
    fn whatever_a_crash_leaves_what_was_acknowledged_is_there_whole_and_once() {
        let proof = proved(1, 2000, Sabotage::Nothing).unwrap();
        assert_eq!(proof.cuts, 2000);
        // It is worth something only where crashes of all kinds came in the middle of work.
        assert!(proof.power_cuts > 1000 && proof.power_cuts < 1900, "{proof:?}");
        assert!(proof.during_recovery > 100 && proof.unanswered > 100, "{proof:?}");
        assert!(proof.acknowledged > 4000 && proof.compacted > 500, "{proof:?}");
        assert!(proof.restored > 100, "{proof:?}");
    }

    #[test]
    fn crashes_that_once_lost_something_do_so_no_more() {
        // 2, 3, 6: the store's own folder was not durable. 12, 13, 26, 29, 54: what a killed process had written and
        // not synced was relied on. 0, 83: a crash while one was being recovered from made a torn message whole. 11: a
        // quota that had been removed came back with the compaction of the segment that said so. 1,000,791: an old index
        // that was put back knew of a message in a segment that had gone since.
        for seed in [2, 3, 6, 12, 13, 26, 29, 54, 0, 83, 11, 1_000_791] {
            proved(seed, CUTS_OF_A_WALK, Sabotage::Nothing).unwrap();
        }
    }

    #[test]
    fn a_proof_ends_where_it_is_told_to() {
        let plan = ProofPlan { seed: 1, cuts: u64::MAX, sabotage: Sabotage::Nothing };
        let proof = prove(plan, |_| ControlFlow::Break(())).unwrap();
        assert_eq!(proof.cuts, CUTS_OF_A_WALK);
    }

    #[test]
    fn a_disk_that_breaks_its_promises_is_found_out() {
        let sabotages = [
            Sabotage::NoSync,
            Sabotage::LateSync,
            Sabotage::NoSyncOfJournalFolder,
            Sabotage::NoSyncOfContentFolder,
            Sabotage::LateSyncOfJournalFolder,
            Sabotage::ForgottenDeletions,
        ];
        for sabotage in sabotages {
            let proof = proved(1, 800, sabotage);
            assert!(matches!(proof, Err(ProofError::Broken { .. })), "{sabotage:?}: {proof:?}");
        }
    }
}

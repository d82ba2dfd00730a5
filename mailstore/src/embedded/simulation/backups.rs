//! Snapshots of a walk's store, on a disk of their own that crashes as well: each one that was told of comes back whole.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use mailwire::cause::chain;

use super::super::backup::simulated;
use super::super::checkpoint::Ending;
use super::super::files::Files;
use super::super::layout::Layout;
use super::disk::{Sabotage, SimulatedDisk};
use super::image::Platter;
use super::model::Model;
use super::random::Random;
use super::session::Session;

const ROOT: &str = "/srv/backup";
/// Where a snapshot is restored to, on a disk that has nothing else.
const RESTORED: &str = "/srv/restored";

/// A snapshot, and what must be in it.
#[derive(Clone, Debug)]
struct Snapshot {
    name: String,
    model: Model,
    /// Operations of the store's disk when it was taken.
    store_at: usize,
    /// Operations of the backup's disk before it, and when it was told of.
    begin: usize,
    told: usize,
}

/// All snapshots of a walk. What is random here depends on hashes, so it has numbers of its own: the walk stays the same.
pub(super) struct Backups {
    choices: Random,
    crashes: Random,
    sabotage: Sabotage,
    platter: Platter,
    /// The disk of this session.
    disk: Option<Arc<SimulatedDisk>>,
    /// Taken in this session.
    new: Vec<Snapshot>,
    /// From before, and still there.
    kept: Vec<Snapshot>,
    clock: u64,
}

fn text(error: &(dyn std::error::Error + 'static)) -> String {
    format!("a backup failed: {}", chain(error))
}

impl Backups {
    pub(super) fn new(seed: u64, sabotage: Sabotage) -> Self {
        Self {
            choices: Random::new(seed),
            crashes: Random::new(seed),
            sabotage,
            platter: Platter::default(),
            disk: None,
            new: Vec::new(),
            kept: Vec::new(),
            clock: 0,
        }
    }

    /// Takes a snapshot now and then; `model` is what must be in it.
    pub(super) async fn perhaps_take(
        &mut self,
        session: &Session,
        model: &Model,
        local: &Path,
    ) -> Result<(), String> {
        if !self.choices.one_in(6) {
            return Ok(());
        }
        let (platter, sabotage) = (self.platter.clone(), self.sabotage);
        let disk = self.disk.get_or_insert_with(|| Arc::new(SimulatedDisk::new(platter, local, sabotage)));
        let disk = Arc::clone(disk);
        let (store_at, begin) = (session.disk.operations(), disk.operations());
        self.clock = self.clock.saturating_add(1);
        let files: Arc<dyn Files> = Arc::clone(&disk) as _;
        let name = session.back_up((&files, Path::new(ROOT)), self.clock).await?;
        let told = disk.operations();
        self.new.push(Snapshot { name, model: model.clone(), store_at, begin, told });
        Ok(())
    }

    /// The store's disk was cut off after `store_cut` operations; what came later was never done. The disk of the backup is
    /// cut off at some moment too, after the last snapshot that was told of or while the next one was written.
    pub(super) fn crash(&mut self, store_cut: usize) -> Result<(), String> {
        let Some(disk) = self.disk.take() else { return Ok(()) };
        let (done, undone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.new).into_iter().partition(|snapshot| snapshot.store_at <= store_cut);
        let end = undone.first().map_or_else(|| disk.operations(), |snapshot| snapshot.begin);
        let begin = done.last().map_or(0, |snapshot| snapshot.begin);
        let any = begin.saturating_add(self.crashes.below(end.saturating_sub(begin).saturating_add(1)));
        // More often right after one was told of.
        let cut = if self.crashes.one_in(3) { end } else { any };
        self.platter = disk.after(cut).lose_power(&mut self.crashes);
        let files: Arc<dyn Files> =
            Arc::new(SimulatedDisk::new(self.platter.clone(), Path::new("/nowhere"), Sabotage::Nothing));
        let there = simulated::names(&files, Path::new(ROOT)).map_err(|error| text(&error))?;
        for snapshot in done {
            if there.contains(&snapshot.name) {
                self.kept.push(snapshot);
            } else if snapshot.told <= cut {
                return Err(format!("the snapshot {} was told of and is gone", snapshot.name));
            }
        }
        match self.kept.iter().find(|snapshot| !there.contains(&snapshot.name)) {
            Some(gone) => Err(format!("the snapshot {} is gone", gone.name)),
            None => Ok(()),
        }
    }

    /// Restores some snapshot, and compares what is in it. Tells whether there was one.
    pub(super) async fn perhaps_restore(&mut self, local: &Path) -> Result<bool, String> {
        if !self.choices.one_in(4) {
            return Ok(false);
        }
        let Some(Snapshot { name, mut model, .. }) = self.crashes.pick(&self.kept).cloned() else {
            return Ok(false);
        };
        let files: Arc<dyn Files> =
            Arc::new(SimulatedDisk::new(self.platter.clone(), Path::new("/nowhere"), Sabotage::Nothing));
        let disk = Arc::new(SimulatedDisk::new(Platter::default(), local, Sabotage::Nothing));
        let to = Path::new(RESTORED);
        simulated::restore((&files, Path::new(ROOT)), &name, &*disk, to).map_err(|error| text(&error))?;
        let mut layout = Layout::apart(to, local);
        layout.index = local.join("restored");
        let session = Session::open(disk, layout.clone())?;
        let found = session.look(&model).await?;
        session.end(Ending::Abandoned).await;
        fs::remove_dir_all(&layout.index).map_err(|error| error.to_string())?;
        let same = model.settle(&found).map(|()| true);
        same.map_err(|difference| format!("the snapshot {name} is not what was there: {difference}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::proof::ProofPlan;
    use super::super::walk::Walk;
    use super::*;

    const CUTS: u64 = 40;

    /// Walks on a good disk, with the backup on one that breaks its promises.
    fn walked(seed: u64, sabotage: Sabotage) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let plan = ProofPlan { seed, cuts: CUTS, sabotage: Sabotage::Nothing };
        let mut walk = Walk::begin(&plan, folder.path());
        walk.backups = Backups::new(seed, sabotage);
        (0..CUTS).try_for_each(|_| runtime.block_on(walk.session()))
    }

    #[test]
    fn a_backup_on_a_disk_that_syncs_nothing_is_found_out() {
        assert!((0..4).any(|seed| walked(seed, Sabotage::NoSync).is_err()));
        walked(0, Sabotage::Nothing).unwrap();
    }
}

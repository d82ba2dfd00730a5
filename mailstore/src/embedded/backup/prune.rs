//! Old snapshots go, and with them what nobody else needs.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use super::error::{BackupError, at};
use super::folder::Backup;
use super::pace::Pace;
use crate::Progress;

/// What is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The names of snapshots.
    pub snapshots: Vec<String>,
    /// How many objects.
    pub objects: u64,
    /// Octets of them.
    pub octets: u64,
}

impl Backup {
    /// Keeps the `keep` newest snapshots and what they need, and removes everything else.
    ///
    /// # Errors
    /// Where one of them is damaged: nothing is removed then. Otherwise what was removed is gone, and the rest is whole.
    pub fn prune(
        &self,
        keep: NonZeroUsize,
        watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Pruned, BackupError> {
        let _lock = Self::lock(&self.root)?;
        let mut pace = Pace::new(watch);
        let mut snapshots = self.names()?;
        let kept = snapshots.split_off(snapshots.len().saturating_sub(keep.get()));
        let mut needed = BTreeSet::new();
        for name in kept {
            let path = self.snapshots_folder().join(&name);
            let manifest = self.manifest(&name)?.ok_or(BackupError::CannotPrune { name, path })?;
            needed.extend(manifest.objects().map(|(object, _)| object));
        }
        let folder = self.snapshots_folder();
        for name in &snapshots {
            self.files.remove(&folder.join(name)).map_err(at(&folder))?;
        }
        // No snapshot may be left that lacks something.
        self.files.sync_folder(&folder).map_err(at(&folder))?;
        let mut pruned = Pruned { snapshots, ..Pruned::default() };
        let mut objects = self.objects();
        for name in objects.list().map_err(at(&self.root))?.into_iter().filter(|name| !needed.contains(name))
        {
            let path = objects.path(name);
            let octets = self.files.octets(&path).map_err(at(&path))?;
            objects.remove(name).map_err(at(&path))?;
            pruned.objects = pruned.objects.saturating_add(1);
            pruned.octets = pruned.octets.saturating_add(octets);
            pace.expect(octets);
            pace.advance(octets)?;
        }
        objects.sync().map_err(at(&self.root))?;
        Ok(pruned)
    }
}

//! Backups between simulated disks, for the proof that a crash leaves every snapshot that was told of whole.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::super::files::Files;
use super::error::BackupError;
use super::folder::{Backup, Which};
use super::pace::Pace;
use super::write::{Reading, write};
use crate::HeldState;

/// Takes a snapshot of a held store to the folder `root` of another disk. Gives its name.
pub(crate) fn take(
    store: &dyn Files,
    state: &HeldState,
    (files, root): (&Arc<dyn Files>, &Path),
    now: u64,
) -> Result<String, BackupError> {
    let backup = Backup::create_with(Arc::clone(files), root)?;
    let mut watch = |_| ControlFlow::Continue(());
    let written = write(&backup, store, state, (Reading::New, now), &mut Pace::new(&mut watch))?;
    backup.add(&written.manifest)
}

/// The names of all snapshots; each of them must be readable.
pub(crate) fn names(files: &Arc<dyn Files>, root: &Path) -> Result<Vec<String>, BackupError> {
    let names = Backup { files: Arc::clone(files), root: root.to_owned() }.names()?;
    for name in &names {
        choose(files, root, name)?;
    }
    Ok(names)
}

/// Restores a snapshot to the folder `to` of another disk.
pub(crate) fn restore(
    (files, root): (&Arc<dyn Files>, &Path),
    name: &str,
    disk: &dyn Files,
    to: &Path,
) -> Result<(), BackupError> {
    let (backup, manifest) = choose(files, root, name)?;
    let mut watch = |_| ControlFlow::Continue(());
    disk.create_folder(to).map_err(super::error::at(to))?;
    let restored = backup.restore_with(disk, (name, &manifest), to, &mut Pace::new(&mut watch))?;
    if restored.damaged.is_empty() {
        Ok(())
    } else {
        Err(BackupError::DamagedSnapshot { name: name.to_owned() })
    }
}

fn choose(
    files: &Arc<dyn Files>,
    root: &Path,
    name: &str,
) -> Result<(Backup, super::manifest::Manifest), BackupError> {
    let backup = Backup { files: Arc::clone(files), root: root.to_owned() };
    let (_, manifest) = backup.choose(&Which::Named(name.to_owned()))?;
    Ok((backup, manifest))
}

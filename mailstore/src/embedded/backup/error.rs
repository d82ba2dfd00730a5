//! Why a backup was not made, checked or brought back.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::Unavailable;

/// Why it did not work, and what to do.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The folder is something else.
    #[error("{0} holds no backup; `mailstack backup {0}` makes one")]
    NoBackup(PathBuf),
    /// It would be mixed with something else.
    #[error("{0} is not empty and holds no backup; name an empty folder, or one that does not exist yet")]
    NotEmpty(PathBuf),
    /// Written by a release that this one does not know. Nothing was changed.
    #[error("{path} has format {found}, this release knows formats up to {known}; run the newer release")]
    TooNew {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// Only one process writes at a time.
    #[error("another process works in {0}; try again when it has ended")]
    InUse(PathBuf),
    /// Two stores in one folder could not be told apart.
    #[error("{0} holds the backup of another store; choose another folder for this one")]
    OtherStore(PathBuf),
    /// A name that is not there.
    #[error("the backup has no snapshot {0}; `mailstack backup list` shows those there are")]
    NoSuchSnapshot(String),
    /// Nothing is old enough.
    #[error("the backup has no snapshot that is so old; `mailstack backup list` shows those there are")]
    NoSnapshot,
    /// What is in it cannot be known.
    #[error("the snapshot {name} is damaged; choose another one, and see `mailstack backup verify`")]
    DamagedSnapshot {
        /// Its name.
        name: String,
    },
    /// Objects that only a damaged snapshot needs look like objects that nobody needs.
    #[error(
        "the snapshot {name} is damaged, so what it needs is not known and nothing was removed; remove {path} first"
    )]
    CannotPrune {
        /// Its name.
        name: String,
        /// Its file.
        path: PathBuf,
    },
    /// A store, or something else, is there.
    #[error("{0} is not empty; name an empty folder, or one that does not exist yet")]
    Occupied(PathBuf),
    /// Another snapshot is half restored there.
    #[error(
        "{folder} holds the unfinished restore of the snapshot {snapshot}; finish it with --snapshot {snapshot}, or remove \
         the folder"
    )]
    OtherRestore {
        /// The folder.
        folder: PathBuf,
        /// The snapshot.
        snapshot: String,
    },
    /// Somebody wanted it so.
    #[error("it was stopped; what was done stays, and the same command goes on from there")]
    Stopped,
    /// The store does not answer, or its host ended meanwhile.
    #[error("the store went away meanwhile; what was written stays, and the same command goes on from there")]
    Store(#[from] Unavailable),
    /// A file or folder failed.
    #[error("reading or writing {path} failed")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An index of the snapshot could not be made.
    #[error("the snapshot cannot be looked into")]
    Index(#[source] io::Error),
}

/// Says which file it was.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { path, source }
}

//! Where things are under the store's folder.

use std::path::{Path, PathBuf};

use super::journal::SEGMENT_OCTETS_MAX;

/// Every path of a store.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// The store's folder.
    pub(crate) root: PathBuf,
    /// Where the lock file is.
    pub(crate) lock: PathBuf,
    pub(crate) journal: PathBuf,
    pub(crate) content: PathBuf,
    pub(crate) spool: PathBuf,
    pub(crate) index: PathBuf,
    /// The last index that was found unusable.
    pub(crate) index_aside: PathBuf,
    /// A segment of the journal is not made longer than this.
    pub(crate) segment_octets_max: u64,
}

impl Layout {
    /// Everything under `root`.
    pub(crate) fn new(root: &Path) -> Self {
        Self::apart(root, root)
    }

    /// What does not go through [`super::files::Files`], which is the lock and sled's index, under `local`.
    pub(crate) fn apart(root: &Path, local: &Path) -> Self {
        Self {
            root: root.to_owned(),
            lock: local.to_owned(),
            journal: root.join("journal"),
            content: root.join("content"),
            spool: root.join("spool"),
            index: local.join("index"),
            index_aside: local.join("index.set-aside"),
            segment_octets_max: SEGMENT_OCTETS_MAX,
        }
    }
}

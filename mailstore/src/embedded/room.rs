//! Room on the disk: how much is left for mail, and a reserve that keeps deletion and the index going when it is full.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{info, warn};

use super::files::{Files, Space};
use super::free_space::FreeSpace;

/// Free space below which the disk counts as full whoever filled it; less on a small disk.
const FLOOR_OCTETS: u64 = 8 << 20;
/// A disk's share that the floor is at most.
const FLOOR_SHARE: u64 = 32;
/// A disk's share that the reserve of the configuration is at most, so that a small disk takes mail as well.
const CONFIGURED_SHARE: u64 = 16;

/// What is free for mail: above the reserve of the configuration.
pub(crate) fn free_for_mail(space: Space, reserve_octets: u64) -> u64 {
    space.free_octets.saturating_sub(reserve_octets.min(space.total_octets / CONFIGURED_SHARE))
}

/// A file that takes room away while there is some, and gives it back when there is none.
pub(crate) struct Reserve {
    files: Arc<dyn Files>,
    free_space: Arc<FreeSpace>,
    path: PathBuf,
    held: bool,
}

/// Whether the disk takes more mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It does.
    Enough,
    /// Only deletions, and what else makes room.
    None,
}

impl Reserve {
    /// For the store in `root`; one that an earlier process left is taken over.
    pub(crate) fn new(files: &Arc<dyn Files>, root: &Path, free_space: Arc<FreeSpace>) -> Self {
        let path = root.join("reserve");
        let held = files.octets(&path).is_ok_and(|octets| octets > 0);
        Self { files: Arc::clone(files), free_space, path, held }
    }

    /// Looks at the disk, and keeps or gives up the reserve accordingly.
    pub(crate) fn look(&mut self) -> Room {
        // A disk that does not answer is found out about by writing to it.
        let Ok(space) = self.free_space.look() else { return Room::Enough };
        let floor = FLOOR_OCTETS.min(space.total_octets / FLOOR_SHARE);
        if space.free_octets < floor {
            self.give_up();
            return Room::None;
        }
        if !self.held && space.free_octets > floor.saturating_mul(3) {
            self.held = self.files.allocate(&self.path, floor).is_ok();
        }
        Room::Enough
    }

    /// Gives the room to whoever needs it now.
    pub(crate) fn give_up(&mut self) {
        if !self.held {
            return;
        }
        match self.files.remove(&self.path) {
            Ok(()) => info!("the disk is full: the reserve is given up, so that deletion goes on"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => warn!(%error, "the reserve on the full disk could not be given up"),
        }
        self.held = false;
    }
}

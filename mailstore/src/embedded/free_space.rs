//! How much of the disk is free: asked of the system for each message only where that could matter.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mailwire::clock;

use super::files::{Files, Space};

/// While more than this is free beyond the reserve, an answer holds for [`AGE_MAX`]: nothing fills a disk faster.
const AMPLE_OCTETS: u64 = 4 << 30;
/// How long it holds.
const AGE_MAX: Duration = Duration::from_millis(100);

/// The room on the disk of one folder.
pub(crate) struct FreeSpace {
    files: Arc<dyn Files>,
    folder: PathBuf,
    /// So much has to be free for an answer to hold.
    ample_octets: u64,
    last: Mutex<Option<(Instant, Space)>>,
}

impl FreeSpace {
    /// For the disk of `folder`, of which `reserve_octets` are not for mail.
    pub(crate) fn new(files: &Arc<dyn Files>, folder: PathBuf, reserve_octets: u64) -> Self {
        let ample_octets = AMPLE_OCTETS.saturating_add(reserve_octets);
        Self { files: Arc::clone(files), folder, ample_octets, last: Mutex::default() }
    }

    /// How large the disk is, and what of it is free.
    pub(crate) fn look(&self) -> io::Result<Space> {
        let now = clock::instant();
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, space)) = last
            && self.holds(space, now.saturating_duration_since(at))
        {
            return Ok(space);
        }
        let space = self.files.space(&self.folder)?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, space));
        Ok(space)
    }

    /// Whether an answer of that age is still good.
    fn holds(&self, space: Space, age: Duration) -> bool {
        space.free_octets > self.ample_octets && age < AGE_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::Disk;
    use super::*;

    #[test]
    fn an_answer_holds_for_a_moment_and_only_while_much_is_free_beyond_the_reserve() {
        let files: Arc<dyn Files> = Arc::new(Disk);
        let folder = tempfile::tempdir().unwrap();
        let reserve_octets = 10 << 30;
        let free_space = FreeSpace::new(&files, folder.path().to_owned(), reserve_octets);
        assert!(free_space.look().unwrap().total_octets > 0);
        let free = |free_octets| Space { total_octets: 1 << 50, free_octets };
        let (little, much) = (free(reserve_octets + AMPLE_OCTETS), free(reserve_octets + AMPLE_OCTETS + 1));
        assert!(free_space.holds(much, Duration::ZERO));
        assert!(!free_space.holds(much, AGE_MAX));
        assert!(!free_space.holds(little, Duration::ZERO));
    }
}

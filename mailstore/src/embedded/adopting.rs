//! Content files that wait for their commit: nobody may take them for left over.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Their names.
#[derive(Debug, Default)]
pub(crate) struct Adopting(Mutex<HashSet<[u8; 16]>>);

/// One file, from before its adoption until its commit is answered.
#[derive(Debug)]
pub(crate) struct Adopted {
    all: Arc<Adopting>,
    name: [u8; 16],
}

impl Drop for Adopted {
    fn drop(&mut self) {
        self.all.set().remove(&self.name);
    }
}

impl Adopting {
    fn set(&self) -> MutexGuard<'_, HashSet<[u8; 16]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file is about to be adopted.
    pub(crate) fn begin(self: &Arc<Self>, name: [u8; 16]) -> Adopted {
        self.set().insert(name);
        Adopted { all: Arc::clone(self), name }
    }

    /// All that wait now.
    pub(crate) fn names(&self) -> HashSet<[u8; 16]> {
        self.set().clone()
    }
}

//! While somebody reads the journal as a whole, no segment goes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many read it.
#[derive(Debug, Default)]
pub(crate) struct Holds(Mutex<usize>);

/// Keeps every segment until it is dropped.
#[derive(Debug)]
pub(crate) struct Held(Arc<Holds>);

impl Drop for Held {
    fn drop(&mut self) {
        let mut holds = self.0.count();
        *holds = holds.saturating_sub(1);
    }
}

impl Holds {
    fn count(&self) -> MutexGuard<'_, usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps every segment that is there now.
    pub(crate) fn take(self: &Arc<Self>) -> Held {
        let mut holds = self.count();
        *holds = holds.saturating_add(1);
        drop(holds);
        Held(Arc::clone(self))
    }

    /// True where there is any.
    pub(crate) fn any(&self) -> bool {
        *self.count() > 0
    }

    /// Where there is none, there will be none while the answer lives.
    pub(crate) fn none(&self) -> Option<MutexGuard<'_, usize>> {
        Some(self.count()).filter(|holds| **holds == 0)
    }
}

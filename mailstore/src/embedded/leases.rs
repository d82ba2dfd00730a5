//! Who has what for now: maildrops that sessions read, queue entries that workers try.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mailwire::clock;
use tokio::sync::Notify;

use crate::QueueId;

/// Maildrops that are leased.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    taken: Mutex<HashSet<u64>>,
    returned: Notify,
}

/// Gives the maildrop back when it is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    leases: Arc<Leases>,
    maildrop: u64,
}

impl Taken {
    /// Which one.
    pub(crate) const fn maildrop(&self) -> u64 {
        self.maildrop
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.leases.taken().remove(&self.maildrop);
        self.leases.returned.notify_waiters();
    }
}

impl Leases {
    fn taken(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a maildrop, waiting at most `patience` for its present owner.
    pub(crate) async fn take(self: &Arc<Self>, maildrop: u64, patience: Duration) -> Option<Taken> {
        // The patience may come from another process; one beyond the clock's end is none that could be waited for.
        let deadline = clock::instant().checked_add(patience)?;
        loop {
            let mut returned = std::pin::pin!(self.returned.notified());
            // Listening before looking, so that a lease returned in between is not missed.
            returned.as_mut().enable();
            if self.taken().insert(maildrop) {
                return Some(Taken { leases: Arc::clone(self), maildrop });
            }
            tokio::time::timeout_at(deadline.into(), returned).await.ok()?;
        }
    }
}

/// Queue entries that a worker has, and until when (seconds since 1970).
#[derive(Debug, Default)]
pub(crate) struct QueueLeases(Mutex<HashMap<QueueId, u64>>);

impl QueueLeases {
    fn leases(&self) -> MutexGuard<'_, HashMap<QueueId, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True while a worker has the entry.
    pub(crate) fn holds(&self, id: QueueId, now: u64) -> bool {
        self.leases().get(&id).is_some_and(|until| *until > now)
    }

    /// Gives the entry to a worker; false where another one has it.
    pub(crate) fn take(&self, id: QueueId, now: u64, until: u64) -> bool {
        let mut leases = self.leases();
        leases.retain(|_, until| *until > now);
        if leases.contains_key(&id) {
            return false;
        }
        leases.insert(id, until);
        true
    }

    /// The entry is nobody's again.
    pub(crate) fn end(&self, id: QueueId) {
        self.leases().remove(&id);
    }
}

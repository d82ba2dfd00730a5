//! Who has what for now: maildrops that sessions read, queue entries that workers try.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mailwire::clock;
use tokio::sync::Notify;

use super::guard::generations::Generations;
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

/// When the maildrops with a login delay were leased last; those of which it is longest ago are forgotten first.
#[derive(Debug)]
pub(crate) struct LastLeases(Mutex<Generations<u64, Option<Instant>>>);

impl LastLeases {
    /// Of so many maildrops at least.
    pub(crate) fn new(maildrops_max: usize) -> Self {
        Self(Mutex::new(Generations::new(maildrops_max)))
    }

    fn last(&self) -> MutexGuard<'_, Generations<u64, Option<Instant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True where a lease of the maildrop began less than `delay` before `now`.
    pub(crate) fn is_too_soon(&self, maildrop: u64, delay: Duration, now: Instant) -> bool {
        if delay.is_zero() {
            return false;
        }
        let began = self.last().get(&maildrop).copied().flatten();
        began.is_some_and(|began| now.saturating_duration_since(began) < delay)
    }

    /// A lease of the maildrop, whose login delay this is, begins.
    pub(crate) fn begin(&self, maildrop: u64, delay: Duration, now: Instant) {
        if !delay.is_zero() {
            *self.last().entry(maildrop) = Some(now);
        }
    }

    /// The next lease is as the first one.
    pub(crate) fn forget(&self, maildrop: u64) {
        self.last().retain(|known| *known != maildrop);
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

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_mins(1);

    #[test]
    fn a_lease_is_too_soon_until_the_last_moment_of_the_delay() {
        let (last, begun) = (LastLeases::new(10), clock::instant());
        assert!(!last.is_too_soon(1, DELAY, begun));
        last.begin(1, DELAY, begun);
        assert!(last.is_too_soon(1, DELAY, begun));
        assert!(last.is_too_soon(1, DELAY, begun + DELAY - Duration::from_nanos(1)));
        assert!(!last.is_too_soon(1, DELAY, begun + DELAY));
        assert!(!last.is_too_soon(2, DELAY, begun));
        assert!(!last.is_too_soon(1, Duration::ZERO, begun));
        last.forget(1);
        assert!(!last.is_too_soon(1, DELAY, begun));
    }

    #[test]
    fn only_so_many_are_remembered_and_the_last_ones_in_any_case() {
        let (last, now) = (LastLeases::new(10), clock::instant());
        for maildrop in 0..1000 {
            last.begin(maildrop, DELAY, now);
            last.begin(5000, Duration::ZERO, now);
        }
        assert!((990..1000).all(|maildrop| last.is_too_soon(maildrop, DELAY, now)));
        assert!(last.last().iter().count() <= 20);
    }
}

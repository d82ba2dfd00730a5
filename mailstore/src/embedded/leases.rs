//! Which maildrops sessions read now, and who loses one to whom.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mailwire::clock;
use tokio::sync::Notify;

use super::guard::generations::Generations;
use crate::Takeover;

/// How long a commit of the other session may take that must be waited for before its maildrop can be taken over.
const COMMIT_PATIENCE: Duration = Duration::from_secs(10);

/// Maildrops that are leased.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    taken: Mutex<HashMap<u64, Arc<Tenure>>>,
    /// A maildrop is free, or a commit has come to its end.
    returned: Notify,
}

/// One use of a maildrop, from its beginning to its end.
#[derive(Debug, Default)]
pub(crate) struct Tenure {
    /// Commits that are on their way; changed under the lock of all leases.
    commits: AtomicU32,
    is_over: AtomicBool,
    over: Notify,
}

/// Gives the maildrop back when it is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    leases: Arc<Leases>,
    maildrop: u64,
    tenure: Arc<Tenure>,
}

/// While it is there, nobody takes the maildrop over, nor gets it otherwise.
#[derive(Debug)]
pub(crate) struct Committing(Arc<Taken>);

impl Tenure {
    /// True once somebody else has taken the maildrop over.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Returns once somebody else has.
    pub(crate) async fn over(&self) {
        loop {
            let mut over = std::pin::pin!(self.over.notified());
            // Listening before looking, so that nothing in between is missed.
            over.as_mut().enable();
            if self.is_over() {
                return;
            }
            over.await;
        }
    }
}

impl Taken {
    /// Which one.
    pub(crate) const fn maildrop(&self) -> u64 {
        self.maildrop
    }

    /// What says how long it is ours.
    pub(crate) fn tenure(&self) -> Arc<Tenure> {
        Arc::clone(&self.tenure)
    }

    /// A commit begins; `None` where somebody else has taken the maildrop over. So it is wholly before that, or not at all.
    pub(crate) fn commit(self: &Arc<Self>) -> Option<Committing> {
        let _taken = self.leases.taken();
        if self.tenure.is_over() {
            return None;
        }
        self.tenure.commits.fetch_add(1, Ordering::AcqRel);
        Some(Committing(Arc::clone(self)))
    }
}

impl Drop for Committing {
    fn drop(&mut self) {
        let taken = self.0.leases.taken();
        self.0.tenure.commits.fetch_sub(1, Ordering::AcqRel);
        drop(taken);
        self.0.leases.returned.notify_waiters();
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut taken = self.leases.taken();
        // Another one may have it by now.
        if taken.get(&self.maildrop).is_some_and(|tenure| Arc::ptr_eq(tenure, &self.tenure)) {
            taken.remove(&self.maildrop);
        }
        drop(taken);
        self.leases.returned.notify_waiters();
    }
}

impl Leases {
    fn taken(&self) -> MutexGuard<'_, HashMap<u64, Arc<Tenure>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(self: &Arc<Self>, maildrop: u64, tenure: Arc<Tenure>) -> Taken {
        Taken { leases: Arc::clone(self), maildrop, tenure }
    }

    /// True while somebody has the maildrop.
    pub(crate) fn has(&self, maildrop: u64) -> bool {
        self.taken().contains_key(&maildrop)
    }

    /// Takes a maildrop that nobody has.
    pub(crate) fn try_take(self: &Arc<Self>, maildrop: u64) -> Option<Taken> {
        match self.taken().entry(maildrop) {
            Entry::Occupied(_) => None,
            Entry::Vacant(free) => Some(self.begin(maildrop, Arc::clone(free.insert(Arc::default())))),
        }
    }

    /// Takes a maildrop, whoever has it; `None` while a commit of theirs is on its way.
    fn take_over(self: &Arc<Self>, maildrop: u64) -> Option<Taken> {
        let mut taken = self.taken();
        if let Some(present) = taken.get(&maildrop) {
            if present.commits.load(Ordering::Acquire) > 0 {
                return None;
            }
            present.is_over.store(true, Ordering::Release);
            present.over.notify_waiters();
        }
        let tenure = Arc::<Tenure>::default();
        taken.insert(maildrop, Arc::clone(&tenure));
        Some(self.begin(maildrop, tenure))
    }

    /// Takes a maildrop, waiting at most `patience` for its present owner, who then loses it where that is allowed.
    pub(crate) async fn take(
        self: &Arc<Self>,
        maildrop: u64,
        patience: Duration,
        takeover: Takeover,
    ) -> Option<Taken> {
        if let Some(taken) = self.taken_within(patience, || self.try_take(maildrop)).await {
            return Some(taken);
        }
        match takeover {
            Takeover::Refused => None,
            Takeover::Allowed => self.taken_within(COMMIT_PATIENCE, || self.take_over(maildrop)).await,
        }
    }

    /// Tries again whenever something is returned.
    async fn taken_within(
        &self,
        patience: Duration,
        mut attempt: impl FnMut() -> Option<Taken>,
    ) -> Option<Taken> {
        // The patience may come from another process; one beyond the clock's end is none that could be waited for.
        let deadline = clock::instant().checked_add(patience)?;
        loop {
            let mut returned = std::pin::pin!(self.returned.notified());
            // Listening before looking, so that a lease returned in between is not missed.
            returned.as_mut().enable();
            if let Some(taken) = attempt() {
                return Some(taken);
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

#[cfg(test)]
mod tests {
    use super::*;

    const AGES: Duration = Duration::from_hours(1);
    const DELAY: Duration = Duration::from_mins(1);

    #[test]
    fn a_lease_is_too_soon_until_the_last_moment_of_the_delay() {
        let (last, begun) = (LastLeases::new(10), clock::instant());
        assert!(!last.is_too_soon(1, DELAY, begun));
        last.begin(1, DELAY, begun);
        assert!(last.is_too_soon(1, DELAY, begun));
        assert!(last.is_too_soon(1, DELAY, begun + Duration::from_millis(59_999)));
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

    #[tokio::test]
    async fn a_maildrop_is_taken_over_only_where_that_is_allowed() {
        let leases = Arc::<Leases>::default();
        let first = leases.take(1, Duration::ZERO, Takeover::Allowed).await.unwrap();
        assert!(leases.take(1, Duration::ZERO, Takeover::Refused).await.is_none());
        assert!(!first.tenure.is_over());
        let second = leases.take(1, Duration::ZERO, Takeover::Allowed).await.unwrap();
        first.tenure.over().await;
        assert!(first.tenure.is_over() && !second.tenure.is_over());
        drop(first);
        assert!(leases.try_take(1).is_none(), "the second one has it");
        drop(second);
        assert!(leases.try_take(1).is_some());
    }

    #[tokio::test]
    async fn who_gives_the_maildrop_back_in_time_loses_nothing() {
        let leases = Arc::<Leases>::default();
        let first = leases.try_take(1).unwrap();
        let second = leases.take(1, AGES, Takeover::Allowed);
        let (second, ()) = tokio::join!(second, async {
            assert!(!first.tenure.is_over());
            drop(first);
        });
        assert!(second.is_some());
    }

    #[tokio::test]
    async fn a_commit_is_wholly_before_the_takeover_or_not_at_all() {
        let leases = Arc::<Leases>::default();
        let first = Arc::new(leases.try_take(1).unwrap());
        let commit = first.commit().unwrap();
        assert!(leases.take_over(1).is_none());
        let second = leases.take(1, Duration::ZERO, Takeover::Allowed);
        let (second, ()) = tokio::join!(second, async {
            tokio::task::yield_now().await;
            assert!(!first.tenure.is_over());
            drop(commit);
        });
        assert!(second.is_some() && first.tenure.is_over());
        assert!(first.commit().is_none());
    }

    #[tokio::test]
    async fn a_commit_keeps_the_maildrop_when_its_session_has_gone() {
        let leases = Arc::<Leases>::default();
        let first = Arc::new(leases.try_take(1).unwrap());
        let commit = first.commit().unwrap();
        drop(first);
        assert!(leases.try_take(1).is_none() && leases.take_over(1).is_none());
        drop(commit);
        assert!(leases.try_take(1).is_some());
    }
}

//! Which entries of the queue somebody works on, until when, and who waits for a change.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::QueueId;

/// Whose leases end together: a process that shares the store has one, and so has this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HolderId(u64);

/// Entries that workers have.
#[derive(Debug, Default)]
pub(crate) struct QueueLeases {
    state: Mutex<Held>,
    holders: AtomicU64,
}

#[derive(Debug, Default)]
struct Held {
    leases: HashMap<QueueId, Lease>,
    /// By the seconds since 1970 at which they end.
    ends: BTreeSet<(u64, QueueId)>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    until: u64,
    holder: HolderId,
}

impl Held {
    fn remove(&mut self, id: QueueId) {
        if let Some(lease) = self.leases.remove(&id) {
            self.ends.remove(&(lease.until, id));
        }
    }
}

impl QueueLeases {
    /// This process's own.
    pub(crate) const HERE: HolderId = HolderId(0);

    fn held(&self) -> MutexGuard<'_, Held> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that nobody has.
    pub(crate) fn new_holder(&self) -> HolderId {
        HolderId(self.holders.fetch_add(1, Ordering::Relaxed).saturating_add(1))
    }

    /// True while a worker has the entry.
    pub(crate) fn has(&self, id: QueueId) -> bool {
        self.held().leases.contains_key(&id)
    }

    /// Gives those of the entries to a worker that nobody has, until `until` (seconds since 1970).
    pub(crate) fn take(
        &self,
        ids: impl IntoIterator<Item = QueueId>,
        until: u64,
        holder: HolderId,
    ) -> Vec<QueueId> {
        let mut held = self.held();
        let mut taken = Vec::new();
        for id in ids {
            if let Entry::Vacant(free) = held.leases.entry(id) {
                free.insert(Lease { until, holder });
                held.ends.insert((until, id));
                taken.push(id);
            }
        }
        taken
    }

    /// The entries are nobody's again.
    pub(crate) fn end(&self, ids: impl IntoIterator<Item = QueueId>) {
        let mut held = self.held();
        ids.into_iter().for_each(|id| held.remove(id));
    }

    /// Ends what is over at `now`; true where there was any.
    pub(crate) fn expire(&self, now: u64) -> bool {
        let mut held = self.held();
        let mut any = false;
        while let Some((until, id)) = held.ends.first().copied().filter(|(until, _)| *until <= now) {
            held.ends.remove(&(until, id));
            held.leases.remove(&id);
            any = true;
        }
        any
    }

    /// Ends all that one has; true where there was any.
    pub(crate) fn end_all_of(&self, holder: HolderId) -> bool {
        let mut held = self.held();
        let ids: Vec<_> =
            held.leases.iter().filter(|(_, lease)| lease.holder == holder).map(|(id, _)| *id).collect();
        for id in &ids {
            held.remove(*id);
        }
        !ids.is_empty()
    }

    /// When the next one ends, seconds since 1970.
    pub(crate) fn next_end(&self) -> Option<u64> {
        self.held().ends.first().map(|(until, _)| *until)
    }
}

/// How often the queue has changed so that something may be due sooner than was known.
#[derive(Debug)]
pub(crate) struct QueueChanges(watch::Sender<u64>);

impl Default for QueueChanges {
    /// It begins at another count in each process, so that nobody takes it for what another host has told.
    fn default() -> Self {
        let mut random = [0; 8];
        // Without randomness it is only less likely that the counts differ.
        let _ = getrandom::fill(&mut random);
        Self(watch::Sender::new(u64::from_le_bytes(random) | 1))
    }
}

impl QueueChanges {
    /// Something has changed.
    pub(crate) fn note(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(2));
    }

    /// The count once it is another one than `since`; `None` where it is not within `patience`.
    pub(crate) async fn other_than(&self, since: u64, patience: Duration) -> Option<u64> {
        let mut count = self.0.subscribe();
        let changed = count.wait_for(|count| *count != since);
        tokio::time::timeout(patience, changed).await.ok()?.map(|count| *count).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MessageId;

    fn id(message: u64) -> QueueId {
        QueueId { message: MessageId(message), recipient: 0 }
    }

    #[test]
    fn a_lease_is_one_workers_until_it_is_over() {
        let leases = QueueLeases::default();
        let other = leases.new_holder();
        assert_eq!(leases.take([id(1), id(2)], 100, QueueLeases::HERE), [id(1), id(2)]);
        assert_eq!(leases.take([id(2), id(3)], 50, other), [id(3)]);
        assert_eq!(leases.next_end(), Some(50));
        assert!(!leases.expire(49) && leases.has(id(3)));
        assert!(leases.expire(50) && !leases.has(id(3)) && leases.has(id(1)));
        leases.end([id(1)]);
        assert!(!leases.has(id(1)));
        assert_eq!(leases.next_end(), Some(100));
    }

    #[test]
    fn what_one_has_ends_with_it() {
        let leases = QueueLeases::default();
        let (one, other) = (leases.new_holder(), leases.new_holder());
        leases.take([id(1)], 100, one);
        leases.take([id(2)], 100, other);
        assert!(leases.end_all_of(one));
        assert!(!leases.has(id(1)) && leases.has(id(2)));
        assert!(!leases.end_all_of(one));
    }
}

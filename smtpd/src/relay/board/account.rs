//! One destination on the board: its jobs, its sessions, and how it is doing.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use mailstore::{MessageId, QueueEntry};
use tokio::sync::Notify;

use super::super::limit::Limit;
use super::{Down, Job};

/// One part in so many of the room is a destination's, where there is not enough for all.
const SHARES: usize = 8;
/// Seconds after which an entry comes again for which there was no room: where it is not known whether its destination is
/// there, and at most.
pub(super) const AGAIN_SECONDS: u64 = 3;
const AGAIN_SECONDS_MAX: u64 = 60;
/// Seconds over which is counted how fast a destination takes its mail.
const PACE_SECONDS: u64 = 30;
/// Transactions of one message that wait until it is worth another session.
const SAME_MESSAGE_MAX: usize = 20;

/// One destination.
#[derive(Debug)]
pub(super) struct Account {
    /// By priority, the highest first, then by age.
    pub(super) jobs: BTreeMap<(Reverse<i8>, u64), Job>,
    pub(super) limit: Limit,
    /// Workers: those that connect, and those below.
    pub(super) running: usize,
    /// Sessions.
    pub(super) connected: usize,
    /// Sessions that wait for a further message.
    pub(super) idle: usize,
    /// Rings when there is one.
    pub(super) bell: Arc<Notify>,
    pub(super) is_ready: bool,
    /// Of which message a job was taken last.
    pub(super) last: Option<MessageId>,
    /// Entries in jobs.
    pub(super) entries: usize,
    /// Entries that were taken out of them, since when.
    pub(super) taken: usize,
    pub(super) taken_since: u64,
    /// A connection could be made, and none has failed since.
    pub(super) is_proven: bool,
    /// Connection failures in a row.
    pub(super) failures: u32,
    pub(super) down: Option<Down>,
}

impl Account {
    pub(super) fn new(sessions_max: usize) -> Self {
        Self {
            jobs: BTreeMap::new(),
            limit: Limit::new(sessions_max),
            running: 0,
            connected: 0,
            idle: 0,
            bell: Arc::default(),
            is_ready: false,
            last: None,
            entries: 0,
            taken: 0,
            taken_since: 0,
            is_proven: false,
            failures: 0,
            down: None,
        }
    }

    /// The next job, but for one of the message `open` that could have more recipients.
    pub(super) fn take(&mut self, open: Option<MessageId>, recipients_max: usize) -> Option<Job> {
        let is_whole = |job: &Job| open != Some(job.message) || job.entries.len() >= recipients_max;
        let place = *self.jobs.iter().find(|(_, job)| is_whole(job))?.0;
        let job = self.jobs.remove(&place)?;
        self.last = Some(job.message);
        self.took(job.entries.len());
        Some(job)
    }

    pub(super) const fn took(&mut self, entries: usize) {
        self.entries = self.entries.saturating_sub(entries);
        self.taken = self.taken.saturating_add(entries);
    }

    /// Whether it has its share, and in how many seconds it will have less, at the pace at which its mail went lately.
    pub(super) fn comes_again(&mut self, entries_max: usize, now: u64) -> Option<u64> {
        if !self.is_proven {
            // Somebody tries already whether it is there.
            return (self.running > 0 || self.entries > 0).then_some(AGAIN_SECONDS);
        }
        if self.entries < entries_max / SHARES {
            return None;
        }
        let seconds = now.saturating_sub(self.taken_since).clamp(1, PACE_SECONDS);
        let left = u64::try_from(self.entries).unwrap_or(u64::MAX).saturating_mul(seconds);
        let wait = left / u64::try_from(self.taken).unwrap_or(u64::MAX).max(1);
        if now.saturating_sub(self.taken_since) >= PACE_SECONDS {
            (self.taken, self.taken_since) = (0, now);
        }
        Some(wait.clamp(1, AGAIN_SECONDS_MAX))
    }

    /// Whether what waits is worth one more session: transactions of one message go one after the other, unless they are
    /// many.
    pub(super) fn deserves_session(&self) -> bool {
        let is_other = |job: &Job| Some(job.message) != self.last;
        let ends = self.jobs.values().next().into_iter().chain(self.jobs.values().next_back());
        self.running == 0 || self.jobs.len() > SAME_MESSAGE_MAX || ends.into_iter().any(is_other)
    }

    /// Sessions at one time; one tries whether there is anybody.
    pub(super) const fn allowed(&self) -> usize {
        if self.is_proven { self.limit.allowed() } else { 1 }
    }

    /// Puts an entry beside the others of its message, where these are the last that came. True where their transaction can
    /// have no more.
    pub(super) fn put(
        &mut self,
        entry: QueueEntry,
        leased_until: u64,
        recipients_max: usize,
        sequence: u64,
    ) -> bool {
        self.entries = self.entries.saturating_add(1);
        let priority = Reverse(entry.terms.priority.unwrap_or(0));
        let last = self.jobs.range_mut(..=(priority, u64::MAX)).next_back();
        if let Some((_, job)) = last.filter(|((of, _), job)| {
            *of == priority && job.is_for(&entry) && job.entries.len() < recipients_max
        }) {
            job.leased_until = job.leased_until.min(leased_until);
            job.entries.push(entry);
            return job.entries.len() >= recipients_max;
        }
        let job = Job { message: entry.id.message, entries: vec![entry], leased_until };
        self.jobs.insert((priority, sequence), job);
        recipients_max <= 1
    }
}

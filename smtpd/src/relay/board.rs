//! What is to be sent, by destination: jobs that wait for their turn, and who may begin. Pure: it is told the time.
//!
//! A destination that is down, slow or refuses holds nothing up but its own mail: it has its own queue here and its own
//! limit, and while it is not there its mail waits in the store and takes no room here.

mod account;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use account::Account;
use mailstore::{MessageId, QueueEntry};
use tokio::sync::Notify;

use super::config::RelayConfig;
use super::route::Destination;

/// Destinations that are remembered while nothing is to be sent to them.
const REMEMBERED_MAX: usize = 10_000;

/// What one transaction is for: recipients of one message at one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) message: MessageId,
    /// At least one; as many as one transaction may have.
    pub(super) entries: Vec<QueueEntry>,
    /// Until when they are ours, seconds since 1970.
    pub(super) leased_until: u64,
}

impl Job {
    /// True for another recipient of the same message from the same sender: who forwards has another one.
    fn is_for(&self, entry: &QueueEntry) -> bool {
        let is_forwarded = |entry: &QueueEntry| entry.recipient_terms.is_forwarded();
        self.message == entry.id.message
            && self.entries.first().is_some_and(|first| is_forwarded(first) == is_forwarded(entry))
    }
}

/// All destinations.
#[derive(Debug)]
pub(super) struct Board {
    destinations: HashMap<Destination, Account>,
    /// Destinations with jobs and room for a session, each once, the one that has waited longest first.
    ready: VecDeque<Destination>,
    bounds: Bounds,
    /// More recipients of this message may come at once: its transactions are not begun before they are full.
    open: Option<MessageId>,
    /// Destinations with such transactions.
    withheld: Vec<Destination>,
    entries: usize,
    connecting: usize,
    /// Connections that take long to be made.
    slow: usize,
    sessions: usize,
    /// Sessions that wait for a further message, and those of them that were told to leave.
    idle: usize,
    leaving: usize,
    /// Rings where idle sessions take the room that others wait for.
    leave: Arc<Notify>,
    /// Orders jobs of one priority.
    sequence: u64,
}

/// What a session that waits listens to.
#[derive(Debug)]
pub(super) struct Bells {
    /// There may be a job for it.
    pub(super) job: Arc<Notify>,
    /// Others need its room.
    pub(super) leave: Arc<Notify>,
}

/// Why a session waits no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// It has got a job, or has waited long enough.
    ByItself,
    /// It was told to leave.
    ForOthers,
}

/// The limits of the configuration.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    entries_max: usize,
    sessions_max: usize,
    connecting_max: usize,
    destination_sessions_max: usize,
    recipients_max: usize,
    down_seconds: u64,
    down_seconds_max: u64,
}

/// A destination could not be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Down {
    /// Seconds since 1970.
    pub(super) until: u64,
    pub(super) reason: String,
}

/// What became of an entry that was brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It waits here.
    Waits,
    /// Its destination is down: nothing is tried.
    Down(Box<QueueEntry>, Down),
    /// Its destination has its share of the room, and others need what is left: it comes again after so many seconds.
    NoRoom(Box<QueueEntry>, u64),
}

impl Board {
    pub(super) fn new(config: &RelayConfig) -> Self {
        let bounds = Bounds {
            entries_max: config.entries_max,
            sessions_max: config.sessions_max,
            connecting_max: config.connecting_max,
            destination_sessions_max: config.destination_sessions_max,
            recipients_max: config.recipients_max,
            // Less than the shortest wait, so that what failed first is what tries again.
            down_seconds: config.retry_seconds / 2,
            down_seconds_max: config.retry_seconds_max / 4,
        };
        Self {
            destinations: HashMap::new(),
            ready: VecDeque::new(),
            bounds,
            open: None,
            withheld: Vec::new(),
            entries: 0,
            connecting: 0,
            slow: 0,
            sessions: 0,
            idle: 0,
            leaving: 0,
            leave: Arc::default(),
            sequence: 0,
        }
    }

    /// How many more entries there is room for.
    pub(super) const fn room(&self) -> usize {
        self.bounds.entries_max.saturating_sub(self.entries)
    }

    /// Sessions, and connections that are being made.
    pub(super) const fn busy(&self) -> (usize, usize) {
        (self.sessions, self.connecting.saturating_add(self.slow))
    }

    /// Takes an entry that is ours until `leased_until`.
    pub(super) fn add(
        &mut self,
        destination: &Destination,
        entry: QueueEntry,
        (now, leased_until): (u64, u64),
    ) -> Added {
        let bounds = self.bounds;
        let account = self
            .destinations
            .entry(destination.clone())
            .or_insert_with(|| Account::new(bounds.destination_sessions_max));
        if let Some(down) = account.down.clone().filter(|down| down.until > now) {
            return Added::Down(Box::new(entry), down);
        }
        if self.entries >= bounds.entries_max / 2
            && let Some(seconds) = account.comes_again(bounds.entries_max, now)
        {
            return Added::NoRoom(Box::new(entry), seconds);
        }
        self.sequence = self.sequence.saturating_add(1);
        self.entries = self.entries.saturating_add(1);
        let is_open = self.open == Some(entry.id.message);
        let is_full = account.put(entry, leased_until, bounds.recipients_max, self.sequence);
        if is_full || !is_open {
            self.offer(destination);
        } else if self.withheld.last() != Some(destination) {
            self.withheld.push(destination.clone());
        }
        Added::Waits
    }

    /// What comes next may have more recipients of `message`, and of no other that is here.
    pub(super) fn expects(&mut self, message: Option<MessageId>) {
        if self.open != message {
            self.open = message;
            for destination in std::mem::take(&mut self.withheld) {
                self.offer(&destination);
            }
        }
    }

    /// The next job for which a connection is to be made; both count from now on.
    pub(super) fn start(&mut self) -> Option<(Destination, Job)> {
        while self.connecting < self.bounds.connecting_max && self.sessions < self.bounds.sessions_max {
            let destination = self.ready.pop_front()?;
            let Some(account) = self.destinations.get_mut(&destination) else { continue };
            account.is_ready = false;
            let Some(job) = account.take(self.open, self.bounds.recipients_max) else { continue };
            account.running = account.running.saturating_add(1);
            self.connecting = self.connecting.saturating_add(1);
            self.entries = self.entries.saturating_sub(job.entries.len());
            self.offer(&destination);
            return Some((destination, job));
        }
        self.make_room();
        None
    }

    /// Tells idle sessions to leave, where they take the room that others wait for.
    fn make_room(&mut self) {
        let wanted = if self.is_crowded() { self.ready.len().min(self.idle) } else { 0 };
        while self.leaving < wanted {
            self.leaving = self.leaving.saturating_add(1);
            self.leave.notify_one();
        }
    }

    fn is_crowded(&self) -> bool {
        self.sessions >= self.bounds.sessions_max && !self.ready.is_empty()
    }

    /// A connection takes long to be made. From now on it is counted apart, unless as many are that already.
    pub(super) const fn slows_down(&mut self) -> bool {
        let has_room = self.slow < self.bounds.connecting_max;
        if has_room {
            self.connecting = self.connecting.saturating_sub(1);
            self.slow = self.slow.saturating_add(1);
        }
        has_room
    }

    /// It is there, or has failed.
    pub(super) const fn slows_down_no_more(&mut self) {
        self.connecting = self.connecting.saturating_add(1);
        self.slow = self.slow.saturating_sub(1);
    }

    /// A connection is there.
    pub(super) fn connected(&mut self, destination: &Destination) {
        self.connecting = self.connecting.saturating_sub(1);
        self.sessions = self.sessions.saturating_add(1);
        if let Some(account) = self.destinations.get_mut(destination) {
            account.connected = account.connected.saturating_add(1);
            (account.is_proven, account.failures, account.down) = (true, 0, None);
        }
        self.offer(destination);
    }

    /// A session has gone, and its worker makes another connection.
    pub(super) fn disconnected(&mut self, destination: &Destination) {
        self.sessions = self.sessions.saturating_sub(1);
        self.connecting = self.connecting.saturating_add(1);
        if let Some(account) = self.destinations.get_mut(destination) {
            account.connected = account.connected.saturating_sub(1);
        }
    }

    /// A worker without a session has ended.
    pub(super) fn ended(&mut self, destination: &Destination) {
        self.connecting = self.connecting.saturating_sub(1);
        if let Some(account) = self.destinations.get_mut(destination) {
            account.running = account.running.saturating_sub(1);
        }
        self.offer(destination);
        self.forget();
    }

    /// The next job for a session. There is none where its destination is allowed fewer sessions than it has.
    pub(super) fn next(&mut self, destination: &Destination) -> Option<Job> {
        let account = self.destinations.get_mut(destination)?;
        if account.connected > account.limit.allowed() {
            return None;
        }
        let job = account.take(self.open, self.bounds.recipients_max)?;
        self.entries = self.entries.saturating_sub(job.entries.len());
        Some(job)
    }

    /// As many further recipients of a job's message as there are, up to `count`, for a server that takes fewer at once than
    /// a job has.
    pub(super) fn more(
        &mut self,
        destination: &Destination,
        of: &QueueEntry,
        count: usize,
    ) -> Vec<QueueEntry> {
        let Some(account) = self.destinations.get_mut(destination) else { return Vec::new() };
        let Some((place, job)) = account.jobs.iter_mut().find(|(_, job)| job.is_for(of)) else {
            return Vec::new();
        };
        let place = *place;
        let more: Vec<QueueEntry> = job.entries.drain(..count.min(job.entries.len())).collect();
        if job.entries.is_empty() {
            account.jobs.remove(&place);
        }
        account.took(more.len());
        self.entries = self.entries.saturating_sub(more.len());
        more
    }

    /// A session waits for a further message: until it does no more, no connection is made. It may not where others wait
    /// for its room.
    pub(super) fn waits(&mut self, destination: &Destination) -> Option<Bells> {
        if self.is_crowded() {
            return None;
        }
        let account = self.destinations.get_mut(destination)?;
        account.idle = account.idle.saturating_add(1);
        self.idle = self.idle.saturating_add(1);
        Some(Bells { job: Arc::clone(&account.bell), leave: Arc::clone(&self.leave) })
    }

    /// It does no more.
    pub(super) fn waits_no_more(&mut self, destination: &Destination, left: Left) {
        if let Some(account) = self.destinations.get_mut(destination) {
            account.idle = account.idle.saturating_sub(1);
        }
        self.idle = self.idle.saturating_sub(1);
        // One that was told may have left by itself at that moment.
        self.leaving = self.leaving.saturating_sub(usize::from(left == Left::ForOthers)).min(self.idle);
        self.offer(destination);
    }

    /// A transaction has gone well.
    pub(super) fn went_well(&mut self, destination: &Destination) {
        if let Some(account) = self.destinations.get_mut(destination) {
            account.limit.went_well();
        }
        self.offer(destination);
    }

    /// The destination has put something off, or broken off.
    pub(super) fn was_trouble(&mut self, destination: &Destination) {
        if let Some(account) = self.destinations.get_mut(destination) {
            account.limit.was_trouble();
        }
    }

    /// No connection could be made. Unless others are there, nothing is tried for a while, and what waits here is handed
    /// back.
    pub(super) fn failed(&mut self, destination: &Destination, now: u64, reason: &str) -> Vec<Job> {
        let Bounds { down_seconds, down_seconds_max, .. } = self.bounds;
        let Some(account) = self.destinations.get_mut(destination) else { return Vec::new() };
        account.limit.was_trouble();
        if account.connected > 0 {
            return Vec::new();
        }
        let factor = 1_u64.checked_shl(account.failures).unwrap_or(u64::MAX);
        (account.is_proven, account.failures) = (false, account.failures.saturating_add(1));
        let seconds = down_seconds.saturating_mul(factor).min(down_seconds_max.max(down_seconds));
        account.down = Some(Down { until: now.saturating_add(seconds), reason: reason.to_owned() });
        self.take_all(destination)
    }

    /// Everything that waits for a destination.
    pub(super) fn take_all(&mut self, destination: &Destination) -> Vec<Job> {
        let Some(account) = self.destinations.get_mut(destination) else { return Vec::new() };
        let jobs: Vec<Job> = std::mem::take(&mut account.jobs).into_values().collect();
        self.entries = self.entries.saturating_sub(std::mem::take(&mut account.entries));
        jobs
    }

    /// Puts a destination on the list of those that may begin, where it has something to do and room to do it, and rings
    /// where a session waits for that.
    fn offer(&mut self, destination: &Destination) {
        let Some(account) = self.destinations.get_mut(destination) else { return };
        if account.jobs.is_empty() {
            return;
        }
        if account.idle > 0 {
            account.bell.notify_one();
        } else if !account.is_ready && account.running < account.allowed() && account.deserves_session() {
            account.is_ready = true;
            self.ready.push_back(destination.clone());
        }
    }

    /// Destinations that have nothing to do are not remembered without bound; those that are down last.
    fn forget(&mut self) {
        if self.destinations.len() <= REMEMBERED_MAX.saturating_mul(2) {
            return;
        }
        let mut left = self.destinations.len();
        self.destinations.retain(|_, account| {
            let goes = left > REMEMBERED_MAX && account.running == 0 && account.jobs.is_empty();
            left = left.saturating_sub(usize::from(goes));
            !goes
        });
    }
}

#[cfg(test)]
mod tests;

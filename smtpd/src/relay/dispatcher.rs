//! The one task that knows what is due: it takes entries out of the queue, puts them on the board by destination, and starts
//! workers. It sleeps until something is due, something has changed, or there is room again; nothing polls.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mailstore::{DuePlace, QueueEntry, QueueError, QueueId, QueueOutcome, Then};
use mailwire::cause::chain;
use mailwire::clock;
use mailwire::net::Shutdown;
use mailwire::smtp::Enhanced;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};
use tracing::{Instrument, info_span, warn};

use super::answer::answer;
use super::board::{Added, Down};
use super::conclusion::{Attempted, conclude, settle};
use super::schedule::is_too_late;
use super::verdict::Finding;
use super::work::not_tried;
use super::worker::{Common, Worker};

/// Entries that are asked for at one time.
const PAGE_ENTRIES: usize = 500;
/// Seconds for which entries are taken out of the queue. Those whose turn has not come by then are taken anew.
const LEASE_SECONDS: u64 = 2 * 60 * 60;
/// How long the queue is looked through from where it was left; then from its front again, where entries may have come.
const SWEEP: Duration = Duration::from_secs(1);
/// How long a store that does not answer is left alone.
const STORE_PAUSE: Duration = Duration::from_secs(2);
/// The longest sleep: clocks are set, and suspended machines wake up.
const SLEEP_MAX: Duration = Duration::from_mins(5);

/// Takes mail out of the queue until the drain begins.
pub(super) struct Dispatcher {
    common: Arc<Common>,
    shutdown: Shutdown,
    workers: JoinSet<()>,
    /// Behind what the queue is looked through, and since when.
    sweep: Option<(DuePlace, Instant)>,
    /// What the queue said last of how often it has changed.
    changes: u64,
}

/// What does not wait on the board.
#[derive(Default)]
struct Posted {
    /// Nothing is tried now.
    not_now: Vec<(QueueEntry, Finding)>,
    /// Nothing is tried, or nothing any more.
    no_more: Vec<(QueueEntry, Finding)>,
    /// It was delivered here, and its sender wants to hear of that.
    delivered: Vec<(QueueEntry, Finding)>,
    /// An account here owes the recipient an answer.
    answers: Vec<QueueEntry>,
    /// There is no room for it now, which is no attempt.
    no_room: Vec<QueueOutcome>,
}

/// Why the dispatcher has woken up.
enum Woken {
    Changed(Result<u64, QueueError>),
    Other,
    Drain,
}

impl Dispatcher {
    pub(super) fn new(common: Arc<Common>, shutdown: Shutdown) -> Self {
        Self { common, shutdown, workers: JoinSet::new(), sweep: None, changes: 0 }
    }

    /// Runs until the drain has begun, and until every worker has come to the end of its transaction. Whoever drops this
    /// future breaks them off.
    pub(super) async fn run(mut self) {
        let common = Arc::clone(&self.common);
        let watch = |since, pause: Duration| {
            let queue = Arc::clone(&common.store.queue);
            Box::pin(async move {
                if !pause.is_zero() {
                    sleep(pause).await;
                }
                queue.changed(since).await
            }) as Pin<Box<dyn Future<Output = _> + Send>>
        };
        let mut changed = watch(self.changes, Duration::ZERO);
        loop {
            let wakes_at = match self.fill().await {
                Ok(due) => until(due),
                Err(error) => {
                    warn!(reason = chain(&error), "the queue cannot be read");
                    clock::instant() + STORE_PAUSE
                }
            };
            self.start();
            match self.wait(changed.as_mut(), wakes_at).await {
                Woken::Changed(Ok(count)) => {
                    self.changes = count;
                    changed = watch(count, Duration::ZERO);
                }
                Woken::Changed(Err(error)) => {
                    warn!(reason = chain(&error), "the queue does not say what changes");
                    // Whatever happens meanwhile is not known.
                    (self.sweep, self.changes) = (None, 0);
                    changed = watch(0, STORE_PAUSE);
                }
                Woken::Other => {}
                Woken::Drain => break,
            }
        }
        while self.workers.join_next().await.is_some() {}
    }

    async fn wait(
        &mut self,
        changed: Pin<&mut (dyn Future<Output = Result<u64, QueueError>> + Send)>,
        wakes_at: Instant,
    ) -> Woken {
        let Self { workers, shutdown, common, .. } = self;
        tokio::select! {
            () = shutdown.begun() => Woken::Drain,
            count = changed => Woken::Changed(count),
            () = common.room.notified() => Woken::Other,
            Some(_) = workers.join_next() => Woken::Other,
            () = sleep_until(wakes_at.into()) => Woken::Other,
        }
    }

    /// Takes what is due, as long as there is room for it; says when there will be more, where that is known.
    async fn fill(&mut self) -> Result<Option<u64>, QueueError> {
        let filled = self.take_pages().await;
        // Whatever has come of it: nothing waits for what does not come.
        self.common.board().expects(None);
        self.start();
        filled
    }

    /// A message may have more recipients than are asked for at one time: its last transaction of each page waits for the
    /// next one.
    async fn take_pages(&mut self) -> Result<Option<u64>, QueueError> {
        let queue = Arc::clone(&self.common.store.queue);
        loop {
            let now = clock::unix_seconds();
            let room = self.common.board().room().min(PAGE_ENTRIES);
            if room == 0 {
                // Whoever makes room rings.
                return Ok(None);
            }
            let after = self.sweep.filter(|(_, since)| clock::instant().duration_since(*since) < SWEEP);
            let page = queue.due(now, after.map(|(place, _)| place), room).await?;
            let Some(last) = page.iter().map(QueueEntry::place).max() else { break };
            self.sweep = Some((last, after.map_or_else(clock::instant, |(_, since)| since)));
            self.take(page, now).await?;
            self.start();
        }
        let next = queue.next_due().await?;
        // What is due now and was not found is before where the search began.
        if next.is_some_and(|due| due <= clock::unix_seconds()) {
            self.sweep = None;
        }
        Ok(next)
    }

    /// Makes entries ours, and puts them on the board.
    async fn take(&mut self, page: Vec<QueueEntry>, now: u64) -> Result<(), QueueError> {
        let leased_until = now.saturating_add(LEASE_SECONDS);
        let ids: Vec<QueueId> = page.iter().map(|entry| entry.id).collect();
        let mut ours = self.common.store.queue.lease(&ids, leased_until).await?;
        ours.sort_unstable();
        let page = page.into_iter().filter(|entry| ours.binary_search(&entry.id).is_ok());
        let Posted { not_now, no_more, delivered, answers, no_room } = self.post(page, now, leased_until);
        if !answers.is_empty() {
            self.workers.spawn(answer(Arc::clone(&self.common), answers));
        }
        settle(&self.common, no_room).await;
        if !delivered.is_empty() {
            conclude(&self.common, &Attempted::here(), delivered).await;
        }
        for findings in [not_now, no_more] {
            if !findings.is_empty() {
                conclude(&self.common, &Attempted::default(), findings).await;
            }
        }
        Ok(())
    }

    /// Puts entries on the board, all of them at once, or a worker would take a message's first recipient before the others
    /// are there.
    fn post(&self, page: impl Iterator<Item = QueueEntry>, now: u64, leased_until: u64) -> Posted {
        let Posted { mut not_now, mut no_more, mut delivered, mut answers, mut no_room } = Posted::default();
        let page: Vec<QueueEntry> = page.collect();
        let mut board = self.common.board();
        board.expects(page.last().map(|entry| entry.id.message));
        for entry in page {
            if let Some(words) = entry.recipient_terms.refusal() {
                // X.7.1: delivery not authorized, message refused.
                let finding = Finding::never(Enhanced(5, 7, 1), words);
                no_more.push((entry, finding));
                continue;
            }
            if entry.recipient_terms.is_delivered() {
                delivered.push((entry, Finding::delivered()));
                continue;
            }
            if entry.recipient_terms.answering().is_some() {
                answers.push(entry);
                continue;
            }
            if is_too_late(&entry, now) {
                let said = "the time is over within which the sender wanted it delivered";
                no_more.push((entry, Finding::never(Enhanced(5, 4, 7), said)));
                continue;
            }
            let destination = self.common.routes.destination(&entry);
            match board.add(&destination, entry, (now, leased_until)) {
                Added::Waits => {}
                Added::Down(entry, Down { reason, .. }) => {
                    let finding = Finding::later(Enhanced(4, 4, 1), &reason);
                    not_now.push((*entry, not_tried(&finding)));
                }
                Added::NoRoom(entry, seconds) => {
                    let then = Then::Defer { due: now.saturating_add(seconds), warned: entry.is_warned };
                    no_room.push(QueueOutcome { id: entry.id, attempt: None, then });
                }
            }
        }
        Posted { not_now, no_more, delivered, answers, no_room }
    }

    /// Starts a worker for each destination that may have one more. Those that have ended go first, all of them: each holds
    /// its memory until then.
    fn start(&mut self) {
        while self.workers.try_join_next().is_some() {}
        while !self.shutdown.has_begun() {
            let Some((destination, job)) = self.common.board().start() else { return };
            let span = info_span!("relay", destination = self.common.routes.name(&destination));
            let (common, shutdown) = (Arc::clone(&self.common), self.shutdown.clone());
            self.workers.spawn(Worker { common, destination, shutdown }.run(job).instrument(span));
        }
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        let (sessions, connecting) = self.common.board().busy();
        if sessions > 0 || connecting > 0 {
            let in_doubt = self.common.in_doubt.load(Ordering::Relaxed);
            warn!(
                sessions,
                connecting, in_doubt, "relaying was broken off: what was under way is sent again"
            );
        }
    }
}

/// When to look again at the latest.
fn until(due: Option<u64>) -> Instant {
    let seconds = due.map(|due| due.saturating_sub(clock::unix_seconds()));
    let pause = seconds.map_or(SLEEP_MAX, |seconds| Duration::from_secs(seconds.max(1)));
    clock::instant() + pause.min(SLEEP_MAX)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Sick, common};
    use super::*;

    #[tokio::test]
    async fn the_drain_does_not_wait_for_a_store_that_does_not_answer() {
        let queue = Arc::new(Sick::default());
        let (_folder, common) = common(queue.clone()).await;
        let (trigger, shutdown) = Shutdown::new();
        let running = tokio::spawn(Dispatcher::new(Arc::new(common), shutdown).run());
        queue.asked.notified().await;
        let times = queue.times_due.load(Ordering::Relaxed);
        trigger.trigger();
        running.await.unwrap();
        assert_eq!(
            queue.times_due.load(Ordering::Relaxed),
            times,
            "the pause was over before the drain began"
        );
    }
}

//! One worker of one destination: gets to a session, sends job after job over it, and says what became of each.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mailstore::{MessageId, QueueEntry, Store};
use mailwire::address::ReversePath;
use mailwire::cause::chain;
use mailwire::clock;
use mailwire::net::Shutdown;
use mailwire::smtp::client::Envelope;
use mailwire::smtp::{Enhanced, Hello};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::approach::{Reached, Unreachable, reach};
use super::board::{Bells, Board, Job, Left};
use super::conclusion::{Attempted, conclude};
use super::config::RelayConfig;
use super::content::Content;
use super::envelope::{self, Hindrance};
use super::fitting::{self, Fitted, Misfit};
use super::forwarding;
use super::link::{Ending, Obstacle, Waits};
use super::names::Names;
use super::reporter::Reporter;
use super::route::{Destination, Routes};
use super::schedule::Schedule;
use super::security::Trust;
use super::verdict::{Fate, Finding};
use super::work::{Work, gone, is_farewell, not_tried};
use crate::dkim::Signatory;
use crate::reports::Tally;

/// Seconds for which a job must still be ours when its transaction begins: longer than a usual one takes.
const LEASE_SECONDS_LEFT_MIN: u64 = 30 * 60;

/// How long it takes to get to a session where nothing is wrong. Longer ones are counted apart, so that servers that do not
/// answer leave room for those that do.
const QUICK: Duration = Duration::from_secs(3);

/// What all workers share.
pub(super) struct Common {
    pub(super) store: Store,
    pub(super) reporter: Reporter,
    pub(super) config: RelayConfig,
    pub(super) routes: Routes,
    pub(super) schedule: Schedule,
    pub(super) names: Names,
    pub(super) trust: Trust,
    pub(super) signatory: Signatory,
    /// Where sessions are counted, if they are.
    pub(super) tally: Option<Tally>,
    board: Mutex<Board>,
    /// Rings when the board may have room, or something to start.
    pub(super) room: Notify,
    pub(super) hello: Hello,
    /// Whoever makes answers has it: no two are made at a time.
    pub(super) answering: AsyncMutex<()>,
    /// Messages of which nobody knows whether they were taken: the connection broke behind the final dot.
    pub(super) in_doubt: AtomicU64,
}

/// Who this server is, and what it works with.
pub(super) struct Means {
    pub(super) reporter: Reporter,
    pub(super) config: RelayConfig,
    pub(super) routes: Routes,
    pub(super) names: Names,
    pub(super) trust: Trust,
    pub(super) signatory: Signatory,
}

impl Common {
    pub(super) fn new(means: Means) -> Self {
        let Means { reporter, config, routes, names, trust, signatory } = means;
        Self {
            store: reporter.store.clone(),
            schedule: Schedule::new(&config),
            board: Mutex::new(Board::new(&config)),
            config,
            routes,
            names,
            trust,
            signatory,
            tally: None,
            room: Notify::new(),
            hello: Hello::Domain(reporter.hostname.clone()),
            reporter,
            answering: AsyncMutex::new(()),
            in_doubt: AtomicU64::new(0),
        }
    }

    /// All destinations. Nothing is awaited while one has it.
    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn waits(&self) -> Waits {
        Waits {
            connect: Duration::from_secs(self.config.connect_seconds),
            reply: Duration::from_secs(self.config.reply_seconds),
            end: Duration::from_secs(self.config.end_seconds),
            limits: self.config.connection_limits(),
        }
    }
}

/// One worker.
pub(super) struct Worker {
    pub(super) common: Arc<Common>,
    pub(super) destination: Destination,
    pub(super) shutdown: Shutdown,
}

/// Whether a session has served a message before: the server may have closed it since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    Fresh,
    Used,
}

/// What became of a job.
enum Done {
    /// Its outcomes are known; whether the destination was all right.
    Concluded { trouble: Option<Finding> },
    /// The session was gone before anything had been tried: another one may do better.
    Again(Job),
}

impl Worker {
    /// From the first job to the end of the last session.
    pub(super) async fn run(self, job: Job) {
        let mut next = Some(job);
        while let Some(job) = next {
            next = match self.reach().await {
                Some(Ok(reached)) => self.serve(reached, job).await,
                Some(Err(unreachable)) => {
                    self.unreachable(job, unreachable).await;
                    None
                }
                None => None,
            };
        }
        self.common.board().ended(&self.destination);
        self.common.room.notify_one();
    }

    /// Gets to a session. Where the drain begins meanwhile there is none: nothing has been said, and what was to be sent is
    /// free again when this process ends.
    async fn reach(&self) -> Option<Result<Reached, Unreachable>> {
        let mut reaching = pin!(reach(&self.common, &self.destination));
        let mut is_slow = false;
        let reached = loop {
            tokio::select! {
                biased;
                () = self.shutdown.begun() => break None,
                reached = &mut reaching => break Some(reached),
                () = sleep(QUICK), if !is_slow => {
                    is_slow = self.common.board().slows_down();
                    self.common.room.notify_one();
                }
            }
        };
        if is_slow {
            self.common.board().slows_down_no_more();
        }
        reached
    }

    /// One session. Gives the job to go on with over another one.
    async fn serve(&self, mut reached: Reached, job: Job) -> Option<Job> {
        self.common.board().connected(&self.destination);
        self.common.room.notify_one();
        let (next, trouble) = self.session(&mut reached, job).await;
        self.common.board().disconnected(&self.destination);
        self.common.room.notify_one();
        match trouble {
            Some(finding) if next.is_none() => self.put_off_others(&finding, "").await,
            Some(_) | None => {}
        }
        // Last, since that may take a while with a server that is in trouble.
        reached.link.close().await;
        next
    }

    /// Sends over one connection. Gives the job to go on with over another one, or why the destination is to be left alone.
    async fn session(&self, reached: &mut Reached, first: Job) -> (Option<Job>, Option<Finding>) {
        let mut messages = 0_u32;
        let mut job = first;
        let messages_max = reached.link.limits().mail_max.unwrap_or(u32::MAX);
        let messages_max = messages_max.min(self.common.config.session_messages_max).max(1);
        loop {
            let age = if messages == 0 { Age::Fresh } else { Age::Used };
            messages = messages.saturating_add(1);
            let trouble = match self.job(reached, job, age).await {
                Done::Again(job) => return (Some(job), None),
                Done::Concluded { trouble } => trouble,
            };
            self.common.room.notify_one();
            if self.shutdown.has_begun() {
                return (None, None);
            }
            if reached.link.is_over() && trouble.is_some() && age == Age::Fresh {
                return (None, trouble);
            }
            if reached.link.is_over() || messages >= messages_max {
                return (self.common.board().next(&self.destination), None);
            }
            match self.wait_for_job().await {
                Some(next) => job = next,
                None => return (None, None),
            }
        }
    }

    /// The next job, for which an idle session waits a little.
    async fn wait_for_job(&self) -> Option<Job> {
        let Bells { job: bell, leave } = {
            // In one look, or a job that comes in between would ring for nobody.
            let mut board = self.common.board();
            if let Some(job) = board.next(&self.destination) {
                return Some(job);
            }
            board.waits(&self.destination)?
        };
        let job = async {
            loop {
                bell.notified().await;
                if let Some(job) = self.common.board().next(&self.destination) {
                    return job;
                }
            }
        };
        let idle = Duration::from_secs(self.common.config.session_idle_seconds);
        let (job, left) = tokio::select! {
            job = timeout(idle, job) => (job.ok(), Left::ByItself),
            () = leave.notified() => (None, Left::ForOthers),
            () = self.shutdown.begun() => (None, Left::ByItself),
        };
        self.common.board().waits_no_more(&self.destination, left);
        self.common.room.notify_one();
        job
    }

    /// One message to all its recipients here: mostly one transaction, more where the server takes few recipients at once.
    async fn job(&self, reached: &mut Reached, job: Job, session: Age) -> Done {
        let now = clock::unix_seconds();
        // Somebody else may have it soon: it stays due.
        if job.leased_until < now.saturating_add(LEASE_SECONDS_LEFT_MIN) {
            debug!(
                message_id = job.message.0,
                "a job waited too long for its turn, and is taken up again later"
            );
            return Done::Concluded { trouble: None };
        }
        let prepared = self.prepared(reached, &job).await;
        let mut work = Work { left: job.entries, findings: Vec::new(), is_begun: false, trouble: None };
        let (fitted, rewritten) = match prepared {
            Ok(prepared) => prepared,
            Err(finding) => {
                let left = std::mem::take(&mut work.left);
                work.found(left, &finding);
                return self.conclude(reached, work).await;
            }
        };
        while !work.left.is_empty() {
            self.fill_up(reached, &mut work);
            let rest = work.left.split_off(self.recipients_max(reached).min(work.left.len()));
            let part = std::mem::replace(&mut work.left, rest);
            let envelope = match envelope::of(&part, &fitted, &reached.link, rewritten.clone()) {
                Ok(envelope) => envelope,
                Err(Hindrance { status, said }) => {
                    work.found(part, &Finding::never(status, &said));
                    continue;
                }
            };
            match self.transact(reached, envelope, (&part, &fitted)).await {
                // It may just be tired of the session: another one may do better.
                Ending::Verdicts(verdicts)
                    if session == Age::Used && !work.is_begun && is_farewell(&verdicts) =>
                {
                    let entries = part.into_iter().chain(work.left).collect();
                    return Done::Again(Job { entries, ..job });
                }
                Ending::Verdicts(verdicts) => {
                    work.sort(part, &verdicts);
                    if reached.link.is_over() {
                        work.give_up(work.trouble.clone().unwrap_or_else(gone));
                    } else if !work.left.is_empty() {
                        // What has been taken is so, whatever becomes of the others.
                        let findings = std::mem::take(&mut work.findings);
                        conclude(&self.common, &attempted(reached), findings).await;
                    }
                }
                Ending::Lost(_) if session == Age::Used && !work.is_begun => {
                    let entries = part.into_iter().chain(work.left).collect();
                    return Done::Again(Job { entries, ..job });
                }
                Ending::Lost(obstacle) => {
                    work.left.splice(0..0, part);
                    work.give_up(Finding::of_obstacle(&obstacle));
                }
                Ending::InDoubt(obstacle) => {
                    self.note_doubt(job.message, reached, &obstacle);
                    work.left.splice(0..0, part);
                    work.give_up(Finding::in_doubt(&obstacle));
                }
            }
        }
        self.conclude(reached, work).await
    }

    /// What goes over this session of a job's message, and from whom, where that is another one than it came from.
    async fn prepared(&self, reached: &Reached, job: &Job) -> Result<(Fitted, Option<ReversePath>), Finding> {
        let Some(entry) = job.entries.first() else {
            return Err(Finding::never(Enhanced(5, 0, 0), "the message has no recipient"));
        };
        let rewritten = forwarding::reverse_path(&self.common, entry).await?;
        let fitted = fitting::fit(&self.common, entry, reached.link.abilities()).await;
        match fitted {
            Ok(fitted) => Ok((fitted, rewritten)),
            Err(Misfit::Hindrance(Hindrance { status, said })) => Err(Finding::never(status, &said)),
            // X.3.0: our own store failed.
            Err(Misfit::Content(error)) => Err(Finding::later(Enhanced(4, 3, 0), &chain(&error))),
        }
    }

    /// RFC 5321 §4.5.4.2 has no way around it: either it is lost, or it may arrive twice.
    fn note_doubt(&self, message: MessageId, reached: &Reached, obstacle: &Obstacle) {
        let in_doubt = self.common.in_doubt.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        warn!(
            message_id = message.0,
            place = reached.place,
            reason = chain(obstacle),
            in_doubt,
            "nobody knows whether the message was taken: it is sent again and may arrive twice"
        );
    }

    async fn conclude(&self, reached: &mut Reached, work: Work) -> Done {
        let Work { findings, trouble, .. } = work;
        match &trouble {
            None => self.common.board().went_well(&self.destination),
            Some(_) => self.common.board().was_trouble(&self.destination),
        }
        conclude(&self.common, &attempted(reached), findings).await;
        Done::Concluded { trouble }
    }

    async fn transact(
        &self,
        reached: &mut Reached,
        envelope: Envelope,
        (part, fitted): (&[QueueEntry], &Fitted),
    ) -> Ending {
        let Some(entry) = part.first() else { return Ending::Verdicts(Vec::new()) };
        let mut content = Content::new(&*self.common.store.queue, entry)
            .converted(fitted.plan.as_ref())
            .behind(&fitted.signatures);
        reached.link.transact(envelope, &mut content).await
    }

    /// RFC 9422 §4.2: what the server says, where that is less.
    fn recipients_max(&self, reached: &Reached) -> usize {
        let announced = reached.link.limits().rcpt_max.and_then(|most| usize::try_from(most).ok());
        announced.unwrap_or(usize::MAX).min(self.common.config.recipients_max).max(1)
    }

    /// RFC 9422 §4.2: where the server takes fewer than a job has, its last transaction is filled up with others of the message.
    fn fill_up(&self, reached: &Reached, work: &mut Work) {
        let most = self.recipients_max(reached);
        let missing = most.saturating_sub(work.left.len());
        if most < self.common.config.recipients_max
            && missing > 0
            && let Some(first) = work.left.first()
        {
            let more = self.common.board().more(&self.destination, first, missing);
            work.left.extend(more);
        }
    }

    /// There is no session: the job is put off or failed, and with it what else waits for the destination.
    async fn unreachable(&self, job: Job, unreachable: Unreachable) {
        let Unreachable { finding, place } = unreachable;
        let attempted = Attempted::without_session(place.clone());
        let findings = job.entries.into_iter().map(|entry| (entry, finding.clone())).collect();
        conclude(&self.common, &attempted, findings).await;
        self.put_off_others(&finding, &place).await;
    }

    /// What waits for the destination is not tried: it would meet the same.
    async fn put_off_others(&self, finding: &Finding, place: &str) {
        let now = clock::unix_seconds();
        let jobs = match finding.fate {
            Fate::Never => self.common.board().take_all(&self.destination),
            Fate::Later | Fate::Taken => self.common.board().failed(&self.destination, now, &finding.said),
        };
        let place = if finding.fate == Fate::Never { place } else { "" };
        for job in jobs {
            let finding = not_tried(finding);
            let findings = job.entries.into_iter().map(|entry| (entry, finding.clone())).collect();
            conclude(&self.common, &Attempted::without_session(place.to_owned()), findings).await;
        }
    }
}

/// What was said since it was asked last.
fn attempted(reached: &mut Reached) -> Attempted {
    Attempted {
        place: reached.place.clone(),
        host: reached.host.clone(),
        dialogue: reached.link.take_dialogue(),
        tells: reached.link.tells(),
    }
}

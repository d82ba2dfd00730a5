//! Mail that the postmaster ends: it leaves the queue, and its sender hears of it as if its time were over.

use std::collections::BTreeMap;

use mailstore::{
    Attempt, IntakeError, MessageId, QueueEntry, QueueError, QueueId, QueueOutcome, QueueState, Store, Then,
};
use mailwire::address::{AddressError, ReversePath};
use mailwire::clock;
use mailwire::daemon::config::Server;
use mailwire::escape::escaped;
use mailwire::smtp::Enhanced;
use thiserror::Error;
use tracing::info;

use super::conclusion::failure_report;
use super::config::RelayConfig;
use super::report::{self, Cause, Kind, Subject};
use super::reporter::Reporter;
use super::verdict::Finding;

/// Seconds for which no attempt is begun while reports are made.
const LEASE_SECONDS: u64 = 10 * 60;

/// Ends entries of the queue by the postmaster's word, whether or not a server runs on the store.
pub struct Bouncer {
    reporter: Reporter,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounced {
    /// It has ended, and its sender is told.
    Told,
    /// It has ended, and nobody is told.
    Silent(Silence),
    /// Nothing has changed: it waits for its turn with a server that sends it, or is being sent.
    Busy,
    /// It was not in the queue any more.
    Gone,
}

/// Why nobody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It is a report itself, or another message from nobody (RFC 5321 §4.5.5).
    Nobody,
    /// Its sender does not want to hear of failures (RFC 3461 §4.1).
    Unwanted,
    /// It is only here for its sender to hear that it was delivered.
    Delivered,
    /// Its sender had a mailbox here, and has none any more.
    SenderGone,
}

/// Why entries of a message are still in the queue.
#[derive(Debug, Error)]
pub enum BounceError {
    /// The queue does not answer.
    #[error("the queue does not answer")]
    Queue(#[from] QueueError),
    /// There is no report, so there is no end.
    #[error("its sender cannot be told")]
    Report(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Bouncer {
    /// With reports as the relay of this configuration sends them.
    ///
    /// # Errors
    /// Where the server's own name or a domain is none.
    pub fn new(config: &RelayConfig, server: &Server, store: &Store) -> Result<Self, AddressError> {
        Ok(Self { reporter: Reporter::new(config, server, store)? })
    }

    /// Ends `entries`, at most [`mailstore::QUEUE_CHANGES_MAX`]: those of each message of which its sender hears in one
    /// commit with the report. Tells what became of each, in another order.
    ///
    /// # Errors
    /// Where some of them cannot be ended; what was ended before is so.
    pub async fn bounce(
        &self,
        entries: Vec<QueueEntry>,
        reason: Option<&str>,
    ) -> Result<Vec<(QueueId, Bounced)>, BounceError> {
        let now = clock::unix_seconds();
        let (ours, mut bounced) = self.take(entries, now).await?;
        let said = match reason {
            Some(reason) => format!("the postmaster has ended it: {reason}"),
            None => "the postmaster has ended it".to_owned(),
        };
        let mut told: BTreeMap<MessageId, Vec<QueueEntry>> = BTreeMap::new();
        let mut silent = Vec::new();
        for entry in ours {
            match silence(&entry) {
                Some(silence) => silent.push((entry, silence)),
                None => told.entry(entry.id.message).or_default().push(entry),
            }
        }
        bounced.extend(self.end(&silent, &said, now).await?);
        for entries in told.into_values() {
            bounced.extend(self.tell(entries, &said, now).await?);
        }
        Ok(bounced)
    }

    /// Keeps everybody else from sending them. What is held is sent by nobody, unless it was begun before.
    async fn take(
        &self,
        entries: Vec<QueueEntry>,
        now: u64,
    ) -> Result<(Vec<QueueEntry>, Vec<(QueueId, Bounced)>), QueueError> {
        let waiting: Vec<QueueId> =
            entries.iter().filter(|entry| entry.state == QueueState::Waiting).map(|entry| entry.id).collect();
        let mut ours = Vec::new();
        if !waiting.is_empty() {
            ours = self.reporter.store.queue.lease(&waiting, now.saturating_add(LEASE_SECONDS)).await?;
            ours.sort_unstable();
        }
        let is_ours = |entry: &QueueEntry| match entry.state {
            QueueState::Waiting => ours.binary_search(&entry.id).is_ok(),
            QueueState::Held => !entry.is_leased,
        };
        let (ours, busy): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_ours);
        Ok((ours, busy.iter().map(|entry| (entry.id, Bounced::Busy)).collect()))
    }

    /// Ends them without a report.
    async fn end(
        &self,
        entries: &[(QueueEntry, Silence)],
        said: &str,
        now: u64,
    ) -> Result<Vec<(QueueId, Bounced)>, QueueError> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let outcomes = entries.iter().map(|(entry, _)| outcome(entry, said, now)).collect();
        let mut ended = self.reporter.store.queue.settle(outcomes).await?;
        ended.sort_unstable();
        let bounced = entries.iter().map(|(entry, silence)| {
            if ended.binary_search(&entry.id).is_err() {
                return (entry.id, Bounced::Gone);
            }
            log(entry, said);
            (entry.id, Bounced::Silent(*silence))
        });
        Ok(bounced.collect())
    }

    /// Ends entries of one message, of which its sender hears by the same commit.
    async fn tell(
        &self,
        mut entries: Vec<QueueEntry>,
        said: &str,
        now: u64,
    ) -> Result<Vec<(QueueId, Bounced)>, BounceError> {
        let mut gone = Vec::new();
        loop {
            let outcomes = entries.iter().map(|entry| outcome(entry, said, now)).collect();
            match self.report(&entries, said, outcomes, now).await {
                Ok(()) => {
                    for entry in &entries {
                        log(entry, said);
                    }
                    return Ok(all(&entries, Bounced::Told).chain(gone).collect());
                }
                Err(report::SendError::Nobody) => {
                    let silent = entries.into_iter().map(|entry| (entry, Silence::SenderGone));
                    let ended = self.end(&silent.collect::<Vec<_>>(), said, now).await?;
                    return Ok(ended.into_iter().chain(gone).collect());
                }
                // What is not there any more is not reported, and neither is it read; the others are.
                Err(
                    failure @ (report::SendError::Commit(IntakeError::Concluded)
                    | report::SendError::Content(_)),
                ) => {
                    let (there, missing) = self.there(entries).await?;
                    // Nothing would be different another time.
                    if missing.is_empty() {
                        return Err(BounceError::Report(Box::new(failure)));
                    }
                    gone.extend(all(&missing, Bounced::Gone));
                    entries = there;
                }
                Err(failure) => return Err(BounceError::Report(Box::new(failure))),
            }
        }
    }

    /// Which of them are still in the queue, and which are not.
    async fn there(
        &self,
        entries: Vec<QueueEntry>,
    ) -> Result<(Vec<QueueEntry>, Vec<QueueEntry>), QueueError> {
        let (mut there, mut missing) = (Vec::new(), Vec::new());
        for entry in entries {
            match self.reporter.store.queue.show(entry.id).await {
                Ok(_) => there.push(entry),
                Err(QueueError::Missing) => missing.push(entry),
                Err(error @ (QueueError::TooMany | QueueError::Unavailable(_))) => return Err(error),
            }
        }
        Ok((there, missing))
    }

    async fn report(
        &self,
        entries: &[QueueEntry],
        said: &str,
        outcomes: Vec<QueueOutcome>,
        now: u64,
    ) -> Result<(), report::SendError> {
        // X.0.0: no other code is about what a postmaster decides.
        let finding = Finding::never(Enhanced(5, 0, 0), said);
        let subject = |entry| Subject {
            entry,
            finding: &finding,
            status: finding.status,
            cause: Cause::Postmaster,
            host: "",
            retry_until: None,
        };
        let subjects: Vec<_> = entries.iter().map(subject).collect();
        report::send(&self.reporter, Kind::Failed, &subjects, outcomes, now).await
    }
}

/// Why nobody hears of the end of `entry`, where that is so.
fn silence(entry: &QueueEntry) -> Option<Silence> {
    if entry.reverse_path == ReversePath::Null {
        return Some(Silence::Nobody);
    }
    if entry.recipient_terms.is_delivered() {
        return Some(Silence::Delivered);
    }
    failure_report(entry).is_none().then_some(Silence::Unwanted)
}

fn outcome(entry: &QueueEntry, said: &str, now: u64) -> QueueOutcome {
    let attempt = Attempt { at: now, said: said.to_owned(), ..Attempt::default() };
    QueueOutcome { id: entry.id, attempt: Some(attempt), then: Then::Failed }
}

fn all(entries: &[QueueEntry], bounced: Bounced) -> impl Iterator<Item = (QueueId, Bounced)> {
    entries.iter().map(move |entry| (entry.id, bounced))
}

fn log(entry: &QueueEntry, said: &str) {
    let recipient = escaped(entry.recipient.text().as_bytes());
    info!(message_id = entry.id.message.0, recipient, said, "bounced");
}

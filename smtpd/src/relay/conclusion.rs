//! What an attempt came to, made true: outcomes in the queue, and the reports that senders get, each in one commit with the
//! outcomes that it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use mailstore::{
    Attempt, ByMode, IntakeError, MessageId, Notify, QUEUE_CHANGES_MAX, QueueEntry, QueueError, QueueOutcome,
    Then,
};
use mailwire::address::ReversePath;
use mailwire::cause::chain;
use mailwire::clock;
use mailwire::escape::escaped;
use mailwire::smtp::Enhanced;
use tracing::{error, info, warn};

use super::report::{self, Cause, Kind, Subject};
use super::schedule::Next;
use super::verdict::{Fate, Finding};
use super::worker::Common;

/// How long outcomes are offered to a store that does not answer, and how long the next try waits at most.
const SETTLE: Duration = Duration::from_mins(10);
const SETTLE_PAUSE_MAX: Duration = Duration::from_secs(30);

/// What was tried.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempted {
    /// The host, its address and TLS; empty where nobody was asked.
    pub(super) place: String,
    /// The host's name, which reports give.
    pub(super) host: String,
    pub(super) dialogue: String,
    pub(super) tells: Tells,
}

/// What the other server tells the sender itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tells {
    /// It has DSN (RFC 3461).
    pub(super) delivery: bool,
    /// It has DELIVERBY (RFC 2852).
    pub(super) delay: bool,
}

/// One entry, what was found, and what becomes of it.
struct Case {
    entry: QueueEntry,
    finding: Finding,
    then: Then,
    /// What its sender is told.
    told: Option<Kind>,
}

impl Attempted {
    /// Nobody had to be asked.
    pub(super) fn here() -> Self {
        Self { place: Attempt::HERE.to_owned(), ..Self::default() }
    }

    /// Nobody said anything.
    pub(super) fn without_session(place: String) -> Self {
        let host = place.split(' ').next().unwrap_or_default().to_owned();
        Self { place, host, ..Self::default() }
    }
}

/// Concludes what was found of entries, of one message or several.
pub(super) async fn conclude(common: &Common, attempted: &Attempted, findings: Vec<(QueueEntry, Finding)>) {
    let now = clock::unix_seconds();
    let mut silent = Vec::new();
    let mut told: BTreeMap<(MessageId, Kind), Vec<Case>> = BTreeMap::new();
    for (entry, finding) in findings {
        let case = case(common, attempted, entry, finding, now);
        log(&case, attempted);
        match case.told {
            Some(kind) => told.entry((case.entry.id.message, kind)).or_default().push(case),
            None => silent.push(outcome(&case, attempted, now)),
        }
    }
    settle(common, silent).await;
    for ((_, kind), cases) in told {
        tell(common, attempted, kind, cases, now).await;
    }
}

/// What becomes of an entry, and what its sender hears.
fn case(common: &Common, attempted: &Attempted, entry: QueueEntry, finding: Finding, now: u64) -> Case {
    let (then, kind) = match finding.fate {
        Fate::Taken if entry.recipient_terms.is_delivered() => (Then::Relayed, Some(Kind::Delivered)),
        Fate::Taken => (Then::Relayed, relayed_report(&entry, attempted.tells)),
        Fate::Never => (Then::Failed, failure_report(&entry)),
        Fate::Later => match common.schedule.next(&entry, now) {
            Next::Over => (Then::Expired, failure_report(&entry)),
            Next::Again { due, warns } => {
                let warned = warns || entry.is_warned;
                (Then::Defer { due, warned }, warns.then_some(Kind::Delayed))
            }
        },
    };
    // RFC 5321 §4.5.5, RFC 3461 §6.2: never about a report.
    let told = kind.filter(|_| entry.reverse_path != ReversePath::Null);
    Case { entry, finding, then, told }
}

/// RFC 3461 §5.2.2: where the next server cannot tell of the delivery, we tell that it has gone there. RFC 2852 §4.2 has
/// the same for those who trace their mail.
fn relayed_report(entry: &QueueEntry, tells: Tells) -> Option<Kind> {
    let notify = entry.recipient_terms.notify;
    let success = matches!(notify, Some(Notify::On { success: true, .. }));
    let by = entry.terms.deliver_by.filter(|_| notify != Some(Notify::Never));
    let trace = by.is_some_and(|by| by.trace || (by.mode == ByMode::Notify && !tells.delay));
    ((success && !tells.delivery) || trace).then_some(Kind::Relayed)
}

/// RFC 3461 §4.1: without NOTIFY, senders hear of failures.
pub(super) const fn failure_report(entry: &QueueEntry) -> Option<Kind> {
    match entry.recipient_terms.notify {
        None | Some(Notify::On { failure: true, .. }) => Some(Kind::Failed),
        Some(Notify::On { failure: false, .. } | Notify::Never) => None,
    }
}

fn outcome(case: &Case, attempted: &Attempted, now: u64) -> QueueOutcome {
    let attempt = Attempt {
        at: now,
        place: attempted.place.clone(),
        said: case.finding.said.clone(),
        dialogue: attempted.dialogue.clone(),
    };
    QueueOutcome { id: case.entry.id, attempt: Some(attempt), then: case.then }
}

/// Sends one report, and concludes what it is about with its commit. Where it cannot be kept now, nothing is concluded:
/// the entries are tried again.
async fn tell(common: &Common, attempted: &Attempted, kind: Kind, cases: Vec<Case>, now: u64) {
    let outcomes: Vec<_> = cases.iter().map(|case| outcome(case, attempted, now)).collect();
    let subjects: Vec<_> = cases.iter().map(|case| subject(case, attempted)).collect();
    match report::send(&common.reporter, kind, &subjects, outcomes.clone(), now).await {
        Ok(()) => {}
        Err(report::SendError::Nobody) => {
            warn!(kind = ?kind, "a report is for nobody here: its sender is gone");
            settle(common, outcomes).await;
        }
        // Somebody else has concluded one of them; what is left of the others is true all the same.
        Err(report::SendError::Commit(IntakeError::Concluded)) => settle(common, outcomes).await,
        Err(failure) => {
            error!(reason = chain(&failure), "a report could not be sent, and is put off");
            settle(
                common,
                outcomes
                    .into_iter()
                    .zip(&cases)
                    .map(|(outcome, case)| put_off(common, outcome, case, now))
                    .collect(),
            )
            .await;
        }
    }
}

/// The entry stays, to be tried and reported again. Where its time is long over, it goes without a report.
fn put_off(common: &Common, outcome: QueueOutcome, case: &Case, now: u64) -> QueueOutcome {
    let is_relayed = outcome.then == Then::Relayed && !case.entry.recipient_terms.is_delivered();
    if is_relayed || now > case.entry.expires.saturating_add(common.config.expire_seconds) {
        return outcome;
    }
    let due = now.saturating_add(common.schedule.wait(case.entry.id.message.0, case.entry.attempts));
    QueueOutcome { then: Then::Defer { due, warned: case.entry.is_warned }, ..outcome }
}

fn subject<'a>(case: &'a Case, attempted: &'a Attempted) -> Subject<'a> {
    let status = match case.then {
        // X.4.7: delivery time expired.
        Then::Expired => Enhanced(5, 4, 7),
        Then::Defer { .. } | Then::Relayed | Then::Failed | Then::Removed => case.finding.status,
    };
    Subject {
        entry: &case.entry,
        finding: &case.finding,
        status,
        cause: if case.then == Then::Expired { Cause::Time } else { Cause::Attempt },
        host: &attempted.host,
        retry_until: match case.then {
            Then::Defer { .. } => Some(case.entry.expires),
            Then::Relayed | Then::Failed | Then::Expired | Then::Removed => None,
        },
    }
}

/// Makes outcomes true. Whoever has taken a message has it: the store is asked again until it has heard so.
pub(super) async fn settle(common: &Common, outcomes: Vec<QueueOutcome>) {
    for outcomes in outcomes.chunks(QUEUE_CHANGES_MAX) {
        let mut pause = Duration::from_secs(1);
        let mut waited = Duration::ZERO;
        loop {
            let error = match common.store.queue.settle(outcomes.to_vec()).await {
                Ok(_) => break,
                Err(error @ (QueueError::Missing | QueueError::TooMany)) => {
                    lose(common, outcomes, &error);
                    break;
                }
                Err(error @ QueueError::Unavailable(_)) => error,
            };
            if waited >= SETTLE {
                lose(common, outcomes, &error);
                break;
            }
            warn!(
                reason = chain(&error),
                "the store does not take outcomes of the queue, and is asked again"
            );
            tokio::time::sleep(pause).await;
            waited = waited.saturating_add(pause);
            pause = pause.saturating_mul(2).min(SETTLE_PAUSE_MAX);
        }
    }
}

/// The queue will never hear of these: what another host has taken is sent again when its lease is over.
fn lose(common: &Common, outcomes: &[QueueOutcome], error: &QueueError) {
    let relayed = outcomes.iter().filter(|outcome| outcome.then == Then::Relayed);
    let messages: BTreeSet<MessageId> = relayed.map(|outcome| outcome.id.message).collect();
    let (reason, outcomes, twice) = (chain(error), outcomes.len(), messages.len());
    let doubts = u64::try_from(twice).unwrap_or(u64::MAX);
    let in_doubt = common.in_doubt.fetch_add(doubts, Ordering::Relaxed).saturating_add(doubts);
    error!(reason, outcomes, twice, in_doubt, "outcomes of the queue are lost: messages may be sent twice");
}

fn log(case: &Case, attempted: &Attempted) {
    let Case { entry, finding, then, .. } = case;
    let message_id = entry.id.message.0;
    let recipient = escaped(entry.recipient.text().as_bytes());
    let (place, status, said) = (&attempted.place, finding.status, escaped(finding.said.as_bytes()));
    match then {
        Then::Relayed if entry.recipient_terms.is_delivered() => {
            info!(message_id, recipient, "the sender is told of the delivery");
        }
        Then::Relayed => info!(message_id, recipient, place, %status, said, "relayed"),
        Then::Defer { due, .. } => info!(message_id, recipient, place, %status, said, due, "deferred"),
        Then::Failed | Then::Removed => info!(message_id, recipient, place, %status, said, "failed"),
        Then::Expired => info!(message_id, recipient, place, %status, said, "expired"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mailstore::QueueId;

    use super::super::testing::{Sick, common};
    use super::*;

    #[tokio::test]
    async fn what_was_taken_and_cannot_be_noted_is_counted_by_message() {
        let (_folder, common) = common(Arc::new(Sick::default())).await;
        let outcome = |message, recipient, then| {
            let id = QueueId { message: MessageId(message), recipient };
            QueueOutcome { id, attempt: None, then }
        };
        let outcomes = vec![
            outcome(1, 0, Then::Relayed),
            outcome(1, 1, Then::Relayed),
            outcome(2, 0, Then::Failed),
            outcome(3, 0, Then::Relayed),
        ];
        settle(&common, outcomes).await;
        assert_eq!(common.in_doubt.load(Ordering::Relaxed), 2);
    }
}

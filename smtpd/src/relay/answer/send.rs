//! An entry that owes an answer becomes that answer, or is found to owe it no more; either is one commit.

use std::sync::Arc;

use mailstore::{
    Attempt, Body, Delivery, Fate, IntakeError, QueueEntry, QueueOutcome, Terms, Then, TraceRow, Unavailable,
};
use mailwire::address::{Mailbox, ReversePath};
use mailwire::cause::chain;
use mailwire::clock;
use mailwire::escape::escaped;
use thiserror::Error;
use tracing::{info, warn};

use super::super::conclusion::settle;
use super::super::report::{self, Place, SendError};
use super::super::worker::Common;
use super::letter::Letter;
use crate::filing::answers::{Correspondence, PLACE};
use crate::filing::rules::{Rules, Vacation, WhyNot};
use crate::trace;

/// Why there is no answer now.
#[derive(Debug, Error)]
enum Obstacle {
    /// Nor will there be one.
    #[error("not answered: {0}")]
    Never(String),
    #[error("the store does not say what is answered")]
    Store(#[from] Unavailable),
    #[error("the answer cannot be made")]
    Letter(#[from] SendError),
    #[error("the answer cannot be kept")]
    Commit(#[from] IntakeError),
}

/// What an answer is made of.
struct Owed {
    account: Mailbox,
    vacation: Vacation,
    handle: String,
}

/// Answers each of these in turn. No two are answered at the same time, so that none who is owed two gets two.
pub(in super::super) async fn answer(common: Arc<Common>, entries: Vec<QueueEntry>) {
    let _turn = common.answering.lock().await;
    for entry in entries {
        one(&common, &entry, clock::unix_seconds()).await;
    }
}

async fn one(common: &Common, entry: &QueueEntry, now: u64) {
    let message_id = entry.id.message.0;
    let sender = escaped(entry.recipient.text().as_bytes());
    let Err(obstacle) = sent(common, entry, now).await else {
        info!(message_id, sender, "answered by a vacation");
        return;
    };
    let outcome = match &obstacle {
        // Somebody else has concluded it.
        Obstacle::Commit(IntakeError::Concluded) => return,
        Obstacle::Never(_) | Obstacle::Letter(SendError::Nobody) => Then::Removed,
        Obstacle::Store(_) | Obstacle::Letter(_) | Obstacle::Commit(_) if now >= entry.expires => {
            Then::Removed
        }
        Obstacle::Store(_) | Obstacle::Letter(_) | Obstacle::Commit(_) => {
            warn!(message_id, reason = chain(&obstacle), "an answer is put off");
            let wait = common.schedule.wait(message_id, entry.attempts);
            Then::Defer { due: now.saturating_add(wait), warned: entry.is_warned }
        }
    };
    settle(common, vec![concluded(entry, chain(&obstacle), outcome, now)]).await;
}

fn concluded(entry: &QueueEntry, said: String, then: Then, now: u64) -> QueueOutcome {
    let account = entry.recipient_terms.answering().map_or("", |(account, _)| account);
    let place = format!("{PLACE}{account}");
    QueueOutcome {
        id: entry.id,
        attempt: Some(Attempt { at: now, place, said, dialogue: String::new() }),
        then,
    }
}

/// Sends the answer, by one commit with the end of the entry.
async fn sent(common: &Common, entry: &QueueEntry, now: u64) -> Result<(), Obstacle> {
    let sender = &entry.recipient;
    let Owed { account, vacation, handle } = owed(common, entry, now).await?;
    let correspondence = Correspondence { account: &account, sender, handle: &handle };
    if let Some(at) = correspondence.answered_at(&*common.store.recollections, now).await? {
        return Err(Obstacle::Never(WhyNot::Answered(at).to_string()));
    }
    let headers = report::header_section(&common.reporter, entry).await?;
    let id = format!("{:016x}", getrandom::u64().map_err(|_| SendError::Random)?);
    let letter = Letter {
        account: &account,
        sender,
        vacation: &vacation,
        answered: headers.octets(),
        hostname: &common.reporter.hostname.to_string(),
        id: &id,
        now,
    }
    .text();
    let octets = u64::try_from(letter.len()).unwrap_or(u64::MAX);
    let place = report::place(&common.reporter, sender, octets, now).await?;
    let mut draft = common.store.intake.draft(octets).await?;
    draft.write(letter.as_bytes()).await?;
    let is_utf8 = account.needs_smtputf8() || sender.needs_smtputf8();
    draft.commit(delivery(entry, &account, (place, is_utf8), now)).await?;
    if let Err(error) = correspondence.remember(&*common.store.recollections, &vacation, now).await {
        warn!(reason = chain(&error), "who was answered is not remembered, and may get another answer");
    }
    Ok(())
}

/// What the rules say by now: what has been ended, or changed, is not sent any more.
async fn owed(common: &Common, entry: &QueueEntry, now: u64) -> Result<Owed, Obstacle> {
    let ended = || Obstacle::Never(WhyNot::Over.to_string());
    let directory = &common.store.directory;
    let (account, handle) = entry.recipient_terms.answering().ok_or_else(ended)?;
    let login = directory.account(account).await?.ok_or_else(ended)?;
    let filing = directory.filing(login.account.maildrop).await?;
    let rules = filing.and_then(|filing| filing.rules).and_then(|rules| Rules::parse(rules.as_str()).ok());
    let vacation = rules.as_ref().and_then(|rules| rules.vacation(handle)).cloned();
    let vacation = vacation.filter(|vacation| !vacation.is_over(now)).ok_or_else(ended)?;
    Ok(Owed { account: login.account.address, vacation, handle: handle.to_owned() })
}

fn delivery(entry: &QueueEntry, account: &Mailbox, (place, is_utf8): (Place, bool), now: u64) -> Delivery {
    let (maildrops, relay) = match place {
        Place::Here(maildrops) => (maildrops, Vec::new()),
        Place::Elsewhere(recipient) => (Vec::new(), vec![*recipient]),
    };
    Delivery {
        // RFC 3834 §3.3: so that nobody answers it, or reports on it.
        reverse_path: ReversePath::Null,
        delivery_prefix: trace::return_path(&ReversePath::Null).into_bytes(),
        prefix: Vec::new(),
        maildrops,
        fate: Fate::Shared,
        relay,
        terms: Terms {
            is_utf8,
            body: Some(if is_utf8 { Body::EightBit } else { Body::SevenBit }),
            ..Terms::default()
        },
        local: Vec::new(),
        steps: Vec::new(),
        trace: TraceRow {
            at: now,
            session: String::new(),
            event: "answered".into(),
            detail: format!("message {} to {account}, by its rules (vacation)", entry.id.message.0),
        },
        carried: None,
        concludes: vec![concluded(entry, "answered".to_owned(), Then::Relayed, now)],
    }
}

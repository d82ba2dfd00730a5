//! What has become of entries of the queue: as the journal says it, and how a wish becomes that.

use std::collections::HashSet;

use mailwire::clock;
use serde::{Deserialize, Serialize};

use super::change::{Refused, State};
use super::keys::QueueValue;
use super::record::Event;
use crate::{Attempt, Ending, MessageId, QueueId, QueueOutcome, QueueState, Then};

/// One entry. Never changed: a journal is read for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SettledEntry {
    pub(crate) message: u64,
    pub(crate) recipient: u32,
    /// Attempts that were made, with this one.
    pub(crate) attempts: u32,
    pub(crate) state: SettledState,
    /// What was tried.
    pub(crate) attempt: Option<Attempt>,
}

/// How it goes on with an entry. Never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SettledState {
    Waits {
        due: u64,
        /// `None`: what the attempt says, or as it was.
        last_result: Option<String>,
        held: bool,
        warned: bool,
    },
    Ended(Ending),
}

impl SettledEntry {
    pub(crate) const fn id(&self) -> QueueId {
        QueueId { message: MessageId(self.message), recipient: self.recipient }
    }

    /// True where it is no entry any more.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, SettledState::Ended(_))
    }

    /// What an entry is afterwards; `None` where it has ended.
    pub(crate) fn after(&self, old: QueueValue) -> Option<QueueValue> {
        let SettledState::Waits { due, last_result, held, warned } = &self.state else { return None };
        let said = last_result.as_ref().or(self.attempt.as_ref().map(|attempt| &attempt.said));
        let last_result = said.cloned().unwrap_or_else(|| old.last_result.clone());
        Some(QueueValue {
            due: *due,
            attempts: self.attempts,
            last_result,
            held: *held,
            warned: *warned,
            ..old
        })
    }
}

/// A wish about one entry of the queue.
#[derive(Clone, Debug)]
pub(crate) struct QueueWish {
    pub(crate) id: QueueId,
    pub(crate) step: QueueStep,
}

/// What is to become of it.
#[derive(Clone, Debug)]
pub(crate) enum QueueStep {
    Settle { attempt: Option<Attempt>, then: Then },
    Put(QueueState),
    RetryAt(u64),
}

impl From<QueueOutcome> for QueueWish {
    fn from(QueueOutcome { id, attempt, then }: QueueOutcome) -> Self {
        Self { id, step: QueueStep::Settle { attempt, then } }
    }
}

/// What is done about entries that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    PassedOver,
    /// It is all or nothing.
    Refused,
}

impl State<'_> {
    /// One record for all that is wished of the queue, and how many entries there are after it.
    pub(crate) fn queue(&self, wishes: Vec<QueueWish>) -> Result<(Event, u64), Refused> {
        let (entries, live) = self.settled(wishes, Absent::PassedOver, self.live)?;
        if entries.is_empty() {
            return Err(Refused::Missing);
        }
        Ok((Event::Settled { at: clock::unix_seconds(), entries }, live))
    }

    /// What becomes of the entries, and how many there are of `live` then. Only those that are there are named, each once, so
    /// that the count stays true when records are applied again.
    pub(crate) fn settled(
        &self,
        wishes: Vec<QueueWish>,
        absent: Absent,
        mut live: u64,
    ) -> Result<(Vec<SettledEntry>, u64), Refused> {
        let mut entries = Vec::with_capacity(wishes.len());
        let mut seen = HashSet::with_capacity(wishes.len());
        for QueueWish { id, step } in wishes {
            if !seen.insert(id) {
                continue;
            }
            let QueueId { message: MessageId(message), recipient } = id;
            match self.index.ask(|index| index.queue_value(message, recipient))? {
                Some(old) => entries.push(settled(id, &old, step)),
                None if absent == Absent::Refused => return Err(Refused::Concluded),
                None => {}
            }
        }
        let over = entries.iter().filter(|entry| entry.is_over()).count();
        live = live.saturating_sub(over as u64);
        Ok((entries, live))
    }
}

fn settled(id: QueueId, old: &QueueValue, step: QueueStep) -> SettledEntry {
    let QueueId { message: MessageId(message), recipient } = id;
    let waits = |due, held, warned| SettledState::Waits { due, last_result: None, held, warned };
    let (attempt, state) = match step {
        QueueStep::Settle { attempt, then } => (attempt.map(Attempt::shortened), then_state(then, old)),
        QueueStep::Put(QueueState::Held) => (None, waits(old.due, true, old.warned)),
        QueueStep::Put(QueueState::Waiting) => (None, waits(old.due, false, old.warned)),
        QueueStep::RetryAt(due) => (None, waits(due, old.held, old.warned)),
    };
    let attempts = old.attempts.saturating_add(u32::from(attempt.is_some()));
    SettledEntry { message, recipient, attempts, state, attempt }
}

const fn then_state(then: Then, old: &QueueValue) -> SettledState {
    match then {
        Then::Defer { due, warned } => {
            SettledState::Waits { due, last_result: None, held: old.held, warned: warned || old.warned }
        }
        Then::Relayed => SettledState::Ended(Ending::Relayed),
        Then::Failed => SettledState::Ended(Ending::Failed),
        Then::Expired => SettledState::Ended(Ending::Expired),
        Then::Removed => SettledState::Ended(Ending::Removed),
    }
}

/// What says how it is with an entry, for a segment that goes.
pub(crate) fn restated(message: u64, recipient: u32, waiting: QueueValue) -> SettledEntry {
    let QueueValue { due, attempts, last_result, held, warned, .. } = waiting;
    let state = SettledState::Waits { due, last_result: Some(last_result), held, warned };
    SettledEntry { message, recipient, attempts, state, attempt: None }
}

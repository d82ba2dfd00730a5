//! The outbound queue: found by due time, never by looking past what is gone.

use std::sync::Arc;

use async_trait::async_trait;
use mailwire::address::{Mailbox, ReversePath};
use mailwire::clock;

use super::change::{Change, QueueStep, Refused};
use super::host::Core;
use super::index::{Holder, IndexError};
use super::keys::QueueValue;
use super::reading::read_content;
use crate::{MessageId, Queue, QueueEntry, QueueError, QueueId, QueueState};
use mailwire::cause::chain;

impl From<IndexError> for QueueError {
    fn from(error: IndexError) -> Self {
        Self::Unavailable(chain(&error))
    }
}

impl Core {
    fn queue_entry(&self, id: QueueId) -> Result<QueueValue, QueueError> {
        let found = self.index.ask(|index| index.queue_value(id.message.0, id.recipient))?;
        found.ok_or(QueueError::Missing)
    }

    fn due_entries(&self, now: u64, entries_max: usize) -> Result<Vec<QueueEntry>, QueueError> {
        let due = self.index.ask(|index| {
            let mut entries = Vec::new();
            for due in index.due() {
                let (due, message, recipient) = due?;
                if due > now || entries.len() >= entries_max {
                    break;
                }
                let id = QueueId { message: MessageId(message), recipient };
                if !self.queue_leases.holds(id, now) {
                    entries.extend(index.queue_value(message, recipient)?.and_then(|value| entry(id, value)));
                }
            }
            Ok(entries)
        });
        Ok(due?)
    }

    async fn change_queue(&self, id: QueueId, step: QueueStep) -> Result<(), QueueError> {
        let change = Change::Queue { message: id.message.0, recipient: id.recipient, step };
        let changed = self.commit(change).await;
        self.queue_leases.end(id);
        match changed {
            Ok(_) => Ok(()),
            Err(Refused::Missing) => Err(QueueError::Missing),
            Err(Refused::Full) => Err(QueueError::Unavailable("the disk is full".to_owned())),
            Err(Refused::Unavailable(why)) => Err(QueueError::Unavailable(why)),
            Err(Refused::OverQuota { why, .. }) => Err(QueueError::Unavailable(why.to_string())),
            Err(Refused::Administration(error)) => Err(QueueError::Unavailable(error.to_string())),
        }
    }
}

fn entry(id: QueueId, value: QueueValue) -> Option<QueueEntry> {
    let reverse_path = if value.reverse_path.is_empty() {
        ReversePath::Null
    } else {
        ReversePath::Mailbox(Mailbox::parse(&value.reverse_path).ok()?)
    };
    Some(QueueEntry {
        id,
        reverse_path,
        recipient: Mailbox::parse(&value.mailbox).ok()?,
        accepted_at: value.accepted_at,
        due: value.due,
        expires: value.expires,
        attempts: value.attempts,
        last_result: value.last_result,
        state: if value.held { QueueState::Held } else { QueueState::Waiting },
        octets: value.subject.octets.saturating_sub(value.delivery_prefix_octets.into()),
        terms: value.terms,
        recipient_terms: value.recipient_terms,
    })
}

#[async_trait]
impl Queue for Arc<Core> {
    async fn due(&self, now: u64, entries_max: usize) -> Result<Vec<QueueEntry>, QueueError> {
        let core = Self::clone(self);
        let due = tokio::task::spawn_blocking(move || core.due_entries(now, entries_max)).await;
        due.map_err(|error| QueueError::Unavailable(error.to_string()))?
    }

    async fn next_due(&self) -> Result<Option<u64>, QueueError> {
        let now = clock::unix_seconds();
        let next = self.index.ask(|index| {
            for due in index.due() {
                let (due, message, recipient) = due?;
                if !self.queue_leases.holds(QueueId { message: MessageId(message), recipient }, now) {
                    return Ok(Some(due));
                }
            }
            Ok(None)
        });
        Ok(next?)
    }

    async fn lease(&self, id: QueueId, until: u64) -> Result<(), QueueError> {
        self.queue_entry(id)?;
        let taken = self.queue_leases.take(id, clock::unix_seconds(), until);
        if taken { Ok(()) } else { Err(QueueError::Leased) }
    }

    async fn read(&self, id: QueueId, offset: u64, octets_max: usize) -> Result<Vec<u8>, QueueError> {
        let value = self.queue_entry(id)?;
        let holder = Holder::Queue { message: id.message.0, recipient: id.recipient };
        let content = self.open_content(holder, value.subject).await.map_err(QueueError::Unavailable)?;
        let offset = offset.saturating_add(value.delivery_prefix_octets.into());
        read_content(content, offset, octets_max).await.map_err(QueueError::Unavailable)
    }

    async fn defer(&self, id: QueueId, due: u64, result: &str) -> Result<(), QueueError> {
        self.change_queue(id, QueueStep::Defer { due, result: result.to_owned() }).await
    }

    async fn finish(&self, id: QueueId) -> Result<(), QueueError> {
        self.change_queue(id, QueueStep::Finish).await
    }

    async fn hold(&self, id: QueueId, state: QueueState) -> Result<(), QueueError> {
        let step = match state {
            QueueState::Held => QueueStep::Hold,
            QueueState::Waiting => QueueStep::Release,
        };
        self.change_queue(id, step).await
    }
}

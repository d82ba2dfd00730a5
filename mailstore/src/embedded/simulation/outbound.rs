//! The queue of the simulated store: asked by workers that agree on nothing, and looked at.

use std::sync::Arc;

use super::super::host::Core;
use super::super::index::Index;
use super::super::traced::{TraceRecord, TracedRow};
use super::messages::{recipient_terms, sent, terms};
use super::model::{Found, Model};
use super::session::{READ_OCTETS, Session, text};
use super::view::{QueueChange, QueueChanges, QueueView, TraceView};
use crate::{Attempt, DuePlace, MessageId, Queue, QueueId, QueueOutcome, QueueState, Then};

impl Session {
    pub(super) async fn look_at_queue(&self, model: &Model, found: &mut Found) -> Result<(), String> {
        let due = |index: &Index| index.due(None).collect::<Result<Vec<_>, _>>();
        let due = self.core().index.ask(due).map_err(text)?;
        let waiting = due.iter().map(|place| (place.id.message.0, place.id.recipient));
        for (message, recipient) in waiting.clone().chain(model.view().queue.keys().copied()) {
            let value = self.core().index.ask(|index| index.queue_value(message, recipient)).map_err(text)?;
            let Some(value) = value else { continue };
            let what = format!("recipient {recipient} of message {message} in the queue");
            let id = QueueId { message: MessageId(message), recipient };
            let times = due.iter().filter(|place| **place == DuePlace { due: value.due, id }).count();
            let others = waiting.clone().filter(|id| *id == (message, recipient)).count();
            if times != usize::from(!value.held) || others != times {
                return Err(format!("{what} is not found by its time"));
            }
            let domain =
                |index: &Index| index.queued_in("elsewhere.test", None).collect::<Result<Vec<_>, _>>();
            if self.core().index.ask(domain).map_err(text)?.iter().filter(|found| **found == id).count() != 1
            {
                return Err(format!("{what} is not found by its domain"));
            }
            let mut content = Vec::new();
            loop {
                let offset = content.len() as u64;
                let read = Queue::read(self.core(), id, offset, READ_OCTETS).await.map_err(text)?;
                if read.is_empty() {
                    break;
                }
                content.extend(read);
            }
            let (token, sent) = sent(&content, model).ok_or_else(|| format!("{what} is damaged"))?;
            if sent.content.get(sent.delivery_prefix_octets..) != Some(content.as_slice()) {
                return Err(format!("{what} is not what was sent"));
            }
            if value.terms != terms(token) || value.recipient_terms != recipient_terms(token) {
                return Err(format!("{what} is asked for otherwise: {value:?}"));
            }
            let entry = QueueView {
                token,
                mailbox: value.mailbox,
                due: value.due,
                attempts: value.attempts,
                last_result: value.last_result,
                held: value.held,
                warned: value.warned,
            };
            found.view.queue.insert((message, recipient), entry);
        }
        Ok(())
    }

    /// The lives of all messages with recipients elsewhere, each of which is found by what people know of it.
    pub(super) fn look_at_traces(&self, found: &mut Found) -> Result<(), String> {
        let traces = &mut found.view.traces;
        let look = |index: &Index| {
            for row in index.traces() {
                let TracedRow { key, record } = row?;
                for name in record.names() {
                    if !index.is_traced_as(name, key.message)? {
                        return Ok(Some(key));
                    }
                }
                let trace: &mut TraceView = traces.entry(key.message).or_default();
                let recipient = key.place.saturating_sub(1);
                match record {
                    TraceRecord::Accepted { .. } => {}
                    TraceRecord::Recipient(mailbox) => trace.recipients.push(mailbox),
                    TraceRecord::Attempt(attempt) => {
                        trace.attempts.insert((recipient, key.number), attempt.said);
                    }
                    TraceRecord::Ended { .. } => {
                        trace.ended.insert(recipient);
                    }
                }
            }
            Ok(None)
        };
        match self.core().index.ask(look).map_err(text)? {
            Some(key) => Err(format!("message {} is not found by what {key:?} is known as", key.message)),
            None => Ok(()),
        }
    }
}

/// Asks for all of it in one commit.
pub(super) async fn ask(core: &Arc<Core>, changes: QueueChanges) -> Result<(), String> {
    let ids: Vec<_> = changes.iter().map(|(id, _)| queue_id(*id)).collect();
    let answer = match changes.as_slice() {
        [(_, QueueChange::Hold)] => Queue::hold(core, &ids, QueueState::Held).await,
        [(_, QueueChange::Release)] => Queue::hold(core, &ids, QueueState::Waiting).await,
        changes => core.settle(changes.iter().filter_map(outcome).collect()).await,
    };
    let there = answer.map_err(text)?;
    if there == ids { Ok(()) } else { Err(format!("{there:?} were changed, not {ids:?}")) }
}

const fn queue_id((message, recipient): (u64, u32)) -> QueueId {
    QueueId { message: MessageId(message), recipient }
}

/// What a worker says of an entry.
pub(super) fn outcome((id, change): &((u64, u32), QueueChange)) -> Option<QueueOutcome> {
    let (attempt, then) = match change {
        QueueChange::Defer { due, result, warned } => {
            let attempt = Attempt { said: result.clone(), ..Attempt::default() };
            (Some(attempt), Then::Defer { due: *due, warned: *warned })
        }
        QueueChange::Finish => (None, Then::Relayed),
        QueueChange::Hold | QueueChange::Release => return None,
    };
    Some(QueueOutcome { id: queue_id(*id), attempt, then })
}

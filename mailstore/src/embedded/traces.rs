//! Lives of messages as people ask for them, and how they go when their time is over.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailwire::address::{Mailbox, ReversePath};
use mailwire::cause::chain;
use mailwire::clock;
use tracing::{debug, error};

use super::host::Core;
use super::index::{Index, IndexError};
use super::message_id;
use super::traced::{Summary, TraceRecord, TracedRow, address_name, message_id_name};
use super::upkeep::{SECONDS_PER_DAY, Upkeep};
use crate::{MessageId, Trace, TracedAs, TracedRecipient, Traces, Unavailable};

/// Lives that are looked at together when some are to go.
const LOOKED_AT_TOGETHER: usize = 1000;
/// So much of what may be kept comes in between before all of it is looked at again, sooner than in an hour.
const FRESH_SHARE: u64 = 16;

impl Index {
    /// One life, put together from its rows; `None` where its beginning is not kept.
    fn life(&self, message: u64) -> Result<Option<Trace>, IndexError> {
        let mut life: Option<Trace> = None;
        for row in self.trace(message) {
            let TracedRow { key, record } = row?;
            let recipient = key.place.saturating_sub(1);
            match record {
                TraceRecord::Accepted { at, reverse_path, message_id, rows } => {
                    let reverse_path =
                        Mailbox::parse(&reverse_path).map_or(ReversePath::Null, ReversePath::Mailbox);
                    let (message, recipients) = (MessageId(message), Vec::new());
                    life =
                        Some(Trace { message, accepted_at: at, reverse_path, message_id, rows, recipients });
                }
                TraceRecord::Recipient(mailbox) => {
                    if let (Some(life), Ok(mailbox)) = (&mut life, Mailbox::parse(&mailbox)) {
                        let attempts = Vec::new();
                        life.recipients.push(TracedRecipient { recipient, mailbox, attempts, ended: None });
                    }
                }
                TraceRecord::Attempt(attempt) => {
                    if let Some(of) = last_of(&mut life, recipient) {
                        of.attempts.push((key.number, attempt));
                    }
                }
                TraceRecord::Ended { at, how } => {
                    if let Some(of) = last_of(&mut life, recipient) {
                        of.ended = Some((at, how));
                    }
                }
            }
        }
        Ok(life)
    }
}

/// The recipient that was spoken of last, where it is this one.
fn last_of(life: &mut Option<Trace>, recipient: u32) -> Option<&mut TracedRecipient> {
    life.as_mut()?.recipients.last_mut().filter(|last| last.recipient == recipient)
}

impl TracedAs {
    fn name(&self) -> [u8; 9] {
        match self {
            Self::MessageId(text) => message_id_name(message_id::given(text)),
            Self::Address(mailbox) => address_name(mailbox),
        }
    }

    /// Names are short, so that others may have the same one.
    fn is_of(&self, trace: &Trace) -> bool {
        match self {
            Self::MessageId(text) => trace.message_id.as_deref() == Some(message_id::given(text)),
            Self::Address(mailbox) => {
                let is_same = |other: &Mailbox| other.key_in_a_labels() == mailbox.key_in_a_labels();
                let is_sender = match &trace.reverse_path {
                    ReversePath::Null => false,
                    ReversePath::Mailbox(sender) => is_same(sender),
                };
                is_sender || trace.recipients.iter().any(|recipient| is_same(&recipient.mailbox))
            }
        }
    }
}

/// On a thread that may wait for the index.
async fn looked<T: Send + 'static>(
    core: &Arc<Core>,
    look: impl FnOnce(&Index) -> Result<T, IndexError> + Send + 'static,
) -> Result<T, Unavailable> {
    let core = Arc::clone(core);
    let looked = tokio::task::spawn_blocking(move || core.index.ask(look)).await;
    looked.map_err(|error| Unavailable(error.to_string()))?.map_err(|error| Unavailable(chain(&error)))
}

#[async_trait]
impl Traces for Arc<Core> {
    async fn trace(&self, message: MessageId) -> Result<Option<Trace>, Unavailable> {
        looked(self, move |index| index.life(message.0)).await
    }

    async fn traced(
        &self,
        known_as: &TracedAs,
        before: Option<MessageId>,
        messages_max: usize,
    ) -> Result<Vec<MessageId>, Unavailable> {
        let known_as = known_as.clone();
        let look = move |index: &Index| {
            let mut messages = Vec::new();
            for message in index.traced_as(known_as.name(), before.map(|before| before.0)) {
                if messages.len() >= messages_max {
                    break;
                }
                let message = message?;
                let is_meant = index.life(message)?.is_some_and(|trace| known_as.is_of(&trace));
                messages.extend(is_meant.then_some(MessageId(message)));
            }
            Ok(messages)
        };
        looked(self, look).await
    }
}

impl Upkeep<'_> {
    /// Looks at all lives where so much has come that they may be too many.
    pub(super) fn retire_traces_soon(&self) {
        let fresh = self.0.index.ask(|index| Ok(index.carried.fresh())).unwrap_or(0);
        if fresh >= (self.0.options.trace_octets_max / FRESH_SHARE).max(1) {
            self.retire_traces();
        }
    }

    /// Lives go whose days are over, and where they are too many the oldest of those that have ended; only then what was
    /// tried for messages that are still in the queue.
    pub(super) fn retire_traces(&self) {
        let kept_seconds = self.0.options.trace_days.saturating_mul(SECONDS_PER_DAY);
        let until = clock::unix_seconds().saturating_sub(kept_seconds);
        let mut octets: u64 = 0;
        let retired = self.each_trace(|index, life| {
            if life.rests_since.is_some_and(|since| since <= until) {
                return index.forget_trace(life.message).map(|()| true);
            }
            octets = octets.saturating_add(life.octets);
            Ok(true)
        });
        let octets_max = self.0.options.trace_octets_max;
        let thinned = retired.and_then(|()| {
            self.each_trace(|index, life| {
                if octets > octets_max && life.rests_since.is_some() {
                    index.forget_trace(life.message)?;
                    octets = octets.saturating_sub(life.octets);
                }
                Ok(octets > octets_max)
            })
        });
        let thinned = thinned.and_then(|()| {
            self.each_trace(|index, life| {
                if octets > octets_max {
                    octets = octets.saturating_sub(index.forget_attempts(life.message)?);
                }
                Ok(octets > octets_max)
            })
        });
        let counted = thinned.and_then(|()| {
            self.0.index.ask(|index| {
                index.carried.count(octets);
                Ok(())
            })
        });
        match counted {
            Ok(()) => debug!(octets, "the traces of messages were looked through"),
            Err(error) => error!(error = chain(&error), "looking through the traces of messages failed"),
        }
    }

    /// Goes on while it is told to, and the store is open.
    fn each_trace(
        &self,
        mut look: impl FnMut(&Index, &Summary) -> Result<bool, IndexError>,
    ) -> Result<(), IndexError> {
        let mut after = 0;
        loop {
            let lives = self.0.index.ask(|index| index.trace_summaries(after, LOOKED_AT_TOGETHER))?;
            let Some(last) = lives.last() else { return Ok(()) };
            after = last.message;
            for life in &lives {
                if !self.0.index.ask(|index| look(index, life))? {
                    return Ok(());
                }
            }
            if self.0.progress.stopped_within(Duration::ZERO) {
                return Ok(());
            }
        }
    }
}

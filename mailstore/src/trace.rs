//! The life of a message that leaves, kept for a while beyond its end: how it came, what was tried, and what became of it.

use async_trait::async_trait;
use mailwire::address::{Mailbox, ReversePath};
use serde::{Deserialize, Serialize};

use crate::{Attempt, MessageId, TraceRow, Unavailable};

/// How an entry of the queue ended. It is on disk as it is here: nothing in it is ever changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// Another host has taken the message over.
    Relayed,
    /// Nobody will ever take it.
    Failed,
    /// Nobody has taken it in time.
    Expired,
    /// The administrator did not want it any more.
    Removed,
}

/// One message with recipients elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Its identity.
    pub message: MessageId,
    /// Seconds since 1970 when it was accepted.
    pub accepted_at: u64,
    /// Where reports go.
    pub reverse_path: ReversePath,
    /// What its header section calls it, without brackets.
    pub message_id: Option<String>,
    /// From the connection to the commit.
    pub rows: Vec<TraceRow>,
    /// Its recipients elsewhere, in the order of their numbers.
    pub recipients: Vec<TracedRecipient>,
}

/// What is kept of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedRecipient {
    /// Its number in [`crate::QueueId`].
    pub recipient: u32,
    /// The address.
    pub mailbox: Mailbox,
    /// What was tried, with the number of the attempt, from 1. Of many the first and the last ones are kept.
    pub attempts: Vec<(u32, Attempt)>,
    /// When and how it ended (seconds since 1970); `None` while it is in the queue.
    pub ended: Option<(u64, Ending)>,
}

/// What people know of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TracedAs {
    /// What its header section calls it, with brackets or without.
    MessageId(String),
    /// Its sender, or one of its recipients elsewhere.
    Address(Mailbox),
}

/// Lives of messages that left, or are leaving.
#[async_trait]
pub trait Traces: Send + Sync {
    /// All that is kept of one; `None` where nothing is kept any more, or it has no recipients elsewhere.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn trace(&self, message: MessageId) -> Result<Option<Trace>, Unavailable>;

    /// Messages that are known so, the newest first, of those that are older than `before`; at most `messages_max`, and maybe
    /// fewer though there are more: only none at all means that there are none.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn traced(
        &self,
        known_as: &TracedAs,
        before: Option<MessageId>,
        messages_max: usize,
    ) -> Result<Vec<MessageId>, Unavailable>;
}

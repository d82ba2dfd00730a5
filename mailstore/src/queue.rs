//! The outbound queue: what is due, whose turn it is, and what became of it.

use async_trait::async_trait;
use mailwire::address::{Mailbox, ReversePath};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{QueueId, RecipientTerms, Terms};

/// Why the queue did not answer or change.
#[derive(Clone, Debug, Error, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueError {
    /// The entry is finished, or was never there.
    #[error("there is no such entry in the queue")]
    Missing,
    /// Another worker has it.
    #[error("another worker has the entry")]
    Leased,
    /// The store cannot answer now; nothing was changed.
    #[error("the store cannot answer: {0}")]
    Unavailable(String),
}

/// Whether an entry waits for its time or for its administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueState {
    /// An attempt is made when it is due.
    Waiting,
    /// No attempt is made until it is released.
    Held,
}

/// One recipient of one message that has not been relayed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueEntry {
    /// Its identity.
    pub id: QueueId,
    /// Where reports go.
    pub reverse_path: ReversePath,
    /// The recipient.
    pub recipient: Mailbox,
    /// Seconds since 1970 when it was accepted.
    pub accepted_at: u64,
    /// Seconds since 1970 of the next attempt.
    pub due: u64,
    /// Seconds since 1970 after which it is reported as failed.
    pub expires: u64,
    /// Attempts made.
    pub attempts: u32,
    /// What the last attempt met, in the words of the other side.
    pub last_result: String,
    /// Waiting or held.
    pub state: QueueState,
    /// Octets that [`Queue::read`] gives.
    pub octets: u64,
    /// What the sender asks for all recipients alike.
    pub terms: Terms,
    /// What the sender asks for this one.
    pub recipient_terms: RecipientTerms,
}

/// Mail on its way out. Every change is one durable commit.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Entries due at `now` (seconds since 1970), earliest first, not held and not leased; at most `entries_max`.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn due(&self, now: u64, entries_max: usize) -> Result<Vec<QueueEntry>, QueueError>;
    /// The earliest time at which something will be due; `None` where nothing waits.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn next_due(&self) -> Result<Option<u64>, QueueError>;
    /// Gives the entry to one worker until `until` (seconds since 1970), or until it is deferred or finished.
    ///
    /// # Errors
    /// `Leased`, `Missing`, or where the store cannot answer.
    async fn lease(&self, id: QueueId, until: u64) -> Result<(), QueueError>;
    /// Octets of the message for relay (without what only final delivery adds), as [`crate::Lease::read`].
    ///
    /// # Errors
    /// `Missing`, or where the store cannot answer.
    async fn read(&self, id: QueueId, offset: u64, octets_max: usize) -> Result<Vec<u8>, QueueError>;
    /// An attempt met a temporary failure: the next one is due at `due`.
    ///
    /// # Errors
    /// `Missing`, or where the store cannot answer.
    async fn defer(&self, id: QueueId, due: u64, result: &str) -> Result<(), QueueError>;
    /// The entry is done: relayed, or failed for good.
    ///
    /// # Errors
    /// `Missing`, or where the store cannot answer.
    async fn finish(&self, id: QueueId) -> Result<(), QueueError>;
    /// Makes it wait for its administrator, or releases it.
    ///
    /// # Errors
    /// `Missing`, or where the store cannot answer.
    async fn hold(&self, id: QueueId, state: QueueState) -> Result<(), QueueError>;
}

//! The outbound queue: what is due, whose turn it is, and what became of it.

use async_trait::async_trait;
use mailwire::address::{Domain, Mailbox, ReversePath};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{MessageId, QueueId, RecipientTerms, Terms};

/// Most entries that are changed by one commit; whoever has more to change does it in several.
pub const QUEUE_CHANGES_MAX: usize = 1000;
/// Most octets that are kept of what the other side of an attempt said.
const SAID_OCTETS_MAX: usize = 512;
/// Of where it was.
const PLACE_OCTETS_MAX: usize = 256;
/// And of how it came to that.
const DIALOGUE_OCTETS_MAX: usize = 1024;

/// Why the queue did not answer or change.
#[derive(Clone, Debug, Error, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueError {
    /// The entry is finished, or was never there.
    #[error("there is no such entry in the queue")]
    Missing,
    /// So many entries are not changed together.
    #[error("at most {QUEUE_CHANGES_MAX} entries of the queue change together")]
    TooMany,
    /// The store cannot answer now; nothing was changed.
    #[error("the store cannot answer: {0}")]
    Unavailable(String),
}

/// Whether an entry waits for its time or for its administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// A worker has it now.
    pub is_leased: bool,
    /// Its sender has been told that it takes long.
    pub is_warned: bool,
    /// Octets that [`Queue::read`] gives.
    pub octets: u64,
    /// What the sender asks for all recipients alike.
    pub terms: Terms,
    /// What the sender asks for this one.
    pub recipient_terms: RecipientTerms,
}

impl QueueEntry {
    /// Where it stands in the order of what is due.
    #[must_use]
    pub const fn place(&self) -> DuePlace {
        DuePlace { due: self.due, id: self.id }
    }
}

/// The place of an entry in the order of what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DuePlace {
    /// Seconds since 1970.
    pub due: u64,
    /// Entries of one second stand in the order of their identities.
    pub id: QueueId,
}

/// What was tried for one recipient, or why nothing was. It is on disk as it is here: its fields are never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Seconds since 1970.
    pub at: u64,
    /// Where: host, address, TLS; empty where nobody was asked. Only its beginning is kept where it is long.
    pub place: String,
    /// The words of the other side, or what went wrong: the entry's last result. Only the beginning is kept.
    pub said: String,
    /// How it came to that, for the trace alone; may be empty. Only its end is kept where it is long.
    pub dialogue: String,
}

impl Attempt {
    /// The place of what needed no other host.
    pub const HERE: &'static str = "here";

    /// As much of it as is kept.
    pub(crate) fn shortened(mut self) -> Self {
        self.place.truncate(self.place.floor_char_boundary(PLACE_OCTETS_MAX));
        self.said.truncate(self.said.floor_char_boundary(SAID_OCTETS_MAX));
        let surplus = self.dialogue.len().saturating_sub(DIALOGUE_OCTETS_MAX);
        drop(self.dialogue.drain(..self.dialogue.ceil_char_boundary(surplus)));
        self
    }
}

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Then {
    /// It waits for the next attempt.
    Defer {
        /// Seconds since 1970.
        due: u64,
        /// Its sender has now been told that it takes long.
        warned: bool,
    },
    /// It is done: another host has taken it over.
    Relayed,
    /// It is done: nobody will ever take it.
    Failed,
    /// It is done: nobody has taken it in time.
    Expired,
    /// It is done: the administrator does not want it any more.
    Removed,
}

/// What came of the work on an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueOutcome {
    /// The entry.
    pub id: QueueId,
    /// What was tried. It counts as an attempt, leaves a row in the message's trace, and its words are the entry's last
    /// result.
    pub attempt: Option<Attempt>,
    /// What becomes of it.
    pub then: Then,
}

impl QueueOutcome {
    /// With as much of the attempt as is kept.
    pub(crate) fn shortened(self) -> Self {
        Self { attempt: self.attempt.map(Attempt::shortened), ..self }
    }
}

/// Which entries are meant: those for which all of it is true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueFilter {
    /// The recipient's domain. These are found without a look at the others.
    pub domain: Option<Domain>,
    /// The message. These too.
    pub message: Option<MessageId>,
    /// The recipient.
    pub recipient: Option<Mailbox>,
    /// Where reports go.
    pub reverse_path: Option<ReversePath>,
    /// Waiting or held.
    pub state: Option<QueueState>,
}

/// How many entries there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueCounts {
    /// They wait for their time.
    pub waiting: u64,
    /// They wait for their administrator.
    pub held: u64,
}

/// How many entries there are for one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainCounts {
    /// Of the recipients.
    pub domain: Domain,
    /// How many.
    pub counts: QueueCounts,
}

/// Mail on its way out. Every change is one durable commit.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Entries due at `now` (seconds since 1970) behind `after`, earliest first, not held and not leased; at most
    /// `entries_max`, and maybe fewer though there are more: only none at all means that there are none. What others
    /// have at the front of the queue is not looked through each time.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn due(
        &self,
        now: u64,
        after: Option<DuePlace>,
        entries_max: usize,
    ) -> Result<Vec<QueueEntry>, QueueError>;
    /// The earliest time at which something is due that nobody has; `None` where nothing waits.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn next_due(&self) -> Result<Option<u64>, QueueError>;
    /// Waits until there is another count of changes than `since`, and gives it: an entry came, waits for another time, was
    /// released, or is nobody's any more. Whoever asks takes the count before it looks what is due, so that nothing is
    /// missed; 0 is no count, and is answered at once.
    ///
    /// # Errors
    /// Where the store cannot answer; what happened meanwhile is not known then.
    async fn changed(&self, since: u64) -> Result<u64, QueueError>;
    /// Gives entries to one worker until `until` (seconds since 1970), until they are settled, or until its process ends. So
    /// `until` may lie beyond the longest attempt; whoever settles later than that ends the lease of whoever has it then.
    /// Tells which ones: those that are there and that nobody else has.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn lease(&self, ids: &[QueueId], until: u64) -> Result<Vec<QueueId>, QueueError>;
    /// Octets of the message for relay (without what only final delivery adds), as [`crate::Lease::read`].
    ///
    /// # Errors
    /// `Missing`, or where the store cannot answer.
    async fn read(&self, id: QueueId, offset: u64, octets_max: usize) -> Result<Vec<u8>, QueueError>;
    /// What became of entries, all of it in one commit; they are nobody's then. Tells which ones were still there. Of an
    /// entry that is named twice the first outcome counts.
    ///
    /// # Errors
    /// `TooMany`, or where the store cannot answer: nothing is changed then, and whoever has them keeps them.
    async fn settle(&self, outcomes: Vec<QueueOutcome>) -> Result<Vec<QueueId>, QueueError>;
    /// Makes entries wait for their administrator, or releases them. An attempt that is being made goes on. Tells which ones
    /// were there.
    ///
    /// # Errors
    /// As [`Self::settle`].
    async fn hold(&self, ids: &[QueueId], state: QueueState) -> Result<Vec<QueueId>, QueueError>;
    /// Changes the time of the next attempt. Tells which ones were there.
    ///
    /// # Errors
    /// As [`Self::settle`].
    async fn retry_at(&self, ids: &[QueueId], due: u64) -> Result<Vec<QueueId>, QueueError>;
    /// Entries behind `after`, in the order of their identities, held and leased ones as well; at most `entries_max`, and
    /// maybe fewer though there are more: only none at all means that there are none.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn list(
        &self,
        filter: &QueueFilter,
        after: Option<QueueId>,
        entries_max: usize,
    ) -> Result<Vec<QueueEntry>, QueueError>;
    /// One entry.
    ///
    /// # Errors
    /// `Missing`, or where the store cannot answer.
    async fn show(&self, id: QueueId) -> Result<QueueEntry, QueueError>;
    /// How many entries there are for each domain behind `after`, in the order of their names; at most `domains_max`.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn domains(
        &self,
        after: Option<&Domain>,
        domains_max: usize,
    ) -> Result<Vec<DomainCounts>, QueueError>;
}

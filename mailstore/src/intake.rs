//! Accepting messages: content streams into a draft, and one durable commit makes it a message everywhere at once.

use std::borrow::Cow;

use async_trait::async_trait;
use mailwire::address::{Mailbox, ReversePath};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    LocalRecipient, MaildropId, MessageId, OverQuota, QueueOutcome, RecipientTerms, Terms, UniqueId,
};

/// Why content was not taken. Nothing of it is kept.
#[derive(Clone, Debug, Error, PartialEq, Eq, Serialize, Deserialize)]
pub enum IntakeError {
    /// The disk is, or would be, too full: a temporary failure (452 4.3.1).
    #[error("the disk has only {free_octets} octets left for mail")]
    Full {
        /// What is free above the reserve.
        free_octets: u64,
    },
    /// A recipient's maildrop may not hold it, so no recipient gets it.
    #[error("maildrop {} does not take the message", maildrop.0)]
    OverQuota {
        /// One of the recipients'.
        maildrop: MaildropId,
        /// Tells whether trying again may help.
        #[source]
        why: OverQuota,
        /// The same for each group of [`Fate::Apart`], of which none could be served.
        groups: Vec<OverQuota>,
    },
    /// The message reports on entries of the queue of which one is not there any more: somebody else has concluded it.
    #[error("an entry of the queue that the message reports on is gone")]
    Concluded,
    /// The store cannot take mail now.
    #[error("the store cannot take mail: {0}")]
    Unavailable(String),
}

/// A recipient elsewhere, for the outbound queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayRecipient {
    /// The address.
    pub mailbox: Mailbox,
    /// Seconds since 1970 before which no attempt is made.
    pub due: u64,
    /// Seconds since 1970 after which the sender gets a report instead of another attempt.
    pub expires: u64,
    /// What the sender asks for this recipient.
    pub terms: RecipientTerms,
}

/// One step in the life of a message. The first one is written with the message itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceRow {
    /// Seconds since 1970.
    pub at: u64,
    /// The identity of the session in the log.
    pub session: String,
    /// What happened: `submitted`, `received`, ...
    pub event: Cow<'static, str>,
    /// The peer's address, and what else tells of it.
    pub detail: String,
}

/// A step before that, in the same session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceStep {
    /// Seconds since 1970.
    pub at: u64,
    /// What happened: `connected`, `login`, ...
    pub event: Cow<'static, str>,
    /// What else tells of it; only its beginning is kept where it is long.
    pub detail: String,
}

/// How a message came here, and what is asked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// From the connection to the commit.
    pub rows: Vec<TraceRow>,
    /// What is asked for all recipients alike.
    pub terms: Terms,
    /// The recipients here for whom something is asked.
    pub local: Vec<LocalRecipient>,
}

/// What a message had before it came here from another store or a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// Its unique-id there, which it keeps, so that clients do not fetch it again.
    pub unique_id: UniqueId,
    /// When it was received there, seconds since 1970.
    pub received_at: u64,
}

/// What becomes of the others where a maildrop may not hold the message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// Nobody gets it.
    #[default]
    Shared,
    /// These groups of maildrops stand each for itself: the message reaches those groups of which every maildrop may
    /// hold it, and a maildrop that is in none of them is left out.
    Apart(Vec<Vec<MaildropId>>),
}

/// Everything that becomes true with the commit.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Trace fields for final delivery that stand before `prefix` (Return-Path, RFC 5321 §4.4) and are not relayed.
    pub delivery_prefix: Vec<u8>,
    /// Header fields that stand before the content (Received, ...), whole lines with CRLF.
    pub prefix: Vec<u8>,
    /// Where reports go.
    pub reverse_path: ReversePath,
    /// Maildrops that get the message; each once.
    pub maildrops: Vec<MaildropId>,
    /// What becomes of the others where one of these may not hold it.
    pub fate: Fate,
    /// Recipients elsewhere.
    pub relay: Vec<RelayRecipient>,
    /// What the sender asks for all recipients alike.
    pub terms: Terms,
    /// Recipients here for whom something is asked.
    pub local: Vec<LocalRecipient>,
    /// The steps that have led up to this, the first ones of which are kept.
    pub steps: Vec<TraceStep>,
    /// The row of the message's trace that stands for the commit.
    pub trace: TraceRow,
    /// For a message that is not new.
    pub carried: Option<Carried>,
    /// What becomes of entries of the queue on which the message reports. It is all of it or nothing.
    pub concludes: Vec<QueueOutcome>,
}

/// What was committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The message's identity.
    pub message: MessageId,
    /// Octets of the message as its readers will get it.
    pub octets: u64,
    /// Whether it has reached each group of [`Fate::Apart`], in their order; empty where the fate was shared.
    pub verdicts: Vec<Result<(), OverQuota>>,
}

/// Content on its way in: in memory while small, in a file of the store when not. Dropping it forgets it.
#[async_trait]
pub trait Draft: Send {
    /// Appends content: CRLF line ends, undotted.
    ///
    /// # Errors
    /// See [`IntakeError`]; the draft can only be dropped then.
    async fn write(&mut self, octets: &[u8]) -> Result<(), IntakeError>;

    /// Makes it a message, durably and as a whole, or not at all. Content that lacks its last CRLF gets it.
    ///
    /// # Errors
    /// See [`IntakeError`]; then nobody has the message.
    async fn commit(self: Box<Self>, delivery: Delivery) -> Result<Receipt, IntakeError>;
}

/// Where messages begin.
#[async_trait]
pub trait Intake: Send + Sync {
    /// A draft for content of about `octets_expected` (0: unknown).
    ///
    /// # Errors
    /// Where there is no room for so much, before any of it is received.
    async fn draft(&self, octets_expected: u64) -> Result<Box<dyn Draft>, IntakeError>;
}

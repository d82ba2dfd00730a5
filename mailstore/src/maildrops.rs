//! Reading maildrops under an exclusive lease, and expunging from them; bringing back what was expunged.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Life, MaildropId, MessageId, Rules, UniqueId, Visit};

/// Why a maildrop could not be leased, read or expunged.
#[derive(Clone, Debug, Error, PartialEq, Eq, Serialize, Deserialize)]
pub enum MaildropError {
    /// Another session has it (RFC 1939 §4).
    #[error("another session has the maildrop")]
    Busy,
    /// The last lease began less than the login delay ago.
    #[error("the last session began too short a while ago")]
    TooSoon,
    /// The lease has ended: another session has taken the maildrop over.
    #[error("another session has taken the maildrop over")]
    TakenOver,
    /// The lease has ended: its session was too long silent, or the maildrop is gone.
    #[error("the lease on the maildrop has ended")]
    Ended,
    /// The store cannot answer now; nothing was changed.
    #[error("the store cannot answer: {0}")]
    Unavailable(String),
}

/// Which characters the header fields of a message hold, those of its MIME parts, of messages within it and of delivery
/// statuses among them. Octets that are no UTF-8 belong to no repertoire, and count as nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Repertoire {
    /// Nobody looked: the message came with an older release.
    #[default]
    Unknown,
    /// ASCII alone.
    Ascii,
    /// UTF-8 (RFC 6532 §3) in the header section of the message, and nowhere else.
    Utf8,
    /// UTF-8 elsewhere, in the header section perhaps too.
    Utf8Within,
}

/// One message in a maildrop, as the lease found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its unique-id, for ever.
    pub unique_id: UniqueId,
    /// Octets of the message, CRLF counted, undotted: exactly what [`Lease::read`] gives.
    pub octets: u64,
    /// Octets of the header section with the blank line behind it; equal to `octets` where there is no body.
    pub header_octets: u64,
    /// What its header fields hold. Damage changes nothing of it.
    pub repertoire: Repertoire,
    /// When it was committed, seconds since 1970.
    pub received_at: u64,
    /// Seconds since 1970 before which no lease shows it; `None` where it was there at once.
    pub release_at: Option<u64>,
}

/// Exclusive use of one maildrop; a snapshot taken when it began. Dropping it gives the maildrop back.
///
/// Delivery goes on meanwhile and is not seen. Indices are positions in [`Self::entries`].
#[async_trait]
pub trait Lease: Send {
    /// The messages, in the order of their arrival; without those whose time has not come.
    fn entries(&self) -> &[Entry];

    /// What held for the maildrop when the lease began.
    fn rules(&self) -> Rules;

    /// Whether the lease still holds, as far as it is known without waiting.
    ///
    /// # Errors
    /// `TakenOver` where it does not.
    fn check(&mut self) -> Result<(), MaildropError>;

    /// At most `octets_max` octets of the message at `index`, from `offset` on; empty at its end. A message ends
    /// in CRLF. Damaged content comes as a well-formed substitute of the same size.
    ///
    /// # Errors
    /// Where the store cannot read.
    async fn read(&mut self, index: usize, offset: u64, octets_max: usize) -> Result<Vec<u8>, MaildropError>;

    /// Removes the messages at `indices` from the maildrop in one durable commit: all of them or none. A takeover comes
    /// wholly after it or before it.
    ///
    /// # Errors
    /// Where nothing was removed.
    async fn expunge(&mut self, indices: &[usize]) -> Result<(), MaildropError>;

    /// Tells what the session has done, for [`crate::Sightings`].
    ///
    /// # Errors
    /// Where it cannot be noted now, which changes nothing else.
    async fn visited(&mut self, visit: Visit) -> Result<(), MaildropError>;
}

/// Where messages are kept for their readers.
#[async_trait]
pub trait Maildrops: Send + Sync {
    /// Leases `maildrop` by its [`Rules`], waiting at most `patience` for another session to end, and for a commit of it
    /// where it is then taken over. When leases began is
    /// remembered for the login delay while the process runs that hosts the store, for a bounded number of maildrops.
    ///
    /// # Errors
    /// `Busy` after `patience`; `TooSoon` where the login delay is not over; otherwise see [`MaildropError`].
    async fn lease(&self, maildrop: MaildropId, patience: Duration) -> Result<Box<dyn Lease>, MaildropError>;
}

/// A message of a maildrop, in it or expunged from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The message; in the order of arrival.
    pub message: MessageId,
    /// What its readers see, or would see.
    pub entry: Entry,
    /// When it was expunged, seconds since 1970; `None` while it is in the maildrop.
    pub expunged_at: Option<u64>,
    /// From when on its stay in the maildrop counts, seconds since 1970: it came, returned or could be seen.
    pub stays_since: u64,
}

/// With which unique-ids expunged messages come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReturnAs {
    /// Those that they had: a client that has fetched them does not do so again.
    Known,
    /// New ones: every client fetches them.
    New,
}

/// Maildrops as their administrator sees them: without a lease, and with what was expunged while it can be brought
/// back.
#[async_trait]
pub trait MaildropAdministration: Send + Sync {
    /// The messages behind `after` (`None`: from the first one), in the order of their arrival; at most `messages_max`,
    /// and none where there are no more.
    ///
    /// # Errors
    /// Where there is no such maildrop, or the store cannot answer.
    async fn messages(
        &self,
        maildrop: MaildropId,
        after: Option<MessageId>,
        messages_max: usize,
    ) -> Result<Vec<Kept>, MaildropError>;
    /// Octets of a message, expunged or not, as [`Lease::read`].
    ///
    /// # Errors
    /// `Ended` where there is no such message; otherwise where the store cannot read.
    async fn read(
        &self,
        maildrop: MaildropId,
        message: MessageId,
        offset: u64,
        octets_max: usize,
    ) -> Result<Vec<u8>, MaildropError>;
    /// How a message, expunged or not, came here.
    ///
    /// # Errors
    /// `Ended` where there is no such message, or its record is lost; otherwise where the store cannot read.
    async fn life(&self, maildrop: MaildropId, message: MessageId) -> Result<Life, MaildropError>;
    /// Brings expunged messages back, durably, all or none, to where they were in the order of arrival. Those that are
    /// not expunged are left as they are.
    ///
    /// # Errors
    /// Where nothing was changed.
    async fn bring_back(
        &self,
        maildrop: MaildropId,
        messages: &[MessageId],
        how: ReturnAs,
    ) -> Result<(), MaildropError>;
    /// Gives up expunged messages for good, durably, all or none. Those that are not expunged are left as they are.
    ///
    /// # Errors
    /// Where nothing was changed.
    async fn purge(&self, maildrop: MaildropId, messages: &[MessageId]) -> Result<(), MaildropError>;
}

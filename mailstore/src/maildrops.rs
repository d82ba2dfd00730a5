//! Reading maildrops under an exclusive lease, and expunging from them.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{MaildropId, UniqueId};

/// Why a maildrop could not be leased, read or expunged.
#[derive(Clone, Debug, Error, PartialEq, Eq, Serialize, Deserialize)]
pub enum MaildropError {
    /// Another session has it (RFC 1939 §4).
    #[error("another session has the maildrop")]
    Busy,
    /// The lease has ended: its session was too long silent, or the maildrop is gone.
    #[error("the lease on the maildrop has ended")]
    Ended,
    /// The store cannot answer now; nothing was changed.
    #[error("the store cannot answer: {0}")]
    Unavailable(String),
}

/// One message in a maildrop, as the lease found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its unique-id, for ever.
    pub unique_id: UniqueId,
    /// Octets of the message, CRLF counted, undotted: exactly what [`Lease::read`] gives.
    pub octets: u64,
    /// Octets of the header section with the blank line behind it; equal to `octets` where there is no body.
    pub header_octets: u64,
    /// When it was committed, seconds since 1970.
    pub received_at: u64,
}

/// Exclusive use of one maildrop; a snapshot taken when it began. Dropping it gives the maildrop back.
///
/// Delivery goes on meanwhile and is not seen. Indices are positions in [`Self::entries`].
#[async_trait]
pub trait Lease: Send {
    /// The messages, in the order of their arrival.
    fn entries(&self) -> &[Entry];

    /// At most `octets_max` octets of the message at `index`, from `offset` on; empty at its end. A message ends
    /// in CRLF. Damaged content comes as a well-formed substitute of the same size.
    ///
    /// # Errors
    /// Where the store cannot read.
    async fn read(&mut self, index: usize, offset: u64, octets_max: usize) -> Result<Vec<u8>, MaildropError>;

    /// Removes the messages at `indices` from the maildrop in one durable commit: all of them or none.
    ///
    /// # Errors
    /// Where nothing was removed.
    async fn expunge(&mut self, indices: &[usize]) -> Result<(), MaildropError>;
}

/// Where messages are kept for their readers.
#[async_trait]
pub trait Maildrops: Send + Sync {
    /// Leases `maildrop`, waiting at most `patience` for another session to end.
    ///
    /// # Errors
    /// `Busy` after `patience`; otherwise see [`MaildropError`].
    async fn lease(&self, maildrop: MaildropId, patience: Duration) -> Result<Box<dyn Lease>, MaildropError>;
}

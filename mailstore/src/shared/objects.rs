//! Drafts and leases of a sharer: each has a connection, and ends with it.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;

use super::frame::Octets;
use super::pool::Connection;
use super::request::{IntakeRequest, MaildropRequest, Request};
use crate::{Delivery, Draft, Entry, IntakeError, Lease, MaildropError, MaildropId, Receipt, Rules, Visit};

/// Content that is gathered before it is sent; each draft may hold as much.
const WRITE_OCTETS: usize = 64 << 10;

/// A draft at the host.
pub(crate) struct SharedDraft {
    connection: Connection,
    buffer: Vec<u8>,
}

impl SharedDraft {
    pub(crate) async fn begin(mut connection: Connection, octets_expected: u64) -> Result<Self, IntakeError> {
        let begun: Result<(), IntakeError> = connection
            .ask(&Request::Intake(IntakeRequest::Draft { octets_expected }))
            .await
            .map_err(|error| intake_lost(&error))?;
        begun?;
        Ok(Self { connection, buffer: Vec::new() })
    }

    async fn send(&mut self) -> Result<(), IntakeError> {
        let mut written = Ok(());
        let buffer = std::mem::take(&mut self.buffer);
        for piece in buffer.chunks(WRITE_OCTETS) {
            let request = Request::Intake(IntakeRequest::Write(Octets(piece.to_vec())));
            written = self.connection.ask(&request).await.map_err(|error| intake_lost(&error))?;
            if written.is_err() {
                break;
            }
        }
        written
    }
}

#[async_trait]
impl Draft for SharedDraft {
    async fn write(&mut self, octets: &[u8]) -> Result<(), IntakeError> {
        self.buffer.extend_from_slice(octets);
        if self.buffer.len() >= WRITE_OCTETS { self.send().await } else { Ok(()) }
    }

    async fn commit(mut self: Box<Self>, delivery: Delivery) -> Result<Receipt, IntakeError> {
        self.send().await?;
        let request = Request::Intake(IntakeRequest::Commit(Box::new(delivery.into())));
        let committed: Result<Receipt, IntakeError> =
            self.connection.ask(&request).await.map_err(|error| intake_lost(&error))?;
        self.connection.give_back();
        committed
    }
}

/// A lease at the host.
pub(crate) struct SharedLease {
    connection: Connection,
    rules: Rules,
    entries: Vec<Entry>,
    is_taken_over: bool,
}

impl SharedLease {
    pub(crate) async fn begin(
        mut connection: Connection,
        maildrop: MaildropId,
        patience: Duration,
    ) -> Result<Self, MaildropError> {
        let request = Request::Maildrop(MaildropRequest::Lease { maildrop, patience });
        let begun: Result<(u64, Rules), MaildropError> =
            connection.ask(&request).await.map_err(|error| maildrop_lost(&error))?;
        let (count, rules) = begun?;
        let mut entries: Vec<Entry> = Vec::new();
        while (entries.len() as u64) < count {
            let request = Request::Maildrop(MaildropRequest::Entries { from: entries.len() as u64 });
            let page: Result<Vec<Entry>, MaildropError> =
                connection.ask(&request).await.map_err(|error| maildrop_lost(&error))?;
            let page = page?;
            if page.is_empty() {
                return Err(MaildropError::Ended);
            }
            entries.extend(page);
        }
        Ok(Self { connection, rules, entries, is_taken_over: false })
    }
}

#[async_trait]
impl Lease for SharedLease {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn rules(&self) -> Rules {
        self.rules
    }

    fn check(&mut self) -> Result<(), MaildropError> {
        // Nothing else is said unasked.
        self.is_taken_over = self.is_taken_over || self.connection.has_unasked();
        if self.is_taken_over { Err(MaildropError::TakenOver) } else { Ok(()) }
    }

    async fn read(&mut self, index: usize, offset: u64, octets_max: usize) -> Result<Vec<u8>, MaildropError> {
        let request = MaildropRequest::Read { index: index as u64, offset, octets_max: octets_max as u64 };
        let answer: Result<Octets, MaildropError> = self.ask(request).await;
        answer.map(|octets| octets.0)
    }

    async fn expunge(&mut self, indices: &[usize]) -> Result<(), MaildropError> {
        let indices = indices.iter().map(|index| *index as u64).collect();
        self.ask(MaildropRequest::Expunge { indices }).await
    }

    async fn visited(&mut self, visit: Visit) -> Result<(), MaildropError> {
        self.ask(MaildropRequest::Visited { visit }).await
    }
}

impl SharedLease {
    /// What is said unasked may come in place of the answer, and says the same.
    async fn ask<T: DeserializeOwned>(&mut self, request: MaildropRequest) -> Result<T, MaildropError> {
        self.check()?;
        let answer = self.connection.ask(&Request::Maildrop(request)).await;
        let answer: Result<T, MaildropError> = answer.map_err(|error| maildrop_lost(&error))?;
        self.is_taken_over = matches!(answer, Err(MaildropError::TakenOver));
        answer
    }
}

fn intake_lost(error: &io::Error) -> IntakeError {
    IntakeError::Unavailable(lost(error))
}

fn maildrop_lost(error: &io::Error) -> MaildropError {
    MaildropError::Unavailable(lost(error))
}

/// What is said when the host does not answer.
pub(crate) fn lost(error: &io::Error) -> String {
    format!("the process that hosts the store does not answer: {error}")
}

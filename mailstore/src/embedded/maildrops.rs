//! Leases on maildrops: one reader at a time, on a snapshot; delivery never waits for it.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::change::Change;
use super::content::Content;
use super::host::Core;
use super::index::{Holder, IndexError};
use super::keys::{EntryValue, Subject};
use super::leases::Taken;
use super::reading::read_content;
use super::undelete::maildrop_error;
use crate::{Entry, Lease, MaildropError, MaildropId, Maildrops};
use mailwire::cause::chain;

impl Core {
    fn snapshot(&self, maildrop: u64) -> Result<Snapshot, MaildropError> {
        let entries = self.index.ask_patiently(|index| {
            let before = index.usage(maildrop).messages;
            let entries = index.entries(maildrop).collect::<Result<Vec<_>, _>>()?;
            let (counted, after) = (entries.len() as u64, index.usage(maildrop).messages);
            // A maildrop must never seem to have lost messages: clients forget which ones they have fetched. Only
            // deliveries come in between, since the maildrop is leased.
            if (before..=after).contains(&counted) {
                return Ok(entries);
            }
            Err(IndexError::Miscounted { counted, expected: after })
        });
        let entries = entries.map_err(|error| MaildropError::Unavailable(chain(&error)))?;
        let mut snapshot = Snapshot::default();
        for (message, value) in entries {
            snapshot.places.push((message, value.subject));
            snapshot.entries.push(entry(value));
        }
        Ok(snapshot)
    }
}

/// A message as its readers see it.
pub(crate) fn entry(value: EntryValue) -> Entry {
    Entry {
        unique_id: value.unique_id,
        octets: value.subject.octets,
        header_octets: value.subject.header_octets,
        received_at: value.received_at,
    }
}

/// A maildrop as the lease found it.
#[derive(Default)]
struct Snapshot {
    entries: Vec<Entry>,
    /// Identity and place of each.
    places: Vec<(u64, Subject)>,
}

struct EmbeddedLease {
    core: Arc<Core>,
    taken: Taken,
    snapshot: Snapshot,
    /// The message that was read last.
    open: Option<(usize, Arc<Content>)>,
}

#[async_trait]
impl Maildrops for Arc<Core> {
    async fn lease(&self, maildrop: MaildropId, patience: Duration) -> Result<Box<dyn Lease>, MaildropError> {
        let taken = self.leases.take(maildrop.0, patience).await.ok_or(MaildropError::Busy)?;
        let exists = self.accounts.read().unwrap_or_else(PoisonError::into_inner).has_maildrop(maildrop.0);
        if !exists {
            return Err(MaildropError::Ended);
        }
        let core = Arc::clone(self);
        let snapshot = tokio::task::spawn_blocking(move || core.snapshot(maildrop.0));
        let snapshot = snapshot.await.map_err(|error| MaildropError::Unavailable(error.to_string()))??;
        Ok(Box::new(EmbeddedLease { core: Self::clone(self), taken, snapshot, open: None }))
    }
}

impl EmbeddedLease {
    async fn content(&mut self, index: usize) -> Result<Arc<Content>, MaildropError> {
        if let Some((open, content)) = &self.open
            && *open == index
        {
            return Ok(Arc::clone(content));
        }
        let (message, subject) = *self.snapshot.places.get(index).ok_or(MaildropError::Ended)?;
        let holder = Holder::Maildrop { maildrop: self.taken.maildrop(), message };
        let content = self.core.open_content(holder, subject).await.map_err(MaildropError::Unavailable)?;
        self.open = Some((index, Arc::clone(&content)));
        Ok(content)
    }
}

#[async_trait]
impl Lease for EmbeddedLease {
    fn entries(&self) -> &[Entry] {
        &self.snapshot.entries
    }

    async fn read(&mut self, index: usize, offset: u64, octets_max: usize) -> Result<Vec<u8>, MaildropError> {
        let content = self.content(index).await?;
        read_content(content, offset, octets_max).await.map_err(MaildropError::Unavailable)
    }

    async fn expunge(&mut self, indices: &[usize]) -> Result<(), MaildropError> {
        let places = &self.snapshot.places;
        let messages: Vec<u64> =
            indices.iter().filter_map(|index| places.get(*index)).map(|(message, _)| *message).collect();
        if messages.is_empty() {
            return Ok(());
        }
        let change = Change::Expunge { maildrop: self.taken.maildrop(), messages };
        self.core.commit(change).await.map(|_| ()).map_err(maildrop_error)
    }
}

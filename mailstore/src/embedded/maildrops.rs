//! Leases on maildrops: one reader at a time, on a snapshot; delivery never waits for it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::change::Change;
use super::content::Content;
use super::holdings::Listing;
use super::host::Core;
use super::index::{Holder, IndexError};
use super::leases::{Taken, Tenure};
use super::reading::read_content;
use super::undelete::maildrop_error;
use crate::{Entry, Lease, MaildropError, MaildropId, Maildrops, Rules, Visit};
use mailwire::cause::chain;
use mailwire::clock;

/// A maildrop of no more messages is listed by whoever asks, which takes less than having another thread do it.
const LISTED_AT_ONCE_MAX: u64 = 100;

impl Core {
    async fn listing(self: &Arc<Self>, maildrop: u64) -> Result<Arc<Listing>, MaildropError> {
        let unavailable = |error: IndexError| MaildropError::Unavailable(chain(&error));
        let at_once = self.index.ask(|index| {
            let known = index.holdings().listing(maildrop, clock::unix_seconds());
            let is_small = index.usage(maildrop).messages <= LISTED_AT_ONCE_MAX;
            if known.is_none() && is_small { Listing::made(index, maildrop).map(Some) } else { Ok(known) }
        });
        match at_once {
            Ok(Some(listing)) => return Ok(listing),
            Ok(None) | Err(IndexError::Reopening) => {}
            Err(error) => return Err(unavailable(error)),
        }
        let core = Arc::clone(self);
        let listing = tokio::task::spawn_blocking(move || {
            core.index.ask_patiently(|index| Listing::made(index, maildrop))
        });
        let listed = listing.await.map_err(|error| MaildropError::Unavailable(error.to_string()))?;
        listed.map_err(unavailable)
    }

    fn check_delay(&self, maildrop: MaildropId, rules: Rules) -> Result<(), MaildropError> {
        let is_too_soon = self.last_leases.is_too_soon(maildrop.0, login_delay(rules), clock::instant());
        if is_too_soon { Err(MaildropError::TooSoon) } else { Ok(()) }
    }
}

fn login_delay(rules: Rules) -> Duration {
    Duration::from_secs(rules.login_delay_seconds.into())
}

pub(crate) struct EmbeddedLease {
    core: Arc<Core>,
    taken: Arc<Taken>,
    rules: Rules,
    listing: Arc<Listing>,
    /// The message that was read last.
    open: Option<(usize, Arc<Content>)>,
}

#[async_trait]
impl Maildrops for Arc<Core> {
    async fn lease(&self, maildrop: MaildropId, patience: Duration) -> Result<Box<dyn Lease>, MaildropError> {
        Ok(Box::new(self.begin_lease(maildrop, patience).await?))
    }
}

impl Core {
    /// See [`Maildrops::lease`].
    pub(crate) async fn begin_lease(
        self: &Arc<Self>,
        maildrop: MaildropId,
        patience: Duration,
    ) -> Result<EmbeddedLease, MaildropError> {
        let rules = self.with_accounts(|accounts| accounts.rules.of(accounts.owner(maildrop.0)));
        self.check_delay(maildrop, rules)?;
        let taken = self.leases.take(maildrop.0, patience, rules.takeover).await;
        let taken = taken.ok_or(MaildropError::Busy)?;
        // Another one may have begun and ended meanwhile.
        self.check_delay(maildrop, rules)?;
        if !self.with_accounts(|accounts| accounts.has_maildrop(maildrop.0)) {
            return Err(MaildropError::Ended);
        }
        let listing = self.listing(maildrop.0).await?;
        self.last_leases.begin(maildrop.0, login_delay(rules), clock::instant());
        let (core, taken) = (Arc::clone(self), Arc::new(taken));
        Ok(EmbeddedLease { core, taken, rules, listing, open: None })
    }
}

impl EmbeddedLease {
    /// What says whether the lease still holds.
    pub(crate) fn tenure(&self) -> Arc<Tenure> {
        self.taken.tenure()
    }

    async fn content(&mut self, index: usize) -> Result<Arc<Content>, MaildropError> {
        if let Some((open, content)) = &self.open
            && *open == index
        {
            return Ok(Arc::clone(content));
        }
        let (message, subject) = *self.listing.places.get(index).ok_or(MaildropError::Ended)?;
        let holder = Holder::Maildrop { maildrop: self.taken.maildrop(), message };
        let content = self.core.open_content(holder, subject).await.map_err(MaildropError::Unavailable)?;
        self.open = Some((index, Arc::clone(&content)));
        Ok(content)
    }
}

#[async_trait]
impl Lease for EmbeddedLease {
    fn entries(&self) -> &[Entry] {
        &self.listing.entries
    }

    fn rules(&self) -> Rules {
        self.rules
    }

    fn check(&mut self) -> Result<(), MaildropError> {
        if self.taken.tenure().is_over() { Err(MaildropError::TakenOver) } else { Ok(()) }
    }

    async fn read(&mut self, index: usize, offset: u64, octets_max: usize) -> Result<Vec<u8>, MaildropError> {
        self.check()?;
        let content = self.content(index).await?;
        read_content(content, offset, octets_max).await.map_err(MaildropError::Unavailable)
    }

    async fn expunge(&mut self, indices: &[usize]) -> Result<(), MaildropError> {
        let places = &self.listing.places;
        let messages: Vec<u64> =
            indices.iter().filter_map(|index| places.get(*index)).map(|(message, _)| *message).collect();
        if messages.is_empty() {
            return Ok(());
        }
        let change = Change::Expunge { maildrop: self.taken.maildrop(), messages };
        // Held until the expunge is applied, whoever still waits for it: the next session must not see half of it.
        let held = self.taken.commit().ok_or(MaildropError::TakenOver)?;
        let expunged = self.core.commit_content(change, Vec::new(), Some(Box::new(held))).await;
        expunged.map(|_| ()).map_err(maildrop_error)
    }

    async fn visited(&mut self, visit: Visit) -> Result<(), MaildropError> {
        let places = &self.listing.places;
        let message = |index| places.get(index).map(|(message, _)| *message);
        self.core.witness.visited(self.taken.maildrop(), visit, message);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{account, deliver_text, options};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_maildrop_is_leased_while_mail_arrives() {
        let root = tempfile::tempdir().unwrap();
        let store = crate::open(options(root.path())).await.unwrap();
        let alice = account(&store, "alice").await.maildrop;
        let arrivals: Vec<_> = (0..4)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    for number in 0..200 {
                        deliver_text(&store, alice, &number.to_string()).await;
                    }
                })
            })
            .collect();
        let mut seen = 0;
        while seen < 800 {
            let lease = store.maildrops.lease(alice, Duration::from_mins(1)).await.unwrap();
            assert!(lease.entries().len() >= seen);
            seen = lease.entries().len();
        }
        for arrival in arrivals {
            arrival.await.unwrap();
        }
        store.close().await;
    }
}

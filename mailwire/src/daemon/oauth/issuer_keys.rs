//! Signed tokens, checked by the issuer's keys, which are fetched when they are needed and kept.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedMutexGuard, Semaphore};
use tracing::{debug, warn};

use super::checker::{Trouble, on_pool};
use super::config::Limits;
use super::key_cache::{KeyCache, Other};
use crate::cause::chain;
use crate::clock;
use crate::net::HttpsClient;
use crate::oauth::{Claims, KeySet, Refusal, SignedToken};
use crate::secret::Secret;

/// The keys of the configuration's issuer.
#[derive(Debug)]
pub(super) struct IssuerKeys {
    client: HttpsClient,
    cache: Mutex<KeyCache>,
    /// Whoever fetches holds it to the end; who waits for it finds what was fetched.
    fetching: Arc<tokio::sync::Mutex<()>>,
    checks: Arc<Semaphore>,
}

impl IssuerKeys {
    pub(super) fn new(client: HttpsClient, limits: &Limits, checks: Arc<Semaphore>) -> Self {
        Self { client, cache: Mutex::new(KeyCache::new(limits)), fetching: Arc::default(), checks }
    }

    /// What the token says, where the issuer has signed it.
    pub(super) async fn claims(self: &Arc<Self>, token: &Arc<Secret<String>>) -> Result<Claims, Trouble> {
        // Read before anybody is bothered: what is no token costs the issuer nothing.
        SignedToken::parse(token.expose())?;
        let known = self.cache().keys(clock::instant());
        self.renew();
        let keys = match known {
            Some(keys) => keys,
            None => self.other_than(None).await?,
        };
        match self.verified(token, &keys).await {
            // The issuer may have new ones.
            Err(Trouble::Refused(Refusal::Key)) => {
                let keys = self.other_than(Some(&keys)).await?;
                self.verified(token, &keys).await
            }
            settled => settled,
        }
    }

    async fn verified(&self, token: &Arc<Secret<String>>, keys: &Arc<KeySet>) -> Result<Claims, Trouble> {
        let (token, keys) = (Arc::clone(token), Arc::clone(keys));
        let verify = move || SignedToken::parse(token.expose()).and_then(|token| keys.verify(&token));
        Ok(on_pool(&self.checks, verify).await??)
    }

    /// Has old keys fetched again, without waiting for it.
    fn renew(self: &Arc<Self>) {
        let Ok(alone) = Arc::clone(&self.fetching).try_lock_owned() else { return };
        if self.cache().wants_renewal(clock::instant()) {
            let these = Arc::clone(self);
            tokio::task::spawn_blocking(move || these.fetch(alone));
        }
    }

    /// Other keys than those that were tried.
    async fn other_than(self: &Arc<Self>, tried: Option<&Arc<KeySet>>) -> Result<Arc<KeySet>, Trouble> {
        let alone = Arc::clone(&self.fetching).lock_owned().await;
        let other = self.cache().other_than(tried, clock::instant());
        let fetched = match other {
            Other::Keys(keys) => Some(keys),
            Other::Fetch => {
                let these = Arc::clone(self);
                tokio::task::spawn_blocking(move || these.fetch(alone)).await.ok().flatten()
            }
            Other::Unknown => None,
            Other::None => return Err(Refusal::Key.into()),
        };
        fetched.ok_or_else(|| Trouble::Unavailable("the issuer's keys cannot be fetched".to_owned()))
    }

    /// Fetches, and notes what came of it, be anybody still waiting for it or not. It blocks.
    fn fetch(&self, _alone: OwnedMutexGuard<()>) -> Option<Arc<KeySet>> {
        let answer = self.client.get().map_err(|error| chain(&error));
        let keys = answer.and_then(|octets| KeySet::parse(&octets).map_err(|error| error.to_string()));
        match keys {
            Ok(keys) => {
                debug!("the issuer's keys were fetched");
                Some(self.cache().fetched(keys, clock::instant()))
            }
            Err(reason) => {
                warn!(reason, "the issuer's keys cannot be fetched, see `jwks_url`");
                self.cache().failed(clock::instant());
                None
            }
        }
    }

    fn cache(&self) -> MutexGuard<'_, KeyCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

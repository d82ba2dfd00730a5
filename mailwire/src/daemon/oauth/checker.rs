//! Who checks tokens: off the threads of the network, so many at a time, each within one deadline.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{info, warn};

use super::config::{OAuth, Source};
use super::introspection::Endpoint;
use super::issuer_keys::IssuerKeys;
use crate::clock;
use crate::net::{HttpsClient, HttpsSetupError};
use crate::oauth::{Refusal, Terms, authorization};
use crate::sasl::{TokenVerdict, TokensUnavailable};
use crate::secret::Secret;

/// Most octets of a client's secret.
const SECRET_OCTETS_MAX: u64 = 4096;

/// Why tokens cannot be checked at all.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The secret is not there.
    #[error("[oauth] reading `client_secret_file` {path} failed")]
    Secret {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The secret is not one.
    #[error("[oauth] `client_secret_file` {0} must hold the secret in its one line, and nothing else")]
    NoSecret(PathBuf),
    /// Nobody can be asked.
    #[error("[oauth] cannot ask for tokens over HTTPS, see `ca_file`")]
    Https(#[from] HttpsSetupError),
    /// The system gives no randomness.
    #[error("[oauth] no randomness from the system")]
    Random,
}

/// Why no login comes of a token.
#[derive(Debug)]
pub(super) enum Trouble {
    /// By the token.
    Refused(Refusal),
    /// By whoever knows about it.
    Unavailable(String),
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Checks tokens, for as many daemons as there are in the process.
#[derive(Debug)]
pub struct Checker {
    means: Means,
    terms: Arc<Terms>,
    deadline: Duration,
}

#[derive(Debug)]
enum Means {
    Endpoint(Arc<Endpoint>),
    Keys(Arc<IssuerKeys>),
}

impl Checker {
    /// As the configuration says; `None` where it names nobody.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub fn new(oauth: &OAuth) -> Result<Option<Arc<Self>>, SetupError> {
        let OAuth { source, terms, roots, limits } = oauth;
        let Some(source) = source else { return Ok(None) };
        let checks = Arc::new(Semaphore::new(limits.checks_max.min(Semaphore::MAX_PERMITS)));
        let means = match source {
            Source::Introspection { url, client_id, client_secret_file } => {
                let authorization = authorization(client_id, &secret(client_secret_file)?);
                let client = HttpsClient::new(url.clone(), roots, limits.question)?;
                let endpoint = Endpoint::new(client, authorization, limits, checks);
                Means::Endpoint(Arc::new(endpoint.ok_or(SetupError::Random)?))
            }
            Source::Keys { url } => {
                let client = HttpsClient::new(url.clone(), roots, limits.question)?;
                Means::Keys(Arc::new(IssuerKeys::new(client, limits, checks)))
            }
        };
        Ok(Some(Arc::new(Self { means, terms: Arc::new(terms.clone()), deadline: limits.question.deadline })))
    }

    /// What comes of `token`; who waits for their turn, or for an answer, waits no longer than the deadline.
    ///
    /// # Errors
    /// Where it cannot be told now.
    pub async fn check(&self, token: &Secret<String>) -> Result<TokenVerdict, TokensUnavailable> {
        let unavailable = |reason: String| {
            warn!(reason, "a token cannot be checked");
            Err(TokensUnavailable(reason))
        };
        match timeout(self.deadline, self.login(token)).await {
            Ok(Ok(login)) => Ok(TokenVerdict::Login(login)),
            Ok(Err(Trouble::Refused(reason))) => {
                info!(%reason, "token refused");
                Ok(if reason == Refusal::Expired { TokenVerdict::Expired } else { TokenVerdict::Refused })
            }
            Ok(Err(Trouble::Unavailable(reason))) => unavailable(reason),
            Err(_) => unavailable(format!("there was no answer within {} seconds", self.deadline.as_secs())),
        }
    }

    async fn login(&self, token: &Secret<String>) -> Result<String, Trouble> {
        if token.expose().is_empty() {
            return Err(Refusal::Absent.into());
        }
        let token = Arc::new(token.clone());
        match &self.means {
            Means::Endpoint(endpoint) => endpoint.login(&token, &self.terms).await,
            Means::Keys(keys) => {
                let claims = keys.claims(&token).await?;
                Ok(self.terms.judge(&claims, clock::unix_seconds())?.login)
            }
        }
    }
}

/// Runs `work`, which takes CPU or blocks, where that disturbs nobody; `checks` says how much of it there may be. It goes
/// on to its end, and counts, where nobody waits for it any more.
pub(super) async fn on_pool<T: Send + 'static>(
    checks: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Trouble> {
    let stopped = || Trouble::Unavailable("the check was stopped".to_owned());
    let turn = Arc::clone(checks).acquire_owned().await.map_err(|_| stopped())?;
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    done.await.map_err(|_| stopped())
}

/// The one line of a file.
fn secret(path: &Path) -> Result<Secret<String>, SetupError> {
    let failed = |source| SetupError::Secret { path: path.to_owned(), source };
    if fs::metadata(path).map_err(failed)?.len() > SECRET_OCTETS_MAX {
        return Err(SetupError::NoSecret(path.to_owned()));
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() || line.chars().any(char::is_control) {
        return Err(SetupError::NoSecret(path.to_owned()));
    }
    Ok(Secret::new(line.to_owned()))
}

#[cfg(test)]
mod tests;

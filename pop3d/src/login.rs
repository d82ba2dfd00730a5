//! The login's part of a connection: what the session asks of directory and TLS, and the log of what came of it.

use mailstore::{Account, Unavailable};
use mailwire::cause::chain;
use mailwire::daemon::login;
use mailwire::escape::escaped;
use mailwire::net::LoginMeans;
use mailwire::sasl::{Nonce, ScramKeys, Surroundings, Tokens};
use tracing::{Span, info, warn};

use crate::connection::Session;
use crate::session::RefusedLogin;

impl Session {
    /// What the connection gives to a login.
    pub(crate) fn surroundings(&mut self) -> Surroundings {
        let LoginMeans { bindings, certificate_logins } = self.connection.take_login_means();
        Surroundings { bindings, certificate_logins, tokens: Tokens::Unknown }
    }

    /// What is kept of the login for SCRAM, and a nonce.
    pub(crate) async fn scram_keys(&self, login: &str) -> (Result<ScramKeys, Unavailable>, Nonce) {
        let mut random = [0; Nonce::OCTETS];
        let answer = match getrandom::fill(&mut random) {
            Ok(()) => self.context.directory.scram_keys(login).await,
            Err(error) => Err(Unavailable(format!("no randomness from the system: {error}"))),
        };
        if let Err(error) = &answer {
            warn!(reason = chain(error), "login deferred");
        }
        (answer, Nonce::new(random))
    }

    /// The account of a login that was proven without a password.
    pub(crate) async fn account(&self, login: &str) -> Result<Option<Account>, Unavailable> {
        let answer = self.context.directory.account(login).await;
        note(login, &answer);
        answer
    }
}

/// What the directory said of a login, whichever way it was proven, for the log.
pub(crate) fn note(login: &str, answer: &Result<Option<Account>, Unavailable>) {
    match answer {
        Ok(Some(account)) => {
            Span::current().record("account", escaped(account.address.to_string().as_bytes()));
        }
        Ok(None) => info!(login = login::shown(login), "login failed"),
        Err(error) => warn!(reason = chain(error), "login deferred"),
    }
}

/// A login that failed by what the client sent, for the log.
pub(crate) fn login_refused(refused: &RefusedLogin) {
    let RefusedLogin { login, reason } = refused;
    info!(login = login.as_deref().map(login::shown), %reason, "login failed");
}

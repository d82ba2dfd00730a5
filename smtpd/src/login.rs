//! The login's part of a connection: what the session asks of directory and TLS, and the log of what came of it.

use mailstore::{Account, Unavailable};
use mailwire::daemon::login;
use mailwire::escape::escaped;
use mailwire::net::LoginMeans;
use mailwire::sasl::{Nonce, Surroundings, Tokens};
use tracing::{Span, error, info};

use crate::connection::{Conversation, warn_if_failed};
use crate::session::{RefusedLogin, Step};

impl Conversation {
    /// Tells the session what the connection gives to a login: at its beginning, and again under TLS.
    pub(crate) fn surround(&mut self) {
        let LoginMeans { bindings, certificate_logins } = self.connection.take_login_means();
        let surroundings = Surroundings { bindings, certificate_logins, tokens: Tokens::Unknown };
        self.session.surrounded_by(surroundings);
    }

    /// What is kept of the login for SCRAM, and a nonce.
    pub(crate) async fn scram_keys(&mut self, login: &str) -> Step {
        let answer = self.store.directory.scram_keys(login).await;
        warn_if_failed(answer.as_ref().err());
        let mut random = [0; Nonce::OCTETS];
        if let Err(error) = getrandom::fill(&mut random) {
            error!(%error, "no randomness from the system, login put off");
            return self.session.authenticated(Err(Unavailable(error.to_string())));
        }
        self.session.scram_keys_found(&answer, &Nonce::new(random))
    }

    /// The account of a login that was proven without a password.
    pub(crate) async fn account(&mut self, login: &str) -> Step {
        let answer = self.store.directory.account(login).await;
        warn_if_failed(answer.as_ref().err());
        self.authenticated(login, answer)
    }

    /// What the directory said of a login, whichever way it was proven.
    pub(crate) fn authenticated(
        &mut self,
        login: &str,
        answer: Result<Option<Account>, Unavailable>,
    ) -> Step {
        match &answer {
            Ok(Some(account)) => {
                Span::current().record("account", escaped(account.address.to_string().as_bytes()));
            }
            Ok(None) => info!(login = login::shown(login), "login failed"),
            Err(_) => {}
        }
        self.session.authenticated(answer)
    }

    /// A login that failed by what the client sent.
    pub(crate) fn login_refused(&mut self, refused: &RefusedLogin) -> Step {
        let RefusedLogin { login, reason } = refused;
        info!(login = login.as_deref().map(login::shown), %reason, "login failed");
        self.session.login_failed()
    }
}

//! The login's part of a connection: what the session asks of directory and TLS, and the log of what came of it.

use std::net::{IpAddr, Ipv4Addr};

use mailstore::{Account, Admission, Outcome, Turn, Unavailable, Verdict};
use mailwire::daemon::login;
use mailwire::escape::escaped;
use mailwire::net::LoginMeans;
use mailwire::sasl::{Nonce, Surroundings, Tokens};
use tracing::{Span, debug, error, info};

use crate::connection::{Conversation, End, warn_if_failed};
use crate::session::{RefusedLogin, Step};

impl Conversation {
    /// Tells the session what the connection gives to a login: at its beginning, and again under TLS.
    pub(crate) fn surround(&mut self) {
        let LoginMeans { bindings, certificate_logins } = self.connection.take_login_means();
        let surroundings = Surroundings { bindings, certificate_logins, tokens: Tokens::Unknown };
        self.session.surrounded_by(surroundings);
    }

    /// What is kept of the login for SCRAM, and a nonce.
    ///
    /// The guard is asked before: a right proof is answered with the server's own (RFC 5802 §3), which would tell whoever
    /// is put off that the password was right.
    pub(crate) async fn scram_keys(&mut self, login: &str) -> Result<Step, End> {
        if let Err(step) = self.admit(login).await? {
            return Ok(step);
        }
        let answer = self.common.store.directory.scram_keys(login).await;
        warn_if_failed(answer.as_ref().err());
        let mut random = [0; Nonce::OCTETS];
        if let Err(error) = getrandom::fill(&mut random) {
            error!(%error, "no randomness from the system, login put off");
            return Ok(self.session.authenticated(Err(Unavailable(error.to_string()))));
        }
        Ok(self.session.scram_keys_found(&answer, &Nonce::new(random)))
    }

    /// The account of a login that was proven without a password.
    pub(crate) async fn account(&mut self, login: &str) -> Result<Step, End> {
        let answer = self.common.store.directory.account(login).await;
        warn_if_failed(answer.as_ref().err());
        let outcome = match &answer {
            Ok(Some(_)) => Outcome::Right,
            Ok(None) => Outcome::WrongUnseen,
            Err(_) => return Ok(self.session.authenticated(answer)),
        };
        let instead = self.instead(login, outcome).await?;
        Ok(instead.unwrap_or_else(|| self.authenticated(login, answer)))
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
    pub(crate) async fn login_refused(&mut self, refused: &RefusedLogin) -> Result<Step, End> {
        let RefusedLogin { login, reason } = refused;
        if let Some(login) = login
            && let Some(instead) = self.instead(login, Outcome::WrongUnseen).await?
        {
            return Ok(instead);
        }
        info!(login = login.as_deref().map(login::shown), %reason, "login failed");
        Ok(self.session.login_failed())
    }

    /// What the guard has said instead of what a login came to that showed no secret.
    async fn instead(&mut self, login: &str, outcome: Outcome<'_>) -> Result<Option<Step>, End> {
        match self.admit(login).await? {
            Ok(turn) => Ok(self.settle(login, turn, outcome).await.err()),
            Err(step) => Ok(Some(step)),
        }
    }

    /// The address that a login counts for; a socket of this machine has none and counts as this machine.
    fn address(&self) -> IpAddr {
        self.connection.peer().ip().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// Whether the login may be looked at now, which is when this returns; or what is said instead.
    pub(crate) async fn admit(&mut self, login: &str) -> Result<Result<Turn, Step>, End> {
        match self.common.store.guard.admit(self.address(), login).await {
            Ok(Admission::Admitted(turn)) => {
                self.connection.pause(turn.delay).await?;
                Ok(Ok(turn))
            }
            Ok(Admission::PutOff) => Ok(Err(self.put_off(login))),
            Err(error) => {
                warn_if_failed(Some(&error));
                Ok(Err(self.session.authenticated(Err(error))))
            }
        }
    }

    /// Tells the guard what a login came to. Where the client may not hear it, this is what is said instead.
    pub(crate) async fn settle(&mut self, login: &str, turn: Turn, outcome: Outcome<'_>) -> Result<(), Step> {
        match self.common.store.guard.settle(self.address(), login, turn, outcome).await {
            Ok(Verdict::Stands) => Ok(()),
            Ok(Verdict::PutOff) => Err(self.put_off(login)),
            Err(error) => {
                warn_if_failed(Some(&error));
                Err(self.session.authenticated(Err(error)))
            }
        }
    }

    /// The guard has said in the log where this began; here it would be a line for each try.
    fn put_off(&mut self, login: &str) -> Step {
        debug!(login = login::shown(login), "login put off");
        self.session.login_put_off()
    }
}

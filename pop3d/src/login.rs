//! The login's part of a connection: what the session asks of directory and TLS, and the log of what came of it.

use std::net::{IpAddr, Ipv4Addr};

use mailstore::{Account, Admission, Outcome, Turn, Unavailable, Verdict};
use mailwire::cause::chain;
use mailwire::daemon::login;
use mailwire::escape::escaped;
use mailwire::net::LoginMeans;
use mailwire::sasl::{Nonce, Surroundings, Tokens};
use tracing::{Span, debug, info, warn};

use crate::connection::{Interrupted, Session};
use crate::session::{Authorization, AuthorizationStep, RefusedLogin};

impl Session {
    /// What the connection gives to a login.
    pub(crate) fn surroundings(&mut self) -> Surroundings {
        let LoginMeans { bindings, certificate_logins } = self.connection.take_login_means();
        Surroundings { bindings, certificate_logins, tokens: Tokens::Unknown }
    }

    /// What is kept of the login for SCRAM, and a nonce.
    ///
    /// The guard is asked before: a right proof is answered with the server's own (RFC 5802 §3), which would tell whoever
    /// is put off that the password was right.
    pub(crate) async fn scram_keys(
        &mut self,
        authorization: &mut Authorization,
        login: &str,
    ) -> Result<AuthorizationStep, Interrupted> {
        if let Err(step) = self.admit(authorization, login).await? {
            return Ok(step);
        }
        let mut random = [0; Nonce::OCTETS];
        let answer = match getrandom::fill(&mut random) {
            Ok(()) => self.context.directory.scram_keys(login).await,
            Err(error) => Err(Unavailable(format!("no randomness from the system: {error}"))),
        };
        if let Err(error) = &answer {
            warn!(reason = chain(error), "login deferred");
        }
        Ok(authorization.scram_keys_found(&answer, &Nonce::new(random)))
    }

    /// The account of a login that was proven without a password.
    pub(crate) async fn account(
        &mut self,
        authorization: &mut Authorization,
        login: &str,
    ) -> Result<AuthorizationStep, Interrupted> {
        let answer = self.context.directory.account(login).await;
        let outcome = match &answer {
            Ok(Some(_)) => Some(Outcome::Right),
            Ok(None) => Some(Outcome::WrongUnseen),
            Err(_) => None,
        };
        if let Some(outcome) = outcome
            && let Some(instead) = self.instead(authorization, login, outcome).await?
        {
            return Ok(instead);
        }
        note(login, &answer);
        Ok(authorization.verified(answer))
    }

    /// A login that failed by what the client sent.
    pub(crate) async fn login_refused(
        &mut self,
        authorization: &mut Authorization,
        refused: &RefusedLogin,
    ) -> Result<AuthorizationStep, Interrupted> {
        let RefusedLogin { login, reason } = refused;
        if let Some(login) = login
            && let Some(instead) = self.instead(authorization, login, Outcome::WrongUnseen).await?
        {
            return Ok(instead);
        }
        info!(login = login.as_deref().map(login::shown), %reason, "login failed");
        Ok(authorization.wrong_credentials())
    }

    /// What the guard has said instead of what a login came to that showed no secret.
    async fn instead(
        &mut self,
        authorization: &mut Authorization,
        login: &str,
        outcome: Outcome<'_>,
    ) -> Result<Option<AuthorizationStep>, Interrupted> {
        match self.admit(authorization, login).await? {
            Ok(turn) => Ok(self.settle(authorization, (login, turn), outcome).await.err()),
            Err(step) => Ok(Some(step)),
        }
    }

    /// The address that a login counts for; a socket of this machine has none and counts as this machine.
    fn address(&self) -> IpAddr {
        self.connection.peer().ip().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// Whether the login may be looked at now, which is when this returns; or what is said instead.
    pub(crate) async fn admit(
        &mut self,
        authorization: &mut Authorization,
        login: &str,
    ) -> Result<Result<Turn, AuthorizationStep>, Interrupted> {
        match self.context.guard.admit(self.address(), login).await {
            Ok(Admission::Admitted(turn)) => {
                self.connection.pause(turn.delay).await.map_err(Interrupted::Read)?;
                Ok(Ok(turn))
            }
            Ok(Admission::PutOff) => Ok(Err(put_off(authorization, login))),
            Err(error) => {
                warn!(reason = chain(&error), "login deferred");
                Ok(Err(authorization.verified(Err(error))))
            }
        }
    }

    /// Tells the guard what a login came to. Where the client may not hear it, this is what is said instead.
    pub(crate) async fn settle(
        &self,
        authorization: &mut Authorization,
        (login, turn): (&str, Turn),
        outcome: Outcome<'_>,
    ) -> Result<(), AuthorizationStep> {
        match self.context.guard.settle(self.address(), login, turn, outcome).await {
            Ok(Verdict::Stands) => Ok(()),
            Ok(Verdict::PutOff) => Err(put_off(authorization, login)),
            Err(error) => {
                warn!(reason = chain(&error), "login deferred");
                Err(authorization.verified(Err(error)))
            }
        }
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

/// The guard has said in the log where this began; here it would be a line for each try.
fn put_off(authorization: &mut Authorization, login: &str) -> AuthorizationStep {
    debug!(login = login::shown(login), "login put off");
    authorization.put_off()
}

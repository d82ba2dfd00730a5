//! The login's part of a connection: what the session asks of directory and TLS, and the log of what came of it.

use mailstore::{Account, NoLogin, Unavailable};
use mailwire::cause::chain;
use mailwire::daemon::login::shown;
use mailwire::escape::escaped;
use mailwire::net::LoginMeans;
use mailwire::sasl::{Credentials, Nonce, Surroundings, Tokens};
use tracing::{Span, debug, info, warn};

use crate::connection::{Interrupted, Session};
use crate::session::{Authorization, AuthorizationStep, RefusedLogin};

impl Session {
    /// What the connection gives to a login.
    pub(crate) fn surroundings(&mut self) -> Surroundings {
        let LoginMeans { bindings, certificate_logins } = self.connection.take_login_means();
        Surroundings { bindings, certificate_logins, tokens: Tokens::Unknown }
    }

    /// A login with its password.
    pub(crate) async fn verify(
        &mut self,
        authorization: &mut Authorization,
        credentials: &Credentials,
    ) -> Result<AuthorizationStep, Interrupted> {
        let answer = match self.admit(&credentials.login).await? {
            Ok(()) => self.logins.authenticate(credentials).await,
            Err(why) => Err(why),
        };
        Ok(answered(authorization, &credentials.login, answer))
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
        if let Err(why) = self.admit(login).await? {
            return Ok(answered(authorization, login, Err(why)));
        }
        let mut random = [0; Nonce::OCTETS];
        let answer = match getrandom::fill(&mut random) {
            Ok(()) => self.logins.scram_keys(login).await,
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
        let answer = match self.admit(login).await? {
            Ok(()) => self.logins.account(login).await,
            Err(why) => Err(why),
        };
        Ok(answered(authorization, login, answer))
    }

    /// A login that failed by what the client sent.
    pub(crate) async fn login_refused(
        &mut self,
        authorization: &mut Authorization,
        refused: &RefusedLogin,
    ) -> Result<AuthorizationStep, Interrupted> {
        let RefusedLogin { login, reason } = refused;
        if let Some(login) = login {
            let why = match self.admit(login).await? {
                Ok(()) => self.logins.wrong(login).await,
                Err(why) => why,
            };
            if why != NoLogin::Wrong {
                return Ok(answered(authorization, login, Err(why)));
            }
        }
        info!(login = login.as_deref().map(shown), %reason, "login failed");
        Ok(authorization.wrong_credentials())
    }

    /// Waits until the login may be looked at.
    async fn admit(&mut self, login: &str) -> Result<Result<(), NoLogin>, Interrupted> {
        match self.logins.admit(login).await {
            Ok(delay) => Ok(Ok(self.connection.pause(delay).await.map_err(Interrupted::Read)?)),
            Err(why) => Ok(Err(why)),
        }
    }
}

/// What a login came to, whichever way it was tried, for the log and the session.
fn answered(
    authorization: &mut Authorization,
    login: &str,
    answer: Result<Account, NoLogin>,
) -> AuthorizationStep {
    match answer {
        Ok(account) => {
            Span::current().record("account", escaped(account.address.to_string().as_bytes()));
            authorization.verified(Ok(Some(account)))
        }
        Err(NoLogin::Wrong) => {
            info!(login = shown(login), "login failed");
            authorization.verified(Ok(None))
        }
        // The guard has said in the log where this began; here it would be a line for each try.
        Err(NoLogin::PutOff) => {
            debug!(login = shown(login), "login put off");
            authorization.put_off()
        }
        Err(NoLogin::Unavailable(error)) => {
            warn!(reason = chain(&error), "login deferred");
            authorization.verified(Err(error))
        }
    }
}

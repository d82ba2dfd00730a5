//! The login's part of a connection: what the session asks of directory and TLS, and the log of what came of it.

use mailstore::{Login, NoLogin, Unavailable};
use mailwire::cause::chain;
use mailwire::daemon::login::{UNNAMED, shown};
use mailwire::escape::escaped;
use mailwire::net::LoginMeans;
use mailwire::sasl::{
    BearerToken, Credentials, Nonce, Proven, SaslError, Surroundings, TokenVerdict, Tokens, TokensUnavailable,
};
use tracing::{Span, debug, info, warn};

use crate::connection::{Interrupted, Session};
use crate::session::{Authorization, AuthorizationStep, RefusedLogin};

impl Session {
    /// What the connection gives to a login.
    pub(crate) fn surroundings(&mut self) -> Surroundings {
        let LoginMeans { bindings, certificate_logins } = self.connection.take_login_means();
        let tokens = self.context.tokens.as_ref().map_or(Tokens::Unknown, |_| Tokens::Checked);
        Surroundings { bindings, certificate_logins, tokens }
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

    /// A right proof, which is answered with the server's own (RFC 5802 §3): whoever is put off must not learn by it that
    /// the password was right.
    pub(crate) async fn scram_proof(
        &mut self,
        authorization: &mut Authorization,
        login: &str,
    ) -> Result<AuthorizationStep, Interrupted> {
        let answer = match self.admit(login).await? {
            Ok(()) => self.logins.proof(login).await,
            Err(why) => Err(why),
        };
        Ok(match answer {
            Ok(()) => authorization.proof_heard(),
            Err(why) => answered(authorization, login, Err(why)),
        })
    }

    /// What comes of a token.
    ///
    /// The guard is asked before, so that nobody floods through us whoever knows about tokens, and told at once: not every
    /// client waits to hear why its token is refused. One that has expired is no guess, since it was good.
    pub(crate) async fn token(
        &mut self,
        authorization: &mut Authorization,
        shown: &BearerToken,
    ) -> Result<AuthorizationStep, Interrupted> {
        let login = shown.login.as_deref().unwrap_or(UNNAMED);
        if let Err(why) = self.admit(login).await? {
            return Ok(answered(authorization, login, Err(why)));
        }
        let answer = match &self.context.tokens {
            Some(checker) => checker.check(&shown.token).await,
            None => Err(TokensUnavailable("nobody checks them".to_owned())),
        };
        let answer = answer.map(|verdict| verdict.of(shown, &self.context.terms.primary_domain));
        if answer == Ok(TokenVerdict::Refused) {
            let why = self.logins.wrong_token(login, &shown.token).await;
            if why != NoLogin::Wrong {
                return Ok(answered(authorization, login, Err(why)));
            }
        }
        Ok(authorization.token_checked(answer))
    }

    /// The account of a login that was proven without a password.
    pub(crate) async fn account(
        &mut self,
        authorization: &mut Authorization,
        proven: &Proven,
    ) -> Result<AuthorizationStep, Interrupted> {
        let login = &proven.login;
        if let Some(found) = self.logins.take_proven(login) {
            return Ok(answered(authorization, login, Ok(found)));
        }
        let answer = match self.admit(login).await? {
            Ok(()) => self.logins.account(proven).await,
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
        // What came of a token the guard has heard already.
        if let Some(login) = login
            && *reason != SaslError::Token
        {
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
    answer: Result<Login, NoLogin>,
) -> AuthorizationStep {
    match answer {
        Ok(found) => {
            // The address of the maildrop: it says which of the account's it is.
            Span::current().record("account", escaped(found.address.to_string().as_bytes()));
            authorization.verified(Ok(Some(found)))
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

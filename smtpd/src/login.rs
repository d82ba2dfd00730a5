//! The login's part of a connection: what the session asks of directory and TLS, and the log of what came of it.

use mailstore::{NoLogin, Unavailable};
use mailwire::daemon::login::{UNNAMED, shown};
use mailwire::net::LoginMeans;
use mailwire::sasl::{
    BearerToken, Credentials, Nonce, Proven, SaslError, Surroundings, TokenVerdict, Tokens, TokensUnavailable,
};
use tracing::{error, info};

use crate::connection::{Conversation, End, warn_if_failed};
use crate::session::{RefusedLogin, Step};

impl Conversation {
    /// Tells the session what the connection gives to a login: at its beginning, and again under TLS.
    pub(crate) fn surround(&mut self) {
        let LoginMeans { bindings, certificate_logins } = self.connection.take_login_means();
        let tokens = self.inquiry.common.tokens.as_ref().map_or(Tokens::Unknown, |_| Tokens::Checked);
        let surroundings = Surroundings { bindings, certificate_logins, tokens };
        self.inquiry.session.surrounded_by(surroundings);
    }

    /// A login with its password.
    pub(crate) async fn authenticate(&mut self, credentials: Credentials) -> Result<Step, End> {
        let answer = match self.admit(&credentials.login).await? {
            Ok(()) => self.inquiry.logins.authenticate(&credentials).await,
            Err(why) => Err(why),
        };
        Ok(self.inquiry.logged_in(&credentials.login, answer))
    }

    /// What is kept of the login for SCRAM, and a nonce.
    pub(crate) async fn scram_keys(&mut self, login: &str) -> Result<Step, End> {
        if let Err(why) = self.admit(login).await? {
            return Ok(self.inquiry.logged_in(login, Err(why)));
        }
        let answer = self.inquiry.logins.scram_keys(login).await;
        warn_if_failed(answer.as_ref().err());
        let mut random = [0; Nonce::OCTETS];
        if let Err(error) = getrandom::fill(&mut random) {
            error!(%error, "no randomness from the system, login put off");
            return Ok(self.inquiry.session.authenticated(Err(Unavailable(error.to_string()))));
        }
        Ok(self.inquiry.session.scram_keys_found(&answer, &Nonce::new(random)))
    }

    /// A right proof, which is answered with the server's own (RFC 5802 §3): whoever is put off must not learn by it that
    /// the password was right.
    pub(crate) async fn scram_proof(&mut self, login: &str) -> Result<Step, End> {
        let answer = match self.admit(login).await? {
            Ok(()) => self.inquiry.logins.proof(login).await,
            Err(why) => Err(why),
        };
        Ok(match answer {
            Ok(()) => self.inquiry.session.proof_heard(),
            Err(why) => self.inquiry.logged_in(login, Err(why)),
        })
    }

    /// What comes of a token.
    ///
    /// The guard is asked before, so that nobody floods through us whoever knows about tokens, and told at once: not every
    /// client waits to hear why its token is refused. One that has expired is no guess, since it was good.
    pub(crate) async fn token(&mut self, shown: &BearerToken) -> Result<Step, End> {
        let login = shown.login.as_deref().unwrap_or(UNNAMED);
        if let Err(why) = self.admit(login).await? {
            return Ok(self.inquiry.logged_in(login, Err(why)));
        }
        let answer = match &self.inquiry.common.tokens {
            Some(checker) => checker.check(&shown.token).await,
            None => Err(TokensUnavailable("nobody checks them".to_owned())),
        };
        let answer = answer.map(|verdict| verdict.of(shown, &self.inquiry.session.primary_domain()));
        if answer == Ok(TokenVerdict::Refused) {
            let why = self.inquiry.logins.wrong_token(login, &shown.token).await;
            if why != NoLogin::Wrong {
                return Ok(self.inquiry.logged_in(login, Err(why)));
            }
        }
        Ok(self.inquiry.session.token_checked(answer))
    }

    /// The account of a login that was proven without a password.
    pub(crate) async fn account(&mut self, proven: &Proven) -> Result<Step, End> {
        let login = &proven.login;
        if let Some(found) = self.inquiry.logins.take_proven(login) {
            return Ok(self.inquiry.logged_in(login, Ok(found)));
        }
        let answer = match self.admit(login).await? {
            Ok(()) => self.inquiry.logins.account(proven).await,
            Err(why) => Err(why),
        };
        Ok(self.inquiry.logged_in(login, answer))
    }

    /// A login that failed by what the client sent.
    pub(crate) async fn login_refused(&mut self, refused: &RefusedLogin) -> Result<Step, End> {
        let RefusedLogin { login, reason } = refused;
        // What came of a token the guard has heard already.
        if let Some(login) = login
            && *reason != SaslError::Token
        {
            let why = match self.admit(login).await? {
                Ok(()) => self.inquiry.logins.wrong(login).await,
                Err(why) => why,
            };
            if why != NoLogin::Wrong {
                return Ok(self.inquiry.logged_in(login, Err(why)));
            }
        }
        info!(login = login.as_deref().map(shown), %reason, "login failed");
        Ok(self.inquiry.session.login_failed())
    }

    /// Waits until the login may be looked at.
    async fn admit(&mut self, login: &str) -> Result<Result<(), NoLogin>, End> {
        match self.inquiry.logins.admit(login).await {
            Ok(delay) => Ok(Ok(self.connection.pause(delay).await?)),
            Err(why) => Ok(Err(why)),
        }
    }
}

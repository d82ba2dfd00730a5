//! AUTH (RFC 5034): an exchange of SASL, from its mechanism to the login that it proves.

use std::mem;

use mailstore::Unavailable;
use mailwire::sasl::{self, Exchange, Nonce, SaslError, ScramKeys, TokenVerdict, TokensUnavailable};
use mailwire::secret::Secret;

use super::authorization::{State, answer_with};
use super::{Authorization, AuthorizationStep, Login, RefusedLogin};
use crate::replies::{self, Answer};

impl Authorization {
    pub(super) fn auth(&mut self, mechanism: &str, initial: Option<&Secret<String>>) -> AuthorizationStep {
        match (self.offer.login, self.surroundings.named(mechanism)) {
            (Login::NeedsTls, _) => self.error(replies::login_needs_tls(self.spoken.language)),
            (Login::Allowed, None) => self.error(replies::unknown_mechanism(self.spoken.language)),
            (Login::Allowed, Some(mechanism)) => {
                let initial = initial.map(|initial| initial.expose().as_str());
                let mut server = Box::new(sasl::Server::new(mechanism, &self.surroundings));
                let exchange = server.begin(initial);
                self.exchange(server, exchange)
            }
        }
    }

    /// A line within AUTH.
    pub(super) fn response(&mut self, octets: &[u8], mut server: Box<sasl::Server>) -> AuthorizationStep {
        if octets == b"*" {
            return self.error(replies::login_cancelled(self.spoken.language));
        }
        let exchange = server.response(octets);
        self.exchange(server, exchange)
    }

    fn exchange(
        &mut self,
        server: Box<sasl::Server>,
        exchange: Result<Exchange, SaslError>,
    ) -> AuthorizationStep {
        match exchange {
            Ok(Exchange::Challenge(challenge)) => {
                self.state = State::Exchange(server);
                AuthorizationStep::Answer(Answer::Challenge(challenge))
            }
            Ok(Exchange::Verify(credentials)) => self.verify(credentials),
            Ok(Exchange::Keys(login)) => {
                self.state = State::Exchange(server);
                AuthorizationStep::ScramKeys(self.whole(login))
            }
            Ok(Exchange::Proof(login)) => {
                self.state = State::Exchange(server);
                AuthorizationStep::ScramProof(self.whole(login))
            }
            Ok(Exchange::Token(token)) => {
                self.state = State::Exchange(server);
                AuthorizationStep::Token(token.within(&self.primary_domain))
            }
            Ok(Exchange::Proven(proven)) => AuthorizationStep::Account(proven.within(&self.primary_domain)),
            Err(SaslError::Base64) => self.error(replies::not_base64(self.spoken.language)),
            Err(SaslError::Malformed) => self.error(replies::malformed_response(self.spoken.language)),
            Err(
                reason @ (SaslError::AuthorizationIdentity
                | SaslError::ChannelBinding
                | SaslError::Proof
                | SaslError::Nonce
                | SaslError::Token
                | SaslError::Certificate),
            ) => {
                let login = server.login().map(|login| self.whole(login.to_owned()));
                AuthorizationStep::LoginRefused(RefusedLogin { login, reason })
            }
        }
    }

    /// A login with its domain.
    fn whole(&self, login: String) -> String {
        sasl::within(login, &self.primary_domain)
    }

    /// Takes what came of [`AuthorizationStep::ScramKeys`], and a nonce for this exchange.
    pub fn scram_keys_found(
        &mut self,
        answer: &Result<ScramKeys, Unavailable>,
        nonce: &Nonce,
    ) -> AuthorizationStep {
        match (mem::replace(&mut self.state, State::Fresh), answer) {
            (State::Exchange(mut server), Ok(keys)) => {
                let exchange = server.keys(keys, nonce);
                self.exchange(server, exchange)
            }
            (State::Fresh | State::Named(_), _) | (_, Err(_)) => {
                answer_with(replies::store_trouble(self.spoken.language))
            }
        }
    }

    /// Answers [`AuthorizationStep::ScramProof`]: the client may hear it.
    pub fn proof_heard(&mut self) -> AuthorizationStep {
        match mem::replace(&mut self.state, State::Fresh) {
            State::Exchange(mut server) => {
                let exchange = server.heard();
                self.exchange(server, exchange)
            }
            State::Fresh | State::Named(_) => answer_with(replies::store_trouble(self.spoken.language)),
        }
    }

    /// Takes what came of [`AuthorizationStep::Token`].
    pub fn token_checked(&mut self, answer: Result<TokenVerdict, TokensUnavailable>) -> AuthorizationStep {
        match (mem::replace(&mut self.state, State::Fresh), answer) {
            (State::Exchange(mut server), Ok(verdict)) => {
                let exchange = server.token(verdict);
                self.exchange(server, exchange)
            }
            (State::Fresh | State::Named(_), _) | (_, Err(_)) => {
                answer_with(replies::login_unavailable(self.spoken.language))
            }
        }
    }
}

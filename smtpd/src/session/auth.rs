//! AUTH (RFC 4954): who may try it when, the exchange, and its outcome.

use mailstore::{Account, Unavailable};
use mailwire::sasl::{self, Exchange, Mechanism, SaslError};
use mailwire::secret::Secret;
use mailwire::smtp::Reply;
use tracing::info;

use super::machine::Phase;
use super::{Kind, Session, Step};
use crate::replies;
use crate::trace::Dialect;

impl Session {
    pub(super) fn auth(&mut self, mechanism: &str, initial: Option<&Secret<String>>) -> Step {
        if let Some(reply) = self.auth_out_of_place() {
            return self.refuse(reply);
        }
        if self.login_failures >= self.policy.login_failures_max {
            return Step::Close(replies::too_many_login_failures());
        }
        let Some(mechanism) = Mechanism::named(mechanism) else {
            return self.refuse(replies::mechanism_not_known());
        };
        match sasl::Server::start(mechanism, initial.map(|initial| initial.expose().as_str())) {
            Ok((server, exchange)) => self.exchange(Box::new(server), exchange),
            Err(error) => self.exchange_failed(error),
        }
    }

    fn auth_out_of_place(&self) -> Option<Reply> {
        match (self.kind, &self.client) {
            (Kind::Reception, _) => return Some(replies::no_login_here()),
            (Kind::Submission, None) => return Some(replies::hello_first()),
            (Kind::Submission, Some(client)) => match client.dialect {
                Dialect::Smtp => return Some(replies::hello_first()),
                Dialect::Esmtp => {}
            },
        }
        if self.account.is_some() {
            return Some(replies::logged_in_already());
        }
        if !matches!(self.phase, Phase::Ready) {
            return Some(replies::transaction_open());
        }
        (!self.login_is_safe()).then(replies::tls_before_login)
    }

    /// The phase is `Ready` again when this is called; a further challenge changes that.
    pub(super) fn auth_response(&mut self, mut server: Box<sasl::Server>, line: &[u8]) -> Step {
        // RFC 4954 §4: a single `*` cancels.
        if line == b"*" {
            return self.refuse(replies::login_cancelled());
        }
        match server.response(line) {
            Ok(exchange) => self.exchange(server, exchange),
            Err(error) => self.exchange_failed(error),
        }
    }

    fn exchange(&mut self, server: Box<sasl::Server>, exchange: Exchange) -> Step {
        match exchange {
            Exchange::Challenge(challenge) => {
                self.phase = Phase::Authenticating(server);
                Step::Reply(replies::challenge(sasl::encode(challenge)))
            }
            Exchange::Finished(credentials) => {
                let domain = self.policy.postmaster.domain().to_string();
                Step::Authenticate(credentials.within(&domain))
            }
        }
    }

    fn exchange_failed(&mut self, error: SaslError) -> Step {
        match error {
            SaslError::Base64 | SaslError::Malformed => self.refuse(replies::login_not_readable()),
            // RFC 4616 §2: acting for somebody else is refused as a wrong password is.
            SaslError::AuthorizationIdentity => {
                info!(reason = %error, "login failed");
                self.login_failed()
            }
        }
    }

    /// What the directory says of the credentials.
    #[must_use]
    pub fn authenticated(&mut self, answer: Result<Option<Account>, Unavailable>) -> Step {
        match answer {
            Ok(Some(account)) => {
                self.note("login", account.address.to_string());
                self.account = Some(account);
                Step::Reply(replies::login_accepted())
            }
            Ok(None) => self.login_failed(),
            Err(_) => Step::Reply(replies::login_unavailable()),
        }
    }

    fn login_failed(&mut self) -> Step {
        self.login_failures += 1;
        Step::Reply(replies::login_refused())
    }
}

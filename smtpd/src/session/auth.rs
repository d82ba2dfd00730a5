//! AUTH (RFC 4954): who may try it when, the exchange, and its outcome.

use std::mem;

use mailstore::{Account, Unavailable};
use mailwire::sasl::{self, Exchange, Failing, Nonce, SaslError, ScramKeys, TokenVerdict, TokensUnavailable};
use mailwire::secret::Secret;

use super::machine::Phase;
use super::reason::Refused;
use super::{Kind, RefusedLogin, Session, Step};
use crate::replies;
use crate::trace::Dialect;

impl Session {
    pub(super) fn auth(&mut self, mechanism: &str, initial: Option<&Secret<String>>) -> Step {
        if let Some(refused) = self.auth_out_of_place() {
            let reply = self.refused_by(refused);
            return self.refuse(reply);
        }
        if self.login_failures >= self.policy.login_failures_max {
            self.because("[smtp] login_failures_max");
            return Step::Close(replies::too_many_login_failures());
        }
        let Some(mechanism) = self.surroundings.named(mechanism) else {
            return self.refuse(replies::mechanism_not_known());
        };
        self.mechanism = Some(mechanism);
        let mut server = Box::new(sasl::Server::new(mechanism, &self.surroundings));
        let exchange = server.begin(initial.map(|initial| initial.expose().as_str()));
        self.exchange(server, exchange)
    }

    fn auth_out_of_place(&self) -> Option<Refused> {
        match (self.kind, &self.client) {
            (Kind::Reception | Kind::Lmtp, _) => {
                return Some(Refused::by(replies::no_login_here(), "the port: users log in at submission"));
            }
            (Kind::Submission, None) => return Some(replies::hello_first().into()),
            (Kind::Submission, Some(client)) => match client.dialect {
                Dialect::Smtp | Dialect::Lmtp => return Some(replies::hello_first().into()),
                Dialect::Esmtp => {}
            },
        }
        if self.account.is_some() {
            return Some(replies::logged_in_already().into());
        }
        if !matches!(self.phase, Phase::Ready) {
            return Some(replies::transaction_open().into());
        }
        (!self.login_is_safe()).then(|| Refused::by(replies::tls_before_login(), "[smtp] clear_login"))
    }

    /// The phase is `Ready` again when this is called; a further challenge changes that.
    pub(super) fn auth_response(&mut self, mut server: Box<sasl::Server>, line: &[u8]) -> Step {
        // RFC 4954 §4: a single `*` cancels.
        if line == b"*" {
            return self.refuse(replies::login_cancelled());
        }
        let exchange = server.response(line);
        self.exchange(server, exchange)
    }

    fn exchange(&mut self, server: Box<sasl::Server>, exchange: Result<Exchange, SaslError>) -> Step {
        match exchange {
            Ok(Exchange::Challenge(challenge)) => {
                self.phase = Phase::Authenticating(server);
                Step::Reply(replies::challenge(sasl::encode(&challenge)))
            }
            Ok(Exchange::Verify(credentials)) => {
                Step::Authenticate(credentials.within(&self.primary_domain()))
            }
            Ok(Exchange::Keys(login)) => {
                self.phase = Phase::Authenticating(server);
                Step::ScramKeys(self.whole(login))
            }
            Ok(Exchange::Proof(login)) => {
                self.phase = Phase::Authenticating(server);
                Step::ScramProof(self.whole(login))
            }
            Ok(Exchange::Token(token)) => {
                self.phase = Phase::Authenticating(server);
                Step::Token(token.within(&self.primary_domain()))
            }
            Ok(Exchange::Proven(proven)) => Step::Account(proven.within(&self.primary_domain())),
            Err(reason) => match reason.means() {
                Failing::Syntax => self.refuse(replies::login_not_readable()),
                Failing::Login => {
                    let login = server.login().map(|login| self.whole(login.to_owned()));
                    Step::LoginRefused(RefusedLogin { login, reason })
                }
            },
        }
    }

    /// Where a login without a domain belongs.
    pub(crate) fn primary_domain(&self) -> String {
        self.policy.postmaster.domain().to_string()
    }

    /// A login with its domain.
    fn whole(&self, login: String) -> String {
        sasl::within(login, &self.primary_domain())
    }

    /// What the directory keeps for SCRAM, and a nonce for this exchange.
    #[must_use]
    pub fn scram_keys_found(&mut self, answer: &Result<ScramKeys, Unavailable>, nonce: &Nonce) -> Step {
        match (self.take_exchange(), answer) {
            (Some(mut server), Ok(keys)) => {
                let exchange = server.keys(keys, nonce);
                self.exchange(server, exchange)
            }
            (None, _) | (_, Err(_)) => Step::Reply(replies::login_unavailable()),
        }
    }

    /// The client may hear that its proof is right.
    #[must_use]
    pub fn proof_heard(&mut self) -> Step {
        match self.take_exchange() {
            Some(mut server) => {
                let exchange = server.heard();
                self.exchange(server, exchange)
            }
            None => Step::Reply(replies::login_unavailable()),
        }
    }

    /// What came of checking the token.
    #[must_use]
    pub fn token_checked(&mut self, answer: Result<TokenVerdict, TokensUnavailable>) -> Step {
        match (self.take_exchange(), answer) {
            (Some(mut server), Ok(verdict)) => {
                let exchange = server.token(verdict);
                self.exchange(server, exchange)
            }
            (None, _) | (_, Err(_)) => Step::Reply(replies::login_unavailable()),
        }
    }

    /// The exchange that waits for an answer; the phase is `Ready` then, until a challenge changes that.
    fn take_exchange(&mut self) -> Option<Box<sasl::Server>> {
        match mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Authenticating(server) => Some(server),
            Phase::Ready | Phase::Transaction(_) | Phase::Chunks(_) => None,
        }
    }

    /// What the directory says of the credentials, or of a login that was proven without it.
    #[must_use]
    pub fn authenticated(&mut self, answer: Result<Option<Account>, Unavailable>) -> Step {
        self.phase = Phase::Ready;
        match answer {
            Ok(Some(account)) => {
                self.note("login", account.address.to_string());
                self.account = Some(account);
                Step::Reply(replies::login_accepted())
            }
            Ok(None) => {
                self.because("no account has this login");
                self.login_failed()
            }
            Err(_) => Step::Reply(replies::login_unavailable()),
        }
    }

    /// Too many wrong passwords came lately: this one was not looked at.
    #[must_use]
    pub fn login_put_off(&mut self) -> Step {
        self.phase = Phase::Ready;
        self.because("[guard] guesses_max, network_guesses_max or account_guesses_max");
        self.login_failures += 1;
        Step::Reply(replies::login_put_off())
    }

    /// [`Step::LoginRefused`] was noted. A wrong proof, token or certificate is told as a wrong password is
    /// (RFC 4616 §2, RFC 5802 §9).
    #[must_use]
    pub fn login_failed(&mut self) -> Step {
        self.login_failures += 1;
        Step::Reply(replies::login_refused())
    }
}

//! One connection without a connection: octets in, octets out, the steps of the session carried out in between.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mailstore::{Directory, Maildrops};
use mailwire::line::LineBuffer;
use mailwire::pop3::Reply;
use mailwire::sasl::{BearerToken, ChannelBindings, Nonce, Surroundings, TokenVerdict, Tokens};
use pop3d::Config;
use pop3d::session::{
    Authorization, AuthorizationStep, Measurement, Offer, Progress, Range, Retrieval, Terms, Transaction,
    TransactionStep,
};

use crate::memory::Memory;

/// The server's end.
pub(crate) struct Peer {
    memory: Memory,
    received: LineBuffer,
    said: Vec<u8>,
    tokens: Tokens,
    state: State,
}

enum State {
    Authorization(Authorization),
    /// STLS was answered: the next octets belong to TLS.
    Handshake(Authorization),
    Transaction(Transaction),
    Closed,
}

impl Peer {
    /// Just connected.
    pub(crate) fn new(memory: &Memory, offer: Offer) -> Self {
        let config = Config::default();
        let terms = Terms {
            primary_domain: "example.test".into(),
            errors_max: config.errors_max,
            commands_max: config.commands_max,
            login_failures_max: config.login_failures_max,
            language: config.language,
        };
        let mut authorization = Authorization::new(offer, &terms);
        if offer == Offer::TLS {
            authorization.surrounded_by(under_tls());
        }
        let mut peer = Self {
            memory: memory.clone(),
            received: LineBuffer::new(),
            said: Vec::new(),
            tokens: Tokens::Unknown,
            state: State::Authorization(authorization),
        };
        peer.say(&Authorization::greeting("mail.example.test"));
        peer
    }

    /// The same, where tokens are checked or not, and the login is as before.
    pub(crate) fn with_tokens(mut self, tokens: Tokens, offer: Offer) -> Self {
        self.tokens = tokens;
        let under = if offer == Offer::TLS { under_tls() } else { Surroundings::default() };
        if let State::Authorization(authorization) = &mut self.state {
            authorization.surrounded_by(Surroundings { tokens, ..under });
        }
        self
    }

    /// Takes what a client sends.
    pub(crate) fn send(&mut self, octets: &[u8]) {
        self.received.extend(octets);
        loop {
            self.state = match std::mem::replace(&mut self.state, State::Closed) {
                State::Authorization(mut authorization) => {
                    let Some(line) = self.received.next_line(authorization.line_octets_max()) else {
                        self.state = State::Authorization(authorization);
                        return;
                    };
                    let step = authorization.line(&line);
                    self.authorization_step(authorization, step)
                }
                State::Transaction(mut transaction) => {
                    let Some(line) = self.received.next_line(transaction.line_octets_max()) else {
                        self.state = State::Transaction(transaction);
                        return;
                    };
                    let step = match transaction.lease().check() {
                        Ok(()) => transaction.line(&line),
                        Err(_) => transaction.line_after_takeover(&line),
                    };
                    self.transaction_step(transaction, step)
                }
                // RFC 2595 §4: what comes in clear behind STLS ends the connection.
                State::Handshake(_) if !self.received.unread().is_empty() => State::Closed,
                state @ (State::Handshake(_) | State::Closed) => {
                    self.state = state;
                    return;
                }
            };
        }
    }

    /// TLS has begun.
    pub(crate) fn start_tls(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Closed) {
            State::Handshake(mut authorization) => {
                authorization.tls_begun();
                authorization.surrounded_by(Surroundings { tokens: self.tokens, ..under_tls() });
                State::Authorization(authorization)
            }
            State::Authorization(_) | State::Transaction(_) | State::Closed => State::Closed,
        };
    }

    /// The client has gone: nothing more is read.
    pub(crate) fn hang_up(&mut self) {
        self.state = State::Closed;
    }

    /// Octets received that are no whole line yet.
    pub(crate) fn unread_octets(&self) -> usize {
        self.received.unread().len()
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Takes what the server has said.
    pub(crate) fn take_said(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.said)
    }

    /// Takes one line of what the server has said.
    pub(crate) fn take_line(&mut self) -> Option<Vec<u8>> {
        let end = self.said.iter().position(|octet| *octet == b'\n')?;
        Some(self.said.drain(..=end).collect())
    }

    fn say(&mut self, reply: &Reply) {
        reply.encode(&mut self.said);
    }

    /// What the session says where the guard puts logins off.
    fn put_off(&self, authorization: &mut Authorization, step: AuthorizationStep) -> AuthorizationStep {
        let is_login = matches!(
            step,
            AuthorizationStep::Verify(_)
                | AuthorizationStep::ScramKeys(_)
                | AuthorizationStep::ScramProof(_)
                | AuthorizationStep::Token(_)
                | AuthorizationStep::Account(_)
                | AuthorizationStep::LoginRefused(_)
        );
        if is_login && self.memory.puts_off_logins() { authorization.put_off() } else { step }
    }

    fn authorization_step(&mut self, mut authorization: Authorization, step: AuthorizationStep) -> State {
        match self.put_off(&mut authorization, step) {
            AuthorizationStep::Answer(answer) => {
                answer.encode(&mut self.said);
                State::Authorization(authorization)
            }
            AuthorizationStep::Verify(credentials) => {
                let answer = at_once(self.memory.authenticate(&credentials.login, &credentials.password));
                let step = authorization.verified(answer);
                self.authorization_step(authorization, step)
            }
            AuthorizationStep::ScramKeys(login) => {
                let keys = at_once(self.memory.scram_keys(&login));
                let step = authorization.scram_keys_found(&keys, &Nonce::new([0; Nonce::OCTETS]));
                self.authorization_step(authorization, step)
            }
            AuthorizationStep::ScramProof(_) => {
                let step = authorization.proof_heard();
                self.authorization_step(authorization, step)
            }
            AuthorizationStep::Token(shown) => {
                let verdict = verdict(&shown).of(&shown, "example.test");
                let step = authorization.token_checked(Ok(verdict));
                self.authorization_step(authorization, step)
            }
            AuthorizationStep::Account(proven) => {
                let step = authorization.verified(at_once(self.memory.account(&proven.login)));
                self.authorization_step(authorization, step)
            }
            AuthorizationStep::LoginRefused(_) => {
                let step = authorization.wrong_credentials();
                self.authorization_step(authorization, step)
            }
            AuthorizationStep::CommonRules => {
                let step = authorization.capabilities(&at_once(self.memory.common_rules()));
                self.authorization_step(authorization, step)
            }
            AuthorizationStep::Lease(login) => {
                let step = authorization.leased(at_once(self.memory.lease(login.maildrop, Duration::ZERO)));
                self.authorization_step(authorization, step)
            }
            AuthorizationStep::Begin(reply, transaction) => {
                self.say(&reply);
                State::Transaction(transaction)
            }
            AuthorizationStep::StartTls(reply) => {
                self.say(&reply);
                State::Handshake(authorization)
            }
            AuthorizationStep::Close(reply) => {
                self.say(&reply);
                State::Closed
            }
        }
    }

    fn transaction_step(&mut self, mut transaction: Transaction, step: TransactionStep) -> State {
        match step {
            TransactionStep::Answer(answer) => {
                answer.encode(&mut self.said);
                State::Transaction(transaction)
            }
            TransactionStep::List(mut listing) => {
                while transaction.list(&mut listing, &mut self.said) == Progress::More {}
                State::Transaction(transaction)
            }
            TransactionStep::Measure(measurement) => self.measure(transaction, *measurement),
            TransactionStep::Retrieve(retrieval) => self.retrieve(transaction, retrieval),
            TransactionStep::Expunge(indices) => {
                let answer = at_once(transaction.lease().expunge(&indices));
                let step = transaction.expunged(&answer);
                self.transaction_step(transaction, step)
            }
            TransactionStep::Close(reply) => {
                self.say(&reply);
                State::Closed
            }
        }
    }

    fn measure(&mut self, mut transaction: Transaction, mut measurement: Measurement) -> State {
        while let Some(Range { index, offset, octets_max }) = measurement.wanted() {
            match at_once(transaction.lease().read(index, offset, octets_max)) {
                Ok(content) => measurement.piece(&content),
                Err(error) => {
                    let step = transaction.unreadable(&error);
                    return self.transaction_step(transaction, step);
                }
            }
        }
        let step = transaction.measured(measurement);
        self.transaction_step(transaction, step)
    }

    fn retrieve(&mut self, mut transaction: Transaction, mut retrieval: Retrieval) -> State {
        while let Some(Range { index, offset, octets_max }) = retrieval.wanted() {
            match at_once(transaction.lease().read(index, offset, octets_max)) {
                Ok(content) => retrieval.piece(&content, &mut self.said),
                Err(_) if retrieval.has_begun() => return State::Closed,
                Err(error) => {
                    let step = transaction.unreadable(&error);
                    return self.transaction_step(transaction, step);
                }
            }
        }
        retrieval.finish(&mut self.said);
        State::Transaction(transaction)
    }
}

/// The only good tokens are alice's and that of somebody without an account.
fn verdict(shown: &BearerToken) -> TokenVerdict {
    match shown.token.expose().as_str() {
        "alices-token" => TokenVerdict::Login("alice@example.test".to_owned()),
        "nobodys-token" => TokenVerdict::Login("nobody@example.test".to_owned()),
        _ => TokenVerdict::Refused,
    }
}

/// What a connection under TLS gives to a login; no client has a certificate.
fn under_tls() -> Surroundings {
    let bindings = ChannelBindings::new(Some([7; 32]), Some(vec![8; 32]));
    Surroundings { bindings, ..Surroundings::default() }
}

/// The result of a future that does not wait.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("memory does not make anybody wait"),
    }
}

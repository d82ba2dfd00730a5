//! The server's side of one exchange.
//!
//! ```text
//!            PLAIN, LOGIN ───────────────► Verify
//! begin ──►  SCRAM ──► Keys ──► Challenge ──► Proof ──► Challenge (server-final) ──► Proven
//!            OAUTHBEARER, XOAUTH2 ──► Token ──► Proven, or Challenge (why not) ──► refused
//!            EXTERNAL ───────────────────► Proven
//! ```

use std::borrow::Cow;
use std::mem;

use super::scram::{self, ScramKeys, Variant};
use super::{
    BearerToken, Credentials, Mechanism, Nonce, Proven, SaslError, Surroundings, TokenVerdict, decode,
    external, login, oauthbearer, plain, xoauth2,
};
use crate::secret::Secret;

/// What a server's exchange wants next.
#[derive(Debug)]
pub enum Exchange {
    /// Send this challenge (base64 of it after `334 ` or `+ `), then feed the response.
    Challenge(Cow<'static, [u8]>),
    /// Check these; the exchange is over.
    Verify(Credentials),
    /// Find what is kept for SCRAM of this login, then [`Server::keys`].
    Keys(String),
    /// SCRAM's proof for this login is right. The next challenge tells the client so: see whether it may hear that, then
    /// [`Server::heard`].
    Proof(String),
    /// Check this, then [`Server::token`].
    Token(BearerToken),
    /// It is proven who is there; whether there is an account is to be asked. The exchange is over.
    Proven(Proven),
}

/// One exchange.
#[derive(Debug)]
pub struct Server {
    state: State,
    /// Who the client says it is, once it has.
    login: Option<String>,
}

/// What the next response is, or what the exchange waits for.
#[derive(Debug)]
enum State {
    PlainMessage,
    LoginName,
    LoginPassword {
        login: String,
    },
    ScramFirst(scram::First),
    ScramKeys(scram::Begun),
    ScramProof(Box<scram::Challenged>),
    /// The proof was right, and nobody has told the client yet.
    ScramFinal {
        login: String,
        server_final: Vec<u8>,
    },
    /// The last answer to SCRAM's last message, which says nothing.
    ScramEnd {
        login: String,
    },
    TokenMessage(Form),
    TokenVerdict(Form),
    /// The client has been told why its token is refused, and answers that.
    TokenRefused,
    ExternalIdentity {
        certificate_logins: Vec<String>,
    },
    Nothing,
}

/// How a token comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    OAuthBearer,
    XOAuth2,
}

impl Server {
    /// An exchange that has not begun.
    #[must_use]
    pub fn new(mechanism: Mechanism, surroundings: &Surroundings) -> Self {
        let scram =
            |variant| State::ScramFirst(scram::First { variant, bindings: surroundings.bindings.clone() });
        let state = match mechanism {
            Mechanism::Plain => State::PlainMessage,
            Mechanism::Login => State::LoginName,
            Mechanism::ScramSha256 => scram(Variant::Unbound),
            Mechanism::ScramSha256Plus => scram(Variant::Bound),
            Mechanism::OAuthBearer => State::TokenMessage(Form::OAuthBearer),
            Mechanism::XOAuth2 => State::TokenMessage(Form::XOAuth2),
            Mechanism::External => {
                State::ExternalIdentity { certificate_logins: surroundings.certificate_logins.clone() }
            }
        };
        Self { state, login: None }
    }

    /// Begins; `initial` is the initial response as it came (`=` is an empty one, RFC 4954 §4).
    ///
    /// # Errors
    /// See [`SaslError`].
    pub fn begin(&mut self, initial: Option<&str>) -> Result<Exchange, SaslError> {
        match initial {
            None => Ok(Exchange::Challenge(Cow::Borrowed(self.first_challenge()))),
            Some("=") => self.decoded(b""),
            Some(initial) => self.response(initial.as_bytes()),
        }
    }

    /// Takes the next response line as it came, base64 (`*` is for the session to see before).
    ///
    /// # Errors
    /// See [`SaslError`].
    pub fn response(&mut self, line: &[u8]) -> Result<Exchange, SaslError> {
        // Whatever answers a refusal ends it (RFC 7628 §3.2.3): clients send %x01, nothing, or something else.
        if matches!(self.state, State::TokenRefused) {
            return Err(SaslError::Token);
        }
        self.decoded(&decode(line)?)
    }

    /// Who the client says it is, as far as it has said so.
    #[must_use]
    pub fn login(&self) -> Option<&str> {
        self.login.as_deref()
    }

    /// Answers [`Exchange::Keys`]; `nonce` is random.
    ///
    /// # Errors
    /// Where the exchange did not ask.
    pub fn keys(&mut self, keys: &ScramKeys, nonce: &Nonce) -> Result<Exchange, SaslError> {
        let State::ScramKeys(begun) = mem::replace(&mut self.state, State::Nothing) else {
            return Err(SaslError::Malformed);
        };
        let (challenge, challenged) = begun.challenge(keys, nonce);
        self.state = State::ScramProof(Box::new(challenged));
        Ok(Exchange::Challenge(challenge.into()))
    }

    /// Answers [`Exchange::Proof`]: the client may hear it, and with it who we are (RFC 5802 §3).
    ///
    /// # Errors
    /// Where the exchange did not ask.
    pub fn heard(&mut self) -> Result<Exchange, SaslError> {
        let State::ScramFinal { login, server_final } = mem::replace(&mut self.state, State::Nothing) else {
            return Err(SaslError::Malformed);
        };
        self.state = State::ScramEnd { login };
        // RFC 4954 §4, RFC 5034 §4: what comes with success goes as one more challenge.
        Ok(Exchange::Challenge(server_final.into()))
    }

    /// Answers [`Exchange::Token`].
    ///
    /// # Errors
    /// Where the exchange did not ask.
    pub fn token(&mut self, verdict: TokenVerdict) -> Result<Exchange, SaslError> {
        let State::TokenVerdict(form) = mem::replace(&mut self.state, State::Nothing) else {
            return Err(SaslError::Malformed);
        };
        let proven = match verdict {
            TokenVerdict::Login(identity) => Proven::new(identity, self.login.as_deref()),
            TokenVerdict::Refused | TokenVerdict::Expired => None,
        };
        if let Some(proven) = proven {
            return Ok(Exchange::Proven(proven));
        }
        self.state = State::TokenRefused;
        Ok(Exchange::Challenge(Cow::Borrowed(match form {
            Form::OAuthBearer => oauthbearer::REFUSAL,
            Form::XOAuth2 => xoauth2::REFUSAL,
        })))
    }

    fn first_challenge(&self) -> &'static [u8] {
        match self.state {
            State::LoginName => login::USERNAME,
            State::PlainMessage
            | State::LoginPassword { .. }
            | State::ScramFirst(_)
            | State::ScramKeys(_)
            | State::ScramProof(_)
            | State::ScramFinal { .. }
            | State::ScramEnd { .. }
            | State::TokenMessage(_)
            | State::TokenVerdict(_)
            | State::TokenRefused
            | State::ExternalIdentity { .. }
            | State::Nothing => b"",
        }
    }

    fn decoded(&mut self, response: &[u8]) -> Result<Exchange, SaslError> {
        match mem::replace(&mut self.state, State::Nothing) {
            State::PlainMessage => plain::credentials(response).map(Exchange::Verify),
            State::LoginName => {
                self.state = State::LoginPassword { login: login::login(response)? };
                Ok(Exchange::Challenge(Cow::Borrowed(login::PASSWORD)))
            }
            State::LoginPassword { login } => {
                let password = Secret::new(login::text(response)?);
                Ok(Exchange::Verify(Credentials { login, password }))
            }
            State::ScramFirst(first) => {
                let begun = first.client_first(response)?;
                let login = begun.login().to_owned();
                self.login = Some(login.clone());
                self.state = State::ScramKeys(begun);
                Ok(Exchange::Keys(login))
            }
            State::ScramProof(challenged) => {
                let (login, server_final) = challenged.client_final(response)?;
                self.state = State::ScramFinal { login: login.clone(), server_final };
                Ok(Exchange::Proof(login))
            }
            State::ScramEnd { login } if response.is_empty() => Ok(Exchange::Proven(Proven::itself(login))),
            State::TokenMessage(form) => self.token_message(form, response),
            State::ExternalIdentity { certificate_logins } => {
                external::proven(response, &certificate_logins).map(Exchange::Proven)
            }
            State::TokenRefused => Err(SaslError::Token),
            State::ScramEnd { .. }
            | State::ScramKeys(_)
            | State::ScramFinal { .. }
            | State::TokenVerdict(_)
            | State::Nothing => Err(SaslError::Malformed),
        }
    }

    fn token_message(&mut self, form: Form, response: &[u8]) -> Result<Exchange, SaslError> {
        let token = match form {
            Form::OAuthBearer => oauthbearer::token(response)?,
            Form::XOAuth2 => xoauth2::token(response)?,
        };
        self.login.clone_from(&token.login);
        self.state = State::TokenVerdict(form);
        Ok(Exchange::Token(token))
    }
}

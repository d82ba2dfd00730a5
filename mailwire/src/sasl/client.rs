//! The client's side of one exchange, base64 in and out.

use super::scram::{self, ScramMeans, Variant};
use super::{BearerToken, Credentials, Mechanism, SaslError, decode, encode, oauthbearer, plain, xoauth2};
use crate::secret::Secret;

/// The client's initial response or answer to a challenge.
#[derive(Debug)]
pub struct Client {
    sends: State,
}

/// What the client sends next.
#[derive(Debug)]
enum State {
    /// All there is to say.
    Message(Secret<Vec<u8>>),
    /// A token's message.
    Token(Secret<Vec<u8>>),
    LoginName(Credentials),
    LoginPassword(Credentials),
    Scram(Box<scram::Client>),
    /// A token has been sent: another challenge says why it is refused (RFC 7628 §3.2.3).
    TokenSent,
    /// Nothing more.
    Nothing,
}

impl Client {
    /// With a password. `scram` is what SCRAM needs beside it; without it, and for mechanisms that take no password,
    /// there is `None`.
    #[must_use]
    pub fn with_password(
        mechanism: Mechanism,
        credentials: Credentials,
        scram: Option<&ScramMeans>,
    ) -> Option<Self> {
        let scram = |variant, credentials| {
            scram.map(|means| State::Scram(Box::new(scram::Client::new(variant, credentials, means.clone()))))
        };
        let sends = match mechanism {
            Mechanism::Plain => Some(State::Message(plain::message(&credentials))),
            Mechanism::Login => Some(State::LoginName(credentials)),
            Mechanism::ScramSha256 => scram(Variant::Unbound, credentials),
            Mechanism::ScramSha256Plus => scram(Variant::Bound, credentials),
            Mechanism::OAuthBearer | Mechanism::XOAuth2 | Mechanism::External => None,
        };
        sends.map(|sends| Self { sends })
    }

    /// With a token: OAUTHBEARER, or XOAUTH2 where `mechanism` is that.
    #[must_use]
    pub fn with_token(mechanism: Mechanism, token: &BearerToken) -> Self {
        let message = if mechanism == Mechanism::XOAuth2 {
            xoauth2::message(token)
        } else {
            oauthbearer::message(token)
        };
        Self { sends: State::Token(message) }
    }

    /// EXTERNAL: the handshake has said all, but perhaps for whom.
    #[must_use]
    pub fn with_certificate(login: Option<&str>) -> Self {
        Self { sends: State::Message(Secret::new(login.unwrap_or_default().as_bytes().to_vec())) }
    }

    /// The initial response, base64, where the mechanism has one; an empty one is `=` (RFC 4954 §4).
    #[must_use]
    pub fn initial(&mut self) -> Option<Secret<String>> {
        match self.sends {
            State::Message(_) | State::Token(_) | State::Scram(_) => {
                let response = self.next(b"").ok()?;
                Some(if response.expose().is_empty() { Secret::new("=".to_owned()) } else { response })
            }
            State::LoginName(_) | State::LoginPassword(_) | State::TokenSent | State::Nothing => None,
        }
    }

    /// The answer (base64) to a challenge (base64, as it came after `334 ` or `+ `).
    ///
    /// LOGIN's challenges are told apart by their order: servers word them differently.
    ///
    /// # Errors
    /// Where the server asks for more than the mechanism has, not in base64, or does not prove what SCRAM has it prove.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Secret<String>, SaslError> {
        let challenge = decode(challenge)?;
        self.next(&challenge)
    }

    /// Whether the server may say that the login is accepted: with SCRAM it has to have proven itself first
    /// (RFC 5802 §5).
    ///
    /// # Errors
    /// Where it has not.
    pub fn accepted(&self) -> Result<(), SaslError> {
        match &self.sends {
            State::Scram(scram) if !scram.has_verified_the_server() => Err(SaslError::Proof),
            State::Scram(_)
            | State::Message(_)
            | State::Token(_)
            | State::LoginName(_)
            | State::LoginPassword(_)
            | State::TokenSent
            | State::Nothing => Ok(()),
        }
    }

    fn next(&mut self, challenge: &[u8]) -> Result<Secret<String>, SaslError> {
        let (response, then) = match std::mem::replace(&mut self.sends, State::Nothing) {
            State::Message(message) => (encode(message.expose()), State::Nothing),
            State::Token(message) => (encode(message.expose()), State::TokenSent),
            State::LoginName(credentials) => {
                (encode(credentials.login.as_bytes()), State::LoginPassword(credentials))
            }
            State::LoginPassword(credentials) => {
                (encode(credentials.password.expose().as_bytes()), State::Nothing)
            }
            State::Scram(mut scram) => {
                let response = scram.next(challenge);
                self.sends = State::Scram(scram);
                return Ok(Secret::new(encode(&response?)));
            }
            State::TokenSent => (encode(b"\x01"), State::Nothing),
            State::Nothing => return Err(SaslError::Malformed),
        };
        self.sends = then;
        Ok(Secret::new(response))
    }
}

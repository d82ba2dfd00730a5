//! SASL mechanisms (RFC 4422), one file each, both sides; SMTP and POP3 share them.
//!
//! A server's exchange is fed decoded responses and says what to do; the protocol's session does the base64
//! framing with [`decode`] and [`encode`].

mod login;
mod plain;
mod prepare;
mod scram;

use std::collections::VecDeque;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

pub use self::prepare::prepared;
pub use self::scram::ScramKeys;
use crate::secret::Secret;

/// The mechanisms offered, in the order in which they are announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// The expired draft-murchison-sasl-login that Outlook and others need.
    Login,
}

/// What a client proved or claims: who it is, and its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The authentication identity: the account's login name.
    pub login: String,
    /// The password.
    pub password: Secret<String>,
}

impl Credentials {
    /// A login without a domain is one of `domain`: mail programs try the local part alone first.
    #[must_use]
    pub fn within(mut self, domain: &str) -> Self {
        if !self.login.contains('@') {
            self.login.push('@');
            self.login.push_str(domain);
        }
        self
    }
}

/// What a server's exchange wants next.
#[derive(Debug)]
pub enum Exchange {
    /// Send this challenge (base64 of it after `334 ` or `+ `), then feed the response.
    Challenge(&'static [u8]),
    /// Check these.
    Finished(Credentials),
}

/// Why an exchange failed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SaslError {
    /// Not base64: 501 (RFC 4954 §4).
    #[error("the response is not base64")]
    Base64,
    /// Not a message of the mechanism: wrong NULs, not UTF-8, empty name.
    #[error("the response is not one of the mechanism")]
    Malformed,
    /// An authorization identity other than the login: 535 (RFC 4616 §2).
    #[error("logging in for somebody else is not allowed")]
    AuthorizationIdentity,
}

/// The server's side of one exchange.
#[derive(Debug)]
pub struct Server {
    waits_for: ServerState,
}

/// What the next response is.
#[derive(Debug)]
enum ServerState {
    PlainMessage,
    LoginName,
    LoginPassword { login: String },
    Nothing,
}

impl Mechanism {
    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// The mechanism of that name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Plain, Self::Login].into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }
}

impl Mechanism {
    /// Those of ours that a server names, in the order in which a client tries them.
    pub(crate) fn offered(names: &[String]) -> VecDeque<Self> {
        let theirs: Vec<Self> = names.iter().filter_map(|name| Self::named(name)).collect();
        [Self::Plain, Self::Login].into_iter().filter(|mechanism| theirs.contains(mechanism)).collect()
    }
}

impl Server {
    /// Starts an exchange; `initial` is the initial response as it came (`=` is an empty one, RFC 4954 §4).
    ///
    /// # Errors
    /// See [`SaslError`].
    pub fn start(mechanism: Mechanism, initial: Option<&str>) -> Result<(Self, Exchange), SaslError> {
        let (waits_for, challenge) = match mechanism {
            Mechanism::Plain => (ServerState::PlainMessage, b"".as_slice()),
            Mechanism::Login => (ServerState::LoginName, login::USERNAME),
        };
        let mut server = Self { waits_for };
        let exchange = match initial {
            None => Exchange::Challenge(challenge),
            Some("=") => server.decoded(b"")?,
            Some(initial) => server.response(initial.as_bytes())?,
        };
        Ok((server, exchange))
    }

    /// Takes the next response line as it came, base64 (`*` is for the session to see before).
    ///
    /// # Errors
    /// See [`SaslError`].
    pub fn response(&mut self, line: &[u8]) -> Result<Exchange, SaslError> {
        self.decoded(&decode(line)?)
    }

    fn decoded(&mut self, response: &[u8]) -> Result<Exchange, SaslError> {
        match std::mem::replace(&mut self.waits_for, ServerState::Nothing) {
            ServerState::PlainMessage => plain::credentials(response).map(Exchange::Finished),
            ServerState::LoginName => {
                self.waits_for = ServerState::LoginPassword { login: login::login(response)? };
                Ok(Exchange::Challenge(login::PASSWORD))
            }
            ServerState::LoginPassword { login } => {
                let password = Secret::new(login::text(response)?);
                Ok(Exchange::Finished(Credentials { login, password }))
            }
            ServerState::Nothing => Err(SaslError::Malformed),
        }
    }
}

/// The client's initial response or answer to a challenge, decoded form in and out.
#[derive(Debug)]
pub struct Client {
    credentials: Credentials,
    sends: ClientState,
}

/// What the client sends next.
#[derive(Clone, Copy, Debug)]
enum ClientState {
    PlainMessage,
    LoginName,
    LoginPassword,
    Nothing,
}

impl Client {
    /// For these credentials.
    #[must_use]
    pub const fn new(mechanism: Mechanism, credentials: Credentials) -> Self {
        let sends = match mechanism {
            Mechanism::Plain => ClientState::PlainMessage,
            Mechanism::Login => ClientState::LoginName,
        };
        Self { credentials, sends }
    }

    /// The initial response, base64, where the mechanism has one.
    #[must_use]
    pub fn initial(&mut self) -> Option<Secret<String>> {
        match self.sends {
            ClientState::PlainMessage => self.next(),
            ClientState::LoginName | ClientState::LoginPassword | ClientState::Nothing => None,
        }
    }

    /// The answer (base64) to a challenge (base64, as it came after `334 ` or `+ `).
    ///
    /// LOGIN's challenges are told apart by their order: servers word them differently.
    ///
    /// # Errors
    /// Where the server asks for more than the mechanism has, or not in base64.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Secret<String>, SaslError> {
        decode(challenge)?;
        self.next().ok_or(SaslError::Malformed)
    }

    fn next(&mut self) -> Option<Secret<String>> {
        let (response, then) = match self.sends {
            ClientState::PlainMessage => {
                (encode(plain::message(&self.credentials).expose()), ClientState::Nothing)
            }
            ClientState::LoginName => (encode(self.credentials.login.as_bytes()), ClientState::LoginPassword),
            ClientState::LoginPassword => {
                (encode(self.credentials.password.expose().as_bytes()), ClientState::Nothing)
            }
            ClientState::Nothing => return None,
        };
        self.sends = then;
        Some(Secret::new(response))
    }
}

/// Base64 of `octets` (RFC 4648 §4).
#[must_use]
pub fn encode(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

/// The octets whose base64 `text` is, padding required (RFC 4954 §4, RFC 4648 §4).
///
/// # Errors
/// Where it is not base64.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, SaslError> {
    STANDARD.decode(text).map_err(|_| SaslError::Base64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn credentials(login: &str, password: &str) -> Credentials {
        Credentials { login: login.to_owned(), password: Secret::new(password.to_owned()) }
    }

    /// Both sides of a whole exchange, with or without an initial response.
    fn exchange(mechanism: Mechanism, with_initial: Option<()>, credentials: &Credentials) -> Credentials {
        let mut client = Client::new(mechanism, credentials.clone());
        let initial = with_initial.and_then(|()| client.initial());
        let (mut server, mut next) =
            Server::start(mechanism, initial.as_ref().map(|initial| initial.expose().as_str())).unwrap();
        loop {
            match next {
                Exchange::Finished(credentials) => return credentials,
                Exchange::Challenge(challenge) => {
                    let response = client.respond(encode(challenge).as_bytes()).unwrap();
                    next = server.response(response.expose().as_bytes()).unwrap();
                }
            }
        }
    }

    #[test]
    fn a_login_without_a_domain_gets_one_and_any_other_stays() {
        let login = |login: &str| {
            let credentials = Credentials { login: login.to_owned(), password: Secret::new(String::new()) };
            credentials.within("example.test").login
        };
        assert_eq!(login("alice"), "alice@example.test");
        assert_eq!(login("alice@example.org"), "alice@example.org");
    }

    #[test]
    fn the_challenges_of_login_are_the_ones_that_thunderbird_expects() {
        let (mut server, first) = Server::start(Mechanism::Login, None).unwrap();
        assert!(matches!(first, Exchange::Challenge(challenge) if encode(challenge) == "VXNlcm5hbWU6"));
        let second = server.response(encode(b"alice").as_bytes()).unwrap();
        assert!(matches!(second, Exchange::Challenge(challenge) if encode(challenge) == "UGFzc3dvcmQ6"));
    }

    #[test]
    fn login_takes_the_name_as_initial_response() {
        let (mut server, first) = Server::start(Mechanism::Login, Some(&encode(b"alice"))).unwrap();
        assert!(matches!(first, Exchange::Challenge(b"Password:")));
        let Ok(Exchange::Finished(found)) = server.response(encode(b"secret").as_bytes()) else { panic!() };
        assert_eq!(found, credentials("alice", "secret"));
    }

    #[test]
    fn an_initial_equals_sign_is_an_empty_response() {
        assert_eq!(Server::start(Mechanism::Plain, Some("=")).unwrap_err(), SaslError::Malformed);
        assert_eq!(Server::start(Mechanism::Login, Some("=")).unwrap_err(), SaslError::Malformed);
    }

    #[test]
    fn what_is_not_base64_is_told_apart() {
        for wrong in ["?", "YQ", "YQ=", "YR==", "YQ==\n", "Y Q==", "*"] {
            assert_eq!(
                Server::start(Mechanism::Plain, Some(wrong)).unwrap_err(),
                SaslError::Base64,
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_finished_exchange_takes_no_further_response() {
        let (mut server, _) = Server::start(Mechanism::Plain, Some(&encode(b"\0a\0b"))).unwrap();
        assert_eq!(server.response(b"").unwrap_err(), SaslError::Malformed);
    }

    #[test]
    fn a_client_says_its_password_once() {
        let mut client = Client::new(Mechanism::Plain, credentials("a", "b"));
        assert!(client.initial().is_some());
        assert_eq!(client.respond(b"").unwrap_err(), SaslError::Malformed);
    }

    #[test]
    fn mechanisms_are_named_in_any_case() {
        assert_eq!(Mechanism::named("plain"), Some(Mechanism::Plain));
        assert_eq!(Mechanism::named("CRAM-MD5"), None);
    }

    proptest! {
        #[test]
        fn the_server_gets_what_the_client_was_given(login in "[^\0]{1,20}", password in "[^\0]{0,40}") {
            let given = credentials(&login, &password);
            for mechanism in [Mechanism::Plain, Mechanism::Login] {
                prop_assert_eq!(&exchange(mechanism, None, &given), &given);
                prop_assert_eq!(&exchange(mechanism, Some(()), &given), &given);
            }
        }

        #[test]
        fn any_response_is_answered(lines in proptest::collection::vec(any::<Vec<u8>>(), 1..4)) {
            for mechanism in [Mechanism::Plain, Mechanism::Login] {
                let (mut server, _) = Server::start(mechanism, None).unwrap();
                for line in &lines {
                    let _ = server.response(encode(line).as_bytes());
                }
            }
        }
    }
}

//! SASL mechanisms (RFC 4422), one file each, both sides; SMTP and POP3 share them.
//!
//! A server's exchange is fed responses and says what to do; what it needs of a directory or of whoever checks
//! tokens it asks for, and is handed the answer. The protocol's session does the framing.

mod bindings;
mod client;
mod external;
mod gs2;
mod login;
mod oauthbearer;
mod plain;
mod prepare;
mod scram;
mod server;
mod surroundings;
mod xoauth2;

use std::collections::VecDeque;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

pub use self::bindings::ChannelBindings;
pub use self::client::Client;
pub use self::prepare::{prepared, prepared_login};
pub use self::scram::{ScramKeys, ScramMeans};
pub use self::server::{Exchange, Server};
pub use self::surroundings::{Surroundings, Tokens};
use crate::address::Mailbox;
use crate::secret::Secret;

/// Random octets of a nonce: as many bits as RFC 5802's examples have.
const NONCE_OCTETS: usize = 18;

/// The mechanisms, in the order in which they are announced: some clients take the first that they know, and PLAIN
/// and LOGIN are what most of them do best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// The expired draft-murchison-sasl-login that Outlook and others need.
    Login,
    /// RFC 7677, bound to the TLS connection (RFC 5802 §6).
    ScramSha256Plus,
    /// RFC 7677.
    ScramSha256,
    /// RFC 7628.
    OAuthBearer,
    /// Google's form of it, older and without an RFC.
    XOAuth2,
    /// RFC 4422 appendix A: the client's certificate says who is there.
    External,
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
        self.login = within(self.login, domain);
        self
    }
}

/// A login without a domain is one of `domain`.
#[must_use]
pub fn within(mut login: String, domain: &str) -> String {
    if !login.contains('@') {
        login.push('@');
        login.push_str(domain);
    }
    login
}

/// A token of RFC 6750 that a client shows instead of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BearerToken {
    /// Who the client says it is; it may leave that to the token.
    pub login: Option<String>,
    /// The token, which is as good as a password.
    pub token: Secret<String>,
}

impl BearerToken {
    /// A login without a domain is one of `domain`.
    #[must_use]
    pub fn within(mut self, domain: &str) -> Self {
        self.login = self.login.map(|login| within(login, domain));
        self
    }
}

/// Who is there, as somebody else has proven it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// What was proven: the login of an account.
    pub identity: String,
    /// What the client has named: the same, or a subaddress of it.
    pub login: String,
}

impl Proven {
    /// `identity` itself, or the subaddress of it (RFC 5233 §1) that the client has `named`, each with or without the domain;
    /// `None` where it has named anybody else.
    fn new(identity: String, named: Option<&str>) -> Option<Self> {
        let named = match (named, identity.rsplit_once('@')) {
            (Some(named), Some((_, domain))) => within(named.to_owned(), domain),
            (Some(named), None) => named.to_owned(),
            (None, _) => identity.clone(),
        };
        if named.eq_ignore_ascii_case(&identity) {
            return Some(Self { login: identity.clone(), identity });
        }
        let (user, of) = (Mailbox::parse(&named).ok()?, Mailbox::parse(&identity).ok()?);
        let (user, _) = user.subaddress()?;
        (user.key() == of.key()).then_some(Self { identity, login: named })
    }

    /// A login that has proved itself.
    fn itself(login: String) -> Self {
        Self { identity: login.clone(), login }
    }

    /// A login without a domain is one of `domain`.
    #[must_use]
    pub fn within(self, domain: &str) -> Self {
        let Self { identity, login } = self;
        Self { identity: within(identity, domain), login: within(login, domain) }
    }
}

/// What has come of checking a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenVerdict {
    /// It is good, and this login's.
    Login(String),
    /// It is not.
    Refused,
    /// It was, and is no more: whoever shows it has had a good one, and guesses at nothing.
    Expired,
}

impl TokenVerdict {
    /// The same, where the client has named nobody else, or a subaddress of it; a login without a domain is one of `domain`.
    #[must_use]
    pub fn of(self, shown: &BearerToken, domain: &str) -> Self {
        match self {
            Self::Login(login) => {
                let login = within(login, domain);
                let proven = Proven::new(login, shown.login.as_deref());
                proven.map_or(Self::Refused, |proven| Self::Login(proven.identity))
            }
            Self::Refused | Self::Expired => self,
        }
    }
}

/// Tokens cannot be checked at the moment: a temporary failure, whatever the token is.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the token cannot be checked: {0}")]
pub struct TokensUnavailable(pub String);

/// Random octets that a session is handed for one exchange.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce([u8; NONCE_OCTETS]);

impl Nonce {
    /// Octets that a nonce is made of.
    pub const OCTETS: usize = NONCE_OCTETS;

    /// Of these octets, which must be random.
    #[must_use]
    pub const fn new(random: [u8; NONCE_OCTETS]) -> Self {
        Self(random)
    }

    /// As SCRAM sends it: printable, without a comma.
    fn text(&self) -> String {
        encode(&self.0)
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Nonce(..)")
    }
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
    /// SCRAM is not bound to this connection as it must be (RFC 5802 §6): somebody may stand between.
    #[error("the exchange is not bound to this TLS connection")]
    ChannelBinding,
    /// SCRAM's proof is not that of the password.
    #[error("the proof does not fit the password")]
    Proof,
    /// The other side has sent a nonce that is not ours (RFC 5802 §5.1).
    #[error("the nonce is not that of this exchange")]
    Nonce,
    /// The token was refused, and the client has heard why.
    #[error("the token is not accepted")]
    Token,
    /// The certificate names nobody, or somebody else.
    #[error("the client certificate is not of this login")]
    Certificate,
}

/// What a failed exchange means for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// The client does not speak the mechanism: 501.
    Syntax,
    /// Somebody is refused, as with a wrong password: 535.
    Login,
}

impl SaslError {
    /// What it means for the session.
    #[must_use]
    pub const fn means(self) -> Failing {
        match self {
            Self::Base64 | Self::Malformed => Failing::Syntax,
            Self::AuthorizationIdentity
            | Self::ChannelBinding
            | Self::Proof
            | Self::Nonce
            | Self::Token
            | Self::Certificate => Failing::Login,
        }
    }
}

impl Mechanism {
    /// All, in the order in which they are announced.
    pub const ALL: [Self; 7] = [
        Self::Plain,
        Self::Login,
        Self::ScramSha256Plus,
        Self::ScramSha256,
        Self::OAuthBearer,
        Self::XOAuth2,
        Self::External,
    ];

    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
            Self::External => "EXTERNAL",
        }
    }

    /// The mechanism of that name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// Those that a server names and a client with a password has, in the order in which it tries them: the password
    /// stays at home where it can.
    pub(crate) fn offered(names: &[String], scram: Option<&ScramMeans>) -> VecDeque<Self> {
        let theirs: Vec<Self> = names.iter().filter_map(|name| Self::named(name)).collect();
        let bound =
            scram.is_some_and(|means| !means.bindings.is_empty()) && theirs.contains(&Self::ScramSha256Plus);
        let scrams = match (bound, scram) {
            // RFC 5802 §6: whoever can bind and is offered it does so.
            (true, _) => Some(Self::ScramSha256Plus),
            (false, Some(_)) => Some(Self::ScramSha256),
            (false, None) => None,
        };
        let ours = scrams.into_iter().chain([Self::Plain, Self::Login]);
        ours.filter(|mechanism| theirs.contains(mechanism)).collect()
    }

    /// Those that a server names and a client with a token has, in the order in which it tries them.
    pub(crate) fn offered_for_tokens(names: &[String]) -> VecDeque<Self> {
        let is_offered = |mechanism: &Self| names.iter().any(|name| Self::named(name) == Some(*mechanism));
        [Self::OAuthBearer, Self::XOAuth2].into_iter().filter(is_offered).collect()
    }

    /// True where the password itself goes over the wire.
    pub(crate) const fn sends_password(self) -> bool {
        match self {
            Self::Plain | Self::Login => true,
            Self::ScramSha256Plus
            | Self::ScramSha256
            | Self::OAuthBearer
            | Self::XOAuth2
            | Self::External => false,
        }
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
mod tests;

//! What a connection and its server give to a login: with it a mechanism is offered, and without it is not.

use super::{ChannelBindings, Mechanism};

/// Whether the server can check tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tokens {
    /// It can.
    Checked,
    /// It has been told nobody who could.
    #[default]
    Unknown,
}

/// All that decides which mechanisms can succeed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// What SCRAM-SHA-256-PLUS can bind to; nothing without TLS.
    pub bindings: ChannelBindings,
    /// The logins that the client's certificate names, which the handshake has verified; none without one.
    pub certificate_logins: Vec<String>,
    /// Whether OAUTHBEARER and XOAUTH2 can be checked.
    pub tokens: Tokens,
}

impl Surroundings {
    /// The mechanisms that are offered, in the order in which they are announced.
    pub fn mechanisms(&self) -> impl Iterator<Item = Mechanism> + '_ {
        Mechanism::ALL.into_iter().filter(|mechanism| self.offer(*mechanism))
    }

    /// The offered mechanism of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Mechanism> {
        Mechanism::named(name).filter(|mechanism| self.offer(*mechanism))
    }

    fn offer(&self, mechanism: Mechanism) -> bool {
        match mechanism {
            Mechanism::Plain | Mechanism::Login | Mechanism::ScramSha256 => true,
            Mechanism::ScramSha256Plus => !self.bindings.is_empty(),
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => self.tokens == Tokens::Checked,
            Mechanism::External => !self.certificate_logins.is_empty(),
        }
    }
}

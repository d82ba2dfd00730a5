//! What the checks have found out about a message. It is all that a decision looks at.

use std::net::IpAddr;

use super::line::Line;
use super::spf::Spf;

/// Everything that was found. What was not looked for is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Of the client's address.
    pub iprev: Option<Iprev>,
    /// Of the name that the client gives itself (RFC 7208 §2.3).
    pub helo: Option<Sender>,
    /// Of the reverse-path, if that names somebody (RFC 7208 §2.4).
    pub mail_from: Option<Sender>,
}

/// Whether a client has a name that leads back to its address (RFC 8601 §2.7.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iprev {
    /// The address.
    pub ip: IpAddr,
    /// Whether there is one.
    pub result: IprevResult,
    /// Those that lead back.
    pub names: Vec<String>,
}

/// RFC 8601 §2.7.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IprevResult {
    /// It has.
    Pass,
    /// None of its names leads back.
    Fail,
    /// DNS did not say.
    TempError,
    /// It has no name at all.
    PermError,
}

/// What SPF says of one of the sender's two identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Whether it is let.
    pub result: Spf,
    /// The client's name, or the mailbox of the reverse-path.
    pub identity: String,
    /// Whose record was asked for, in A-labels.
    pub domain: String,
    /// What went wrong, in words, where something did.
    pub problem: Option<String>,
    /// What the domain says to those whose mail fails.
    pub explanation: Option<String>,
}

impl Iprev {
    const fn word(&self) -> &'static str {
        match self.result {
            IprevResult::Pass => "pass",
            IprevResult::Fail => "fail",
            IprevResult::TempError => "temperror",
            IprevResult::PermError => "permerror",
        }
    }

    pub(super) fn line(&self) -> Line {
        let line = Line::new("iprev", self.word()).because(self.names.first().cloned());
        line.with("policy.iprev", self.ip.to_string())
    }
}

impl Sender {
    pub(super) fn line(&self, property: &'static str) -> Line {
        Line::new("spf", self.result.word())
            .because(self.problem.clone())
            .with(property, self.identity.clone())
    }
}

impl Findings {
    /// One for each result, in the order in which they are told.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let iprev = self.iprev.iter().map(Iprev::line);
        let helo = self.helo.iter().map(|sender| sender.line("smtp.helo"));
        let mail_from = self.mail_from.iter().map(|sender| sender.line("smtp.mailfrom"));
        iprev.chain(helo).chain(mail_from).collect()
    }
}

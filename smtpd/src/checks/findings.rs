//! What the checks have found out about a message. It is all that a decision looks at.

use std::net::IpAddr;

use super::chain::{Chain, ChainResult};
use super::dmarc::{Dmarc, DmarcResult};
use super::line::Line;
use super::null_mx::NullMx;
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
    /// Of mail for the reverse-path's domain.
    pub null_mx: Option<NullMx>,
    /// Of each signature.
    pub dkim: Option<Vec<Signature>>,
    /// Of all who have sealed it.
    pub arc: Option<Chain>,
    /// Of the author's domain.
    pub dmarc: Option<Dmarc>,
    /// Who is trusted, and has found before that the author's domain is proven (RFC 8617 §7.2).
    pub voucher: Option<String>,
    /// From 0 to 99, by lot: which messages are among the `pct` in a hundred (RFC 7489 §6.6.4).
    pub lot: u8,
}

/// One DKIM signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Whether it is right.
    pub result: Dkim,
    /// Why not, in words.
    pub reason: Option<String>,
    /// `d=`, in lower case; empty where it could not be read.
    pub domain: String,
    /// `s=`.
    pub selector: String,
    /// The beginning of `b=`.
    pub told: String,
}

/// RFC 8601 §2.7.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dkim {
    /// It is right.
    Pass,
    /// It is wrong.
    Fail,
    /// It may be right, and is not taken.
    Policy,
    /// It cannot be read.
    #[default]
    Neutral,
    /// DNS did not say.
    TempError,
    /// It cannot be right.
    PermError,
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

impl Dkim {
    /// As Authentication-Results say it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Policy => "policy",
            Self::Neutral => "neutral",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl Signature {
    fn line(&self) -> Line {
        let line = Line::new("dkim", self.result.word()).because(self.reason.clone());
        if self.domain.is_empty() {
            return line;
        }
        let line = line.with("header.d", self.domain.clone()).with("header.s", self.selector.clone());
        line.with("header.b", self.told.clone())
    }
}

impl Chain {
    pub(super) fn line(&self) -> Line {
        let word = match self.result {
            ChainResult::None => "none",
            ChainResult::Pass => "pass",
            ChainResult::Fail => "fail",
            ChainResult::TempError => "temperror",
        };
        let sealer = self.sealers.first().map(|sealer| format!("sealed by {}", sealer.domain));
        Line::new("arc", word).because(self.reason.clone().or(sealer))
    }
}

impl Dmarc {
    pub(super) fn line(&self) -> Line {
        let word = match self.result {
            DmarcResult::None => "none",
            DmarcResult::Pass => "pass",
            DmarcResult::Fail => "fail",
            DmarcResult::TempError => "temperror",
            DmarcResult::PermError => "permerror",
        };
        let line = Line::new("dmarc", word).because(self.reason.clone());
        let line = match self.policy {
            Some(policy) => line.with("policy.dmarc", policy.word()),
            None => line,
        };
        if self.domain.is_empty() { line } else { line.with("header.from", self.domain.clone()) }
    }
}

/// Where a message has no signature at all, that is told as well.
fn signatures(signatures: &[Signature]) -> Vec<Line> {
    if signatures.is_empty() {
        return vec![Line::new("dkim", "none")];
    }
    signatures.iter().map(Signature::line).collect()
}

impl Findings {
    /// What says that the message may come from somebody else than it claims: whoever is named in it, or gets reports about
    /// it, may have nothing to do with it.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        let failed = |sender: &&Sender| matches!(sender.result, Spf::Fail | Spf::SoftFail);
        let mail_from = self.mail_from.as_ref().filter(failed).map(|sender| sender.line("smtp.mailfrom"));
        let unproven = |dmarc: &&Dmarc| dmarc.result == DmarcResult::Fail && self.voucher.is_none();
        let dmarc = self.dmarc.as_ref().filter(unproven).map(Dmarc::line);
        mail_from.or(dmarc).map(|line| line.to_string())
    }

    /// One for each result, in the order in which they are told.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let iprev = self.iprev.iter().map(Iprev::line);
        let helo = self.helo.iter().map(|sender| sender.line("smtp.helo"));
        let mail_from = self.mail_from.iter().map(|sender| sender.line("smtp.mailfrom"));
        let null_mx = self.null_mx.iter().filter_map(NullMx::told);
        let dkim = self.dkim.iter().flat_map(|dkim| signatures(dkim));
        let arc = self.arc.iter().map(Chain::line);
        let dmarc = self.dmarc.iter().map(|dmarc| {
            let vouched = self.voucher.as_ref().map(|voucher| format!("{voucher} has found it to pass"));
            Dmarc { reason: vouched.or_else(|| dmarc.reason.clone()), ..dmarc.clone() }.line()
        });
        let sender = iprev.chain(helo).chain(mail_from).chain(null_mx);
        sender.chain(dkim).chain(arc).chain(dmarc).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_makes_the_sender_doubtful_and_what_is_not_known_does_not() {
        let sender = |result| Sender {
            result,
            identity: "a@x.example".to_owned(),
            domain: "x.example".to_owned(),
            problem: None,
            explanation: None,
        };
        let dmarc = |result| Dmarc {
            result,
            domain: "x.example".to_owned(),
            policy: None,
            percent: 100,
            reason: None,
        };
        let of =
            |mail_from, dmarc, voucher| Findings { mail_from, dmarc, voucher, ..Findings::default() }.doubt();
        assert_eq!(of(None, None, None), None);
        for result in [Spf::Pass, Spf::None, Spf::Neutral, Spf::TempError, Spf::PermError] {
            assert_eq!(of(Some(sender(result)), None, None), None, "{result:?}");
        }
        for result in [Spf::Fail, Spf::SoftFail] {
            let doubt = of(Some(sender(result)), Some(dmarc(DmarcResult::Pass)), None).unwrap();
            assert_eq!(doubt, format!("spf={} smtp.mailfrom=a@x.example", result.word()));
        }
        let failed = Some(dmarc(DmarcResult::Fail));
        assert!(of(Some(sender(Spf::Pass)), failed.clone(), None).unwrap().starts_with("dmarc=fail"));
        assert_eq!(of(None, failed, Some("lists.example".to_owned())), None);
        assert_eq!(of(None, Some(dmarc(DmarcResult::TempError)), None), None);
    }
}

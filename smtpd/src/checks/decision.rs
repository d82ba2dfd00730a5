//! What becomes of a message, by what was found out about it. It asks nobody, and names the line of the configuration that
//! has decided.

use super::config::{Action, Checks, Temporary};
use super::findings::{Findings, IprevResult, Sender};
use super::spf::Spf;

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What.
    pub verdict: Verdict,
    /// The line of the configuration that has decided, with what it went by; empty where nothing speaks against the message.
    pub because: String,
}

/// The worse, the greater.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It comes in.
    Accept,
    /// It comes in, and is taken for junk.
    Junk,
    /// It may come again later: this check could not be made.
    PutOff(Method),
    /// It does not come in.
    Refuse(Refusal),
}

/// A check, by its name in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// RFC 7208.
    Spf,
    /// RFC 8601 §2.7.3.
    Iprev,
}

/// Why a message is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its domain does not let the client send it; what that domain says of it.
    Spf {
        /// The domain.
        domain: String,
        /// In its own words, if it has some.
        explanation: Option<String>,
    },
    /// The client has no name that leads back to it.
    Iprev,
}

/// What one check comes to.
enum Outcome {
    Good,
    Unknown,
    Bad(Refusal),
}

impl Method {
    const fn word(self) -> &'static str {
        match self {
            Self::Spf => "spf",
            Self::Iprev => "iprev",
        }
    }
}

impl Refusal {
    /// Which check does not pass.
    #[must_use]
    pub const fn method(&self) -> Method {
        match self {
            Self::Spf { .. } => Method::Spf,
            Self::Iprev => Method::Iprev,
        }
    }
}

impl Verdict {
    /// In a word, for the log.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Junk => "junk",
            Self::PutOff(_) => "put off",
            Self::Refuse(_) => "refuse",
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Accept => 0,
            Self::Junk => 1,
            Self::PutOff(_) => 2,
            Self::Refuse(_) => 3,
        }
    }
}

/// What becomes of a message about which this was found. Of several checks that speak against it the strictest decides, and
/// of equal ones the first.
#[must_use]
pub fn decide(checks: &Checks, findings: &Findings) -> Decision {
    let mut decision = Decision { verdict: Verdict::Accept, because: String::new() };
    for (method, action, outcome, told) in [iprev(checks, findings), spf(checks, findings)] {
        let (verdict, line) = match (outcome, action) {
            (Outcome::Good, _) | (_, Action::Off | Action::Mark) | (Outcome::Unknown, Action::Junk) => {
                continue;
            }
            (Outcome::Unknown, Action::Refuse) => match checks.temporary {
                Temporary::Accept => continue,
                Temporary::PutOff => (Verdict::PutOff(method), "[checks] temporary = \"put-off\"".to_owned()),
            },
            (Outcome::Bad(_), Action::Junk) => (Verdict::Junk, line(method, action)),
            (Outcome::Bad(refusal), Action::Refuse) => (Verdict::Refuse(refusal), line(method, action)),
        };
        if verdict.rank() > decision.verdict.rank() {
            decision = Decision { verdict, because: format!("{line}: {told}") };
        }
    }
    decision
}

fn line(method: Method, action: Action) -> String {
    format!("[checks] {} = \"{}\"", method.word(), action.word())
}

fn iprev(checks: &Checks, findings: &Findings) -> (Method, Action, Outcome, String) {
    let Some(iprev) = &findings.iprev else {
        return (Method::Iprev, checks.iprev, Outcome::Good, String::new());
    };
    let outcome = match iprev.result {
        IprevResult::Pass => Outcome::Good,
        IprevResult::TempError => Outcome::Unknown,
        IprevResult::Fail | IprevResult::PermError => Outcome::Bad(Refusal::Iprev),
    };
    (Method::Iprev, checks.iprev, outcome, iprev.line().to_string())
}

/// The reverse-path's domain has the word; where there is none, the client's name has it (RFC 7208 §2.4).
fn spf(checks: &Checks, findings: &Findings) -> (Method, Action, Outcome, String) {
    let (sender, property) = match (&findings.mail_from, &findings.helo) {
        (Some(sender), _) => (sender, "smtp.mailfrom"),
        (None, Some(sender)) => (sender, "smtp.helo"),
        (None, None) => return (Method::Spf, checks.spf, Outcome::Good, String::new()),
    };
    let Sender { result, domain, explanation, .. } = sender;
    let outcome = match result {
        _ if checks.spares(domain) => Outcome::Good,
        // RFC 7208 §8.5: softfail alone is no reason to refuse; §8.7 leaves open what follows from a wrong record.
        Spf::None | Spf::Neutral | Spf::Pass | Spf::SoftFail | Spf::PermError => Outcome::Good,
        Spf::TempError => Outcome::Unknown,
        Spf::Fail => Outcome::Bad(Refusal::Spf { domain: domain.clone(), explanation: explanation.clone() }),
    };
    (Method::Spf, checks.spf, outcome, sender.line(property).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Iprev;

    const IP: &str = "192.0.2.1";

    fn sender(result: Spf, domain: &str) -> Sender {
        Sender {
            result,
            identity: format!("a@{domain}"),
            domain: domain.to_owned(),
            problem: None,
            explanation: None,
        }
    }

    fn named(result: IprevResult) -> Iprev {
        Iprev { ip: IP.parse().unwrap(), result, names: Vec::new() }
    }

    fn findings(spf: Spf, iprev: IprevResult) -> Findings {
        Findings {
            mail_from: Some(sender(spf, "a.example")),
            iprev: Some(named(iprev)),
            ..Findings::default()
        }
    }

    fn checks(toml: &str) -> Checks {
        toml::from_str(toml).unwrap()
    }

    fn decided(toml: &str, spf: Spf, iprev: IprevResult) -> (&'static str, String) {
        let Decision { verdict, because } = decide(&checks(toml), &findings(spf, iprev));
        (verdict.word(), because)
    }

    #[test]
    fn nothing_follows_where_everything_is_only_marked() {
        for spf in [Spf::Fail, Spf::TempError, Spf::PermError] {
            for iprev in [IprevResult::Fail, IprevResult::TempError, IprevResult::PermError] {
                assert_eq!(decided("temporary = \"put-off\"", spf, iprev), ("accept", String::new()));
            }
        }
    }

    #[test]
    fn only_what_fails_for_sure_is_junk_or_refused() {
        for (spf, expected) in [
            (Spf::None, "accept"),
            (Spf::Neutral, "accept"),
            (Spf::Pass, "accept"),
            (Spf::SoftFail, "accept"),
            (Spf::PermError, "accept"),
            (Spf::TempError, "accept"),
            (Spf::Fail, "refuse"),
        ] {
            assert_eq!(decided("spf = \"refuse\"", spf, IprevResult::Fail).0, expected, "{spf:?}");
        }
        for (iprev, expected) in [
            (IprevResult::Pass, "accept"),
            (IprevResult::TempError, "accept"),
            (IprevResult::Fail, "junk"),
            (IprevResult::PermError, "junk"),
        ] {
            assert_eq!(decided("iprev = \"junk\"", Spf::Fail, iprev).0, expected, "{iprev:?}");
        }
    }

    #[test]
    fn the_strictest_check_decides_and_is_named() {
        let both = "spf = \"junk\"\niprev = \"refuse\"";
        let (verdict, because) = decided(both, Spf::Fail, IprevResult::Fail);
        assert_eq!(verdict, "refuse");
        assert_eq!(because, "[checks] iprev = \"refuse\": iprev=fail policy.iprev=192.0.2.1");
        let (verdict, because) = decided(both, Spf::Fail, IprevResult::Pass);
        assert_eq!(verdict, "junk");
        assert_eq!(because, "[checks] spf = \"junk\": spf=fail smtp.mailfrom=a@a.example");
    }

    #[test]
    fn what_could_not_be_checked_comes_again_where_that_is_asked_for() {
        let put_off = "spf = \"refuse\"\niprev = \"junk\"\ntemporary = \"put-off\"";
        let (verdict, because) = decided(put_off, Spf::TempError, IprevResult::Pass);
        assert_eq!(
            (verdict, because.starts_with("[checks] temporary = \"put-off\": spf=temperror")),
            ("put off", true)
        );
        assert_eq!(decided(put_off, Spf::Pass, IprevResult::TempError).0, "accept");
        let refused = "spf = \"refuse\"\niprev = \"refuse\"\ntemporary = \"put-off\"";
        assert_eq!(decided(refused, Spf::TempError, IprevResult::Fail).0, "refuse");
    }

    #[test]
    fn without_a_sender_the_clients_own_name_has_the_word() {
        let checks = checks("spf = \"refuse\"");
        let mut found = Findings { helo: Some(sender(Spf::Fail, "mx.example")), ..Findings::default() };
        assert_eq!(decide(&checks, &found).verdict.word(), "refuse");
        found.mail_from = Some(sender(Spf::Pass, "a.example"));
        assert_eq!(decide(&checks, &found).verdict.word(), "accept");
    }

    #[test]
    fn spared_domains_are_only_marked() {
        let checks = checks("spf = \"refuse\"\ndomains = [\"a.example\"]");
        assert_eq!(decide(&checks, &findings(Spf::Fail, IprevResult::Fail)).verdict, Verdict::Accept);
    }
}

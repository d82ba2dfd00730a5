//! What becomes of a message, by what was found out about it. It asks nobody, and names the line of the configuration that
//! has decided.

use super::chain::ChainResult;
use super::config::{Action, Checks, Temporary};
use super::dmarc::{DmarcResult, Policy};
use super::findings::{Dkim, Findings, IprevResult, Sender};
use super::null_mx::NullMxResult;
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
    /// RFC 7505.
    NullMx,
    /// RFC 6376.
    Dkim,
    /// RFC 8617.
    Arc,
    /// RFC 7489.
    Dmarc,
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
    /// Its sender's domain takes no mail, so it could not be answered.
    NullMx,
    /// It has no signature that is right.
    Dkim,
    /// Its chain does not hold.
    Arc,
    /// Its author's domain is not proven, and its owner wants that refused.
    Dmarc,
}

/// What one check comes to.
enum Outcome {
    Good,
    Unknown,
    /// Junk at most.
    Doubtful,
    Bad(Refusal),
}

impl Method {
    const fn word(self) -> &'static str {
        match self {
            Self::Spf => "spf",
            Self::Iprev => "iprev",
            Self::NullMx => "null_mx",
            Self::Dkim => "dkim",
            Self::Arc => "arc",
            Self::Dmarc => "dmarc",
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
            Self::NullMx => Method::NullMx,
            Self::Dkim => Method::Dkim,
            Self::Arc => Method::Arc,
            Self::Dmarc => Method::Dmarc,
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
    let all = [
        iprev(checks, findings),
        spf(checks, findings),
        null_mx(checks, findings),
        dkim(checks, findings),
        arc(checks, findings),
        dmarc(checks, findings),
    ];
    for (method, action, outcome, told) in all {
        let (verdict, line) = match (outcome, action) {
            (Outcome::Good, _) | (_, Action::Off | Action::Mark) | (Outcome::Unknown, Action::Junk) => {
                continue;
            }
            (Outcome::Unknown, Action::Refuse) => match checks.temporary {
                Temporary::Accept => continue,
                Temporary::PutOff => (Verdict::PutOff(method), "[checks] temporary = \"put-off\"".to_owned()),
            },
            (Outcome::Doubtful, Action::Junk | Action::Refuse) | (Outcome::Bad(_), Action::Junk) => {
                (Verdict::Junk, line(method, action))
            }
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

/// RFC 7505 §4.2: nobody could answer, or hear that the message was not delivered.
fn null_mx(checks: &Checks, findings: &Findings) -> (Method, Action, Outcome, String) {
    let Some(found) = &findings.null_mx else {
        return (Method::NullMx, checks.null_mx, Outcome::Good, String::new());
    };
    let outcome = match found.result {
        _ if checks.spares(&found.domain) => Outcome::Good,
        NullMxResult::Absent => Outcome::Good,
        NullMxResult::TempError => Outcome::Unknown,
        NullMxResult::Present => Outcome::Bad(Refusal::NullMx),
    };
    (Method::NullMx, checks.null_mx, outcome, found.line().to_string())
}

/// RFC 7372 §3.1: no signature is right. One that is wrong is as good as none (RFC 6376 §6.1).
fn dkim(checks: &Checks, findings: &Findings) -> (Method, Action, Outcome, String) {
    let signatures = findings.dkim.as_deref();
    let has = |result| signatures.iter().copied().flatten().any(|signature| signature.result == result);
    let outcome = match signatures {
        None => Outcome::Good,
        Some(_) if has(Dkim::Pass) => Outcome::Good,
        Some(_) if has(Dkim::TempError) => Outcome::Unknown,
        Some(_) => Outcome::Bad(Refusal::Dkim),
    };
    (Method::Dkim, checks.dkim, outcome, "no signature is right".to_owned())
}

fn arc(checks: &Checks, findings: &Findings) -> (Method, Action, Outcome, String) {
    let Some(chain) = &findings.arc else { return (Method::Arc, checks.arc, Outcome::Good, String::new()) };
    let outcome = match chain.result {
        ChainResult::None | ChainResult::Pass => Outcome::Good,
        ChainResult::TempError => Outcome::Unknown,
        ChainResult::Fail => Outcome::Bad(Refusal::Arc),
    };
    (Method::Arc, checks.arc, outcome, chain.line().to_string())
}

/// What the owner of the author's domain wants, where it is not proven and nobody vouches for it.
fn dmarc(checks: &Checks, findings: &Findings) -> (Method, Action, Outcome, String) {
    let Some(dmarc) = &findings.dmarc else {
        return (Method::Dmarc, checks.dmarc, Outcome::Good, String::new());
    };
    let wanted = dmarc.policy.unwrap_or(Policy::None);
    // RFC 7489 §6.6.4: where the lot has not fallen on a message, the next gentler policy is followed.
    let followed = if findings.lot < dmarc.percent { wanted } else { wanted.gentler() };
    let outcome = match (dmarc.result, followed) {
        _ if checks.spares(&dmarc.domain) || findings.voucher.is_some() => Outcome::Good,
        (DmarcResult::TempError, _) => Outcome::Unknown,
        (DmarcResult::None | DmarcResult::Pass, _) | (DmarcResult::Fail, Policy::None) => Outcome::Good,
        (DmarcResult::Fail, Policy::Quarantine) => Outcome::Doubtful,
        // RFC 7489 §6.6.1: where From is broken nobody can be asked, and readers could be shown anybody.
        (DmarcResult::Fail, Policy::Reject) | (DmarcResult::PermError, _) => Outcome::Bad(Refusal::Dmarc),
    };
    (Method::Dmarc, checks.dmarc, outcome, dmarc.line().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::{Chain, Dmarc, Iprev, NullMx, Signature};

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
    fn a_sender_whom_nobody_could_answer_may_be_refused() {
        for (result, refuse, junk, put_off) in [
            (NullMxResult::Present, "refuse", "junk", "refuse"),
            (NullMxResult::Absent, "accept", "accept", "accept"),
            (NullMxResult::TempError, "accept", "accept", "put off"),
        ] {
            let null_mx = Some(NullMx { domain: "a.example".to_owned(), result });
            let found = Findings { null_mx, ..Findings::default() };
            let decided = |toml: &str| decide(&checks(toml), &found);
            assert_eq!(decided("null_mx = \"refuse\"").verdict.word(), refuse, "{result:?}");
            assert_eq!(decided("null_mx = \"junk\"").verdict.word(), junk, "{result:?}");
            assert_eq!(decided("null_mx = \"refuse\"\ntemporary = \"put-off\"").verdict.word(), put_off);
            assert_eq!(decided("").verdict, Verdict::Accept);
            assert_eq!(decided("null_mx = \"refuse\"\ndomains = [\"a.example\"]").verdict, Verdict::Accept);
            if result == NullMxResult::Present {
                let because = "[checks] null_mx = \"refuse\": x-null-mx=fail smtp.mailfrom=a.example";
                assert_eq!(decided("null_mx = \"refuse\"").because, because);
            }
        }
    }

    fn unproven(policy: Policy, percent: u8, lot: u8) -> Findings {
        let result = DmarcResult::Fail;
        let domain = "a.example".to_owned();
        let dmarc = Dmarc { result, domain, policy: Some(policy), percent, reason: None };
        Findings { dmarc: Some(dmarc), lot, ..Findings::default() }
    }

    #[test]
    fn what_the_owner_of_a_domain_wants_is_followed_as_far_as_told() {
        for (policy, percent, lot, refuse, junk) in [
            (Policy::Reject, 100, 99, "refuse", "junk"),
            (Policy::Quarantine, 100, 99, "junk", "junk"),
            (Policy::None, 100, 0, "accept", "accept"),
            (Policy::Reject, 20, 19, "refuse", "junk"),
            (Policy::Reject, 20, 20, "junk", "junk"),
            (Policy::Quarantine, 20, 20, "accept", "accept"),
            (Policy::Reject, 0, 0, "junk", "junk"),
        ] {
            let found = unproven(policy, percent, lot);
            let verdict = |toml: &str| decide(&checks(toml), &found).verdict.word();
            assert_eq!(verdict("dmarc = \"refuse\""), refuse, "{policy:?} {percent} {lot}");
            assert_eq!(verdict("dmarc = \"junk\""), junk, "{policy:?} {percent} {lot}");
            assert_eq!(verdict(""), "accept");
            assert_eq!(verdict("dmarc = \"refuse\"\ndomains = [\"a.example\"]"), "accept");
        }
        let vouched =
            Findings { voucher: Some("list.example".to_owned()), ..unproven(Policy::Reject, 100, 0) };
        assert_eq!(decide(&checks("dmarc = \"refuse\""), &vouched).verdict, Verdict::Accept);
        let broken = Findings { dmarc: Some(Dmarc::broken("there is no From")), ..Findings::default() };
        assert_eq!(decide(&checks("dmarc = \"refuse\""), &broken).verdict, Verdict::Refuse(Refusal::Dmarc));
        let unknown = Dmarc::unknown("a.example", String::new());
        let unknown = Findings { dmarc: Some(unknown), ..Findings::default() };
        let put_off = "dmarc = \"refuse\"\ntemporary = \"put-off\"";
        assert_eq!(decide(&checks(put_off), &unknown).verdict, Verdict::PutOff(Method::Dmarc));
    }

    #[test]
    fn one_signature_that_is_right_is_enough_and_a_wrong_one_is_none() {
        for (results, expected) in [
            (vec![], "refuse"),
            (vec![Dkim::Fail], "refuse"),
            (vec![Dkim::Policy, Dkim::Neutral, Dkim::PermError], "refuse"),
            (vec![Dkim::Fail, Dkim::Pass], "accept"),
            (vec![Dkim::Fail, Dkim::TempError], "accept"),
        ] {
            let signature = |result: &Dkim| Signature { result: *result, ..Signature::default() };
            let dkim = Some(results.iter().map(signature).collect());
            let found = Findings { dkim, ..Findings::default() };
            assert_eq!(decide(&checks("dkim = \"refuse\""), &found).verdict.word(), expected, "{results:?}");
        }
    }

    #[test]
    fn a_chain_must_hold_where_there_is_one() {
        for (result, expected) in [
            (ChainResult::None, "accept"),
            (ChainResult::Pass, "accept"),
            (ChainResult::TempError, "accept"),
            (ChainResult::Fail, "refuse"),
        ] {
            let found = Findings { arc: Some(Chain { result, ..Chain::default() }), ..Findings::default() };
            assert_eq!(decide(&checks("arc = \"refuse\""), &found).verdict.word(), expected, "{result:?}");
        }
    }

    #[test]
    fn spared_domains_are_only_marked() {
        let checks = checks("spf = \"refuse\"\ndomains = [\"a.example\"]");
        assert_eq!(decide(&checks, &findings(Spf::Fail, IprevResult::Fail)).verdict, Verdict::Accept);
    }
}

//! Makes all checks of a message, at the same time where they can be, under one deadline.

use std::net::IpAddr;
use std::sync::Arc;

use mailwire::address::{Domain, ReversePath};
use mailwire::clock;
use tokio::time::{Instant, timeout_at};

use super::config::Checks;
use super::decision::{Decision, decide};
use super::findings::{Findings, Iprev, IprevResult, Sender};
use super::line::{Line, field};
use super::source::{Asking, Source, names_of};
use super::spf::{Asked, Spf, check_host};
use crate::dns::{Dns, Nothing, Resolver, ResolverError, Validation};

/// What is told where the time is over.
const LATE: &str = "it took too long";

/// What was seen of a message from outside while it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Whom it came from.
    pub(crate) ip: IpAddr,
    /// What that host called itself: a domain in A-labels, or nothing that could have records.
    pub(crate) helo: String,
}

/// What the checks have come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What becomes of the message.
    pub decision: Decision,
    /// The Authentication-Results field.
    pub field: String,
    /// What was found, a line each, for trace and log.
    pub told: Vec<String>,
}

/// Makes the checks.
pub struct Checker {
    checks: Arc<Checks>,
    resolver: Resolver,
    hostname: String,
}

impl Checker {
    /// That asks whom `[dns]` names.
    ///
    /// # Errors
    /// Where nobody can be asked.
    pub fn new(checks: &Checks, dns: &Dns, hostname: &str) -> Result<Self, ResolverError> {
        // What is looked up here says who has sent a message, and not where one goes: it would be slower with DNSSEC, and
        // where the signatures of a zone are wrong its name servers are asked all the same.
        let dns = Dns { dnssec: Validation::Off, ..dns.clone() };
        let resolver = Resolver::new(&dns)?;
        Ok(Self { checks: Arc::new(checks.clone()), resolver, hostname: hostname.to_owned() })
    }

    /// Makes all checks that are on.
    pub async fn judge(&self, seen: &Seen, reverse_path: &ReversePath) -> Judgement {
        let findings = self.findings(seen, reverse_path).await;
        let decision = decide(&self.checks, &findings);
        let lines = findings.lines();
        let told = lines.iter().map(Line::to_string).collect();
        Judgement { decision, field: field(&self.hostname, &lines), told }
    }

    async fn findings(&self, seen: &Seen, reverse_path: &ReversePath) -> Findings {
        let deadline = Instant::from_std(clock::instant()) + self.checks.deadline();
        let asking = Asking::new(&self.resolver, self.checks.look_ups_max);
        let spf = async {
            if !self.checks.spf.is_on() {
                return (None, None);
            }
            let helo = self.spf(&asking, seen, Identity::Helo, deadline);
            match reverse_path {
                ReversePath::Null => (Some(helo.await), None),
                ReversePath::Mailbox(mailbox) => {
                    let (identity, domain) = (mailbox.text(), a_labels(mailbox.domain()));
                    let local_part = mailbox.local_part().as_str();
                    let identity = Identity::MailFrom { identity, local_part, domain };
                    let (helo, mail_from) = tokio::join!(helo, self.spf(&asking, seen, identity, deadline));
                    (Some(helo), Some(mail_from))
                }
            }
        };
        let iprev = async {
            if self.checks.iprev.is_on() { Some(iprev(&asking, seen.ip, deadline).await) } else { None }
        };
        let ((helo, mail_from), iprev) = tokio::join!(spf, iprev);
        Findings { iprev, helo, mail_from }
    }

    async fn spf<S: Source>(
        &self,
        source: &S,
        seen: &Seen,
        identity: Identity<'_>,
        deadline: Instant,
    ) -> Sender {
        let (identity, local_part, domain) = match identity {
            Identity::Helo => (seen.helo.clone(), "postmaster", seen.helo.clone()),
            Identity::MailFrom { identity, local_part, domain } => (identity, local_part, domain),
        };
        let asked = Asked {
            ip: seen.ip,
            helo: &seen.helo,
            domain: &domain,
            local_part,
            sender_domain: &domain,
            receiver: &self.hostname,
            unix_seconds: clock::unix_seconds(),
        };
        let (result, problem, explanation) = match timeout_at(deadline, check_host(source, &asked)).await {
            Ok(outcome) => (outcome.result, outcome.problem, outcome.explanation),
            Err(_) => (Spf::TempError, Some(LATE.to_owned()), None),
        };
        Sender { result, identity, domain, problem, explanation }
    }
}

/// The sender's identities (RFC 7208 §2.2).
enum Identity<'a> {
    Helo,
    MailFrom { identity: String, local_part: &'a str, domain: String },
}

/// A domain as DNS knows it.
pub(crate) fn a_labels(domain: &Domain) -> String {
    domain.in_a_labels().to_string().to_lowercase()
}

async fn iprev<S: Source>(source: &S, ip: IpAddr, deadline: Instant) -> Iprev {
    let (result, names) = match timeout_at(deadline, names_of(source, ip)).await {
        Ok(Ok(names)) if !names.confirmed.is_empty() => (IprevResult::Pass, names.confirmed),
        Ok(Ok(names)) if names.is_unsure => (IprevResult::TempError, Vec::new()),
        Ok(Ok(_)) => (IprevResult::Fail, Vec::new()),
        Ok(Err(Nothing::NoName | Nothing::NoRecord)) => (IprevResult::PermError, Vec::new()),
        Ok(Err(Nothing::Failed(_))) | Err(_) => (IprevResult::TempError, Vec::new()),
    };
    Iprev { ip, result, names }
}

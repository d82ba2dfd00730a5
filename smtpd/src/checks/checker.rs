//! Makes all checks of a message, at the same time where they can be, under one deadline.

use std::net::IpAddr;
use std::sync::Arc;

use mailwire::address::{Domain, Mailbox, ReversePath};
use mailwire::clock;
use mailwire::smtp::Hello;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::author::Author;
use super::config::Checks;
use super::decision::{Decision, decide};
use super::dmarc::{self, Dmarc, DmarcResult, Proofs};
use super::findings::{Findings, Iprev, IprevResult, Sender, Signature};
use super::keys::{Keys, look_up};
use super::line::{Line, field};
use super::null_mx::NullMx;
use super::reading::Read;
use super::signatures::{Verified, key_names, verify};
use super::source::{Asking, Source, names_of};
use super::spf::{Asked, Spf, check_host};
use crate::dns::{Failed, Nothing, RecordType, Resolver};

/// What is told where the time is over.
pub(super) const LATE: &str = "it took too long";

/// Messages whose signatures are verified at one time. Each holds a thread for a fraction of a millisecond.
const VERIFIED_AT_ONCE_MAX: usize = 4;

/// What was seen of a message from outside while it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Whom it came from.
    pub(crate) ip: IpAddr,
    /// What that host called itself: a domain in A-labels, or nothing that could have records.
    pub(crate) helo: String,
    /// The message itself.
    pub(crate) read: Arc<Read>,
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
    /// What says that the message may come from somebody else than it claims.
    pub doubt: Option<String>,
}

/// Makes the checks.
pub struct Checker {
    checks: Arc<Checks>,
    resolver: Resolver,
    hostname: String,
    /// Messages whose signatures are verified at one time.
    turns: Arc<Semaphore>,
}

impl Checker {
    /// That asks `resolver`.
    #[must_use]
    pub fn new(checks: &Checks, resolver: &Resolver, hostname: &str) -> Self {
        Self {
            checks: Arc::new(checks.clone()),
            // What is looked up here says who has sent a message, and not where one goes: it would be slower with DNSSEC,
            // and where the signatures of a zone are wrong its name servers are asked all the same.
            resolver: resolver.for_strangers().believing(),
            hostname: hostname.to_owned(),
            turns: Arc::new(Semaphore::new(VERIFIED_AT_ONCE_MAX)),
        }
    }

    /// True where the sender's domain says that this host, which calls itself so, sends its mail.
    pub(crate) async fn lets_send(&self, ip: IpAddr, hello: &Hello, sender: &Mailbox) -> bool {
        let seen = Seen { ip: ip.to_canonical(), helo: called(hello), read: Arc::default() };
        let deadline = Instant::from_std(clock::instant()) + self.checks.deadline();
        let asking = Asking::new(&self.resolver, self.checks.look_ups_max);
        let local_part = sender.local_part().as_str();
        let identity =
            Identity::MailFrom { identity: sender.text(), local_part, domain: a_labels(sender.domain()) };
        self.spf(&asking, &seen, identity, deadline).await.result == Spf::Pass
    }

    /// Makes all checks that are on.
    pub async fn judge(&self, seen: &Seen, reverse_path: &ReversePath) -> Judgement {
        let findings = self.findings(seen, reverse_path).await;
        let decision = decide(&self.checks, &findings);
        let lines = findings.lines();
        let told = lines.iter().map(Line::to_string).collect();
        Judgement { decision, field: field(&self.hostname, &lines), told, doubt: findings.doubt() }
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
        let null_mx = async {
            match reverse_path {
                ReversePath::Mailbox(mailbox) if self.checks.null_mx.is_on() => {
                    null_mx(&asking, mailbox.domain(), deadline).await
                }
                ReversePath::Mailbox(_) | ReversePath::Null => None,
            }
        };
        let verified = async {
            if self.checks.reads() { Some(self.verified(&asking, &seen.read, deadline).await) } else { None }
        };
        let ((helo, mail_from), iprev, null_mx, verified) = tokio::join!(spf, iprev, null_mx, verified);
        let findings = Findings { iprev, helo, mail_from, null_mx, lot: lot(), ..Findings::default() };
        match verified {
            Some(verified) => self.judged(&asking, verified, findings, deadline).await,
            None => findings,
        }
    }

    /// With what the message itself says.
    async fn judged(
        &self,
        asking: &Asking,
        verified: Result<Verified, String>,
        findings: Findings,
        deadline: Instant,
    ) -> Findings {
        let Verified { author, signatures, chain } = verified.unwrap_or_else(Verified::unknown);
        let dmarc = if self.checks.dmarc.is_on() {
            Some(proven(asking, &author, &signatures, &findings, deadline).await)
        } else {
            None
        };
        let failed = dmarc.as_ref().filter(|dmarc| dmarc.result == DmarcResult::Fail);
        let voucher = failed.and_then(|dmarc| chain.vouches(&self.checks.trusted_sealers, &dmarc.domain));
        let voucher = voucher.map(str::to_owned);
        Findings {
            dkim: self.checks.dkim.is_on().then_some(signatures),
            arc: self.checks.arc.is_on().then_some(chain),
            dmarc,
            voucher,
            ..findings
        }
    }

    /// Signatures and seals: their keys are looked up first, and then all of it is verified where it holds up nobody.
    async fn verified(
        &self,
        asking: &Asking,
        read: &Arc<Read>,
        deadline: Instant,
    ) -> Result<Verified, String> {
        let names = {
            let read = Arc::clone(read);
            self.apart(deadline, move || key_names(&read)).await?
        };
        let records = look_up(asking, names, deadline).await;
        let read = Arc::clone(read);
        self.apart(deadline, move || verify(&read, &Keys::read(&records))).await
    }

    /// Work that takes a thread's time, as soon as it is its turn.
    async fn apart<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        let worked = async {
            let turn = Arc::clone(&self.turns).acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                let _turn = turn;
                work()
            })
            .await
        };
        match timeout_at(deadline, worked).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err("it could not be read".to_owned()),
            Err(_) => Err(LATE.to_owned()),
        }
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

/// Whether SPF or a signature prove the author's domain.
async fn proven(
    asking: &Asking,
    author: &Author,
    signatures: &[Signature],
    findings: &Findings,
    deadline: Instant,
) -> Dmarc {
    let domain = match author {
        Author::Broken(reason) => return Dmarc::broken(reason),
        Author::Unknown(reason) => return Dmarc::unknown("", reason.clone()),
        Author::Domain(domain) => domain,
    };
    // RFC 7489 §4.1: without a sender, the client's name is what SPF has looked at.
    let spf = findings.mail_from.as_ref().or(findings.helo.as_ref());
    let spf = spf.map(|sender| (sender.result, sender.domain.as_str()));
    let proofs = Proofs { spf, signatures };
    let evaluated = dmarc::evaluate(asking, domain, &proofs);
    let late = |_| Dmarc::unknown(domain, LATE.to_owned());
    timeout_at(deadline, evaluated).await.unwrap_or_else(late)
}

/// Without randomness from the system every policy is followed.
fn lot() -> u8 {
    getrandom::u32().map_or(0, |random| u8::try_from(random % 100).unwrap_or(0))
}

/// The sender's identities (RFC 7208 §2.2).
enum Identity<'a> {
    Helo,
    MailFrom { identity: String, local_part: &'a str, domain: String },
}

/// What a client calls itself: a domain in A-labels, or nothing that could have records.
pub(crate) fn called(hello: &Hello) -> String {
    match hello {
        Hello::Domain(domain) => a_labels(domain),
        Hello::Other(name) => name.clone(),
    }
}

/// A domain as DNS knows it.
pub(crate) fn a_labels(domain: &Domain) -> String {
    domain.in_a_labels().to_string().to_lowercase()
}

/// What the sender's domain says of mail for it; nothing where it is an address.
async fn null_mx<S: Source>(source: &S, domain: &Domain, deadline: Instant) -> Option<NullMx> {
    match domain {
        Domain::Name(_) => {}
        Domain::Address(_) => return None,
    }
    let domain = a_labels(domain);
    let late = || Failed::NotAnswered { name: domain.clone(), why: LATE.to_owned() };
    let asked = timeout_at(deadline, source.ask(&domain, RecordType::MX)).await;
    Some(NullMx::of(&domain, &asked.unwrap_or_else(|_| Err(Nothing::Failed(late())))))
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

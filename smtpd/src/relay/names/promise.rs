//! What a domain promises about TLS with one of its hosts: by DANE (RFC 7672), else by MTA-STS (RFC 8461).

use mailwire::net::{Dane, Tlsa};
use tracing::info;

use super::addresses::Addresses;
use super::exchangers::Exchanger;
use super::mta_sts::{Found, Mode, MtaSts, Policy};
use super::no_route::NoRoute;
use crate::dns::{Answer, Failed, Nothing, RData, RecordType, Resolver};
use crate::reports::tls::{Fault, Policy as TlsPolicy, PolicyType};

/// What a domain promises about TLS with a host. Where a promise is not kept, there is no mail for now.
#[derive(Clone, Debug)]
pub enum Promise {
    /// Nothing: TLS where it is offered (RFC 7435).
    Nothing,
    /// The same, while it is told what a policy that is being tested would have come to (RFC 8461 §5).
    Testing,
    /// TLS, with whatever certificate: DANE of a kind that is not known here (RFC 7672 §2.2).
    Encryption,
    /// TLS with a certificate that DNS vouches for.
    Dane(Dane),
    /// TLS with a certificate for the host's name, by somebody whom all trust.
    MtaSts,
}

impl Promise {
    /// In a word, for logs and traces.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Testing => "MTA-STS, which is being tested",
            Self::Encryption => "DANE without a usable record",
            Self::Dane(_) => "DANE",
            Self::MtaSts => "MTA-STS",
        }
    }
}

/// A promise, and what reports tell of it (RFC 8460 §4.4).
#[derive(Clone, Debug)]
pub(in super::super) struct Promised {
    /// Where it cannot be had, there is no mail for now.
    pub(in super::super) promise: Result<Promise, NoRoute>,
    pub(in super::super) policy: TlsPolicy,
    /// What is wrong with the policy itself, and why.
    pub(in super::super) fault: Option<(Fault, String)>,
}

impl Promised {
    /// Nobody has promised anything.
    pub(super) fn nothing() -> Self {
        Self { promise: Ok(Promise::Nothing), policy: TlsPolicy::none(), fault: None }
    }
}

/// What is promised about a host; `None` where nobody has TLSA records about it.
pub(super) async fn dane(
    resolver: &Resolver,
    exchanger: &Exchanger,
    addresses: &Addresses,
    port: u16,
) -> Option<Promised> {
    // RFC 7672 §2.2.1: whoever can change where mail goes could name a host with records of his own.
    if !exchanger.secure {
        return None;
    }
    for base in &addresses.tlsa_bases {
        match resolver.ask(&format!("_{port}._tcp.{base}"), RecordType::TLSA).await {
            // RFC 7672 §2.1.2: no failure is taken for the absence of records.
            Err(Nothing::Failed(failed)) => {
                let is_bogus = matches!(failed, Failed::Bogus { .. });
                let fault = is_bogus.then(|| (Fault::DnssecInvalid, failed.to_string()));
                let policy = TlsPolicy::new(PolicyType::Tlsa, Vec::new(), vec![exchanger.host.clone()]);
                return Some(Promised { promise: Err(failed.into()), policy, fault });
            }
            Ok(answer) if answer.trust.is_secure() => {
                let mut names = vec![base.clone()];
                names.extend(exchanger.domains.iter().cloned());
                let records = records(&answer);
                let dane = Dane::new(&records, &names);
                let useless = || (Fault::TlsaInvalid, "none of the records is of a usable kind".to_owned());
                let fault = dane.is_none().then(useless);
                let strings = records.iter().map(Tlsa::to_string).collect();
                let policy = TlsPolicy::new(PolicyType::Tlsa, strings, vec![exchanger.host.clone()]);
                return Some(Promised {
                    promise: Ok(dane.map_or(Promise::Encryption, Promise::Dane)),
                    policy,
                    fault,
                });
            }
            Ok(_) | Err(Nothing::NoName | Nothing::NoRecord) => {}
        }
    }
    None
}

fn records(answer: &Answer) -> Vec<Tlsa> {
    let record = |record: &RData| {
        let RData::TLSA(record) = record else { return None };
        Some(Tlsa {
            usage: record.cert_usage.into(),
            selector: record.selector.into(),
            matching: record.matching.into(),
            data: record.cert_data.clone(),
        })
    };
    answer.records.iter().filter_map(record).collect()
}

/// What the domain's policy promises about a host.
pub(super) async fn mta_sts(mta_sts: &MtaSts, domain: &str, exchanger: &Exchanger) -> Promised {
    let Found { policy, fault } = mta_sts.policy(domain).await;
    if let Some(policy) = policy {
        return by_policy(&policy, domain, &exchanger.host);
    }
    let why = |fault| (fault, "the policy that DNS names could not be had".to_owned());
    Promised { fault: fault.map(why), ..Promised::nothing() }
}

fn by_policy(policy: &Policy, domain: &str, host: &str) -> Promised {
    let is_named = policy.names(host);
    let promise = match (policy.mode, is_named) {
        (Mode::Enforce, true) => Ok(Promise::MtaSts),
        // RFC 8461 §5: such a host is none of the domain's.
        (Mode::Enforce, false) => {
            Err(NoRoute::NotInPolicy { host: host.to_owned(), domain: domain.to_owned() })
        }
        (Mode::Testing, false) => {
            info!(domain, host, "the domain's MTA-STS policy, which is being tested, does not name its host");
            Ok(Promise::Testing)
        }
        (Mode::Testing, true) => Ok(Promise::Testing),
        // RFC 8461 §3.2: as if there were none.
        (Mode::None, _) => return Promised::nothing(),
    };
    let strings = policy.text().lines().map(str::to_owned).collect();
    let told = TlsPolicy::new(PolicyType::Sts, strings, policy.hosts());
    let fault =
        (!is_named).then(|| (Fault::ValidationFailure, "the policy does not name this host".to_owned()));
    Promised { promise, policy: told, fault }
}

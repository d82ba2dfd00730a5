//! What a domain promises about TLS with one of its hosts: by DANE (RFC 7672), else by MTA-STS (RFC 8461).

use mailwire::net::{Dane, Tlsa};
use tracing::info;

use super::addresses::Addresses;
use super::exchangers::Exchanger;
use super::mta_sts::{Mode, MtaSts, Policy};
use super::no_route::NoRoute;
use crate::dns::{Answer, Nothing, RData, RecordType, Resolver};

/// What a domain promises about TLS with a host. Where a promise is not kept, there is no mail for now.
#[derive(Clone, Debug)]
pub enum Promise {
    /// Nothing: TLS where it is offered (RFC 7435).
    Nothing,
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
            Self::Encryption => "DANE without a usable record",
            Self::Dane(_) => "DANE",
            Self::MtaSts => "MTA-STS",
        }
    }
}

/// What is promised about a host; `None` where nobody has TLSA records about it.
pub(super) async fn dane(
    resolver: &Resolver,
    exchanger: &Exchanger,
    addresses: &Addresses,
    port: u16,
) -> Result<Option<Promise>, NoRoute> {
    // RFC 7672 §2.2.1: whoever can change where mail goes could name a host with records of his own.
    if !exchanger.secure {
        return Ok(None);
    }
    for base in &addresses.tlsa_bases {
        match resolver.ask(&format!("_{port}._tcp.{base}"), RecordType::TLSA).await {
            // RFC 7672 §2.1.2: no failure is taken for the absence of records.
            Err(Nothing::Failed(failed)) => return Err(failed.into()),
            Ok(answer) if answer.trust.is_secure() => {
                let mut names = vec![base.clone()];
                names.extend(exchanger.domains.iter().cloned());
                return Ok(Some(
                    Dane::new(&records(&answer), &names).map_or(Promise::Encryption, Promise::Dane),
                ));
            }
            Ok(_) | Err(Nothing::NoName | Nothing::NoRecord) => {}
        }
    }
    Ok(None)
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
pub(super) async fn mta_sts(
    mta_sts: &MtaSts,
    domain: &str,
    exchanger: &Exchanger,
) -> Result<Promise, NoRoute> {
    let Some(policy) = mta_sts.policy(domain).await else { return Ok(Promise::Nothing) };
    by_policy(&policy, domain, &exchanger.host)
}

fn by_policy(policy: &Policy, domain: &str, host: &str) -> Result<Promise, NoRoute> {
    match (policy.mode, policy.names(host)) {
        (Mode::Enforce, true) => Ok(Promise::MtaSts),
        // RFC 8461 §5: such a host is none of the domain's.
        (Mode::Enforce, false) => {
            Err(NoRoute::NotInPolicy { host: host.to_owned(), domain: domain.to_owned() })
        }
        (Mode::Testing, false) => {
            info!(domain, host, "the domain's MTA-STS policy, which is being tested, does not name its host");
            Ok(Promise::Nothing)
        }
        (Mode::Testing, true) | (Mode::None, _) => Ok(Promise::Nothing),
    }
}

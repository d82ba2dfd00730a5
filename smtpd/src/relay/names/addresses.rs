//! A host's addresses, and under which of its names DANE may speak for it.

use std::net::IpAddr;

use mailwire::address::Domain;

use super::exchangers::is_host;
use super::no_route::NoRoute;
use crate::dns::{Answer, Failed, Nothing, RData, RecordType, Resolver, Trust};

/// Most addresses of a host that are tried, of each kind.
pub(super) const ADDRESSES_MAX: usize = 16;

/// Where a host answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// IPv6 and IPv4 in turns, IPv6 first where there is any. Never empty.
    pub addresses: Vec<IpAddr>,
    /// The names under which TLSA records speak for the host, the most telling one first; empty where DNSSEC does not
    /// vouch for the way to them (RFC 7672 §2.2.2).
    pub tlsa_bases: Vec<String>,
}

impl Addresses {
    /// The addresses of a host, or those that a literal names.
    pub(super) async fn find(resolver: &Resolver, host: &str) -> Result<Self, NoRoute> {
        let name = match Domain::parse(host).as_ref().map(Domain::in_a_labels).as_deref() {
            Ok(Domain::Address(address)) => return Ok(Self::literal(*address)),
            Ok(Domain::Name(name)) => name.clone(),
            Err(_) if is_host(host) => host.to_lowercase(),
            Err(_) => return Err(Failed::NotAName { name: host.to_owned() }.into()),
        };
        let (six, four) =
            tokio::join!(resolver.ask(&name, RecordType::AAAA), resolver.ask(&name, RecordType::A));
        Self::new(&name, six, four)
    }

    /// An address that somebody has named instead of a host.
    fn literal(address: IpAddr) -> Self {
        Self { addresses: vec![address], tlsa_bases: Vec::new() }
    }

    /// Out of the answers to AAAA and A. One that failed does no harm where the other has found something.
    fn new(host: &str, six: Result<Answer, Nothing>, four: Result<Answer, Nothing>) -> Result<Self, NoRoute> {
        let found: Vec<&Answer> = six.iter().chain(&four).collect();
        let Some(first) = found.first() else { return Err(nothing(host, [six.err(), four.err()])) };
        let trust = found.iter().fold(Trust::Secure, |trust, answer| trust.and(answer.trust));
        // RFC 7672 §2.2.2: an alias that can be trusted may have TLSA records of its own, whatever it leads to.
        let bases = match (trust, first.alias) {
            (Trust::Secure, Some(_)) => vec![first.owner.clone(), host.to_owned()],
            (Trust::Secure, None) | (Trust::Insecure, Some(Trust::Secure)) => vec![host.to_owned()],
            (Trust::Insecure, Some(Trust::Insecure) | None) => Vec::new(),
        };
        let addresses = in_turns(of(six.as_ref().ok()), of(four.as_ref().ok()));
        Ok(Self { addresses, tlsa_bases: bases })
    }
}

fn of(answer: Option<&Answer>) -> Vec<IpAddr> {
    let records = answer.map(|answer| answer.records.as_slice()).unwrap_or_default();
    let addresses = records.iter().filter_map(RData::ip_addr);
    addresses.take(ADDRESSES_MAX).collect()
}

/// One of each kind, as long as there are both.
fn in_turns(first: Vec<IpAddr>, second: Vec<IpAddr>) -> Vec<IpAddr> {
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut both = Vec::new();
    loop {
        let (one, other) = (first.next(), second.next());
        if one.is_none() && other.is_none() {
            return both;
        }
        both.extend(one.into_iter().chain(other));
    }
}

/// What two failures mean together: one that may pass hides what the other is sure of.
fn nothing(host: &str, failures: [Option<Nothing>; 2]) -> NoRoute {
    let mut outcome = NoRoute::NoSuchName { name: host.to_owned() };
    for failure in failures.into_iter().flatten() {
        match failure {
            Nothing::Failed(failed) => return failed.into(),
            Nothing::NoRecord => outcome = NoRoute::NoAddress { name: host.to_owned() },
            Nothing::NoName => {}
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(addresses: &[&str], alias: Option<Trust>, trust: Trust) -> Answer {
        let record = |address: &&str| RData::from(address.parse::<IpAddr>().unwrap());
        Answer {
            owner: "real.test".to_owned(),
            alias,
            trust,
            records: addresses.iter().map(record).collect(),
        }
    }

    fn bases(six: Answer, four: Answer) -> Vec<String> {
        Addresses::new("host.test", Ok(six), Ok(four)).unwrap().tlsa_bases
    }

    #[test]
    fn both_kinds_of_addresses_take_turns() {
        let six = answer(&["2001:db8::1", "2001:db8::2"], None, Trust::Insecure);
        let four = answer(&["192.0.2.1"], None, Trust::Insecure);
        let found = Addresses::new("host.test", Ok(six.clone()), Ok(four.clone())).unwrap();
        let shown: Vec<String> = found.addresses.iter().map(IpAddr::to_string).collect();
        assert_eq!(shown, ["2001:db8::1", "192.0.2.1", "2001:db8::2"]);
        let alone = Addresses::new("host.test", Err(Nothing::NoRecord), Ok(four)).unwrap();
        assert_eq!(alone.addresses.len(), 1);
        let failed = Nothing::Failed(Failed::Bogus { name: "host.test".to_owned() });
        assert_eq!(Addresses::new("host.test", Ok(six), Err(failed)).unwrap().addresses.len(), 2);
    }

    #[test]
    fn so_many_addresses_are_tried_and_no_more() {
        let many: Vec<String> = (0..=ADDRESSES_MAX).map(|number| format!("192.0.2.{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let found =
            Addresses::new("host.test", Err(Nothing::NoRecord), Ok(answer(&many, None, Trust::Secure)));
        assert_eq!(found.unwrap().addresses.len(), ADDRESSES_MAX);
    }

    #[test]
    fn dane_speaks_for_a_host_where_the_way_to_it_can_be_trusted() {
        let with = |alias, trust| answer(&["192.0.2.1"], alias, trust);
        let (secure, insecure) = (Trust::Secure, Trust::Insecure);
        assert_eq!(bases(with(None, secure), with(None, secure)), ["host.test"]);
        assert_eq!(bases(with(Some(secure), secure), with(Some(secure), secure)), ["real.test", "host.test"]);
        assert_eq!(bases(with(Some(secure), insecure), with(Some(secure), insecure)), ["host.test"]);
        assert!(bases(with(Some(insecure), insecure), with(Some(insecure), insecure)).is_empty());
        // One kind of address that somebody else could have made up is enough.
        assert!(bases(with(None, secure), with(None, insecure)).is_empty());
    }

    #[test]
    fn a_failure_that_may_pass_is_no_proof_of_absence() {
        let of = |one, other| Addresses::new("host.test", Err(one), Err(other)).unwrap_err();
        let bogus = Failed::Bogus { name: "host.test".to_owned() };
        let name = || "host.test".to_owned();
        assert_eq!(of(Nothing::NoName, Nothing::NoName), NoRoute::NoSuchName { name: name() });
        assert_eq!(of(Nothing::NoRecord, Nothing::NoName), NoRoute::NoAddress { name: name() });
        assert_eq!(of(Nothing::NoName, Nothing::Failed(bogus.clone())), bogus.into());
    }
}

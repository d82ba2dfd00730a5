//! Who takes a domain's mail: its MX records in the order in which they are tried (RFC 5321 §5.1).

use std::collections::HashSet;

use crate::dns::{Answer, RData, text};

/// Most exchangers of a domain; those of lesser preference are never tried.
pub(super) const EXCHANGERS_MAX: usize = 50;

/// A host that takes a domain's mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanger {
    /// Its name in A-labels and lower case, or an address literal.
    pub host: String,
    /// The lower, the sooner it is tried.
    pub preference: u16,
    /// Whether DNSSEC vouches for it; where it does not, there is no DANE (RFC 7672 §2.2.1).
    pub secure: bool,
    /// What else than its host's name its certificate may be for, where an authority of DANE vouches (RFC 7672 §3.2.2).
    pub domains: Vec<String>,
}

/// What MX records say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mx {
    /// That there is no mail (RFC 7505 §3).
    Null,
    /// Nothing that could be the name of a host.
    None,
    /// These, in order.
    Hosts(Vec<(u16, String)>),
}

/// `random` gives the places of those that are preferred alike (RFC 5321 §5.1: they MUST be shuffled).
pub(super) fn in_order(answer: &Answer, mut random: impl FnMut() -> u64) -> Mx {
    let mut hosts = Vec::new();
    let mut null = false;
    for record in &answer.records {
        let RData::MX(mx) = record else { continue };
        if mx.exchange.is_root() {
            null = true;
            continue;
        }
        let host = text(&mx.exchange);
        // It goes into logs, traces and TLS.
        if is_host(&host) {
            hosts.push((mx.preference, random(), host));
        }
    }
    if hosts.is_empty() {
        return if null { Mx::Null } else { Mx::None };
    }
    hosts.sort();
    let mut seen = HashSet::new();
    hosts.retain(|(.., host)| seen.insert(host.clone()));
    hosts.truncate(EXCHANGERS_MAX);
    Mx::Hosts(hosts.into_iter().map(|(preference, _, host)| (preference, host)).collect())
}

/// Leniency: hosts have `_` in their names here and there.
pub(super) fn is_host(name: &str) -> bool {
    name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_'))
}

/// RFC 5321 §5.1: this server and all that come after it are not tried; what they would do is to send the mail here.
pub(super) fn before_itself(
    hosts: Vec<(u16, String)>,
    is_itself: impl Fn(&str) -> bool,
) -> Vec<(u16, String)> {
    let own = hosts.iter().filter(|(_, host)| is_itself(host)).map(|(preference, _)| *preference).min();
    hosts.into_iter().filter(|(preference, _)| own.is_none_or(|own| *preference < own)).collect()
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;
    use hickory_resolver::proto::rr::rdata::MX;

    use super::*;
    use crate::dns::Trust;

    fn answer(records: &[(u16, &str)]) -> Answer {
        let mx = |(preference, host): &(u16, &str)| {
            RData::MX(MX::new(*preference, Name::from_ascii(host).unwrap()))
        };
        Answer {
            owner: "example.test".to_owned(),
            alias: None,
            trust: Trust::Insecure,
            records: records.iter().map(mx).collect(),
        }
    }

    fn hosts(hosts: &[(u16, &str)]) -> Vec<(u16, String)> {
        hosts.iter().map(|(preference, host)| (*preference, (*host).to_owned())).collect()
    }

    #[test]
    fn the_preferred_are_first_and_those_preferred_alike_in_any_order() {
        let records = [(20, "c.example."), (10, "a.example."), (10, "B.example."), (0, "d.example.")];
        let mut random = 9;
        let falling = in_order(&answer(&records), || {
            random -= 1;
            random
        });
        assert_eq!(
            falling,
            Mx::Hosts(hosts(&[(0, "d.example"), (10, "b.example"), (10, "a.example"), (20, "c.example")]))
        );
        let mut random = 0;
        let rising = in_order(&answer(&records), || {
            random += 1;
            random
        });
        assert_eq!(
            rising,
            Mx::Hosts(hosts(&[(0, "d.example"), (10, "a.example"), (10, "b.example"), (20, "c.example")]))
        );
    }

    #[test]
    fn a_null_mx_counts_where_it_is_alone() {
        assert_eq!(in_order(&answer(&[(0, ".")]), || 0), Mx::Null);
        let both = in_order(&answer(&[(0, "."), (10, "a.example.")]), || 0);
        assert_eq!(both, Mx::Hosts(hosts(&[(10, "a.example")])));
    }

    #[test]
    fn what_is_no_host_and_what_comes_twice_is_left_out() {
        let odd = Name::from_labels(["a b".as_bytes(), b"example"]).unwrap();
        let odd = Answer { records: vec![RData::MX(MX::new(0, odd))], ..answer(&[]) };
        assert_eq!(in_order(&odd, || 0), Mx::None);
        let twice = in_order(&answer(&[(5, "a.example."), (10, "A.example."), (7, "_b.example.")]), || 0);
        assert_eq!(twice, Mx::Hosts(hosts(&[(5, "a.example"), (7, "_b.example")])));
    }

    #[test]
    fn there_are_so_many_exchangers_and_no_more() {
        let names: Vec<String> = (0..=EXCHANGERS_MAX).map(|number| format!("mx{number}.example.")).collect();
        let records: Vec<(u16, &str)> =
            names.iter().zip(0..).map(|(name, number)| (number, name.as_str())).collect();
        let Mx::Hosts(found) = in_order(&answer(&records), || 0) else { panic!("no hosts") };
        assert_eq!(found.len(), EXCHANGERS_MAX);
        assert_eq!(found.last().unwrap().1, format!("mx{}.example", EXCHANGERS_MAX - 1));
    }

    #[test]
    fn this_server_and_all_behind_it_are_left_out() {
        let all = hosts(&[(5, "a.example"), (10, "b.example"), (10, "self.example"), (20, "c.example")]);
        let is_itself = |host: &str| host == "self.example";
        assert_eq!(before_itself(all.clone(), is_itself), hosts(&[(5, "a.example")]));
        assert_eq!(before_itself(all.clone(), |_| false), all);
        assert!(before_itself(hosts(&[(10, "self.example"), (20, "c.example")]), is_itself).is_empty());
    }
}

//! What DNS says, as the checks ask for it, and a client's names (RFC 8601 §2.7.3, RFC 7208 §5.5).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::dns::{Answer, Failed, Nothing, RData, RecordType, Resolver, text};

/// Names of a client that are looked at (RFC 7208 §4.6.4).
const NAMES_MAX: usize = 10;
/// Octets of a name, without a final dot, and of each of its labels (RFC 1035 §2.3.4).
const NAME_OCTETS_MAX: usize = 253;
const LABEL_OCTETS_MAX: usize = 63;

/// Whom the checks ask.
pub(super) trait Source: Sync {
    /// The records of this type that a name has, one at least.
    fn ask(
        &self,
        name: &str,
        record_type: RecordType,
    ) -> impl Future<Output = Result<Vec<RData>, Nothing>> + Send;
}

/// The resolver, for one message.
#[derive(Clone)]
pub(super) struct Asking {
    resolver: Resolver,
    left: Arc<AtomicU32>,
}

impl Asking {
    /// With so many look-ups.
    pub(super) fn new(resolver: &Resolver, look_ups_max: u32) -> Self {
        Self { resolver: resolver.clone(), left: Arc::new(AtomicU32::new(look_ups_max)) }
    }
}

impl Source for Asking {
    async fn ask(&self, name: &str, record_type: RecordType) -> Result<Vec<RData>, Nothing> {
        let one_less = |left: u32| left.checked_sub(1);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err() {
            let why = "too much is asked about one message".to_owned();
            return Err(Nothing::Failed(Failed::NotAnswered { name: name.to_owned(), why }));
        }
        let answer = self.resolver.ask(&name.to_ascii_lowercase(), record_type).await;
        answer.map(|Answer { records, .. }| records)
    }
}

/// True for what could be the name of a domain, whatever is in its labels.
pub(super) fn is_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| (1..=LABEL_OCTETS_MAX).contains(&label.len());
    name.len() <= NAME_OCTETS_MAX && name.split('.').all(is_label)
}

/// TXT records, each in one piece.
pub(super) fn texts(records: &[RData]) -> Vec<Vec<u8>> {
    let text = |record: &RData| {
        let RData::TXT(text) = record else { return None };
        Some(text.txt_data.concat())
    };
    records.iter().filter_map(text).collect()
}

/// The addresses among these.
pub(super) fn addresses(records: &[RData]) -> impl Iterator<Item = IpAddr> {
    records.iter().filter_map(RData::ip_addr)
}

/// What a client is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// In lower case: names that lead back to its address.
    pub(super) confirmed: Vec<String>,
    /// DNS did not say whether a name leads back.
    pub(super) is_unsure: bool,
}

/// The names of an address, of which those that lead back to it count.
pub(super) async fn names_of<S: Source>(source: &S, ip: IpAddr) -> Result<Names, Nothing> {
    let records = source.ask(&reverse(ip), RecordType::PTR).await?;
    let names = records.iter().filter_map(|record| {
        let RData::PTR(name) = record else { return None };
        Some(text(&name.0))
    });
    let record_type = if ip.is_ipv4() { RecordType::A } else { RecordType::AAAA };
    let mut found = Names::default();
    for name in names.take(NAMES_MAX) {
        match source.ask(&name, record_type).await {
            Ok(records) if addresses(&records).any(|address| address == ip) => found.confirmed.push(name),
            Ok(_) | Err(Nothing::NoName | Nothing::NoRecord) => {}
            Err(Nothing::Failed(_)) => found.is_unsure = true,
        }
    }
    Ok(found)
}

/// Where an address has its names (RFC 1035 §3.5, RFC 3596 §2.5).
fn reverse(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().rev().flat_map(|octet| [octet & 0xf, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}")).collect::<Vec<_>>().join(".") + ".ip6.arpa"
        }
    }
}

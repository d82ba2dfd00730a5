//! What is counted of a session with a host of another domain: under which policy, and what went wrong, if anything did.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Most octets of all texts of a policy that are counted with each session.
const POLICY_OCTETS_MAX: usize = 280;
/// Most octets of a reason.
const REASON_OCTETS_MAX: usize = 64;
/// Most octets of a host's name that are told.
const HOST_OCTETS_MAX: usize = 120;

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Session {
    #[serde(rename = "p")]
    pub(crate) policy: Policy,
    /// `None` where TLS went as the policy wants it.
    #[serde(rename = "f")]
    pub(crate) failure: Option<Failure>,
}

/// What the domain says about TLS with its hosts (RFC 8460 §4.4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Policy {
    #[serde(rename = "t")]
    pub(super) kind: PolicyType,
    /// Its records, or its lines.
    #[serde(rename = "s")]
    pub(super) strings: Vec<String>,
    /// The hosts that it names.
    #[serde(rename = "h")]
    pub(super) hosts: Vec<String>,
}

/// `policy-type`, RFC 8460 §4.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PolicyType {
    /// DANE.
    Tlsa,
    /// MTA-STS.
    Sts,
    /// Neither.
    NoPolicyFound,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Failure {
    #[serde(rename = "r")]
    pub(crate) fault: Fault,
    /// Our address.
    #[serde(rename = "s")]
    pub(crate) sending: Option<IpAddr>,
    /// The host's name.
    #[serde(rename = "h")]
    pub(crate) host: String,
    /// Its address.
    #[serde(rename = "a")]
    pub(crate) receiving: Option<IpAddr>,
    /// In words.
    #[serde(rename = "w")]
    pub(crate) reason: Option<String>,
}

/// `result-type`, RFC 8460 §4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// The host has no STARTTLS.
    StarttlsNotSupported,
    /// Its certificate is for another host.
    CertificateHostMismatch,
    /// Its certificate is too old.
    CertificateExpired,
    /// Nobody who is trusted vouches for its certificate.
    CertificateNotTrusted,
    /// Something else.
    ValidationFailure,
    /// No TLSA record is of use.
    TlsaInvalid,
    /// DNSSEC does not vouch for its records, and should.
    DnssecInvalid,
    /// The policy could not be fetched.
    StsPolicyFetchError,
    /// What lies there is none.
    StsPolicyInvalid,
    /// The host that should have it has no right certificate.
    StsWebpkiInvalid,
}

impl Policy {
    /// With as much of its texts as is counted.
    pub(crate) fn new(kind: PolicyType, strings: Vec<String>, hosts: Vec<String>) -> Self {
        let mut left = POLICY_OCTETS_MAX;
        let mut some = |texts: Vec<String>| {
            let fits = |text: &String| {
                // With its quotation marks and its comma.
                let fits = left.checked_sub(text.len().saturating_add(3));
                left = fits.unwrap_or(0);
                fits.is_some()
            };
            texts.into_iter().take_while(fits).collect()
        };
        let hosts = some(hosts);
        Self { kind, strings: some(strings), hosts }
    }

    /// None.
    pub(crate) fn none() -> Self {
        Self::new(PolicyType::NoPolicyFound, Vec::new(), Vec::new())
    }
}

impl Failure {
    /// With as much of its texts as is counted; there is nothing but printable ASCII in a reason.
    pub(crate) fn new(fault: Fault, host: &str, reason: Option<String>) -> Self {
        let reason = reason.map(|reason| {
            let printable = |octet: u8| if (0x20..0x7f).contains(&octet) { char::from(octet) } else { '?' };
            reason.bytes().take(REASON_OCTETS_MAX).map(printable).collect()
        });
        let host = host.get(..host.floor_char_boundary(HOST_OCTETS_MAX)).unwrap_or_default().to_owned();
        Self { fault, sending: None, host, receiving: None, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tally::ROW_OCTETS_MAX;
    use super::*;

    #[test]
    fn the_longest_row_is_short_enough_to_be_counted() {
        let address = "2001:db8:1111:2222:3333:4444:5555:6666".parse().ok();
        let policy =
            Policy::new(PolicyType::NoPolicyFound, vec!["x".repeat(60); 20], vec!["y".repeat(60); 20]);
        assert_eq!((policy.hosts.len(), policy.strings.len()), (4, 0));
        let failure = Failure::new(Fault::CertificateHostMismatch, &"z".repeat(300), Some("\"".repeat(300)));
        let failure = Failure { sending: address, receiving: address, ..failure };
        let row = serde_json::to_string(&Session { policy, failure: Some(failure) }).unwrap();
        assert!(row.len() <= ROW_OCTETS_MAX && row.len() > ROW_OCTETS_MAX - 100, "{}", row.len());
    }

    #[test]
    fn a_reason_is_printable() {
        let failure = Failure::new(Fault::ValidationFailure, "mx", Some("a\r\nb\u{fc}".to_owned()));
        assert_eq!(failure.reason.as_deref(), Some("a??b??"));
    }
}

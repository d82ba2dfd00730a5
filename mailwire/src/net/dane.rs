//! Certificates that DNS vouches for (RFC 6698, RFC 7671), as SMTP between servers has it (RFC 7672).

use std::fmt;
use std::sync::Arc;

use ring::digest::{SHA256, SHA512, digest};
use thiserror::Error;
use tokio_rustls::rustls::client::{
    Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name,
};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, OtherError, RootCertStore};

use super::judge::{Judge, Shown, trusting_as};

/// Most TLSA records of a host that are looked at; what is behind them might as well not be there.
const RECORDS_MAX: usize = 32;

/// A TLSA record (RFC 6698 §2.1), as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    /// What it is about: 2, an authority; 3, the server itself. Others have no use in SMTP (RFC 7672 §3.1.3).
    pub usage: u8,
    /// What of the certificate: 0, all of it; 1, its key.
    pub selector: u8,
    /// 0, the octets; 1, their SHA-256; 2, their SHA-512.
    pub matching: u8,
    /// What it must be.
    pub data: Vec<u8>,
}

/// As a zone file has it (RFC 6698 §2.2).
impl fmt::Display for Tlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching)?;
        self.data.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// What the records of a host ask of its certificate.
#[derive(Clone, Debug)]
pub struct Dane {
    records: Vec<Usable>,
    /// One of these the certificate must be for, where an authority vouches for it (RFC 7672 §3.2.2).
    names: Vec<ServerName<'static>>,
}

/// What the certificate has not that it should have.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DaneError {
    /// It is another one than DNS says.
    #[error("no TLSA record is about the server's certificate")]
    NoMatch,
    /// Its authority is right, and it is for somebody else.
    #[error("a TLSA record is about the certificate's authority, and the certificate is for another host")]
    OtherName,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Usable {
    usage: Usage,
    selector: Selector,
    matching: Matching,
    data: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Usage {
    /// DANE-TA(2).
    TrustAnchor,
    /// DANE-EE(3).
    EndEntity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Selector {
    Certificate,
    Key,
}

/// The weaker first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Matching {
    Sha256,
    Sha512,
    Octets,
}

impl Usable {
    /// `None` for what SMTP has no use for, and for what cannot be (RFC 7672 §3.1, RFC 7671 §4.1).
    fn read(record: &Tlsa) -> Option<Self> {
        let usage = match record.usage {
            2 => Usage::TrustAnchor,
            3 => Usage::EndEntity,
            _ => return None,
        };
        let selector = match record.selector {
            0 => Selector::Certificate,
            1 => Selector::Key,
            _ => return None,
        };
        let (matching, right_length) = match record.matching {
            0 => (Matching::Octets, !record.data.is_empty()),
            1 => (Matching::Sha256, record.data.len() == SHA256.output_len()),
            2 => (Matching::Sha512, record.data.len() == SHA512.output_len()),
            _ => return None,
        };
        right_length.then(|| Self { usage, selector, matching, data: record.data.clone() })
    }

    fn is_about(&self, certificate: &CertificateDer<'_>) -> bool {
        match self.selector {
            Selector::Certificate => self.is_of(certificate),
            Selector::Key => ParsedCertificate::try_from(certificate)
                .is_ok_and(|parsed| self.is_of(&parsed.subject_public_key_info())),
        }
    }

    fn is_of(&self, octets: &[u8]) -> bool {
        match self.matching {
            Matching::Octets => octets == self.data,
            Matching::Sha256 => digest(&SHA256, octets).as_ref() == self.data,
            Matching::Sha512 => digest(&SHA512, octets).as_ref() == self.data,
        }
    }
}

impl Dane {
    /// Of these records, for a host that may be called by any of `names`. `None` where none of the records is of use: TLS is
    /// then a must all the same, with whatever certificate (RFC 7672 §2.2).
    #[must_use]
    pub fn new(records: &[Tlsa], names: &[String]) -> Option<Self> {
        let mut usable: Vec<_> = records.iter().take(RECORDS_MAX).filter_map(Usable::read).collect();
        // RFC 7671 §9: of several digests of the same, the strongest counts.
        let all = usable.clone();
        usable.retain(|record| {
            let is_alike = |other: &&Usable| (other.usage, other.selector) == (record.usage, record.selector);
            let digests = all.iter().filter(is_alike).filter(|other| other.matching != Matching::Octets);
            record.matching == Matching::Octets
                || digests
                    .map(|other| other.matching)
                    .max()
                    .is_none_or(|strongest| strongest == record.matching)
        });
        let names = names.iter().filter_map(|name| ServerName::try_from(name.clone()).ok()).collect();
        (!usable.is_empty()).then_some(Self { records: usable, names })
    }

    /// The authorities that records are about: those of the server's chain (RFC 7672 §3.1.2: it must show them), and those
    /// that stand in records themselves.
    fn anchors(&self, chain: &[CertificateDer<'_>]) -> RootCertStore {
        let mut anchors = RootCertStore::empty();
        for record in self.records.iter().filter(|record| record.usage == Usage::TrustAnchor) {
            let shown = chain.iter().filter(|certificate| record.is_about(certificate));
            anchors.add_parsable_certificates(shown.map(|certificate| certificate.clone().into_owned()));
            if (record.selector, record.matching) == (Selector::Certificate, Matching::Octets) {
                anchors.add_parsable_certificates([CertificateDer::from(record.data.clone())]);
            }
        }
        anchors
    }
}

/// Trusts the certificates for which records vouch.
impl Judge for Dane {
    fn judge(&self, shown: &Shown<'_>) -> Result<(), Error> {
        // RFC 7672 §3.1.1: of that certificate nothing else counts, neither names nor dates.
        let own = |record: &&Usable| record.usage == Usage::EndEntity;
        if self.records.iter().filter(own).any(|record| record.is_about(shown.end_entity)) {
            return Ok(());
        }
        let anchors = self.anchors(shown.intermediates);
        if anchors.is_empty() {
            return Err(unlike(DaneError::NoMatch));
        }
        let parsed = ParsedCertificate::try_from(shown.end_entity)?;
        let (intermediates, now) = (shown.intermediates, shown.now);
        let algorithms = default_provider().signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &anchors, intermediates, now, algorithms)?;
        if self.names.iter().any(|name| verify_server_name(&parsed, name).is_ok()) {
            return Ok(());
        }
        Err(unlike(DaneError::OtherName))
    }
}

fn unlike(error: DaneError) -> Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}

/// A client's configuration that takes the certificates for which a host's TLSA records vouch, and no others.
#[must_use]
pub fn trusting_dane(dane: Dane) -> Arc<ClientConfig> {
    let mut config = trusting_as(dane);
    // It is for one connection.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

#[cfg(test)]
mod tests;

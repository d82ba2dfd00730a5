//! TLSA records of each kind, and the certificates that they are about or not.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use ring::digest;
use tokio_rustls::rustls::pki_types::UnixTime;

use super::super::testing::{Ends, PATIENT, Tls};
use super::super::{Connection, TlsError};
use super::*;

const HOST: &str = "mx.example.test";

/// An authority, and a certificate by it.
struct World {
    authority: CertificateDer<'static>,
    leaf: CertificateDer<'static>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dates {
    Good,
    Over,
}

fn world(host: &str, dates: Dates) -> World {
    let authority_key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, "authority");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = parameters.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(parameters, authority_key);
    let mut parameters = CertificateParams::new([host.to_owned()]).unwrap();
    if dates == Dates::Over {
        parameters.not_after = date_time_ymd(2001, 1, 1);
    }
    let leaf = parameters.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
    World { authority: authority.der().clone(), leaf: leaf.der().clone() }
}

impl World {
    /// What is said with these records about the certificate, shown with its authority.
    fn outcome(&self, records: &[Tlsa]) -> Result<(), Error> {
        self.with_chain(records, std::slice::from_ref(&self.authority))
    }

    fn with_chain(&self, records: &[Tlsa], chain: &[CertificateDer<'static>]) -> Result<(), Error> {
        let dane = Dane::new(records, &[HOST.to_owned(), "example.test".to_owned()]).unwrap();
        dane.judge(&Shown {
            end_entity: &self.leaf,
            intermediates: chain,
            server_name: &ServerName::try_from(HOST).unwrap(),
            ocsp_response: &[],
            now: UnixTime::now(),
        })
    }
}

fn key(certificate: &CertificateDer<'_>) -> Vec<u8> {
    ParsedCertificate::try_from(certificate).unwrap().subject_public_key_info().to_vec()
}

/// A record about this certificate.
fn record(usage: u8, selector: u8, matching: u8, certificate: &CertificateDer<'_>) -> Tlsa {
    let octets = if selector == 0 { certificate.to_vec() } else { key(certificate) };
    let data = match matching {
        1 => digest::digest(&SHA256, &octets).as_ref().to_vec(),
        2 => digest::digest(&SHA512, &octets).as_ref().to_vec(),
        _ => octets,
    };
    Tlsa { usage, selector, matching, data }
}

fn is(outcome: &Result<(), Error>, error: DaneError) -> bool {
    let Err(Error::InvalidCertificate(CertificateError::Other(OtherError(found)))) = outcome else {
        return false;
    };
    found.downcast_ref() == Some(&error)
}

#[test]
fn a_record_about_the_server_itself_is_enough() {
    let (world, other) = (world(HOST, Dates::Good), world(HOST, Dates::Good));
    for selector in [0, 1] {
        for matching in [0, 1, 2] {
            let right = record(3, selector, matching, &world.leaf);
            assert!(world.outcome(std::slice::from_ref(&right)).is_ok(), "3 {selector} {matching}");
            let wrong = record(3, selector, matching, &other.leaf);
            assert!(is(&world.outcome(std::slice::from_ref(&wrong)), DaneError::NoMatch));
            // A record about the authority does not speak of the server.
            assert!(is(
                &world.outcome(&[record(3, selector, matching, &world.authority)]),
                DaneError::NoMatch
            ));
            assert!(world.outcome(&[wrong, right]).is_ok());
        }
    }
}

#[test]
fn neither_names_nor_dates_count_beside_a_record_about_the_server() {
    for world in [world("else.example", Dates::Good), world(HOST, Dates::Over)] {
        assert!(world.outcome(&[record(3, 1, 1, &world.leaf)]).is_ok());
        assert!(world.with_chain(&[record(3, 1, 1, &world.leaf)], &[]).is_ok());
    }
}

#[test]
fn a_record_about_the_authority_asks_for_name_dates_and_signature() {
    let good = world(HOST, Dates::Good);
    for selector in [0, 1] {
        for matching in [0, 1, 2] {
            let about = |world: &World| [record(2, selector, matching, &world.authority)];
            assert!(good.outcome(&about(&good)).is_ok(), "2 {selector} {matching}");
            let other_name = world("else.example", Dates::Good);
            assert!(is(&other_name.outcome(&about(&other_name)), DaneError::OtherName));
            let over = world(HOST, Dates::Over);
            assert!(over.outcome(&about(&over)).is_err());
            // The record's authority is shown, and has not signed this one.
            let impostor = world(HOST, Dates::Good);
            let impostor = World { leaf: impostor.leaf, authority: good.authority.clone() };
            assert!(impostor.outcome(&about(&good)).is_err());
        }
    }
    let domain = world("example.test", Dates::Good);
    assert!(domain.outcome(&[record(2, 0, 1, &domain.authority)]).is_ok(), "RFC 7672 §3.2.2");
}

#[test]
fn an_authority_is_shown_by_the_server_or_stands_in_the_record() {
    let world = world(HOST, Dates::Good);
    for (selector, matching) in [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
        let outcome = world.with_chain(&[record(2, selector, matching, &world.authority)], &[]);
        assert!(is(&outcome, DaneError::NoMatch), "2 {selector} {matching}");
    }
    assert!(world.with_chain(&[record(2, 0, 0, &world.authority)], &[]).is_ok());
}

#[test]
fn records_that_smtp_has_no_use_for_are_none() {
    let world = world(HOST, Dates::Good);
    let right = record(3, 1, 1, &world.leaf);
    let with = |change: &dyn Fn(&mut Tlsa)| {
        let mut record = right.clone();
        change(&mut record);
        Dane::new(&[record], &[]).is_none()
    };
    assert!(Dane::new(&[], &[]).is_none());
    for usage in [0, 1, 4, 255] {
        assert!(with(&|record| record.usage = usage), "RFC 7672 §3.1.3");
    }
    assert!(with(&|record| record.selector = 2));
    assert!(with(&|record| record.matching = 3));
    assert!(with(&|record| record.data.truncate(31)));
    assert!(with(&|record| record.matching = 2));
    assert!(with(&|record| (record.matching, record.data) = (0, Vec::new())));
    // They do not spoil the others.
    assert!(world.outcome(&[record(1, 1, 1, &world.authority), right]).is_ok());
}

#[test]
fn of_several_digests_the_strongest_counts() {
    let (world, other) = (world(HOST, Dates::Good), world(HOST, Dates::Good));
    let strong_is_right = [record(3, 1, 1, &other.leaf), record(3, 1, 2, &world.leaf)];
    assert!(world.outcome(&strong_is_right).is_ok());
    let weak_is_right = [record(3, 1, 1, &world.leaf), record(3, 1, 2, &other.leaf)];
    assert!(is(&world.outcome(&weak_is_right), DaneError::NoMatch), "RFC 7671 §9");
    // Digests of something else are no others of the same, and octets are always compared.
    let of_all = [record(3, 1, 1, &world.leaf), record(3, 0, 2, &other.leaf)];
    assert!(world.outcome(&of_all).is_ok());
    let octets = [record(3, 1, 0, &world.leaf), record(3, 1, 2, &other.leaf)];
    assert!(world.outcome(&octets).is_ok());
}

#[test]
fn so_many_records_are_looked_at_and_no_more() {
    let (world, other) = (world(HOST, Dates::Good), world(HOST, Dates::Good));
    let mut records = vec![record(3, 1, 1, &other.leaf); RECORDS_MAX - 1];
    records.push(record(3, 1, 1, &world.leaf));
    assert!(world.outcome(&records).is_ok());
    records.insert(0, record(3, 1, 1, &other.leaf));
    assert!(is(&world.outcome(&records), DaneError::NoMatch));
}

/// What comes of a handshake with a server that shows this certificate.
async fn handshake(tls: &Tls, config: Arc<ClientConfig>) -> Result<(), TlsError> {
    let Ends { mut server, client, trigger: _trigger } = Ends::new(PATIENT, Some(tls.server.clone())).await;
    let mut client = Connection::client(client.into(), PATIENT);
    let (_, outcome) = tokio::join!(server.accept_tls(), client.connect_tls(config, Tls::name()));
    outcome
}

#[tokio::test]
async fn a_handshake_succeeds_with_the_certificate_that_dns_says_and_with_no_other() {
    let (tls, other) = (Tls::new(), Tls::new());
    let trusting = |certificate| trusting_dane(Dane::new(&[record(3, 1, 1, certificate)], &[]).unwrap());
    handshake(&tls, trusting(&tls.certificate)).await.unwrap();
    let refused = handshake(&tls, trusting(&other.certificate)).await.unwrap_err();
    assert_eq!(refused.certificate(), Some(DaneError::NoMatch.to_string()));
    let unknown = handshake(&other, Arc::clone(&tls.client)).await.unwrap_err();
    assert!(unknown.certificate().is_some());
}

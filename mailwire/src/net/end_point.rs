//! What certificates say beside their names: how they are signed (RFC 5929 §4.1), and whose mailboxes they name
//! (RFC 5280 §4.2.1.6).

use ring::digest::{self, SHA256, SHA384, SHA512};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::address::Mailbox;

/// Most mailboxes of one certificate that are taken.
const MAILBOXES_MAX: usize = 16;

/// The signature algorithms that name one hash, by that hash. RFC 5929 §4.1: SHA-256 stands for MD5 and SHA-1.
const SHA256_SIGNATURES: [&str; 6] = [
    "1.2.840.113549.1.1.4",   // md5WithRSAEncryption
    "1.2.840.113549.1.1.5",   // sha1WithRSAEncryption
    "1.2.840.113549.1.1.11",  // sha256WithRSAEncryption
    "1.2.840.10045.4.1",      // ecdsa-with-SHA1
    "1.2.840.10045.4.3.2",    // ecdsa-with-SHA256
    "2.16.840.1.101.3.4.3.2", // dsa-with-SHA256
];
const SHA384_SIGNATURES: [&str; 2] = ["1.2.840.113549.1.1.12", "1.2.840.10045.4.3.3"];
const SHA512_SIGNATURES: [&str; 2] = ["1.2.840.113549.1.1.13", "1.2.840.10045.4.3.4"];

/// `tls-server-end-point` of a certificate in DER form (RFC 5929 §4.1). `None` where its signature names no hash, as with
/// Ed25519, or names it in parameters, as with PSS: there this binding is not defined, or too rare to be read.
pub(super) fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let parsed = Certificate::from_der(certificate).ok()?;
    let algorithm = parsed.signature_algorithm().oid;
    let is_one_of = |names: &[&str]| names.iter().any(|name| ObjectIdentifier::new(name) == Ok(algorithm));
    let hash = if is_one_of(&SHA256_SIGNATURES) {
        &SHA256
    } else if is_one_of(&SHA384_SIGNATURES) {
        &SHA384
    } else if is_one_of(&SHA512_SIGNATURES) {
        &SHA512
    } else {
        return None;
    };
    Some(digest::digest(hash, certificate).as_ref().to_vec())
}

/// The mailboxes that a certificate in DER form names (`rfc822Name`, RFC 5280 §4.2.1.6), in its order.
pub(super) fn mailboxes(certificate: &[u8]) -> Vec<String> {
    let names = Certificate::from_der(certificate)
        .ok()
        .and_then(|parsed| parsed.tbs_certificate().get_extension::<SubjectAltName>().ok().flatten());
    let Some((_, SubjectAltName(names))) = names else { return Vec::new() };
    let mailboxes = names.iter().filter_map(mailbox);
    mailboxes.take(MAILBOXES_MAX).collect()
}

/// The login that a name is of: an address that we could have an account for.
fn mailbox(name: &GeneralName) -> Option<String> {
    let GeneralName::Rfc822Name(text) = name else { return None };
    Mailbox::parse(text.as_str()).ok().map(|mailbox| mailbox.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType,
    };

    fn signed_with(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(vec!["mail.example.test".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_is_hashed_as_it_is_signed() {
        let certificate = signed_with(&PKCS_ECDSA_P256_SHA256);
        assert_eq!(server_end_point(&certificate).unwrap(), digest::digest(&SHA256, &certificate).as_ref());
        let certificate = signed_with(&PKCS_ECDSA_P384_SHA384);
        assert_eq!(server_end_point(&certificate).unwrap(), digest::digest(&SHA384, &certificate).as_ref());
        assert_eq!(server_end_point(&signed_with(&PKCS_ED25519)), None);
        assert_eq!(server_end_point(b"no certificate"), None);
    }

    #[test]
    fn the_mailboxes_of_a_certificate_are_its_logins() {
        let mut params = CertificateParams::new(vec!["host.example.test".to_owned()]).unwrap();
        for name in ["alice@example.test", "not an address", "bob@example.test"] {
            params.subject_alt_names.push(SanType::Rfc822Name(name.try_into().unwrap()));
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        assert_eq!(mailboxes(certificate.der()), ["alice@example.test", "bob@example.test"]);
        assert_eq!(mailboxes(&signed_with(&PKCS_ECDSA_P256_SHA256)), [""; 0]);
        assert_eq!(mailboxes(b"no certificate"), [""; 0]);
    }
}

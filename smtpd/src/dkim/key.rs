//! A pair of keys: made, read from its file and written to it, and what of it stands in DNS (RFC 6376 §3.6.1, RFC 8463 §4).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_auth::common::crypto::{DkimKey, Ed25519Key, RsaKey, Sha256};
use mail_auth::dkim::generate::DkimKeyPair;
use mailwire::secret::Secret;
use pem::{EncodeConfig, LineEnding, Pem};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use x509_cert::der::asn1::{BitString, ObjectIdentifier};
use x509_cert::der::{self, Encode as _};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::DkimError;

/// Bits of the RSA keys that are made here: what RFC 8301 §3.2 asks for. Records of longer ones do not fit everywhere.
const RSA_BITS: usize = 2048;
/// What such a key's algorithm is called in DER (RFC 8017 appendix A.1).
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// `rsa-sha256` (RFC 6376 §3.3.2): what everybody checks.
    Rsa,
    /// `ed25519-sha256` (RFC 8463): short and quick, and not checked by everybody.
    Ed25519,
}

impl Algorithm {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Rsa, Self::Ed25519];

    /// As `k=` names it (RFC 6376 §3.6.1).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa => "RSA",
            Self::Ed25519 => "Ed25519",
        })
    }
}

/// A private key, with its public one.
pub struct KeyPair {
    key: DkimKey,
    algorithm: Algorithm,
    public: Vec<u8>,
}

impl KeyPair {
    /// Makes one, and the text of its file: PKCS#1 or PKCS#8 in PEM form, as other programs read it as well.
    ///
    /// # Errors
    /// Where the system has no randomness.
    pub fn make(algorithm: Algorithm) -> Result<(Self, Secret<String>), DkimError> {
        let (pair, tag) = match algorithm {
            Algorithm::Rsa => (DkimKeyPair::generate_rsa(RSA_BITS), "RSA PRIVATE KEY"),
            Algorithm::Ed25519 => (DkimKeyPair::generate_ed25519(), "PRIVATE KEY"),
        };
        let (private, _) = pair.map_err(DkimError::crypto("making a key"))?.into_inner();
        let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
        let text = Secret::new(pem::encode_config(&Pem::new(tag, private), config));
        let made = Self::read(text.expose().as_bytes());
        let unreadable =
            || DkimError::Crypto { doing: "making a key", reason: "it cannot be read".to_owned() };
        Ok((made.ok_or_else(unreadable)?, text))
    }

    /// The key in the text of a file; `None` where there is none that could sign.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        let der = PrivateKeyDer::from_pem_slice(text).ok()?;
        if let PrivateKeyDer::Pkcs8(pkcs8) = &der
            && let Ok(key) = Ed25519Key::from_pkcs8_maybe_unchecked_der(pkcs8.secret_pkcs8_der())
        {
            let public = key.public_key();
            return Some(Self { key: key.into(), algorithm: Algorithm::Ed25519, public });
        }
        let key = RsaKey::<Sha256>::from_key_der(der).ok()?;
        let public = subject_public_key_info(&key.public_key()).ok()?;
        Some(Self { key: key.into(), algorithm: Algorithm::Rsa, public })
    }

    /// How it signs.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The text of the TXT record with which others check its signatures.
    #[must_use]
    pub fn record(&self) -> String {
        format!("v=DKIM1; k={}; p={}", self.algorithm.name(), STANDARD.encode(&self.public))
    }

    /// What mail-auth signs with.
    pub(super) fn into_key(self) -> DkimKey {
        self.key
    }
}

impl fmt::Debug for KeyPair {
    /// Without the private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// An RSA key as DNS has it: RFC 6376 names the bare key, but its own examples and all programs have the form of
/// RFC 5280 §4.1 around it (erratum 3017).
fn subject_public_key_info(key: &[u8]) -> Result<Vec<u8>, der::Error> {
    let algorithm = AlgorithmIdentifierOwned { oid: RSA_ENCRYPTION, parameters: Some(der::Any::null()) };
    let subject_public_key = BitString::from_bytes(key)?;
    SubjectPublicKeyInfoOwned { algorithm, subject_public_key }.to_der()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_made_can_be_read_again() {
        for algorithm in Algorithm::ALL {
            let (made, text) = KeyPair::make(algorithm).unwrap();
            let read = KeyPair::read(text.expose().as_bytes()).unwrap();
            assert_eq!(read.algorithm(), algorithm);
            assert_eq!(read.record(), made.record());
            assert!(!format!("{made:?}").contains("key:"));
        }
    }

    #[test]
    fn an_ed25519_record_holds_the_bare_key_of_32_octets() {
        // The key of RFC 8463 appendix A.2, as PKCS#8.
        let text = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                    -----END PRIVATE KEY-----\n";
        let key = KeyPair::read(text.as_bytes()).unwrap();
        assert_eq!(key.record(), "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    }

    #[test]
    fn what_cannot_sign_is_no_key() {
        for text in [
            "",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        ] {
            assert!(KeyPair::read(text.as_bytes()).is_none());
        }
    }
}

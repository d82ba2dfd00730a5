//! The keys of an issuer: a JWK Set (RFC 7517 §5), and which of them has signed a token.

use ring::signature::{
    self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use thiserror::Error;

use super::claims::Claims;
use super::json::Object;
use super::refusal::Refusal;
use super::signed::{SignedToken, decoded};

/// Most keys of a set: issuers have two or three, and some a few for each client.
pub const KEYS_MAX: usize = 64;

/// How a token may be signed: always so that a public key verifies it (RFC 7518 §3.1, RFC 8037 §3.1, RFC 8725 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA with PKCS #1 v1.5 and SHA-256.
    Rs256,
    /// RSA with PSS and SHA-256.
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Rs256, Self::Ps256, Self::Es256, Self::Es384, Self::EdDsa];

    /// Its registered name, in which case counts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// Why a set of keys cannot be used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum KeySetError {
    /// No JSON, or no `keys` in it.
    #[error("it is not a set of keys (JWK Set)")]
    Malformed,
    /// More keys than are kept.
    #[error("it has more than {KEYS_MAX} keys")]
    TooMany,
    /// Keys, and none that a token may be signed by.
    #[error("none of its keys could have signed a token (RSA of 2048 bits, P-256, P-384, Ed25519)")]
    Empty,
}

/// The keys by which an issuer signs.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    /// Where the issuer says that the key is for this one only.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// A point as SEC 1 writes it, uncompressed.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl KeySet {
    /// The set in `octets`. Keys that could not have signed a token are left out, as RFC 7517 §5 says.
    ///
    /// # Errors
    /// See [`KeySetError`].
    pub fn parse(octets: &[u8]) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Object>,
        }
        let Set { keys } = serde_json::from_slice(octets).map_err(|_| KeySetError::Malformed)?;
        if keys.len() > KEYS_MAX {
            return Err(KeySetError::TooMany);
        }
        let keys: Vec<_> = keys.iter().filter_map(Key::read).collect();
        if keys.is_empty() { Err(KeySetError::Empty) } else { Ok(Self { keys }) }
    }

    /// The token's claims, where one of the keys has signed it.
    ///
    /// # Errors
    /// [`Refusal::Key`] where no key has its `kid` and suits its `alg`, others where it is not as it must be.
    pub fn verify(&self, token: &SignedToken<'_>) -> Result<Claims, Refusal> {
        let fitting = self.keys.iter().filter(|key| key.fits(token));
        let mut refusal = Refusal::Key;
        for key in fitting {
            if key.material.has_signed(token) {
                return Claims::of_signed(&token.payload);
            }
            refusal = Refusal::Signature;
        }
        Err(refusal)
    }
}

impl Key {
    /// `None` where it is not for signatures, or of a form that is not known.
    fn read(key: &Object) -> Option<Self> {
        let text = |name| key.text(name).ok().flatten();
        // RFC 7517 §4.2, §4.3.
        let uses = key.text("use").ok()?;
        let operations = key.texts("key_ops").ok()?;
        if uses.is_some_and(|uses| uses != "sig") || operations.is_some_and(|all| !all.contains(&"verify")) {
            return None;
        }
        let algorithm =
            key.text("alg").ok()?.map(|name| Algorithm::named(name).ok_or(())).transpose().ok()?;
        let octets = |name| text(name).and_then(decoded);
        let coordinate = |name, length: usize| octets(name).filter(|octets| octets.len() == length);
        let point = |length| Some([vec![4], coordinate("x", length)?, coordinate("y", length)?].concat());
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => Material::Rsa { modulus: octets("n")?, exponent: octets("e")? },
            // RFC 7518 §6.2.1: coordinates have all their octets.
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            // RFC 8037 §2.
            ("OKP", Some("Ed25519")) => Material::Ed25519(coordinate("x", 32)?),
            _ => return None,
        };
        let id = key.text("kid").ok()?.map(str::to_owned);
        let key = Self { id, algorithm, material };
        Algorithm::ALL.into_iter().any(|algorithm| key.suits(algorithm)).then_some(key)
    }

    /// The algorithm must be one for this very key, whatever the token says (RFC 8725 §3.1).
    fn suits(&self, algorithm: Algorithm) -> bool {
        let of_this_kind = match self.material {
            Material::Rsa { .. } => matches!(algorithm, Algorithm::Rs256 | Algorithm::Ps256),
            Material::P256(_) => algorithm == Algorithm::Es256,
            Material::P384(_) => algorithm == Algorithm::Es384,
            Material::Ed25519(_) => algorithm == Algorithm::EdDsa,
        };
        of_this_kind && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// RFC 7515 §4.1.4: a token that names its key is signed by that one and no other.
    fn fits(&self, token: &SignedToken<'_>) -> bool {
        self.suits(token.algorithm) && (token.key_id.is_none() || token.key_id == self.id)
    }
}

impl Material {
    fn has_signed(&self, token: &SignedToken<'_>) -> bool {
        let SignedToken { algorithm, signing_input, signature, .. } = token;
        let by = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(signing_input, signature).is_ok()
        };
        match self {
            Self::Rsa { modulus, exponent } => rsa(*algorithm).is_some_and(|parameters| {
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(parameters, signing_input, signature).is_ok()
            }),
            Self::P256(point) => by(&signature::ECDSA_P256_SHA256_FIXED, point),
            Self::P384(point) => by(&signature::ECDSA_P384_SHA384_FIXED, point),
            Self::Ed25519(point) => by(&signature::ED25519, point),
        }
    }
}

/// How an RSA key verifies; it needs 2048 bits at least (RFC 7518 §3.3, §3.5).
const fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => None,
    }
}

#[cfg(test)]
mod tests;

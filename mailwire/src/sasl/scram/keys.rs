//! What a server keeps of a password for SCRAM-SHA-256 (RFC 5802 §3, RFC 7677).

use std::fmt;
use std::num::NonZeroU32;

use ring::{digest, hmac, pbkdf2};

use super::super::prepare::prepared;
use crate::secret::Secret;

/// Octets of a SHA-256 value.
pub(super) const HASH_OCTETS: usize = 32;

/// What a server keeps of a password: enough to check a client's proof, too little to make one.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// Random octets of the account's own.
    pub salt: Vec<u8>,
    /// How often PBKDF2 hashes; at least [`ScramKeys::ITERATIONS_MIN`].
    pub iterations: u32,
    /// `StoredKey := H(HMAC(SaltedPassword, "Client Key"))`.
    pub stored_key: [u8; HASH_OCTETS],
    /// `ServerKey := HMAC(SaltedPassword, "Server Key")`.
    pub server_key: [u8; HASH_OCTETS],
}

impl ScramKeys {
    /// RFC 7677 §4: the least that may be used.
    pub const ITERATIONS_MIN: u32 = 4096;

    /// The keys of `password`, prepared as [`prepared`] says (RFC 5802 §2.2, §3).
    #[must_use]
    pub fn derive(password: &Secret<String>, salt: &[u8], iterations: u32) -> Self {
        let salted = salted_password(password, salt, iterations);
        let stored_key = hash(&mac(&salted, b"Client Key"));
        Self { salt: salt.to_vec(), iterations, stored_key, server_key: mac(&salted, b"Server Key") }
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ScramKeys").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// `SaltedPassword := Hi(Normalize(password), salt, i)`, RFC 5802 §3; `Hi` is PBKDF2 with one block.
pub(super) fn salted_password(password: &Secret<String>, salt: &[u8], iterations: u32) -> [u8; HASH_OCTETS] {
    let mut salted = [0; HASH_OCTETS];
    let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
    let password = prepared(password);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password.expose().as_bytes(), &mut salted);
    salted
}

/// `HMAC(key, text)` of RFC 5802 §2.2, with SHA-256.
pub(super) fn mac(key: &[u8; HASH_OCTETS], text: &[u8]) -> [u8; HASH_OCTETS] {
    array(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref())
}

/// `H(text)` of RFC 5802 §2.2, SHA-256.
pub(super) fn hash(text: &[u8]) -> [u8; HASH_OCTETS] {
    array(digest::digest(&digest::SHA256, text).as_ref())
}

/// A SHA-256 value, which ring hands out as a slice of just this many octets.
fn array(octets: &[u8]) -> [u8; HASH_OCTETS] {
    let mut array = [0; HASH_OCTETS];
    for (to, from) in array.iter_mut().zip(octets) {
        *to = *from;
    }
    array
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::{decode, encode};

    fn keys(password: &str) -> ScramKeys {
        let salt = decode(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        ScramKeys::derive(&Secret::new(password.to_owned()), &salt, 4096)
    }

    #[test]
    fn the_keys_meet_the_exchange_of_rfc_7677() {
        let keys = keys("pencil");
        let auth_message = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
            c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signature = mac(&keys.server_key, auth_message.as_bytes());
        assert_eq!(encode(&signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");

        let proof = decode(b"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let client_signature = mac(&keys.stored_key, auth_message.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(client_signature).map(|(a, b)| a ^ b).collect();
        assert_eq!(hash(&client_key), keys.stored_key);
    }

    #[test]
    fn spellings_that_sasl_prep_makes_equal_give_equal_keys() {
        assert_eq!(keys("caf\u{e9}"), keys("cafe\u{301}"));
        assert_ne!(keys("cafe"), keys("caf\u{e9}"));
    }

    #[test]
    fn nothing_secret_is_shown() {
        assert_eq!(format!("{:?}", keys("pencil")), "ScramKeys { iterations: 4096, .. }");
    }
}

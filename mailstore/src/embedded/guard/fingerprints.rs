//! Logins and secrets under a key that this process makes for itself: they can be compared, and nothing else.

use blake2::Blake2sMac256;
use blake2::digest::{FixedOutput, KeyInit, Update};
use mailwire::secret::Secret;

use super::super::subaddresses::{login_of_account, one_spelling};

/// Octets of the key.
const KEY_OCTETS: usize = 32;

/// A login in any spelling, or an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LoginKey(u64);

/// A secret that was tried for a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(u64);

/// What makes them.
pub(super) struct Fingerprints {
    key: [u8; KEY_OCTETS],
}

impl Fingerprints {
    /// With a fresh key.
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; KEY_OCTETS];
        getrandom::fill(&mut key)?;
        Ok(Self { key })
    }

    /// Of a login that is guessed at: whatever detail it has, so that nobody gets more guesses by making some up.
    pub(super) fn login(&self, login: &str) -> LoginKey {
        LoginKey(self.hash(b"login", login_of_account(login).as_bytes(), b""))
    }

    /// Of an account, by its address.
    pub(super) fn account(&self, address: &str) -> LoginKey {
        LoginKey(self.hash(b"account", one_spelling(address).as_bytes(), b""))
    }

    pub(super) fn secret(&self, login: &str, secret: &Secret<String>) -> Fingerprint {
        let secret = secret.expose().as_bytes();
        Fingerprint(self.hash(b"secret", login_of_account(login).as_bytes(), secret))
    }

    /// Of three parts that cannot run together in two ways: the length of the second stands before it.
    fn hash(&self, kind: &[u8], first: &[u8], second: &[u8]) -> u64 {
        // A key of this length is always taken.
        let Ok(mut mac) = Blake2sMac256::new_from_slice(&self.key) else { return 0 };
        mac.update(kind);
        mac.update(&first.len().to_le_bytes());
        mac.update(first);
        mac.update(second);
        let hash = mac.finalize_fixed();
        hash.first_chunk().map_or(0, |octets| u64::from_le_bytes(*octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn logins_have_no_case_and_secrets_have() {
        let made = Fingerprints::new().unwrap();
        assert_eq!(made.login("Alice@Example.test"), made.login("alice@example.test"));
        assert_ne!(made.login("alice@example.test"), made.login("bob@example.test"));
        assert_eq!(made.login("alice@bücher.example"), made.login("Alice@xn--bcher-kva.example"));
        assert_eq!(made.secret("Alice", &secret("x")), made.secret("alice", &secret("x")));
        assert_ne!(made.secret("alice", &secret("x")), made.secret("alice", &secret("X")));
        assert_ne!(made.secret("alice", &secret("x")), made.secret("bob", &secret("x")));
        assert_ne!(made.secret("alice", &secret("x")), made.secret("alic", &secret("ex")));
    }

    #[test]
    fn nobody_else_can_make_them() {
        let (one, other) = (Fingerprints::new().unwrap(), Fingerprints::new().unwrap());
        assert_ne!(one.login("alice"), other.login("alice"));
        assert_ne!(one.secret("alice", &secret("x")), other.secret("alice", &secret("x")));
    }
}

//! What an account proves itself with besides its password's hash: keys for SCRAM, and false ones for whom there are none.

use std::fmt;

use blake2::Blake2sMac256;
use blake2::digest::{FixedOutput, KeyInit, Update};
use mailwire::sasl::ScramKeys;
use mailwire::secret::Secret;
use serde::{Deserialize, Serialize};

use super::subaddresses::login_of_account;

/// How often PBKDF2 hashes a password for SCRAM: about as long as argon2id takes beside it, so that stolen keys are no
/// quicker to guess from than stolen hashes. RFC 7677 §4 wants 4096 at least.
pub(crate) const ITERATIONS: u32 = 50_000;
/// Octets of a salt.
pub(crate) const SALT_OCTETS: usize = 16;

/// Keys for SCRAM-SHA-256 as they are kept (RFC 5802 §3).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScramRecord {
    salt: Vec<u8>,
    iterations: u32,
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

impl ScramRecord {
    /// Takes as long as [`ITERATIONS`] says: only for threads that may.
    pub(super) fn derive(password: &Secret<String>, salt: &[u8]) -> Self {
        ScramKeys::derive(password, salt, ITERATIONS).into()
    }

    /// False for keys that a release with other iterations has left.
    pub(crate) const fn is_current(&self) -> bool {
        self.iterations == ITERATIONS
    }

    pub(crate) fn keys(self) -> ScramKeys {
        let Self { salt, iterations, stored_key, server_key } = self;
        ScramKeys { salt, iterations, stored_key, server_key }
    }
}

impl From<ScramKeys> for ScramRecord {
    fn from(keys: ScramKeys) -> Self {
        let ScramKeys { salt, iterations, stored_key, server_key } = keys;
        Self { salt, iterations, stored_key, server_key }
    }
}

impl fmt::Debug for ScramRecord {
    /// Different for different keys, and no help in guessing the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = crc32c::crc32c_append(crc32c::crc32c(&self.stored_key), &self.server_key);
        write!(f, "ScramRecord({} {:08x})", self.iterations, crc32c::crc32c_append(keys, &self.salt))
    }
}

/// A password that is to be an account's from now on, as far as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct NewPassword {
    /// argon2id, in PHC form.
    pub(crate) hash: String,
    pub(crate) scram: ScramRecord,
}

/// Keys for logins that have none: whoever asks for those of an unknown login is shown the same salt each time, as for
/// a known one (RFC 5802 §9), and nobody meets them.
pub(crate) struct FalseKeys([u8; 32]);

impl FalseKeys {
    /// From the store's epoch: 64 random bits which no peer ever sees, the same in every process that hosts the store, and
    /// in a store that comes back from a backup. Who could guess them could tell which logins exist, and no more.
    pub(crate) fn new(epoch: u64) -> Self {
        let mut key = [0; 32];
        key.iter_mut().zip(epoch.to_le_bytes()).for_each(|(to, from)| *to = from);
        Self(key)
    }

    /// The salt that a login has before it has keys of its own.
    pub(crate) fn salt(&self, login: &str) -> Vec<u8> {
        let mut salt = self.octets(b"salt", login).to_vec();
        salt.truncate(SALT_OCTETS);
        salt
    }

    /// The keys of a login that has none.
    pub(crate) fn keys(&self, login: &str) -> ScramKeys {
        ScramKeys {
            salt: self.salt(login),
            iterations: ITERATIONS,
            stored_key: self.octets(b"stored key", login),
            server_key: self.octets(b"server key", login),
        }
    }

    /// A secret for whatever is to be recognised when it comes back; it says nothing of the keys.
    pub(crate) fn forwarding_secret(&self) -> Secret<[u8; 32]> {
        Secret::new(self.octets(b"forwarding", ""))
    }

    /// The same for all logins of an account, as its own are.
    fn octets(&self, purpose: &[u8], login: &str) -> [u8; 32] {
        let mut mac = Blake2sMac256::new(&self.0.into());
        mac.update(purpose);
        mac.update(&[0]);
        mac.update(login_of_account(login).as_bytes());
        mac.finalize_fixed().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn false_keys_are_stable_and_different_for_each_login_and_store() {
        let keys = |epoch, login| FalseKeys::new(epoch).keys(login);
        assert_eq!(keys(1, "nobody@example.test"), keys(1, "Nobody@Example.TEST"));
        assert_ne!(keys(1, "nobody@example.test").salt, keys(1, "anybody@example.test").salt);
        assert_ne!(keys(1, "nobody@example.test").salt, keys(2, "nobody@example.test").salt);
        let ScramKeys { salt, iterations, stored_key, server_key } = keys(1, "nobody@example.test");
        assert_eq!((salt.len(), iterations), (SALT_OCTETS, ITERATIONS));
        assert_ne!(stored_key, server_key);
    }

    #[test]
    fn what_is_shown_of_keys_tells_them_apart_and_is_short() {
        let shown = |salt: &[u8]| {
            let record =
                ScramRecord { salt: salt.to_vec(), iterations: 1, stored_key: [7; 32], server_key: [8; 32] };
            format!("{record:?}")
        };
        assert_ne!(shown(b"1"), shown(b"2"));
        assert!(shown(b"1").len() < 40);
    }
}

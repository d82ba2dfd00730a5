//! Log-ins that were right a short while ago, so that a client that polls does not cost a password hash each time.
//!
//! Only a keyed hash of the password is kept, in memory only, under a key that this process makes for itself. It also
//! covers the stored hash, so a changed password is forgotten at once. A wrong password always costs the full hash.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use blake2::Blake2sMac256;
use blake2::digest::{FixedOutput, KeyInit, Update};
use mailwire::clock;
use mailwire::secret::Secret;

use super::record::AccountRecord;

/// How long a log-in is remembered, counted from when its password was last hashed in full.
const REMEMBERED: Duration = Duration::from_mins(10);
/// Most log-ins that are remembered; beyond that, all are forgotten and begin anew.
const LOGINS_MAX: usize = 10_000;

/// Octets of the key.
const KEY_OCTETS: usize = 32;

/// The log-ins that are remembered.
pub(crate) struct Remembered {
    key: [u8; KEY_OCTETS],
    logins: Mutex<HashMap<u64, (Tag, Instant)>>,
}

/// A keyed hash; its comparison takes the same time wherever two differ.
type Tag = blake2::digest::CtOutput<Blake2sMac256>;

impl Remembered {
    /// With a fresh key.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; KEY_OCTETS];
        getrandom::fill(&mut key)?;
        Ok(Self { key, logins: Mutex::default() })
    }

    /// True where this password of this account was right a short while ago.
    pub(crate) fn knows(&self, account: &AccountRecord, password: &Secret<String>) -> bool {
        let Some(tag) = self.tag(account, password) else { return false };
        let now = clock::instant();
        let logins = self.logins();
        logins.get(&account.maildrop).is_some_and(|(known, until)| *until > now && *known == tag)
    }

    /// The password has just been found right by its full hash.
    pub(crate) fn remember(&self, account: &AccountRecord, password: &Secret<String>) {
        let (Some(tag), Some(until)) =
            (self.tag(account, password), clock::instant().checked_add(REMEMBERED))
        else {
            return;
        };
        let mut logins = self.logins();
        if logins.len() >= LOGINS_MAX {
            logins.clear();
        }
        logins.insert(account.maildrop, (tag, until));
    }

    fn logins(&self) -> MutexGuard<'_, HashMap<u64, (Tag, Instant)>> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tag(&self, account: &AccountRecord, password: &Secret<String>) -> Option<Tag> {
        let mut mac = Blake2sMac256::new_from_slice(&self.key).ok()?;
        // The stored hash has no NUL in it, so the two cannot run together in two ways.
        mac.update(account.password_hash.as_bytes());
        mac.update(&[0]);
        mac.update(password.expose().as_bytes());
        Some(Tag::new(mac.finalize_fixed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(maildrop: u64, password_hash: &str) -> AccountRecord {
        let address = "alice@example.test".to_owned();
        AccountRecord { address, maildrop, password_hash: password_hash.to_owned(), created_at: 0 }
    }

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn only_the_same_password_of_the_same_account_is_known_until_it_is_changed() {
        let remembered = Remembered::new().unwrap();
        let alice = account(1, "$hash");
        assert!(!remembered.knows(&alice, &secret("right")));
        remembered.remember(&alice, &secret("right"));
        assert!(remembered.knows(&alice, &secret("right")));
        assert!(!remembered.knows(&alice, &secret("wrong")));
        assert!(!remembered.knows(&account(2, "$hash"), &secret("right")));
        assert!(!remembered.knows(&account(1, "$changed"), &secret("right")));
    }

    #[test]
    fn memory_is_bounded() {
        let remembered = Remembered::new().unwrap();
        for maildrop in 0..=LOGINS_MAX as u64 {
            remembered.remember(&account(maildrop, "$hash"), &secret("x"));
        }
        assert!(remembered.logins().len() <= LOGINS_MAX);
    }
}

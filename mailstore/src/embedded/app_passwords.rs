//! Application passwords: made up here, and so hard to guess that a quick hash keeps them well.
//!
//! argon2id makes each guess at a password that somebody has thought of cost so much that few can be tried. Nobody can try
//! 2^120 passwords at any price, so these are kept under plain BLAKE2s: to look through all that an account has costs
//! nothing beside the argon2id that a wrong password is then answered with, as everybody's is.

use std::collections::BTreeMap;

use blake2::Blake2s256;
use blake2::digest::{FixedOutput, Update};
use mailwire::secret::Secret;
use serde::{Deserialize, Serialize};

use crate::{AppPassword, AppPasswordName};

/// Letters and digits that nobody takes for each other; each of 32 stands for 5 bits.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Characters of a password: 120 bits.
const CHARACTERS: usize = 24;
/// Characters between two hyphens.
const GROUP_CHARACTERS: usize = 4;

/// What is kept of an application password; nothing can be guessed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AppPasswordRecord {
    pub(crate) hash: Hash,
    /// Seconds since 1970.
    pub(crate) created_at: u64,
}

/// BLAKE2s of the characters without hyphens. How long a comparison takes tells at most of the hash of a guess, which
/// helps nobody to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hash(pub(crate) [u8; 32]);

impl Hash {
    /// `None` where a text is none of ours. Who types one may leave out the hyphens, put blanks in their place, or use
    /// capital letters, as a telephone's keyboard does.
    pub(crate) fn of(password: &Secret<String>) -> Option<Self> {
        let typed = password.expose().bytes().filter(|octet| !matches!(octet, b'-' | b' '));
        let mut characters = [0; CHARACTERS];
        let mut count: usize = 0;
        for octet in typed {
            *characters.get_mut(count)? = octet.to_ascii_lowercase();
            count = count.saturating_add(1);
        }
        let is_ours = count == CHARACTERS && characters.iter().all(|octet| ALPHABET.contains(octet));
        is_ours.then(|| {
            let mut hash = Blake2s256::default();
            hash.update(&characters);
            Self(hash.finalize_fixed().into())
        })
    }
}

/// Makes up a password such as `k7fm-29xa-bcde-w3rt-yu8p-asd4`.
pub(crate) fn made_up() -> Result<Secret<String>, getrandom::Error> {
    let mut random = [0; CHARACTERS];
    getrandom::fill(&mut random)?;
    let mut password = String::with_capacity(CHARACTERS + CHARACTERS / GROUP_CHARACTERS);
    for (at, octet) in random.iter().enumerate() {
        if at > 0 && at % GROUP_CHARACTERS == 0 {
            password.push('-');
        }
        // 256 is a multiple of 32, so each is as likely as the others.
        let character = ALPHABET.get(usize::from(octet % 32)).copied().unwrap_or(b'a');
        password.push(char::from(character));
    }
    Ok(Secret::new(password))
}

/// Those of every account, by maildrop and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AppPasswords(BTreeMap<u64, BTreeMap<String, AppPasswordRecord>>);

impl AppPasswords {
    /// What a maildrop's account has under `name` from now on.
    pub(crate) fn set(&mut self, maildrop: u64, name: &str, record: Option<AppPasswordRecord>) {
        let of_account = self.0.entry(maildrop).or_default();
        match record {
            Some(record) => of_account.insert(name.to_owned(), record),
            None => of_account.remove(name),
        };
        if of_account.is_empty() {
            self.0.remove(&maildrop);
        }
    }

    /// An account is gone.
    pub(crate) fn remove(&mut self, maildrop: u64) {
        self.0.remove(&maildrop);
    }

    pub(crate) fn get(&self, maildrop: u64, name: &str) -> Option<AppPasswordRecord> {
        self.0.get(&maildrop)?.get(name).copied()
    }

    /// Maildrops of the accounts that have some.
    pub(crate) fn maildrops(&self) -> impl Iterator<Item = u64> {
        self.0.keys().copied()
    }

    /// Of one account, by name.
    pub(crate) fn hashes(&self, maildrop: u64) -> BTreeMap<String, Hash> {
        let of_account = self.0.get(&maildrop).into_iter().flatten();
        of_account.map(|(name, record)| (name.clone(), record.hash)).collect()
    }

    /// How many an account has.
    pub(crate) fn count(&self, maildrop: u64) -> usize {
        self.0.get(&maildrop).map_or(0, BTreeMap::len)
    }

    /// True where one of them is this one.
    pub(crate) fn knows(&self, maildrop: u64, hash: Hash) -> bool {
        self.0.get(&maildrop).is_some_and(|of_account| of_account.values().any(|record| record.hash == hash))
    }

    /// By name.
    pub(crate) fn list(&self, maildrop: u64) -> Vec<AppPassword> {
        let shown = |(name, record): (&String, &AppPasswordRecord)| {
            Some(AppPassword { name: AppPasswordName::parse(name).ok()?, created_at: record.created_at })
        };
        self.0.get(&maildrop).into_iter().flatten().filter_map(shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> Option<Hash> {
        Hash::of(&Secret::new(text.to_owned()))
    }

    #[test]
    fn a_made_up_password_is_in_groups_and_never_the_same() {
        let password = made_up().unwrap();
        let groups: Vec<_> = password.expose().split('-').collect();
        assert_eq!(groups.len(), 6);
        for group in groups {
            assert_eq!(group.len(), GROUP_CHARACTERS);
            assert!(group.bytes().all(|octet| ALPHABET.contains(&octet)), "{group}");
        }
        assert_ne!(made_up().unwrap(), password);
        const { assert!(CHARACTERS * 5 >= 100) };
    }

    #[test]
    fn it_is_known_however_it_is_typed_and_not_with_one_character_changed() {
        let known = hash("k7fm-29xa-bcde-w3rt-yu8p-asd4");
        assert!(known.is_some());
        assert_eq!(hash("K7FM 29xa bcde w3rt yu8p asd4"), known);
        assert_eq!(hash("k7fm29xabcdew3rtyu8pasd4"), known);
        let other = hash("k7fm-29xa-bcde-w3rt-yu8p-asd5");
        assert!(other.is_some() && other != known);
        for none in [
            "",
            "k7fm-29xa-bcde-w3rt-yu8p-asd",
            "k7fm-29xa-bcde-w3rt-yu8p-asd44",
            "k7fm-29xa-bcde-w3rt-yu8p-asd0",
        ] {
            assert_eq!(hash(none), None, "{none}");
        }
    }

    #[test]
    fn each_account_has_its_own() {
        let mut all = AppPasswords::default();
        let [one, two] = [[1; 32], [2; 32]].map(Hash);
        all.set(7, "phone", Some(AppPasswordRecord { hash: one, created_at: 5 }));
        assert!(all.knows(7, one) && !all.knows(7, two) && !all.knows(8, one));
        assert_eq!((all.count(7), all.count(8), all.list(7).len()), (1, 0, 1));
        all.set(7, "phone", None);
        assert!(!all.knows(7, one));
        assert!(all.0.is_empty());
    }
}

//! Passwords as argon2id hashes and keys for SCRAM, made and checked on a bounded number of threads.

use std::sync::Arc;

use argon2::password_hash::{Ident, Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use mailwire::sasl::prepared;
use mailwire::secret::Secret;
use tokio::sync::Semaphore;

use super::credentials::{NewPassword, SALT_OCTETS, ScramRecord};

/// Hashes computed at one time; each takes 19 MiB and some 20 ms of one CPU (OWASP's first choice for argon2id,
/// which is the library's default).
const HASHES_AT_A_TIME: usize = 2;
/// A password that nobody has, hashed when a login is unknown, so that both cost the same.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bWFpbHN0YWNrbm9ib2R5$e9jKhYMOWcDY9DK7xA0zS9iZCqz4OmQqpGdkUBzDo0U";

/// An allocation of this size always gets a mapping of its own, which goes when it is freed: glibc keeps up to 32 MiB
/// in the heap of each thread that ever hashed. What is not used of it costs nothing.
const MEMORY_OCTETS_MAPPED: usize = 33 << 20;

/// Why a password could not be hashed or checked; nothing of it is in the text.
pub(crate) type HashFailed = String;

/// Does the work.
#[derive(Clone, Debug)]
pub(crate) struct Hasher(Arc<Semaphore>);

impl Hasher {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(HASHES_AT_A_TIME)))
    }

    /// What is kept of a new password.
    pub(crate) async fn hash(&self, password: &Secret<String>) -> Result<NewPassword, HashFailed> {
        let (hash_salt, scram_salt) = (random_salt()?, random_salt()?);
        let password = prepared(password);
        self.run(move || {
            let hash = phc(&hash_salt, &password)?;
            Ok(NewPassword { hash, scram: ScramRecord::derive(&password, &scram_salt) })
        })
        .await
    }

    /// The keys for SCRAM of a password that is known to be right.
    pub(crate) async fn scram(
        &self,
        password: &Secret<String>,
        salt: Vec<u8>,
    ) -> Result<ScramRecord, HashFailed> {
        let password = password.clone();
        self.run(move || Ok(ScramRecord::derive(&password, &salt))).await
    }

    /// True where `password` is the one of `hash`; `None` for a login that does not exist costs as much.
    pub(crate) async fn verify(
        &self,
        hash: Option<String>,
        password: &Secret<String>,
    ) -> Result<bool, HashFailed> {
        let password = password.clone();
        self.run(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
            let hash =
                PasswordHash::new(&hash).map_err(|error| format!("the stored hash is damaged: {error}"))?;
            let params =
                Params::try_from(&hash).map_err(|error| format!("the stored hash is damaged: {error}"))?;
            let salt = hash.salt.ok_or_else(|| "the stored hash has no salt".to_owned())?;
            // The comparison takes the same time wherever the two differ.
            let is_of = |password| Ok::<_, HashFailed>(hash.hash == Some(output(&params, salt, password)?));
            let prepared = prepared(&password);
            // A release that did not prepare passwords has hashed it as it was typed.
            let right = is_of(&prepared)? || (prepared != password && is_of(&password)?);
            Ok(right && known)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashFailed> + Send + 'static,
    ) -> Result<T, HashFailed> {
        let permit = Arc::clone(&self.0).acquire_owned().await.map_err(|error| error.to_string())?;
        let work = move || {
            let result = work();
            drop(permit);
            result
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
    }
}

fn random_salt() -> Result<[u8; SALT_OCTETS], HashFailed> {
    let mut salt = [0; SALT_OCTETS];
    getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
    Ok(salt)
}

/// The argon2id hash of a new password, in PHC form.
fn phc(salt: &[u8], password: &Secret<String>) -> Result<String, HashFailed> {
    let salt = SaltString::encode_b64(salt).map_err(|error| error.to_string())?;
    let params = Params::default();
    let output = output(&params, salt.as_salt(), password)?;
    let params = ParamsString::try_from(&params).map_err(|error| error.to_string())?;
    let hash = PasswordHash {
        algorithm: Ident::from(Algorithm::Argon2id),
        version: Some(Version::V0x13.into()),
        params,
        salt: Some(salt.as_salt()),
        hash: Some(output),
    };
    Ok(hash.to_string())
}

/// Computes a hash in memory that goes back to the system afterwards.
fn output(params: &Params, salt: Salt<'_>, password: &Secret<String>) -> Result<Output, HashFailed> {
    let mut buffer = [0; Salt::MAX_LENGTH];
    let salt = salt.decode_b64(&mut buffer).map_err(|error| error.to_string())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let blocks = params.block_count();
    let mut memory = Vec::with_capacity(blocks.max(MEMORY_OCTETS_MAPPED / Block::SIZE));
    memory.resize(blocks, Block::default());
    let octets = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    Output::init_with(octets, |output| {
        let hashed =
            argon2.hash_password_into_with_memory(password.expose().as_bytes(), salt, output, &mut memory);
        Ok(hashed?)
    })
    .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_login_is_right() {
        let hasher = Hasher::new();
        let NewPassword { hash, scram } = hasher.hash(&secret("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(hasher.verify(Some(hash.clone()), &secret("correct horse")).await.unwrap());
        assert!(!hasher.verify(Some(hash), &secret("correct house")).await.unwrap());
        assert!(!hasher.verify(None, &secret("correct horse")).await.unwrap());
        let derived = |password: &'static str, salt| {
            let hasher = hasher.clone();
            async move { hasher.scram(&secret(password), salt).await.unwrap() }
        };
        let salt = scram.clone().keys().salt;
        assert_eq!(derived("correct horse", salt.clone()).await, scram);
        assert_ne!(derived("correct house", salt).await, scram);
        assert_ne!(derived("correct horse", Vec::new()).await, scram);
    }

    #[tokio::test]
    async fn a_password_is_the_same_however_its_letters_are_composed() {
        let hasher = Hasher::new();
        for (given, typed) in
            [("Gr\u{fc}n", "Gru\u{308}n"), ("Gru\u{308}n", "Gr\u{fc}n"), ("a\u{a0}b", "a b")]
        {
            let hash = hasher.hash(&secret(given)).await.unwrap().hash;
            assert!(hasher.verify(Some(hash.clone()), &secret(typed)).await.unwrap(), "{typed}");
            assert!(!hasher.verify(Some(hash), &secret("Gr\u{fb}n")).await.unwrap());
        }
        // As an older release has hashed it.
        let old = phc(&[7; SALT_OCTETS], &secret("Gru\u{308}n")).unwrap();
        assert!(hasher.verify(Some(old.clone()), &secret("Gru\u{308}n")).await.unwrap());
        assert!(!hasher.verify(Some(old), &secret("Gr\u{fc}n")).await.unwrap());
    }

    #[test]
    fn the_hash_of_nobody_is_one_that_costs_the_same() {
        let hash = PasswordHash::new(NOBODY).unwrap();
        assert_eq!(hash.algorithm.as_str(), "argon2id");
        assert_eq!(hash.params.get_decimal("m"), Some(19_456));
    }
}

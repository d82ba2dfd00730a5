//! Tokens that were good a moment ago, so that not every login asks: known by a keyed hash, and not kept themselves.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ring::hmac;
use ring::rand::SystemRandom;

use super::config::Limits;
use crate::oauth::Granted;
use crate::secret::Secret;

/// A token under a key that this process has made for itself: it can be compared, and nothing else.
type Fingerprint = [u8; 32];

/// Good tokens of a moment ago.
#[derive(Debug)]
pub(super) struct Remembered {
    key: hmac::Key,
    /// Whose they are, and until when that holds.
    tokens: Mutex<HashMap<Fingerprint, (String, Instant)>>,
    longest: Duration,
    tokens_max: usize,
}

impl Remembered {
    /// Knows none yet; `None` without randomness from the system.
    pub(super) fn new(limits: &Limits) -> Option<Self> {
        Some(Self {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?,
            tokens: Mutex::default(),
            longest: limits.remember,
            tokens_max: limits.remember_max,
        })
    }

    /// Whose the token is, where that is known at `now`.
    pub(super) fn login(&self, token: &Secret<String>, now: Instant) -> Option<String> {
        let fingerprint = self.fingerprint(token)?;
        self.tokens().get(&fingerprint).filter(|(_, until)| *until > now).map(|(login, _)| login.clone())
    }

    /// Remembers it from `now`, which is `unix_now` by the clock of tokens. Where there are as many as may be, it is not.
    pub(super) fn remember(&self, token: &Secret<String>, granted: &Granted, now: Instant, unix_now: u64) {
        let left =
            granted.until.map_or(self.longest, |until| Duration::from_secs(until.saturating_sub(unix_now)));
        let left = left.min(self.longest);
        let (Some(fingerprint), Some(until)) = (self.fingerprint(token), now.checked_add(left)) else {
            return;
        };
        if left.is_zero() {
            return;
        }
        let mut tokens = self.tokens();
        if tokens.len() >= self.tokens_max {
            tokens.retain(|_, (_, until)| *until > now);
        }
        if tokens.len() < self.tokens_max {
            tokens.insert(fingerprint, (granted.login.clone(), until));
        }
    }

    fn fingerprint(&self, token: &Secret<String>) -> Option<Fingerprint> {
        hmac::sign(&self.key, token.expose().as_bytes()).as_ref().try_into().ok()
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<Fingerprint, (String, Instant)>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::OAuth;
    use super::*;
    use crate::clock;

    const UNIX: u64 = 1_800_000_000;

    fn token(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn remembered(remember_max: usize) -> Remembered {
        Remembered::new(&Limits { remember_max, ..OAuth::default().limits }).unwrap()
    }

    fn granted(until: Option<u64>) -> Granted {
        Granted { login: "alice".to_owned(), until }
    }

    #[test]
    fn a_good_token_is_known_for_as_long_as_it_lasts_and_as_the_configuration_says() {
        for (until, seconds) in [(None, 60), (Some(UNIX + 20), 20), (Some(UNIX + 3600), 60)] {
            let (known, now) = (remembered(10), clock::instant());
            known.remember(&token("good"), &granted(until), now, UNIX);
            let after = |seconds| known.login(&token("good"), now + Duration::from_secs(seconds));
            assert_eq!(after(0).as_deref(), Some("alice"));
            assert_eq!(after(seconds - 1).as_deref(), Some("alice"));
            assert_eq!(after(seconds), None, "{until:?}");
            assert_eq!(known.login(&token("goo"), now), None);
        }
    }

    #[test]
    fn what_ends_now_is_not_remembered() {
        let (known, now) = (remembered(10), clock::instant());
        for until in [UNIX, UNIX - 1, 0] {
            known.remember(&token("good"), &granted(Some(until)), now, UNIX);
        }
        assert!(known.tokens().is_empty());
    }

    #[test]
    fn there_are_never_more_than_may_be_and_room_comes_back() {
        let (known, now) = (remembered(3), clock::instant());
        for number in 0..5 {
            known.remember(&token(&number.to_string()), &granted(None), now, UNIX);
        }
        assert_eq!(known.tokens().len(), 3);
        assert_eq!(known.login(&token("4"), now), None);
        let later = now + Duration::from_mins(1);
        known.remember(&token("4"), &granted(None), later, UNIX);
        assert_eq!(known.login(&token("4"), later).as_deref(), Some("alice"));
        assert_eq!(known.tokens().len(), 1);
        let none = remembered(0);
        none.remember(&token("good"), &granted(None), now, UNIX);
        assert_eq!(none.login(&token("good"), now), None);
    }

    #[test]
    fn nothing_of_a_token_is_kept_and_nobody_else_could_know_it() {
        let (one, other) = (remembered(1), remembered(1));
        assert_ne!(one.fingerprint(&token("good")), other.fingerprint(&token("good")));
        one.remember(&token("a-good-token"), &granted(None), clock::instant(), UNIX);
        assert!(!format!("{one:?}").contains("good"));
    }
}

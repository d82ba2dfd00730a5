//! What is known of the issuer's keys, and when they may be fetched again. It reads no clock and asks nobody.
//!
//! ```text
//!          fetched                keys_seconds have passed           a day more has passed
//! nothing ─────────► fresh keys ───────────────────────────► old keys ──────────────────► nothing
//!    ▲                  ▲   fetched, in the background            │
//!    │ failed           └─────────────────────────────────────────┤ failed: they stay
//!    └── (keys_pause)                                             └──
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::Limits;
use crate::oauth::KeySet;

/// For how long keys are used after they are old, while no new ones are to be had.
const KEPT: Duration = Duration::from_hours(24);

/// The keys of the issuer. Whoever fetches them is alone at it, and says then what came of it.
#[derive(Debug)]
pub(super) struct KeyCache {
    fresh: Duration,
    pause: Duration,
    keys: Option<(Arc<KeySet>, Instant)>,
    last: Option<Try>,
}

/// The last time that keys were fetched.
#[derive(Clone, Copy, Debug)]
struct Try {
    at: Instant,
    end: End,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Fetched,
    Failed,
}

/// What to do for keys other than those that were tried.
#[derive(Clone, Debug)]
pub(super) enum Other {
    /// Take these, which have come meanwhile.
    Keys(Arc<KeySet>),
    /// Fetch them.
    Fetch,
    /// There are none: the issuer's were fetched just now.
    None,
    /// Nobody knows: they could not be fetched just now.
    Unknown,
}

impl KeyCache {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self { fresh: limits.keys, pause: limits.keys_pause, keys: None, last: None }
    }

    /// The keys to try a token with.
    pub(super) fn keys(&self, now: Instant) -> Option<Arc<KeySet>> {
        let limit = self.fresh.saturating_add(KEPT);
        self.keys.as_ref().filter(|(_, at)| since(*at, now) < limit).map(|(keys, _)| Arc::clone(keys))
    }

    /// True where there are keys, old ones, that should be fetched again while they are used.
    pub(super) fn wants_renewal(&self, now: Instant) -> bool {
        let old = self.keys.as_ref().is_some_and(|(_, at)| since(*at, now) >= self.fresh);
        old && self.keys(now).is_some() && self.may_fetch(now)
    }

    /// Where the keys in `tried` have not done.
    pub(super) fn other_than(&self, tried: Option<&Arc<KeySet>>, now: Instant) -> Other {
        let keys = self.keys(now);
        let keys = keys.filter(|keys| tried.is_none_or(|tried| !Arc::ptr_eq(tried, keys)));
        match (keys, self.last) {
            (Some(keys), _) => Other::Keys(keys),
            (None, _) if self.may_fetch(now) => Other::Fetch,
            (None, Some(Try { end: End::Fetched, .. })) => Other::None,
            (None, Some(Try { end: End::Failed, .. }) | None) => Other::Unknown,
        }
    }

    /// These were fetched.
    pub(super) fn fetched(&mut self, keys: KeySet, now: Instant) -> Arc<KeySet> {
        let keys = Arc::new(keys);
        self.keys = Some((Arc::clone(&keys), now));
        self.last = Some(Try { at: now, end: End::Fetched });
        keys
    }

    /// None were to be had.
    pub(super) const fn failed(&mut self, now: Instant) {
        self.last = Some(Try { at: now, end: End::Failed });
    }

    fn may_fetch(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| since(last.at, now) >= self.pause)
    }
}

fn since(at: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(at)
}

#[cfg(test)]
mod tests {
    use super::super::OAuth;
    use super::*;
    use crate::clock;

    fn keys() -> KeySet {
        KeySet::parse(
            br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
        )
        .unwrap()
    }

    /// A cache, and a clock that stands still until it is moved.
    struct World {
        cache: KeyCache,
        now: Instant,
    }

    impl World {
        fn new() -> Self {
            Self { cache: KeyCache::new(&OAuth::default().limits), now: clock::instant() }
        }

        fn pass(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }

        fn other(&self, tried: Option<&Arc<KeySet>>) -> Other {
            self.cache.other_than(tried, self.now)
        }

        fn fetched(&mut self) -> Arc<KeySet> {
            self.cache.fetched(keys(), self.now)
        }
    }

    #[test]
    fn the_first_token_has_the_keys_fetched_and_the_next_one_finds_them() {
        let mut world = World::new();
        assert!(world.cache.keys(world.now).is_none());
        assert!(matches!(world.other(None), Other::Fetch));
        let keys = world.fetched();
        assert!(Arc::ptr_eq(&keys, &world.cache.keys(world.now).unwrap()));
        assert!(matches!(world.other(None), Other::Keys(_)), "who has waited takes them");
    }

    #[test]
    fn a_key_that_is_not_there_has_them_fetched_again_but_not_more_often_than_the_pause_says() {
        let mut world = World::new();
        let first = world.fetched();
        for unknown in 0..5 {
            assert!(matches!(world.other(Some(&first)), Other::None), "{unknown}");
        }
        world.pass(9);
        assert!(matches!(world.other(Some(&first)), Other::None));
        world.pass(1);
        assert!(matches!(world.other(Some(&first)), Other::Fetch));
        let second = world.fetched();
        assert!(matches!(world.other(Some(&first)), Other::Keys(_)));
        assert!(matches!(world.other(Some(&second)), Other::None));
    }

    #[test]
    fn without_an_answer_nobody_says_that_a_key_is_not_there() {
        let mut world = World::new();
        assert!(matches!(world.other(None), Other::Fetch));
        world.cache.failed(world.now);
        assert!(matches!(world.other(None), Other::Unknown));
        world.pass(10);
        assert!(matches!(world.other(None), Other::Fetch));
    }

    #[test]
    fn old_keys_are_to_be_renewed_and_used_meanwhile() {
        let mut world = World::new();
        assert!(!world.cache.wants_renewal(world.now), "there are none");
        world.fetched();
        world.pass(3599);
        assert!(!world.cache.wants_renewal(world.now));
        world.pass(1);
        assert!(world.cache.wants_renewal(world.now));
        assert!(world.cache.keys(world.now).is_some());
        world.cache.failed(world.now);
        assert!(!world.cache.wants_renewal(world.now));
        world.pass(10);
        assert!(world.cache.wants_renewal(world.now));
        world.fetched();
        assert!(!world.cache.wants_renewal(world.now));
    }

    #[test]
    fn after_a_long_time_without_logins_the_first_one_waits_for_new_keys() {
        let mut world = World::new();
        world.fetched();
        world.pass(100 * 24 * 3600);
        assert!(!world.cache.wants_renewal(world.now));
        assert!(matches!(world.other(None), Other::Fetch));
    }

    #[test]
    fn keys_that_cannot_be_renewed_end_after_a_day() {
        let mut world = World::new();
        world.fetched();
        world.pass(3600 + 24 * 3600 - 1);
        world.cache.failed(world.now);
        assert!(world.cache.keys(world.now).is_some());
        world.pass(1);
        assert!(world.cache.keys(world.now).is_none());
    }
}

//! Policies that are known, and how the store keeps them. It reads no clock and asks nobody.

use std::collections::HashMap;
use std::sync::Arc;

use mailstore::Note;

use super::policy::Policy;
use crate::reports::tls::Fault;

/// What the store's notes about policies have as their topic.
pub(super) const TOPIC: &str = "mta-sts";
/// How long a policy is not fetched again while its identifier stays the same (RFC 8461 §10.2 has a day).
const FRESH_SECONDS: u64 = 24 * 60 * 60;

/// One policy.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) policy: Arc<Policy>,
    pub(super) fetched_at: u64,
}

impl Known {
    /// Whether it holds at `now` (RFC 8461 §3.2).
    fn holds(&self, now: u64) -> bool {
        now < self.until()
    }

    fn until(&self) -> u64 {
        self.fetched_at.saturating_add(self.policy.max_age_seconds)
    }

    /// Whether nobody need be asked about it, where DNS has this identifier.
    pub(super) fn is_fresh(&self, id: &str, now: u64) -> bool {
        self.id == id && now < self.fetched_at.saturating_add(FRESH_SECONDS)
    }
}

/// What is known, all of it within a bound.
#[derive(Debug)]
pub(super) struct Cache {
    policies: HashMap<String, Known>,
    /// Which could not be fetched, and when.
    failures: HashMap<String, (u64, Fault)>,
    policies_max: usize,
    pause_seconds: u64,
}

impl Cache {
    pub(super) fn new(policies_max: usize, pause_seconds: u64) -> Self {
        Self { policies: HashMap::new(), failures: HashMap::new(), policies_max, pause_seconds }
    }

    /// The domain's policy, where it holds at `now`.
    pub(super) fn get(&self, domain: &str, now: u64) -> Option<Known> {
        self.policies.get(domain).filter(|known| known.holds(now)).cloned()
    }

    /// Where there are as many as may be, the one that was fetched first makes room: those of today are in use.
    pub(super) fn put(&mut self, domain: &str, known: Known, now: u64) {
        self.failures.remove(domain);
        if !known.holds(now) {
            self.policies.remove(domain);
            return;
        }
        if self.policies.len() >= self.policies_max && !self.policies.contains_key(domain) {
            self.policies.retain(|_, known| known.holds(now));
            let oldest = self.policies.iter().min_by_key(|(_, known)| known.fetched_at);
            if let Some(oldest) = oldest.map(|(domain, _)| domain.clone())
                && self.policies.len() >= self.policies_max
            {
                self.policies.remove(&oldest);
            }
        }
        self.policies.insert(domain.to_owned(), known);
    }

    /// Why it could not be fetched a moment ago, where that is so.
    pub(super) fn pauses(&self, domain: &str, now: u64) -> Option<Fault> {
        let until = |at: u64| at.saturating_add(self.pause_seconds);
        self.failures.get(domain).filter(|(at, _)| now < until(*at)).map(|(_, fault)| *fault)
    }

    pub(super) fn failed(&mut self, domain: &str, fault: Fault, now: u64) {
        if self.failures.len() >= self.policies_max {
            let pause = self.pause_seconds;
            self.failures.retain(|_, (at, _)| now < at.saturating_add(pause));
        }
        // Where that many fail, one more may be asked too often.
        if self.failures.len() < self.policies_max {
            self.failures.insert(domain.to_owned(), (now, fault));
        }
    }

    /// Takes one up that the store has kept.
    pub(super) fn take_up(&mut self, note: &Note, now: u64) {
        if let Some(known) = Known::read(&note.text) {
            self.put(&note.name, known, now);
        }
    }
}

impl Known {
    /// As the store keeps it.
    pub(super) fn note(&self, domain: &str) -> Note {
        let (id, fetched_at, policy) = (&self.id, self.fetched_at, self.policy.text());
        Note {
            topic: TOPIC.to_owned(),
            name: domain.to_owned(),
            text: format!("{id} {fetched_at}\n{policy}"),
            until: self.until(),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let (head, policy) = text.split_once('\n')?;
        let (id, fetched_at) = head.split_once(' ')?;
        let policy = Arc::new(Policy::read(policy.as_bytes()).ok()?);
        Some(Self { id: id.to_owned(), policy, fetched_at: fetched_at.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(id: &str, fetched_at: u64, max_age: u64) -> Known {
        let text = format!("version: STSv1\nmode: enforce\nmx: mx.test\nmax_age: {max_age}\n");
        Known { id: id.to_owned(), policy: Arc::new(Policy::read(text.as_bytes()).unwrap()), fetched_at }
    }

    #[test]
    fn a_policy_holds_for_its_time_and_is_fresh_for_a_day() {
        let mut cache = Cache::new(10, 300);
        cache.put("a.test", known("1", 1000, 100_000), 1000);
        assert!(cache.get("a.test", 100_999).is_some());
        assert!(cache.get("a.test", 101_000).is_none());
        let found = cache.get("a.test", 1000).unwrap();
        assert!(found.is_fresh("1", 1000 + FRESH_SECONDS - 1));
        assert!(!found.is_fresh("1", 1000 + FRESH_SECONDS));
        assert!(!found.is_fresh("2", 1000));
        // One that holds for no time takes the old one's place all the same.
        cache.put("a.test", known("2", 2000, 0), 2000);
        assert!(cache.get("a.test", 2000).is_none());
    }

    #[test]
    fn there_are_so_many_policies_and_no_more() {
        let mut cache = Cache::new(2, 300);
        cache.put("over.test", known("1", 0, 10), 0);
        cache.put("old.test", known("1", 5, 1000), 5);
        cache.put("new.test", known("1", 20, 1000), 20);
        assert!(cache.get("old.test", 20).is_some() && cache.get("new.test", 20).is_some());
        cache.put("newest.test", known("1", 30, 1000), 30);
        assert!(cache.get("old.test", 30).is_none());
        assert!(cache.get("new.test", 30).is_some() && cache.get("newest.test", 30).is_some());
        cache.put("new.test", known("2", 40, 1000), 40);
        assert!(cache.get("newest.test", 40).is_some());
        assert_eq!(cache.policies.len(), 2);
    }

    #[test]
    fn who_could_not_be_fetched_is_left_alone_for_a_while() {
        let mut cache = Cache::new(2, 300);
        cache.failed("a.test", Fault::StsPolicyFetchError, 1000);
        assert_eq!(cache.pauses("a.test", 1299), Some(Fault::StsPolicyFetchError));
        assert!(cache.pauses("a.test", 1300).is_none() && cache.pauses("b.test", 1000).is_none());
        cache.failed("b.test", Fault::StsPolicyFetchError, 1000);
        cache.failed("c.test", Fault::StsPolicyFetchError, 1000);
        assert!(cache.pauses("c.test", 1000).is_none(), "there is room for two");
        cache.failed("c.test", Fault::StsPolicyFetchError, 1300);
        assert!(cache.pauses("c.test", 1300).is_some());
        cache.put("c.test", known("1", 1300, 100), 1300);
        assert!(cache.pauses("c.test", 1300).is_none());
    }

    #[test]
    fn what_is_kept_is_taken_up_as_it_was() {
        let (mut before, mut after) = (Cache::new(2, 300), Cache::new(2, 300));
        before.put("a.test", known("1", 1000, 100), 1000);
        let found = before.get("a.test", 1000).unwrap();
        let note = found.note("a.test");
        assert_eq!((note.topic.as_str(), note.name.as_str(), note.until), (TOPIC, "a.test", 1100));
        after.take_up(&note, 1099);
        let taken_up = after.get("a.test", 1099).unwrap();
        assert_eq!((taken_up.policy, taken_up.fetched_at, taken_up.id), (found.policy, 1000, "1".to_owned()));
        let mut later = Cache::new(2, 300);
        later.take_up(&note, 1100);
        for nonsense in ["", "1 1000", "1 x\n", "1 1000\nnonsense"] {
            later.take_up(&Note { text: nonsense.to_owned(), ..note.clone() }, 1000);
        }
        assert!(later.policies.is_empty());
    }
}

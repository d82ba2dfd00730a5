//! Maps that forget: what was not asked for while as many others were goes, so that memory has a constant bound.

use std::collections::HashMap;
use std::hash::Hash;

/// A map of at most twice `entries_max` entries; the half that was used last stays in any case.
#[derive(Debug)]
pub(crate) struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    entries_max: usize,
}

impl<K: Eq + Hash, V: Default> Generations<K, V> {
    /// With nothing in it.
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), entries_max }
    }

    /// What is there, without using it.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// What is there or begins, and now counts as used.
    pub(crate) fn entry(&mut self, key: K) -> &mut V {
        let kept = self.old.remove(&key);
        if kept.is_some() || !self.young.contains_key(&key) {
            if self.young.len() >= self.entries_max {
                self.old = std::mem::take(&mut self.young);
            }
            return self.young.entry(key).insert_entry(kept.unwrap_or_default()).into_mut();
        }
        self.young.entry(key).or_default()
    }

    /// All that is there.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.young.iter().chain(&self.old)
    }

    /// Forgets what `keep` does not want.
    pub(crate) fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.young.retain(|key, _| keep(key));
        self.old.retain(|key, _| keep(key));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_used_stays_however_much_else_comes() {
        let mut map: Generations<u32, u32> = Generations::new(4);
        *map.entry(7) = 70;
        for other in 100..200 {
            map.entry(other);
            if other % 3 == 0 {
                assert_eq!(*map.entry(7), 70);
            }
        }
        assert_eq!(map.get(&7), Some(&70));
        assert_eq!(map.get(&100), None);
    }

    #[test]
    fn what_is_not_wanted_is_forgotten() {
        let mut map: Generations<u32, u32> = Generations::new(2);
        for key in 0..4 {
            map.entry(key);
        }
        map.retain(|key| key % 2 == 0);
        assert!(map.iter().all(|(key, _)| key % 2 == 0));
        assert_eq!(map.iter().count(), 2);
    }

    proptest! {
        #[test]
        fn memory_is_bounded_and_the_last_ones_used_are_there(
            entries_max in 1_usize..8,
            keys in proptest::collection::vec(0_u8..40, 1..200),
        ) {
            let mut map: Generations<u8, u32> = Generations::new(entries_max);
            let mut last: Vec<u8> = Vec::new();
            for key in keys {
                *map.entry(key) += 1;
                last.retain(|used| *used != key);
                last.push(key);
                prop_assert!(map.iter().count() <= 2 * entries_max);
                prop_assert!(last.iter().rev().take(entries_max).all(|key| map.get(key).is_some()));
            }
        }
    }
}

//! Which messages of a maildrop are marked as deleted, and how many octets they have.

use mailstore::Marks;

/// Marks, by position in the maildrop.
#[derive(Clone, Debug, Default)]
pub(super) struct Deletions {
    marks: Marks,
    count: usize,
    octets: u64,
}

impl Deletions {
    /// Marks the message at `index`, which has `octets`; twice is once.
    pub(super) fn mark(&mut self, index: usize, octets: u64) {
        if self.marks.mark(index) {
            self.count += 1;
            self.octets = self.octets.saturating_add(octets);
        }
    }

    /// The message at `index` is known to have `after` octets instead of `before`.
    pub(super) fn remeasure(&mut self, index: usize, before: u64, after: u64) {
        if self.contains(index) {
            self.octets = self.octets.saturating_sub(before).saturating_add(after);
        }
    }

    /// True where the message at `index` is marked.
    pub(super) fn contains(&self, index: usize) -> bool {
        self.marks.contains(index)
    }

    /// How many are marked.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// The octets of all that are marked.
    pub(super) const fn octets(&self) -> u64 {
        self.octets
    }

    /// The marked positions, in order.
    pub(super) fn indices(&self) -> Vec<usize> {
        self.marks.indices().collect()
    }

    /// Takes all marks away.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_marks_there_is_nothing() {
        let deletions = Deletions::default();
        assert!(!deletions.contains(0));
        assert!(!deletions.contains(usize::MAX));
        assert!(deletions.indices().is_empty());
    }

    #[test]
    fn octets_that_are_known_later_count_where_they_are_marked() {
        let mut deletions = Deletions::default();
        deletions.mark(1, 100);
        deletions.remeasure(1, 100, 130);
        deletions.remeasure(2, 100, 150);
        assert_eq!((deletions.count(), deletions.octets()), (1, 130));
    }

    proptest! {
        #[test]
        fn marks_behave_as_a_set(marks in prop::collection::vec((0_usize..300, 1_u64..9), 0..80)) {
            let mut deletions = Deletions::default();
            let mut set = BTreeMap::new();
            for (index, octets) in marks {
                deletions.mark(index, octets);
                set.entry(index).or_insert(octets);
            }
            prop_assert_eq!(deletions.count(), set.len());
            prop_assert_eq!(deletions.octets(), set.values().sum::<u64>());
            prop_assert_eq!(deletions.indices(), set.keys().copied().collect::<Vec<_>>());
            deletions.clear();
            prop_assert!(deletions.indices().is_empty());
            prop_assert_eq!((deletions.count(), deletions.octets()), (0, 0));
        }
    }
}

//! Which messages of a maildrop are marked: one bit each, and no memory before the first mark.

use serde::{Deserialize, Serialize};

/// Bits of one word.
const WORD_BITS: usize = 64;

/// Marks, by position in the maildrop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks(Vec<u64>);

impl Marks {
    /// Marks the message at `index`. False where it was marked already.
    pub fn mark(&mut self, index: usize) -> bool {
        let word = index / WORD_BITS;
        if self.0.len() <= word {
            self.0.resize(word.saturating_add(1), 0);
        }
        match self.0.get_mut(word) {
            Some(bits) if *bits & bit(index) == 0 => {
                *bits |= bit(index);
                true
            }
            Some(_) | None => false,
        }
    }

    /// True where the message at `index` is marked.
    #[must_use]
    pub fn contains(&self, index: usize) -> bool {
        self.0.get(index / WORD_BITS).is_some_and(|bits| bits & bit(index) != 0)
    }

    /// True where none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }

    /// The marked positions, in order.
    pub fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.0.len().saturating_mul(WORD_BITS)).filter(|index| self.contains(*index))
    }
}

const fn bit(index: usize) -> u64 {
    1 << (index % WORD_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_is_there_once_and_in_order() {
        let mut marks = Marks::default();
        assert!(marks.is_empty() && !marks.contains(0));
        for (index, is_new) in [(200, true), (0, true), (63, true), (64, true), (200, false)] {
            assert_eq!(marks.mark(index), is_new, "{index}");
        }
        assert_eq!(marks.indices().collect::<Vec<_>>(), [0, 63, 64, 200]);
        assert!(!marks.is_empty() && !marks.contains(1) && !marks.contains(10_000));
    }
}

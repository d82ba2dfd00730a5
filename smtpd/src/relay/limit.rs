//! How many sessions a destination gets at one time: one more after each success, half as many after trouble.

/// Sessions that a destination of which nothing is known gets.
const FIRST: usize = 2;

/// A number that follows how a destination is doing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    allowed: usize,
    most: usize,
}

impl Limit {
    /// At most `most`.
    pub(super) fn new(most: usize) -> Self {
        Self { allowed: FIRST.min(most), most }
    }

    /// Sessions at one time, at least one.
    pub(super) const fn allowed(&self) -> usize {
        self.allowed
    }

    /// A message was taken, or refused for good: the server has time for us.
    pub(super) fn went_well(&mut self) {
        self.allowed = self.allowed.saturating_add(1).min(self.most);
    }

    /// The server has put something off, or was not there.
    pub(super) fn was_trouble(&mut self) {
        self.allowed = (self.allowed / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_up_by_ones_and_down_by_halves_within_its_bounds() {
        let mut limit = Limit::new(5);
        assert_eq!(limit.allowed(), 2);
        for expected in [3, 4, 5, 5] {
            limit.went_well();
            assert_eq!(limit.allowed(), expected);
        }
        for expected in [2, 1, 1] {
            limit.was_trouble();
            assert_eq!(limit.allowed(), expected);
        }
        assert_eq!(Limit::new(1).allowed(), 1);
    }
}

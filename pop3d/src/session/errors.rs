//! The error limit: a client that only sends what is wrong is let go.

/// The errors of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Errors {
    made: u32,
    errors_max: u32,
}

/// Whether an error was one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// More may follow.
    Left,
    /// That was the last one.
    Exhausted,
}

impl Errors {
    /// The error number `errors_max` is the last.
    pub(super) const fn new(errors_max: u32) -> Self {
        Self { made: 0, errors_max }
    }

    /// Counts one.
    pub(super) const fn count(&mut self) -> Patience {
        self.made = self.made.saturating_add(1);
        if self.made >= self.errors_max { Patience::Exhausted } else { Patience::Left }
    }

    /// How many there were.
    pub(super) const fn made(self) -> u32 {
        self.made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_exhausts_the_patience() {
        let mut errors = Errors::new(3);
        assert_eq!([errors.count(), errors.count(), errors.count()], {
            [Patience::Left, Patience::Left, Patience::Exhausted]
        });
    }

    #[test]
    fn a_limit_of_nothing_means_the_first_error() {
        assert_eq!(Errors::new(0).count(), Patience::Exhausted);
    }
}

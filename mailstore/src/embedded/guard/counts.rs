//! Counts that run out evenly, each held in one moment: the one at which nothing of it is left.

use std::time::Duration;

/// So many in so long; 0 is no limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) most: u32,
    pub(super) period: Duration,
}

impl Rate {
    /// How long one counts; `None` where nothing is counted.
    fn each(self) -> Option<Duration> {
        self.period.checked_div(self.most).filter(|each| !each.is_zero())
    }
}

/// How much of something there was lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// When nothing of it counts any more.
    out_at: Duration,
}

impl Count {
    /// What counts now; a part of one counts as one.
    pub(super) fn level(self, rate: Rate, now: Duration) -> u32 {
        let Some(each) = rate.each() else { return 0 };
        let level = self.out_at.saturating_sub(now).as_nanos().div_ceil(each.as_nanos());
        u32::try_from(level).unwrap_or(u32::MAX)
    }

    /// True where as many as `more` can be added within the rate.
    pub(super) fn has_room(self, rate: Rate, now: Duration, more: u32) -> bool {
        rate.each().is_none() || self.level(rate, now).saturating_add(more) <= rate.most
    }

    /// Adds so many.
    pub(super) fn add(&mut self, rate: Rate, now: Duration, more: u32) {
        if let Some(each) = rate.each() {
            self.out_at = self.out_at.max(now).saturating_add(each.saturating_mul(more));
        }
    }

    /// Adds a part of one.
    pub(super) fn add_part(&mut self, rate: Rate, now: Duration, of: u32) {
        if let Some(part) = rate.each().and_then(|each| each.checked_div(of)) {
            self.out_at = self.out_at.max(now).saturating_add(part);
        }
    }

    /// When no more than `level` will count.
    pub(super) fn falls_to(self, rate: Rate, level: u32) -> Duration {
        rate.each().map_or(Duration::ZERO, |each| self.out_at.saturating_sub(each.saturating_mul(level)))
    }
}

/// Turns that are taken one after the other, with an interval before each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turns {
    last: Duration,
}

impl Turns {
    /// How long it is until the next free turn.
    pub(super) fn delay(self, interval: Duration, now: Duration) -> Duration {
        if interval.is_zero() {
            return Duration::ZERO;
        }
        self.last.max(now).saturating_add(interval).saturating_sub(now)
    }

    /// The turn after `delay` is taken.
    pub(super) fn take(&mut self, delay: Duration, now: Duration) {
        self.last = self.last.max(now.saturating_add(delay));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const TEN_A_MINUTE: Rate = Rate { most: 10, period: Duration::from_mins(1) };

    #[test]
    fn a_count_runs_out_evenly() {
        let mut count = Count::default();
        count.add(TEN_A_MINUTE, SECOND, 4);
        for (seconds, level) in [(1, 4), (6, 4), (7, 3), (24, 1), (25, 0), (1000, 0)] {
            assert_eq!(count.level(TEN_A_MINUTE, Duration::from_secs(seconds)), level, "{seconds}");
        }
        assert_eq!(count.falls_to(TEN_A_MINUTE, 3), Duration::from_secs(7));
    }

    #[test]
    fn there_is_room_up_to_the_most() {
        let mut count = Count::default();
        assert!(count.has_room(TEN_A_MINUTE, SECOND, 10));
        assert!(!count.has_room(TEN_A_MINUTE, SECOND, 11));
        count.add(TEN_A_MINUTE, SECOND, 9);
        assert!(count.has_room(TEN_A_MINUTE, SECOND, 1));
        assert!(!count.has_room(TEN_A_MINUTE, SECOND, 2));
    }

    #[test]
    fn parts_come_to_a_whole() {
        let mut count = Count::default();
        for _ in 0..5 {
            count.add_part(TEN_A_MINUTE, SECOND, 5);
        }
        assert_eq!(count.level(TEN_A_MINUTE, SECOND), 1);
        count.add_part(TEN_A_MINUTE, SECOND, 5);
        assert_eq!(count.level(TEN_A_MINUTE, SECOND), 2);
    }

    #[test]
    fn a_rate_of_nought_counts_nothing() {
        let none = Rate { most: 0, ..TEN_A_MINUTE };
        let mut count = Count::default();
        count.add(none, SECOND, u32::MAX);
        count.add_part(none, SECOND, 2);
        assert!(count.has_room(none, SECOND, u32::MAX));
        assert_eq!((count.level(none, SECOND), count.falls_to(none, 1)), (0, Duration::ZERO));
    }

    #[test]
    fn turns_follow_each_other() {
        let mut turns = Turns::default();
        for turn in 1..4 {
            let delay = turns.delay(SECOND, SECOND);
            assert_eq!(delay, SECOND * turn);
            turns.take(delay, SECOND);
        }
        assert_eq!(turns.delay(SECOND, SECOND * 3), SECOND * 2);
        assert_eq!(turns.delay(Duration::ZERO, SECOND), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn within_any_period_there_is_never_more_than_twice_the_most(
            most in 1_u32..20,
            steps in proptest::collection::vec((0_u64..20_000, 1_u32..5), 1..200),
        ) {
            let rate = Rate { most, period: Duration::from_mins(1) };
            let (mut count, mut now) = (Count::default(), SECOND);
            let mut taken: Vec<(Duration, u32)> = Vec::new();
            for (milliseconds, more) in steps {
                now += Duration::from_millis(milliseconds);
                if count.has_room(rate, now, more) {
                    count.add(rate, now, more);
                    taken.push((now, more));
                }
                let lately = taken.iter().filter(|(at, _)| *at + rate.period > now);
                prop_assert!(lately.map(|(_, more)| more).sum::<u32>() <= 2 * most);
                prop_assert!(count.level(rate, now) <= most);
            }
        }
    }
}

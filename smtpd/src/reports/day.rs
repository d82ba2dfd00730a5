//! A day in UTC (RFC 8460 §4.1), and when what was counted on it is told.

use std::fmt;

use ring::digest::{SHA256, digest};

use crate::trace;

const SECONDS: u64 = 24 * 60 * 60;
/// For how long after its end what was counted on a day can still be told.
const KEPT_SECONDS: u64 = 3 * SECONDS;

/// Days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u64);

impl Day {
    /// The day of a moment, in seconds since 1970.
    #[must_use]
    pub const fn of(unix_seconds: u64) -> Self {
        Self(unix_seconds / SECONDS)
    }

    /// Its first second.
    #[must_use]
    pub const fn begin(self) -> u64 {
        self.0.saturating_mul(SECONDS)
    }

    /// The first second of the next one.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.begin().saturating_add(SECONDS)
    }

    /// Until when what was counted on it is of use.
    pub(super) const fn until(self) -> u64 {
        self.end().saturating_add(KEPT_SECONDS)
    }

    /// When its reports are sent: at a moment of each server's own, so that receivers do not get them all at once (RFC 8460
    /// §4.1).
    #[must_use]
    pub fn due(self, hostname: &str, delay_seconds_max: u64) -> u64 {
        let lot = hashed(&[hostname, &self.0.to_string()]);
        self.end().saturating_add(lot.checked_rem(delay_seconds_max).unwrap_or(0))
    }

    /// The next moment behind `now` at which reports of a day are due.
    pub(super) fn next_due(now: u64, hostname: &str, delay_seconds_max: u64) -> u64 {
        let today = Self::of(now);
        let yesterday = Self(today.0.saturating_sub(1)).due(hostname, delay_seconds_max);
        if yesterday > now { yesterday } else { today.due(hostname, delay_seconds_max) }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    pub(super) const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = trace::internet_date_time(self.begin());
        f.write_str(text.get(..10).unwrap_or(&text))
    }
}

/// The same number for the same words, and another one for others.
pub(super) fn hashed(words: &[&str]) -> u64 {
    let digest = digest(&SHA256, words.join("\n").as_bytes());
    digest.as_ref().iter().take(8).fold(0, |number, octet| number << 8 | u64::from(*octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_700_000_000 / SECONDS * SECONDS + SECONDS / 2;

    #[test]
    fn a_day_goes_from_midnight_to_midnight() {
        let day = Day::of(NOON);
        assert_eq!((day.begin(), day.end()), (NOON - SECONDS / 2, NOON + SECONDS / 2));
        assert_eq!((Day::of(day.begin()), Day::of(day.end() - 1)), (day, day));
        assert_ne!(Day::of(day.end()), day);
        assert_eq!(day.to_string(), "2023-11-14");
        assert_eq!(Day::parse(&day.number().to_string()), Some(day));
    }

    #[test]
    fn reports_are_due_once_a_day_within_the_delay() {
        let mut now = NOON;
        let mut moments = Vec::new();
        for _ in 0..10 {
            let due = Day::next_due(now, "mail.example.org", 3600);
            assert!(due > now && due % SECONDS < 3600, "{due}");
            moments.push(due / SECONDS);
            now = due;
        }
        assert!(moments.windows(2).all(|two| two[1] == two[0] + 1), "{moments:?}");
        assert_eq!(Day::of(NOON).due("a.example", 0), Day::of(NOON).end());
        assert_ne!(Day::of(NOON).due("a.example", 14400), Day::of(NOON).due("b.example", 14400));
    }
}

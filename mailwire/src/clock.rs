//! The one place that reads the clocks, so that nothing else depends on the time of day unseen.
#![expect(clippy::disallowed_methods, reason = "this is the one place that reads the clocks")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time of day.
#[must_use]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// Seconds since 1970-01-01 00:00 UTC; 0 where the machine's clock stands before that.
#[must_use]
pub fn unix_seconds() -> u64 {
    now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

/// The monotonic clock, for deadlines and durations.
#[must_use]
pub fn instant() -> Instant {
    Instant::now()
}

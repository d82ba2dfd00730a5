//! Waiting for conditions, never for time: the one place that reads the clock.

use std::io;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up; generous, for machines that are busy with other things.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// How often a condition is looked at again.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks until `condition` gives something.
///
/// # Errors
/// The condition's own, or a timeout that names `what` was waited for.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
    let begin = now();
    loop {
        if let Some(found) = condition()? {
            return Ok(found);
        }
        if begin.elapsed() > PATIENCE {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("waited in vain for {what}")));
        }
        std::thread::sleep(PAUSE);
    }
}

/// What `work` gives, and how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = now();
    let result = work();
    (result, begin.elapsed())
}

/// What the clock shows.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this crate links none of the others, so it has a clock of its own"
)]
pub fn now() -> Instant {
    Instant::now()
}

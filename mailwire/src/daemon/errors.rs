//! How long the answer to an error waits, where a session makes many: whoever tries things out is slow at it.

use std::net::IpAddr;
use std::time::Duration;

/// The configuration's word on it.
#[derive(Clone, Copy, Debug)]
pub struct ErrorDelay {
    /// Errors that are answered at once.
    at_once: u32,
    delay: Duration,
}

impl ErrorDelay {
    /// Where a session ends after `errors_max`, half of them are answered at once.
    #[must_use]
    pub const fn new(errors_max: u32, delay: Duration) -> Self {
        Self { at_once: errors_max / 2, delay }
    }

    /// The wait before the answer to a session's error of this number. Programs of this machine are spared: whoever
    /// writes one is not to wait.
    #[must_use]
    pub fn of(&self, number: u32, peer: Option<IpAddr>) -> Duration {
        let is_here = peer.is_none_or(|peer| peer.to_canonical().is_loopback());
        if is_here || number <= self.at_once { Duration::ZERO } else { self.delay }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_half_of_the_errors_is_answered_at_once_and_all_on_this_machine() {
        let second = Duration::from_secs(1);
        let delay = ErrorDelay::new(4, second);
        let waits =
            |peer: Option<&str>| [1, 2, 3, 4].map(|n| delay.of(n, peer.map(|peer| peer.parse().unwrap())));
        let slow = [Duration::ZERO, Duration::ZERO, second, second];
        assert_eq!(waits(Some("192.0.2.1")), slow);
        assert_eq!(waits(Some("2001:db8::1")), slow);
        for here in [None, Some("127.0.0.2"), Some("::1"), Some("::ffff:127.0.0.1")] {
            assert_eq!(waits(here), [Duration::ZERO; 4]);
        }
    }
}

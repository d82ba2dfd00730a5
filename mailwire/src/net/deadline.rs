//! The clocks of one connection: an alarm that is set as seldom as possible, and the least rate of content.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

use super::ConnectionLimits;

/// One timer for all the waits of a connection. It is moved at once only where it must go off earlier; where it goes
/// off too early because of a wait before, it is moved then. So a wait that ends in time costs no timer.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready once `deadline` has passed.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let deadline = deadline.into();
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(context));
        if timer.deadline() < deadline {
            timer.as_mut().reset(deadline);
            ready!(timer.as_mut().poll(context));
        }
        Poll::Ready(())
    }
}

/// How long a peer has made us wait for its content, and what came of it. Our own work does not count.
#[derive(Debug, Default)]
pub(super) struct ContentClock {
    waited: Duration,
    octets: u64,
}

impl ContentClock {
    /// Counts what has come.
    pub(super) fn received(&mut self, octets: usize) {
        self.octets = self.octets.saturating_add(u64::try_from(octets).unwrap_or(u64::MAX));
    }

    /// Counts a wait.
    pub(super) fn waited(&mut self, duration: Duration) {
        self.waited = self.waited.saturating_add(duration);
    }

    /// How long the peer may make us wait now: never longer than the idle limit, and over the whole content not
    /// longer than what has come allows at the least rate (the idle limit is granted in any case).
    pub(super) fn patience(&self, limits: &ConnectionLimits) -> Duration {
        let Some(seconds) = self.octets.checked_div(limits.content_octets_per_second_min) else {
            return limits.content_idle;
        };
        let earned = Duration::from_secs(seconds).max(limits.content_idle);
        earned.saturating_sub(self.waited).min(limits.content_idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ConnectionLimits = ConnectionLimits {
        handshake: Duration::from_secs(20),
        idle: Duration::from_mins(5),
        command: Duration::from_mins(1),
        content_idle: Duration::from_mins(3),
        content_octets_per_second_min: 1_000,
        write: Duration::from_mins(2),
        drain: Duration::from_secs(4),
    };

    #[test]
    fn content_may_begin_late_but_not_trickle() {
        let mut clock = ContentClock::default();
        assert_eq!(clock.patience(&LIMITS), Duration::from_mins(3));
        clock.waited(Duration::from_secs(100));
        clock.received(10);
        assert_eq!(clock.patience(&LIMITS), Duration::from_secs(80));
        clock.waited(Duration::from_secs(80));
        clock.received(10);
        assert_eq!(clock.patience(&LIMITS), Duration::ZERO);
    }

    #[test]
    fn content_at_the_least_rate_goes_on_and_never_waits_longer_than_the_idle_limit() {
        let mut clock = ContentClock::default();
        clock.waited(Duration::from_secs(200));
        clock.received(1_000_000);
        assert_eq!(clock.patience(&LIMITS), Duration::from_mins(3));
        clock.waited(Duration::from_secs(700));
        assert_eq!(clock.patience(&LIMITS), Duration::from_secs(100));
    }

    #[test]
    fn no_least_rate_leaves_the_idle_limit() {
        let mut clock = ContentClock::default();
        clock.waited(Duration::from_secs(10_000));
        let limits = ConnectionLimits { content_octets_per_second_min: 0, ..LIMITS };
        assert_eq!(clock.patience(&limits), Duration::from_mins(3));
    }

    #[tokio::test]
    async fn an_alarm_left_from_a_shorter_wait_does_not_end_a_longer_one() {
        let mut alarm = Alarm::default();
        let now = crate::clock::instant();
        std::future::poll_fn(|context| alarm.poll(context, now)).await;
        let later = now + Duration::from_hours(1);
        let polled = std::future::poll_fn(|context| Poll::Ready(alarm.poll(context, later))).await;
        assert!(polled.is_pending());
        let earlier = now + Duration::from_millis(1);
        std::future::poll_fn(|context| alarm.poll(context, earlier)).await;
        assert!(crate::clock::instant() >= earlier);
    }
}

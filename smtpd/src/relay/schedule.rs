//! When an entry is tried again, when its sender hears of the delay, and when it is given up (RFC 5321 §4.5.4.1).

use mailstore::{ByMode, Notify, QueueEntry};

use super::config::RelayConfig;

/// By how much of itself a wait is made longer or shorter, in hundredths.
const JITTER_HUNDREDTHS: u64 = 20;

/// The times of the configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    retry: u64,
    retry_max: u64,
    /// 0: nobody hears of a delay.
    warn: u64,
}

/// What becomes of an entry after a temporary failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another attempt, at this time.
    Again { due: u64, warns: bool },
    /// Its time is over.
    Over,
}

impl Schedule {
    pub(super) const fn new(config: &RelayConfig) -> Self {
        Self { retry: config.retry_seconds, retry_max: config.retry_seconds_max, warn: config.warn_seconds }
    }

    /// What comes after an attempt at `now` that has failed for the time being. The last attempt is made when the entry
    /// expires.
    pub(super) fn next(&self, entry: &QueueEntry, now: u64) -> Next {
        if now >= entry.expires {
            return Next::Over;
        }
        let warn_at = if entry.is_warned { None } else { self.warn_at(entry) };
        let warns = warn_at.is_some_and(|at| now >= at);
        let mut due = now.saturating_add(self.wait(entry.id.message.0, entry.attempts)).min(entry.expires);
        // An attempt comes before the sender hears of a delay that may be over.
        if let Some(at) = warn_at.filter(|at| *at > now) {
            due = due.min(at);
        }
        Next::Again { due, warns }
    }

    /// Seconds to wait after an attempt, `attempts` of which were made before it. All recipients of a message wait alike,
    /// so that they go together again; different messages do not.
    pub(super) fn wait(&self, message: u64, attempts: u32) -> u64 {
        let doubled = 1_u64.checked_shl(attempts).and_then(|factor| self.retry.checked_mul(factor));
        let wait = doubled.unwrap_or(u64::MAX).min(self.retry_max);
        let spread = wait.saturating_mul(JITTER_HUNDREDTHS) / 100;
        let part =
            scattered(message ^ (u64::from(attempts) << 48)) % spread.saturating_mul(2).saturating_add(1);
        wait.saturating_sub(spread).saturating_add(part).max(1)
    }

    /// When the sender of `entry` hears that it is delayed, if ever.
    fn warn_at(&self, entry: &QueueEntry) -> Option<u64> {
        if entry.recipient_terms.notify == Some(Notify::Never) {
            return None;
        }
        let asked = match entry.recipient_terms.notify {
            // RFC 3461 §4.1: where nothing is asked, that is up to us.
            None | Some(Notify::On { delay: true, .. }) => self.warn > 0,
            Some(Notify::On { delay: false, .. } | Notify::Never) => false,
        };
        let begun = entry.terms.release_at.map_or(entry.accepted_at, |at| at.max(entry.accepted_at));
        let delayed = asked.then(|| begun.saturating_add(self.warn));
        // RFC 2852 §4.1.1.2: whoever asks for that by BY has asked for it by NOTIFY as well.
        let late = entry.terms.deliver_by.filter(|by| by.mode == ByMode::Notify).map(|by| by.at);
        delayed.into_iter().chain(late).min()
    }
}

/// True where the time within which the sender wants `entry` delivered is over (RFC 2852 §4).
pub(super) fn is_too_late(entry: &QueueEntry, now: u64) -> bool {
    entry.terms.deliver_by.is_some_and(|by| by.mode == ByMode::Return && now > by.at)
}

/// A number that has nothing to do with its neighbours' (the finalizer of `SplitMix64`).
const fn scattered(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use mailstore::DeliverBy;

    use super::super::testing::entry;
    use super::*;

    const HOUR: u64 = 60 * 60;

    fn schedule() -> Schedule {
        Schedule::new(&RelayConfig::default())
    }

    #[test]
    fn waits_double_from_five_minutes_to_four_hours() {
        for (attempts, expected) in [(0, 300), (1, 600), (2, 1200), (5, 9600), (6, 4 * HOUR), (64, 4 * HOUR)]
        {
            for message in 0..200 {
                let wait = schedule().wait(message, attempts);
                assert!((expected * 80 / 100..=expected * 120 / 100).contains(&wait), "{attempts}: {wait}");
            }
        }
        let waits: std::collections::HashSet<_> =
            (0..100).map(|message| schedule().wait(message, 0)).collect();
        assert!(waits.len() > 50, "messages do not come together");
    }

    #[test]
    fn the_last_attempt_is_made_when_the_entry_expires() {
        let mut entry = entry(1, 0, "b@b.example");
        (entry.expires, entry.attempts) = (1000, 60);
        assert_eq!(schedule().next(&entry, 999), Next::Again { due: 1000, warns: false });
        assert_eq!(schedule().next(&entry, 1000), Next::Over);
    }

    #[test]
    fn a_delay_is_told_once_after_four_hours() {
        let mut entry = entry(1, 0, "b@b.example");
        (entry.accepted_at, entry.expires, entry.attempts) = (0, 500_000, 60);
        assert_eq!(schedule().next(&entry, 2 * HOUR), Next::Again { due: 4 * HOUR, warns: false });
        assert!(matches!(schedule().next(&entry, 4 * HOUR), Next::Again { warns: true, .. }));
        entry.is_warned = true;
        assert!(matches!(schedule().next(&entry, 4 * HOUR), Next::Again { warns: false, .. }));
    }

    #[test]
    fn a_delay_is_told_to_those_who_want_to_hear_of_it() {
        let warns = |notify| {
            let mut entry = entry(1, 0, "b@b.example");
            (entry.accepted_at, entry.expires) = (0, 500_000);
            entry.recipient_terms.notify = notify;
            matches!(schedule().next(&entry, 4 * HOUR), Next::Again { warns: true, .. })
        };
        let on = |delay| Some(Notify::On { success: false, failure: true, delay });
        assert!(warns(None) && warns(on(true)));
        assert!(!warns(on(false)) && !warns(Some(Notify::Never)));
    }

    #[test]
    fn what_is_held_back_is_not_late_before_its_release() {
        let mut entry = entry(1, 0, "b@b.example");
        (entry.accepted_at, entry.expires, entry.terms.release_at) = (0, 500_000, Some(10 * HOUR));
        assert!(matches!(schedule().next(&entry, 13 * HOUR), Next::Again { warns: false, .. }));
        assert!(matches!(schedule().next(&entry, 14 * HOUR), Next::Again { warns: true, .. }));
    }

    #[test]
    fn the_time_within_which_a_message_is_of_use_is_kept() {
        let mut entry = entry(1, 0, "b@b.example");
        (entry.accepted_at, entry.expires) = (0, 500_000);
        let by = |mode| Some(DeliverBy { at: 60, mode, trace: false });
        entry.terms.deliver_by = by(ByMode::Return);
        assert!(!is_too_late(&entry, 60) && is_too_late(&entry, 61));
        entry.terms.deliver_by = by(ByMode::Notify);
        assert!(!is_too_late(&entry, 61));
        assert_eq!(schedule().next(&entry, 30), Next::Again { due: 60, warns: false });
        assert!(matches!(schedule().next(&entry, 60), Next::Again { warns: true, .. }));
    }
}

//! Where a login, its address and the address's neighbourhood stand: their guesses, and what follows from these.

use std::time::Duration;

use super::counts::{Count, Rate, Turns};
use super::fingerprints::Fingerprint;
use crate::GuardOptions;

/// A failure whose secret was not seen may repeat the last one, so it takes so many to make one guess.
const UNSEEN_IN_A_GUESS: u32 = 3;
/// For an address they count even less, or one program with a stale password could close it to a whole household.
const UNSEEN_IN_A_GUESS_OF_THE_NETWORK: u32 = 5;
/// Guesses of which one login is remembered at one address, where there is no limit to them.
const SEEN_MAX: u32 = 32;
/// A neighbourhood may do so many times what one address may.
pub(super) const ADDRESSES_IN_A_NEIGHBOURHOOD: u32 = 4;
/// The wait before the first guess that is not free; it doubles with each.
const FIRST_INTERVAL: Duration = Duration::from_secs(1);
/// Between logins of an address that has used up its free guesses: five a second.
const NETWORK_INTERVAL: Duration = Duration::from_millis(200);
/// The same where it is half way to being put off.
const NETWORK_INTERVAL_LATER: Duration = Duration::from_secs(1);

/// The limits of the configuration, as they are used here.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) free: u32,
    pub(super) guesses_max: u32,
    pub(super) network: Rate,
    pub(super) neighbourhood: Rate,
    pub(super) account: Rate,
    pub(super) guess: Duration,
    pub(super) refusal: Duration,
    pub(super) refusal_max: Duration,
    pub(super) turn_max: Duration,
    pub(super) known: Duration,
}

impl Terms {
    pub(super) fn new(options: &GuardOptions) -> Self {
        let guess = Duration::from_secs(options.guess_seconds);
        let rate = |most| Rate { most, period: guess };
        Self {
            free: options.free_guesses,
            guesses_max: options.guesses_max,
            network: rate(options.network_guesses_max),
            neighbourhood: rate(options.network_guesses_max.saturating_mul(ADDRESSES_IN_A_NEIGHBOURHOOD)),
            account: rate(options.account_guesses_max),
            guess,
            refusal: Duration::from_secs(options.refusal_seconds),
            refusal_max: Duration::from_secs(options.refusal_seconds_max),
            turn_max: Duration::from_secs(options.turn_seconds_max),
            known: Duration::from_secs(options.known_days.saturating_mul(24 * 60 * 60)),
        }
    }

    fn seen_max(&self) -> u32 {
        if self.guesses_max == 0 { SEEN_MAX } else { self.guesses_max }
    }

    fn unseen(&self) -> Rate {
        Rate { most: self.seen_max().saturating_mul(UNSEEN_IN_A_GUESS), period: self.guess }
    }
}

/// A time in which everything is put off. It doubles each time, until there was none for as long as the longest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Refusal {
    pub(super) until: Duration,
    /// What it was for.
    pub(super) guesses: u32,
    times: u32,
}

impl Refusal {
    pub(super) fn holds(self, now: Duration) -> bool {
        self.until > now
    }

    pub(super) fn begin(&mut self, terms: &Terms, guesses: u32, now: Duration) {
        if now.saturating_sub(self.until) > terms.refusal_max {
            self.times = 0;
        }
        let length = terms.refusal.saturating_mul(2_u32.saturating_pow(self.times)).min(terms.refusal_max);
        *self = Self { until: now.saturating_add(length), guesses, times: self.times.saturating_add(1) };
    }
}

/// How much a failure weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// The same secret was wrong before.
    Nothing,
    /// Of a guess, for the address and the login.
    Part,
    /// A guess.
    Whole,
}

impl Weight {
    pub(super) fn add_to(self, count: &mut Count, rate: Rate, now: Duration) {
        match self {
            Self::Nothing => {}
            Self::Part => count.add_part(rate, now, UNSEEN_IN_A_GUESS_OF_THE_NETWORK),
            Self::Whole => count.add(rate, now, 1),
        }
    }
}

/// The guesses at one login from one address.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    /// As it was given, cut.
    pub(super) login: Box<str>,
    /// Each wrong secret, and when it was tried last.
    seen: Vec<(Fingerprint, Duration)>,
    unseen: Count,
    pub(super) refusal: Refusal,
    pub(super) turns: Turns,
}

impl Guesses {
    /// How many count now.
    pub(super) fn count(&self, terms: &Terms, now: Duration) -> u32 {
        let seen = self.seen.iter().filter(|(_, at)| at.saturating_add(terms.guess) > now).count();
        let unseen = self.unseen.level(terms.unseen(), now) / UNSEEN_IN_A_GUESS;
        u32::try_from(seen).unwrap_or(u32::MAX).saturating_add(unseen)
    }

    /// When none will.
    pub(super) fn run_out(&self, terms: &Terms) -> Duration {
        let seen = self.seen.iter().map(|(_, at)| at.saturating_add(terms.guess)).max();
        seen.unwrap_or_default().max(self.unseen.falls_to(terms.unseen(), 0))
    }

    /// A login failed with this secret, if it was seen.
    pub(super) fn add(&mut self, secret: Option<Fingerprint>, terms: &Terms, now: Duration) -> Weight {
        self.seen.retain(|(_, at)| at.saturating_add(terms.guess) > now);
        let Some(secret) = secret else {
            self.unseen.add(terms.unseen(), now, 1);
            return Weight::Part;
        };
        if let Some((_, at)) = self.seen.iter_mut().find(|(seen, _)| *seen == secret) {
            *at = now;
            return Weight::Nothing;
        }
        if self.seen.len() >= usize::try_from(terms.seen_max()).unwrap_or(usize::MAX) {
            let oldest = self.seen.iter().enumerate().min_by_key(|(_, (_, at))| *at).map(|(index, _)| index);
            oldest.map(|index| self.seen.swap_remove(index));
        }
        self.seen.push((secret, now));
        Weight::Whole
    }

    /// Logins are put off from now on, and the count begins anew.
    pub(super) fn refuse(&mut self, terms: &Terms, guesses: u32, now: Duration) {
        self.refusal.begin(terms, guesses, now);
        self.seen = Vec::new();
        self.unseen = Count::default();
    }

    /// The interval before each login, for so many guesses.
    pub(super) fn interval(guesses: u32, terms: &Terms) -> Duration {
        let Some(paid) = guesses.checked_sub(terms.free) else { return Duration::ZERO };
        FIRST_INTERVAL.saturating_mul(2_u32.saturating_pow(paid)).min(terms.turn_max)
    }
}

/// The guesses from an address or a neighbourhood, at all logins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Origin {
    pub(super) count: Count,
    pub(super) refusal: Refusal,
    pub(super) turns: Turns,
}

impl Origin {
    /// Logins are put off from now on, and the count begins anew.
    pub(super) fn refuse(&mut self, terms: &Terms, guesses: u32, now: Duration) {
        self.refusal.begin(terms, guesses, now);
        self.count = Count::default();
    }

    /// The interval before each login from this address.
    pub(super) fn interval(&self, terms: &Terms, now: Duration) -> Duration {
        let guesses = self.count.level(terms.network, now);
        let interval = if guesses < terms.free {
            Duration::ZERO
        } else if guesses < terms.network.most / 2 {
            NETWORK_INTERVAL
        } else {
            NETWORK_INTERVAL_LATER
        };
        interval.min(terms.turn_max)
    }
}

/// The guesses at one login from everywhere.
#[derive(Debug, Default)]
pub(super) struct Target {
    /// As it was given, cut.
    pub(super) login: Box<str>,
    pub(super) count: Count,
}

impl Target {
    /// True where so many places guess that each gets but a few tries.
    pub(super) fn is_attacked(&self, terms: &Terms, now: Duration) -> bool {
        terms.account.most > 0 && self.count.level(terms.account, now) >= terms.account.most
    }

    /// The wait before each login, then.
    pub(super) fn interval(terms: &Terms) -> Duration {
        FIRST_INTERVAL.min(terms.turn_max)
    }
}

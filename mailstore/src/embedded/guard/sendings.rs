//! How much an account submits, and how much an address brings.

use std::time::Duration;

use mailwire::net::Network;

use super::counts::{Count, Rate};
use super::fingerprints::LoginKey;
use super::generations::Generations;
use super::logins::Throttle;
use crate::{GuardOptions, Measure, Reason, TooMuch};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// Who stays over a limit is logged again after so long.
const TOLD_AGAIN: Duration = HOUR;

/// All messages that count.
#[derive(Debug)]
pub(super) struct Sendings {
    account_limits: Vec<Limit>,
    address_limits: Vec<Limit>,
    accounts: Generations<LoginKey, Sent>,
    addresses: Generations<Network, Sent>,
}

/// One limit.
#[derive(Clone, Copy, Debug)]
struct Limit {
    what: TooMuch,
    rate: Rate,
}

/// What somebody has sent lately, by limit.
#[derive(Debug, Default)]
struct Sent {
    /// As it was given, cut; empty for an address.
    login: Box<str>,
    counts: Vec<Count>,
    /// When the log was told for the last time that this was too much.
    told: Option<Duration>,
}

/// Who sends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sender<'a> {
    Account(LoginKey, &'a str),
    Address(Network),
}

/// What is said to a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) too_much: Option<TooMuch>,
    /// For the log, where it has not heard of it yet.
    pub(super) begun: Option<Throttle>,
}

impl Sendings {
    pub(super) fn new(options: &GuardOptions) -> Self {
        let limit = |what, most, period| Limit { what, rate: Rate { most, period } };
        Self {
            account_limits: vec![
                limit(TooMuch::Messages, options.account_messages_per_hour, HOUR),
                limit(TooMuch::Messages, options.account_messages_per_day, DAY),
                limit(TooMuch::Recipients, options.account_recipients_per_hour, HOUR),
                limit(TooMuch::Recipients, options.account_recipients_per_day, DAY),
            ],
            address_limits: vec![
                limit(TooMuch::Messages, options.address_messages_per_minute, MINUTE),
                limit(TooMuch::Recipients, options.address_recipients_per_minute, MINUTE),
            ],
            accounts: Generations::new(options.entries_max),
            addresses: Generations::new(options.entries_max),
        }
    }

    /// Counts a message where there is room for it within every limit.
    pub(super) fn send(&mut self, sender: Sender<'_>, recipients: u32, now: Duration) -> Said {
        let (sent, limits) = match sender {
            Sender::Account(key, login) => {
                let sent = self.accounts.entry(key);
                if sent.login.is_empty() {
                    sent.login = login.into();
                }
                (sent, &self.account_limits)
            }
            Sender::Address(network) => (self.addresses.entry(network), &self.address_limits),
        };
        sent.counts.resize(limits.len(), Count::default());
        let more = |limit: &Limit| match limit.what {
            TooMuch::Messages => 1,
            TooMuch::Recipients => recipients,
        };
        let over = limits
            .iter()
            .zip(&sent.counts)
            .find(|(limit, count)| !count.has_room(limit.rate, now, more(limit)));
        let Some((limit, count)) = over else {
            for (limit, count) in limits.iter().zip(&mut sent.counts) {
                count.add(limit.rate, now, more(limit));
            }
            return Said::default();
        };
        let network = match sender {
            Sender::Account(..) => None,
            Sender::Address(network) => Some(network),
        };
        let is_news = sent.told.is_none_or(|told| told.saturating_add(TOLD_AGAIN) <= now);
        let begun = is_news.then(|| throttle(network, &sent.login, limit, *count, now));
        if is_news {
            sent.told = Some(now);
        }
        Said { too_much: Some(limit.what), begun }
    }

    /// Everybody who can send nothing now.
    pub(super) fn throttles(&self, now: Duration) -> impl Iterator<Item = Throttle> {
        let accounts = self.accounts.iter().map(|(_, sent)| (None, sent, &self.account_limits));
        let addresses =
            self.addresses.iter().map(|(network, sent)| (Some(*network), sent, &self.address_limits));
        accounts.chain(addresses).filter_map(move |(network, sent, limits)| {
            let full = |(limit, count): &(&Limit, &Count)| !count.has_room(limit.rate, now, 1);
            let (limit, count) = limits.iter().zip(&sent.counts).find(full)?;
            Some(throttle(network, &sent.login, limit, *count, now))
        })
    }

    /// Forgets what came from within.
    pub(super) fn forgive_network(&mut self, within: &Network) {
        self.addresses.retain(|network| !within.covers(network));
    }

    /// Forgets what an account has sent.
    pub(super) fn forgive_login(&mut self, login: LoginKey) {
        self.accounts.retain(|key| *key != login);
    }

    /// Forgets everything.
    pub(super) fn forgive_all(&mut self) {
        self.accounts.retain(|_| false);
        self.addresses.retain(|_| false);
    }
}

fn throttle(network: Option<Network>, login: &str, limit: &Limit, count: Count, now: Duration) -> Throttle {
    Throttle {
        network,
        login: (!login.is_empty()).then(|| login.into()),
        reason: match limit.what {
            TooMuch::Messages => Reason::Messages,
            TooMuch::Recipients => Reason::Recipients,
        },
        count: count.level(limit.rate, now),
        measure: Measure::PutOff,
        until: count.falls_to(limit.rate, limit.rate.most.saturating_sub(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fingerprints::Fingerprints;
    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    fn options() -> GuardOptions {
        GuardOptions {
            account_messages_per_hour: 3,
            account_recipients_per_hour: 10,
            account_messages_per_day: 4,
            account_recipients_per_day: 0,
            address_messages_per_minute: 2,
            address_recipients_per_minute: 5,
            ..GuardOptions::default()
        }
    }

    fn address(text: &str) -> Sender<'static> {
        Sender::Address(text.parse().unwrap())
    }

    #[test]
    fn an_account_may_send_up_to_each_limit() {
        let key = Fingerprints::new().unwrap().login("alice");
        let alice = Sender::Account(key, "alice");
        let mut sendings = Sendings::new(&options());
        for _ in 0..3 {
            assert_eq!(sendings.send(alice, 1, NOW), Said::default());
        }
        assert_eq!(sendings.send(alice, 1, NOW).too_much, Some(TooMuch::Messages));
        let next_hour = NOW + HOUR;
        assert_eq!(sendings.send(alice, 1, next_hour).too_much, None);
        assert_eq!(
            sendings.send(alice, 1, next_hour).too_much,
            Some(TooMuch::Messages),
            "the day's are used up"
        );
    }

    #[test]
    fn what_is_refused_does_not_count() {
        let mut sendings = Sendings::new(&options());
        let peer = address("192.0.2.1");
        assert_eq!(sendings.send(peer, 6, NOW).too_much, Some(TooMuch::Recipients));
        assert_eq!(sendings.send(peer, 5, NOW).too_much, None);
        assert_eq!(sendings.send(peer, 1, NOW).too_much, Some(TooMuch::Recipients));
        assert_eq!(sendings.send(address("192.0.2.2"), 5, NOW).too_much, None);
        assert_eq!(sendings.send(peer, 5, NOW + MINUTE).too_much, None);
    }

    #[test]
    fn the_log_is_told_once_and_the_list_shows_who_and_until_when() {
        let mut sendings = Sendings::new(&options());
        let peer = address("192.0.2.1");
        for _ in 0..2 {
            assert_eq!(sendings.send(peer, 1, NOW).begun, None);
        }
        assert_eq!(sendings.throttles(NOW).count(), 1);
        let begun = sendings.send(peer, 1, NOW).begun.unwrap();
        assert_eq!((begun.reason, begun.count, begun.until), (Reason::Messages, 2, NOW + MINUTE / 2));
        assert_eq!(sendings.send(peer, 1, NOW).begun, None);
        assert_eq!(sendings.throttles(NOW).next(), Some(begun));
        assert_eq!(sendings.throttles(NOW + MINUTE).count(), 0);
        sendings.forgive_network(&"192.0.2.0/24".parse().unwrap());
        assert_eq!(sendings.throttles(NOW).count(), 0);
    }
}

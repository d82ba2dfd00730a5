//! How many connections come from an address and its neighbourhood, and how much of what they say is wrong.

use std::time::Duration;

use mailwire::net::Network;

use super::counts::{Count, Rate};
use super::generations::Generations;
use super::logins::Throttle;
use super::standing::ADDRESSES_IN_A_NEIGHBOURHOOD;
use crate::{Arrival, GuardOptions, Measure, Reason};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
/// Who stays over a limit is logged again after so long.
const TOLD_AGAIN: Duration = HOUR;

/// All connections and errors that count.
#[derive(Debug)]
pub(super) struct Arrivals {
    connections: Rate,
    connections_of_neighbourhood: Rate,
    errors: Rate,
    /// Addresses and neighbourhoods.
    origins: Generations<Network, Came>,
}

/// What came from a network lately.
#[derive(Clone, Copy, Debug, Default)]
struct Came {
    connections: Count,
    /// Of an address; a neighbourhood has none.
    errors: Count,
    /// When the log was told for the last time that this was too much.
    told: Option<Duration>,
}

/// Who comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comer {
    pub(super) address: Network,
    pub(super) neighbourhood: Network,
}

impl Arrivals {
    pub(super) fn new(options: &GuardOptions) -> Self {
        let a_minute = |most| Rate { most, period: MINUTE };
        let most = options.address_connections_per_minute;
        Self {
            connections: a_minute(most),
            connections_of_neighbourhood: a_minute(most.saturating_mul(ADDRESSES_IN_A_NEIGHBOURHOOD)),
            errors: Rate { most: options.address_errors_per_hour, period: HOUR },
            origins: Generations::new(options.entries_max),
        }
    }

    /// Counts a connection where there is room for it; else there may be something for the log.
    pub(super) fn arrive(&mut self, comer: Comer, now: Duration) -> (Arrival, Option<Throttle>) {
        for network in [comer.address, comer.neighbourhood] {
            let Some(over) = self.over(network, now) else { continue };
            let came = self.origins.entry(network);
            let is_news = came.told.is_none_or(|told| told.saturating_add(TOLD_AGAIN) <= now);
            if is_news {
                came.told = Some(now);
            }
            return (Arrival::PutOff, is_news.then_some(over));
        }
        self.origins.entry(comer.address).connections.add(self.connections, now, 1);
        if comer.neighbourhood != comer.address {
            let came = self.origins.entry(comer.neighbourhood);
            came.connections.add(self.connections_of_neighbourhood, now, 1);
        }
        (Arrival::Welcome, None)
    }

    /// So much of what a session said was wrong.
    pub(super) fn erred(&mut self, address: Network, errors: u32, now: Duration) {
        // More than all would only make it last longer, which who comes meanwhile has not earned.
        let errors = errors.min(self.errors.most);
        self.origins.entry(address).errors.add(self.errors, now, errors);
    }

    /// Every network that is put off now.
    pub(super) fn throttles(&self, now: Duration) -> impl Iterator<Item = Throttle> {
        self.origins.iter().filter_map(move |(network, _)| self.over(*network, now))
    }

    /// Forgets what came from within.
    pub(super) fn forgive_network(&mut self, within: &Network) {
        self.origins.retain(|network| !within.covers(network));
    }

    /// Forgets everything.
    pub(super) fn forgive_all(&mut self) {
        self.origins.retain(|_| false);
    }

    /// What there is too much of from `network`.
    fn over(&self, network: Network, now: Duration) -> Option<Throttle> {
        let Came { connections, errors, .. } = self.origins.get(&network)?;
        let is_address = Network::subscriber(network.first()) == network;
        let rate = if is_address { self.connections } else { self.connections_of_neighbourhood };
        let counts = [(Reason::Errors, self.errors, errors), (Reason::Connections, rate, connections)];
        let (reason, rate, count) =
            counts.into_iter().find(|(_, rate, count)| !count.has_room(*rate, now, 1))?;
        Some(Throttle {
            network: Some(network),
            login: None,
            reason,
            count: count.level(rate, now),
            measure: Measure::PutOff,
            until: count.falls_to(rate, rate.most.saturating_sub(1)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    fn arrivals() -> Arrivals {
        Arrivals::new(&GuardOptions {
            address_connections_per_minute: 3,
            address_errors_per_hour: 40,
            ..GuardOptions::default()
        })
    }

    fn comer(address: &str) -> Comer {
        let peer: std::net::IpAddr = address.parse().unwrap();
        let neighbourhood = Network::around(peer, if peer.is_ipv4() { 24 } else { 48 });
        Comer { address: Network::subscriber(peer), neighbourhood }
    }

    /// How many of ten connections are served.
    fn served(arrivals: &mut Arrivals, address: &str, now: Duration) -> usize {
        (0..10).filter(|_| arrivals.arrive(comer(address), now).0 == Arrival::Welcome).count()
    }

    #[test]
    fn an_address_gets_its_share_of_connections_and_no_more() {
        let mut arrivals = arrivals();
        assert_eq!(served(&mut arrivals, "192.0.2.1", NOW), 3);
        assert_eq!(served(&mut arrivals, "192.0.2.2", NOW), 3);
        assert_eq!(served(&mut arrivals, "192.0.2.1", NOW + MINUTE / 3), 1);
        assert_eq!(served(&mut arrivals, "2001:db8::1", NOW), 3);
        assert_eq!(served(&mut arrivals, "2001:db8::2", NOW), 0, "the /64 counts as one");
    }

    #[test]
    fn a_neighbourhood_gets_four_times_as_much() {
        let mut arrivals = arrivals();
        let all: usize = (1..9).map(|host| served(&mut arrivals, &format!("192.0.2.{host}"), NOW)).sum();
        assert_eq!(all, 12);
        assert_eq!(served(&mut arrivals, "198.51.100.1", NOW), 3);
        let throttled: Vec<_> = arrivals.throttles(NOW).filter_map(|throttle| throttle.network).collect();
        assert!(throttled.contains(&"192.0.2.0/24".parse().unwrap()), "{throttled:?}");
    }

    #[test]
    fn whoever_says_too_much_that_is_wrong_is_put_off_until_that_is_longer_ago() {
        let mut arrivals = arrivals();
        let address = comer("192.0.2.1").address;
        arrivals.erred(address, 39, NOW);
        assert_eq!(arrivals.arrive(comer("192.0.2.1"), NOW), (Arrival::Welcome, None));
        arrivals.erred(address, 20, NOW);
        let later = NOW + MINUTE;
        let (arrival, told) = arrivals.arrive(comer("192.0.2.1"), later);
        assert_eq!((arrival, told.unwrap().reason), (Arrival::PutOff, Reason::Errors));
        assert_eq!(served(&mut arrivals, "192.0.2.2", later), 3);
        assert_eq!(served(&mut arrivals, "192.0.2.1", NOW + HOUR), 3);
    }

    #[test]
    fn the_log_is_told_once_and_the_list_shows_who_and_until_when() {
        let mut arrivals = arrivals();
        served(&mut arrivals, "192.0.2.1", NOW);
        let shown: Vec<_> = arrivals.throttles(NOW).collect();
        assert_eq!((shown.len(), shown[0].count, shown[0].until), (1, 3, NOW + MINUTE / 3));
        assert!(arrivals.arrive(comer("192.0.2.1"), NOW).1.is_none());
        arrivals.forgive_network(&"192.0.2.0/24".parse().unwrap());
        assert_eq!(arrivals.throttles(NOW).count(), 0);
        assert_eq!(served(&mut arrivals, "192.0.2.1", NOW), 3);
    }

    #[test]
    fn a_limit_of_nought_is_none() {
        let none = GuardOptions {
            address_connections_per_minute: 0,
            address_errors_per_hour: 0,
            ..GuardOptions::default()
        };
        let mut arrivals = Arrivals::new(&none);
        arrivals.erred(comer("192.0.2.1").address, 1000, NOW);
        assert_eq!(served(&mut arrivals, "192.0.2.1", NOW), 10);
        assert_eq!(arrivals.throttles(NOW).count(), 0);
    }
}

//! Connections at one time, over all addresses and from each: constant memory for an address, none without one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ListenerLimits;

/// The prefix that one IPv6 subscriber is given: its /64 (RFC 6177 §2).
const IPV6_SUBSCRIBER_BITS: u32 = 64;

/// Shared by listeners that count together.
#[derive(Clone, Debug)]
pub(super) struct Counts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: ListenerLimits,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's place; dropping it makes room.
#[derive(Debug)]
pub(super) struct Place {
    counts: Counts,
    /// For whom it counts; `None` where no address is known, or not yet.
    address: Option<IpAddr>,
}

impl Counts {
    /// Nobody connected.
    pub(super) fn new(limits: ListenerLimits) -> Self {
        Self(Arc::new(Shared { limits, now: Mutex::default() }))
    }

    /// A place for a connection from `peer`, where it has an address; `None` where a limit is reached.
    pub(super) fn place(&self, peer: Option<IpAddr>) -> Option<Place> {
        let mut now = self.now();
        if now.total >= self.0.limits.connections_max {
            return None;
        }
        let address = peer.map(subscriber);
        if let Some(address) = address {
            now.add(address, &self.0.limits)?;
        }
        now.total += 1;
        drop(now);
        Some(Place { counts: self.clone(), address })
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    /// One more from `address`; `None` where that has as many as it may.
    fn add(&mut self, address: IpAddr, limits: &ListenerLimits) -> Option<()> {
        let here = self.by_address.get(&address).copied().unwrap_or(0);
        if here >= limits.connections_per_address_max {
            return None;
        }
        self.by_address.insert(address, here + 1);
        Some(())
    }
}

impl Place {
    /// The peer turns out to be at `address`, for which it counts from now on; `None` where that has as many as it may.
    pub(super) fn of(mut self, address: IpAddr) -> Option<Self> {
        let address = subscriber(address);
        if self.address.is_none() {
            self.counts.now().add(address, &self.counts.0.limits)?;
            self.address = Some(address);
        }
        Some(self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut now = self.counts.now();
        now.total = now.total.saturating_sub(1);
        let Some(address) = &self.address else { return };
        if let Some(here) = now.by_address.get_mut(address) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                now.by_address.remove(address);
            }
        }
    }
}

/// What counts as one address.
fn subscriber(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let host_bits = Ipv6Addr::BITS - IPV6_SUBSCRIBER_BITS;
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> host_bits << host_bits))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ListenerLimits = ListenerLimits { connections_max: 3, connections_per_address_max: 2 };

    fn place(counts: &Counts, peer: &str) -> Option<Place> {
        counts.place(Some(peer.parse().unwrap()))
    }

    #[test]
    fn who_comes_by_a_proxy_counts_once_it_is_known() {
        let counts = Counts::new(ListenerLimits { connections_max: 5, ..LIMITS });
        let client = "192.0.2.1".parse().unwrap();
        let places: Vec<_> = (0..5).map(|_| counts.place(None).unwrap()).collect();
        assert!(counts.place(None).is_none(), "the total counts at once");
        let mut known: Vec<_> = places.into_iter().map(|place| place.of(client)).collect();
        assert_eq!(known.iter().filter(|place| place.is_some()).count(), 2);
        assert!(place(&counts, "192.0.2.1").is_none());
        assert!(place(&counts, "192.0.2.2").is_some());
        known.clear();
        let now = counts.now();
        assert_eq!((now.total, now.by_address.len()), (0, 0));
    }

    #[test]
    fn who_has_no_address_counts_for_the_total_alone() {
        let counts = Counts::new(LIMITS);
        let _places: Vec<_> = (0..3).map(|_| counts.place(None).unwrap()).collect();
        assert!(counts.place(None).is_none() && place(&counts, "192.0.2.1").is_none());
    }

    #[test]
    fn an_address_gets_its_share_and_leaves_room_for_others() {
        let counts = Counts::new(LIMITS);
        let one = place(&counts, "192.0.2.1").unwrap();
        let _two = place(&counts, "192.0.2.1").unwrap();
        assert!(place(&counts, "192.0.2.1").is_none());
        assert!(place(&counts, "::ffff:192.0.2.1").is_none());
        let _other = place(&counts, "192.0.2.2").unwrap();
        assert!(place(&counts, "192.0.2.3").is_none(), "the total is reached");
        drop(one);
        assert!(place(&counts, "192.0.2.1").is_some());
    }

    #[test]
    fn an_ipv6_peer_counts_by_its_prefix() {
        let counts = Counts::new(LIMITS);
        let _places = [place(&counts, "2001:db8::1").unwrap(), place(&counts, "2001:db8::2").unwrap()];
        assert!(place(&counts, "2001:db8::ffff:ffff:ffff:ffff").is_none());
        assert!(place(&counts, "2001:db8:0:1::1").is_some());
    }

    #[test]
    fn an_address_without_connections_costs_nothing() {
        let counts = Counts::new(LIMITS);
        drop(place(&counts, "192.0.2.1"));
        let now = counts.now();
        assert_eq!((now.total, now.by_address.len()), (0, 0));
    }
}

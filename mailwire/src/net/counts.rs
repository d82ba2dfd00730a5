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
    address: IpAddr,
}

impl Counts {
    /// Nobody connected.
    pub(super) fn new(limits: ListenerLimits) -> Self {
        Self(Arc::new(Shared { limits, now: Mutex::default() }))
    }

    /// A place for a connection from `peer`; `None` where a limit is reached.
    pub(super) fn place(&self, peer: IpAddr) -> Option<Place> {
        let limits = &self.0.limits;
        let address = subscriber(peer);
        let mut now = self.now();
        let here = now.by_address.get(&address).copied().unwrap_or(0);
        if now.total >= limits.connections_max || here >= limits.connections_per_address_max {
            return None;
        }
        now.total += 1;
        now.by_address.insert(address, here + 1);
        Some(Place { counts: self.clone(), address })
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut now = self.counts.now();
        now.total = now.total.saturating_sub(1);
        if let Some(here) = now.by_address.get_mut(&self.address) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                now.by_address.remove(&self.address);
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

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_gets_its_share_and_leaves_room_for_others() {
        let counts = Counts::new(LIMITS);
        let one = counts.place(address("192.0.2.1")).unwrap();
        let _two = counts.place(address("192.0.2.1")).unwrap();
        assert!(counts.place(address("192.0.2.1")).is_none());
        assert!(counts.place(address("::ffff:192.0.2.1")).is_none());
        let _other = counts.place(address("192.0.2.2")).unwrap();
        assert!(counts.place(address("192.0.2.3")).is_none(), "the total is reached");
        drop(one);
        assert!(counts.place(address("192.0.2.1")).is_some());
    }

    #[test]
    fn an_ipv6_peer_counts_by_its_prefix() {
        let counts = Counts::new(LIMITS);
        let _places =
            [counts.place(address("2001:db8::1")).unwrap(), counts.place(address("2001:db8::2")).unwrap()];
        assert!(counts.place(address("2001:db8::ffff:ffff:ffff:ffff")).is_none());
        assert!(counts.place(address("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn an_address_without_connections_costs_nothing() {
        let counts = Counts::new(LIMITS);
        drop(counts.place(address("192.0.2.1")));
        let now = counts.now();
        assert_eq!((now.total, now.by_address.len()), (0, 0));
    }
}

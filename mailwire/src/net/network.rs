//! A network of addresses, written with the length of its prefix: `192.0.2.0/24`, `2001:db8::/64`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The prefix that one IPv6 subscriber is given: its /64 (RFC 6177 §2).
const IPV6_SUBSCRIBER_BITS: u32 = 64;

/// All addresses with one prefix. An IPv4 address in an IPv6 form counts as the IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    /// Its first address.
    first: IpAddr,
    prefix_bits: u32,
}

/// Why a text is no network.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NetworkError {
    /// Not even an address stands there.
    #[error("\"{0}\" is not a network such as 192.0.2.0/24 or 2001:db8::/32, nor an address")]
    Form(String),
    /// An address that is not the first one of its network: one of the two is a mistake.
    #[error("{text} is not a network: its first address is {network}")]
    NotFirst {
        /// What was written.
        text: String,
        /// What may be meant.
        network: Network,
    },
}

impl Network {
    /// The network of `prefix_bits` that `address` lies in; a prefix longer than the address is the address alone.
    #[must_use]
    pub fn around(address: IpAddr, prefix_bits: u32) -> Self {
        let first = address.to_canonical();
        let prefix_bits = prefix_bits.min(width(first));
        let first = match first {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(Ipv4Addr::BITS - prefix_bits).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(Ipv6Addr::BITS - prefix_bits).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        };
        Self { first, prefix_bits }
    }

    /// What counts as one address: an IPv4 address, or the /64 of an IPv6 one.
    #[must_use]
    pub fn subscriber(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(_) => Self::around(address, Ipv4Addr::BITS),
            IpAddr::V6(_) => Self::around(address, IPV6_SUBSCRIBER_BITS),
        }
    }

    /// Its first address.
    #[must_use]
    pub const fn first(&self) -> IpAddr {
        self.first
    }

    /// True where `address` lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        Self::around(address, self.prefix_bits) == *self
    }

    /// True where all of `other` lies in it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix_bits <= other.prefix_bits && self.contains(other.first)
    }
}

/// Bits of an address of this kind.
const fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => Ipv4Addr::BITS,
        IpAddr::V6(_) => Ipv6Addr::BITS,
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let form = || NetworkError::Form(text.escape_default().to_string());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| form())?;
        let prefix_bits = match bits {
            None => width(address),
            Some(bits) if bits.bytes().all(|octet| octet.is_ascii_digit()) => {
                bits.parse().ok().filter(|bits| *bits <= width(address)).ok_or_else(form)?
            }
            Some(_) => return Err(form()),
        };
        let network = Self::around(address, prefix_bits);
        if network.first != address.to_canonical() {
            return Err(NetworkError::NotFirst { text: text.to_owned(), network });
        }
        Ok(network)
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

/// An address alone is shown without its prefix.
impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix_bits == width(self.first) {
            write!(formatter, "{}", self.first)
        } else {
            write!(formatter, "{}/{}", self.first, self.prefix_bits)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_holds_the_addresses_of_its_prefix() {
        for (text, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("127.0.0.0/8", "::ffff:127.9.9.9", "128.0.0.0"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("2001:db8::/48", "2001:db8:0:ffff::1", "2001:db8:1::"),
            ("::1", "::1", "::2"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "ffff::", "192.0.2.1"),
        ] {
            assert!(network(text).contains(address(inside)), "{text} {inside}");
            assert!(!network(text).contains(address(outside)), "{text} {outside}");
            assert_eq!(network(text).to_string(), text);
        }
    }

    #[test]
    fn a_subscriber_is_an_ipv4_address_or_an_ipv6_prefix_of_64_bits() {
        assert_eq!(Network::subscriber(address("192.0.2.7")).to_string(), "192.0.2.7");
        assert_eq!(Network::subscriber(address("::ffff:192.0.2.7")).to_string(), "192.0.2.7");
        assert_eq!(Network::subscriber(address("2001:db8:1:2:3:4:5:6")).to_string(), "2001:db8:1:2::/64");
    }

    #[test]
    fn a_network_covers_what_is_no_larger_and_within() {
        assert!(network("192.0.2.0/24").covers(&network("192.0.2.0/24")));
        assert!(network("192.0.2.0/24").covers(&network("192.0.2.9")));
        assert!(!network("192.0.2.9").covers(&network("192.0.2.0/24")));
        assert!(!network("192.0.2.0/24").covers(&network("2001:db8::/64")));
    }

    #[test]
    fn what_is_no_network_is_refused_with_the_form() {
        for text in
            ["", "/", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/+8", "::/129", "example.test", "1.2.3/8"]
        {
            assert!(matches!(text.parse::<Network>(), Err(NetworkError::Form(_))), "{text}");
        }
        let error = "192.0.2.7/24".parse::<Network>().unwrap_err();
        assert_eq!(error.to_string(), "192.0.2.7/24 is not a network: its first address is 192.0.2.0/24");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(octets: u128, bits in 0_u32..200) {
            for address in [IpAddr::from(octets.to_be_bytes()), IpAddr::from([1, 2, 3, octets.to_be_bytes()[0]])] {
                let network = Network::around(address, bits);
                prop_assert!(network.contains(address));
                prop_assert_eq!(network.to_string().parse::<Network>(), Ok(network));
            }
        }
    }
}

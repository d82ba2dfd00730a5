//! The table `[greylist]` of the configuration: whether strangers must come again, when, and for how long they are known then.

use std::net::IpAddr;

use mailwire::daemon::config::positive;
use mailwire::net::Network;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// What the table `[greylist]` says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GreylistConfig {
    /// Whether anybody is asked to come again.
    pub enabled: bool,
    /// Networks from which nobody is.
    pub trusted: Vec<Network>,
    /// Seconds before which coming again does not count.
    #[serde(deserialize_with = "positive")]
    pub wait_seconds: u64,
    /// Seconds after which it does not count any more.
    #[serde(deserialize_with = "positive")]
    pub window_seconds: u64,
    /// Days for which somebody who has come again is known.
    #[serde(deserialize_with = "positive")]
    pub known_days: u64,
    /// How often mail of one network and domain must have come again before all of it is known; 0: however often.
    pub passes: u32,
    /// Whether a sender's domain stands for all hosts that it lets send its mail (SPF), so that any of them may come again.
    pub spf: bool,
    /// Bits of an IPv4 address that count.
    #[serde(deserialize_with = "bits4")]
    pub ipv4_bits: u32,
    /// Bits of an IPv6 address that count.
    #[serde(deserialize_with = "bits6")]
    pub ipv6_bits: u32,
}

impl GreylistConfig {
    /// True where somebody from there may be asked to come again.
    pub(crate) fn is_about(&self, address: IpAddr) -> bool {
        self.enabled && !self.trusted.iter().any(|network| network.contains(address))
    }

    /// For which addresses one client stands: large senders come again from another one of their network.
    pub(super) fn network(&self, address: IpAddr) -> Network {
        let bits = match address.to_canonical() {
            IpAddr::V4(_) => self.ipv4_bits,
            IpAddr::V6(_) => self.ipv6_bits,
        };
        Network::around(address, bits)
    }
}

impl Default for GreylistConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            trusted: Vec::new(),
            wait_seconds: 60,
            window_seconds: 24 * 60 * 60,
            known_days: 35,
            passes: 2,
            spf: false,
            ipv4_bits: 24,
            ipv6_bits: 64,
        }
    }
}

fn bits4<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    bits(deserializer, 32)
}

fn bits6<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    bits(deserializer, 128)
}

/// With fewer than 8, one client would speak for half of the internet.
fn bits<'de, D: Deserializer<'de>>(deserializer: D, bits_max: u32) -> Result<u32, D::Error> {
    let bits = u32::deserialize(deserializer)?;
    if (8..=bits_max).contains(&bits) {
        return Ok(bits);
    }
    Err(D::Error::custom(format!("it must be from 8 to {bits_max}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_as_many_bits_as_may_be() {
        for (key, most) in [("ipv4_bits", 32), ("ipv6_bits", 128)] {
            for (bits, is_right) in [(7, false), (8, true), (most, true), (most + 1, false)] {
                let read = toml::from_str::<GreylistConfig>(&format!("{key} = {bits}"));
                assert_eq!(read.is_ok(), is_right, "{key} = {bits}");
            }
        }
    }

    #[test]
    fn a_client_stands_for_its_network() {
        let config = GreylistConfig::default();
        for (address, network) in [
            ("192.0.2.7", "192.0.2.0/24"),
            ("::ffff:192.0.2.7", "192.0.2.0/24"),
            ("2001:db8::7", "2001:db8::/64"),
        ] {
            assert_eq!(config.network(address.parse().unwrap()).to_string(), network);
        }
    }

    #[test]
    fn nobody_is_asked_to_come_again_unless_the_administrator_says_so() {
        let address = "192.0.2.7".parse().unwrap();
        assert!(!GreylistConfig::default().is_about(address));
        let enabled: GreylistConfig = toml::from_str("enabled = true\ntrusted = [\"192.0.2.0/29\"]").unwrap();
        assert!(!enabled.is_about(address) && enabled.is_about("192.0.2.8".parse().unwrap()));
    }
}

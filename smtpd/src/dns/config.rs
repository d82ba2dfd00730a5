//! The table `[dns]` of the configuration: whom to ask, whom to trust, and how long.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use mailwire::daemon::config::positive;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// Where name servers answer (RFC 1035 §4.2).
const DNS_PORT: u16 = 53;

/// What the table `[dns]` says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dns {
    /// Resolvers that are asked; empty: those of `/etc/resolv.conf`.
    pub name_servers: Vec<NameServer>,
    /// Whether answers must be right by DNSSEC.
    pub dnssec: Validation,
    /// The keys of the root, as DNSKEY records in a file; empty: those of the DNS of the internet.
    pub trust_anchor: PathBuf,
    /// Seconds that one try may take.
    #[serde(deserialize_with = "positive")]
    pub try_seconds: u64,
    /// How often a question is tried again that was not answered.
    pub retries: usize,
    /// Seconds that a look-up may take with all that it needs, signatures among them.
    #[serde(deserialize_with = "positive")]
    pub look_up_seconds: u64,
    /// Most look-ups at one time; others wait.
    #[serde(deserialize_with = "positive")]
    pub look_ups_max: usize,
    /// Octets that remembered answers may hold.
    pub cache_octets_max: u64,
    /// Seconds that an answer is remembered at most, whatever its owner says.
    pub cache_seconds_max: u64,
    /// Seconds for which it is remembered that there is no such name or record.
    pub cache_nothing_seconds: u64,
}

/// Whether answers must be right by DNSSEC (RFC 4035 §4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Validation {
    /// What is signed must be signed right, and nothing else counts for DANE.
    #[default]
    Validate,
    /// Nobody looks at signatures, and there is no DANE.
    Off,
}

/// A resolver's address, with a port where it is not 53.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameServer(pub SocketAddr);

impl FromStr for NameServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS_PORT));
        let address = address.or_else(|_| text.parse());
        address.map(Self).map_err(|_| {
            format!("\"{text}\" in `name_servers` is not of the form 192.0.2.1, 2001:db8::1, 192.0.2.1:53 or [2001:db8::1]:53")
        })
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for NameServer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            name_servers: Vec::new(),
            dnssec: Validation::Validate,
            trust_anchor: PathBuf::new(),
            try_seconds: 5,
            retries: 2,
            look_up_seconds: 30,
            look_ups_max: 500,
            cache_octets_max: 16 << 20,
            cache_seconds_max: 24 * 60 * 60,
            cache_nothing_seconds: 60,
        }
    }
}

impl Dns {
    /// How long a look-up may take with all that it needs.
    pub(super) const fn look_up(&self) -> Duration {
        Duration::from_secs(self.look_up_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<Dns, toml::de::Error> {
        toml::from_str(toml)
    }

    #[test]
    fn an_empty_table_gives_the_defaults() {
        assert_eq!(read("").unwrap(), Dns::default());
    }

    #[test]
    fn name_servers_are_addresses_with_or_without_a_port() {
        let dns = read("name_servers = [\"192.0.2.1\", \"2001:db8::1\", \"192.0.2.1:5353\", \"[::1]:54\"]")
            .unwrap();
        let shown: Vec<_> = dns.name_servers.iter().map(NameServer::to_string).collect();
        assert_eq!(shown, ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.1:5353", "[::1]:54"]);
        for wrong in ["dns.example.org", "192.0.2.1:", "192.0.2.1:65536", "", "[192.0.2.1]"] {
            let error = read(&format!("name_servers = [\"{wrong}\"]")).unwrap_err();
            assert!(error.message().contains("is not of the form"), "{error}");
        }
    }

    #[test]
    fn limits_are_checked_at_their_edges() {
        for key in ["try_seconds", "look_up_seconds", "look_ups_max"] {
            assert!(read(&format!("{key} = 1")).is_ok());
            assert!(read(&format!("{key} = 0")).is_err());
        }
        assert!(read("cache_octets_max = 0\ncache_seconds_max = 0\ncache_nothing_seconds = 0").is_ok());
        assert_eq!(read("dnssec = \"off\"").unwrap().dnssec, Validation::Off);
        assert!(read("dnssec = \"maybe\"").is_err());
    }
}

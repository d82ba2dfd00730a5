//! The table `[smtp]` of the configuration: where to listen, and every limit with its default.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mailwire::daemon::config::positive;
use mailwire::daemon::errors::ErrorDelay;
use mailwire::daemon::login::ClearLogin;
use mailwire::net::{ConnectionLimits, ListenAddress, ListenerLimits, Network, Proxies};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::receiving::SHARE_OCTETS;

/// Fewest recipients that a server must take in one transaction (RFC 5321 §4.5.3.1.8).
const RECIPIENTS_MIN: usize = 100;
/// Fewest Received fields for which a message is taken to go round in circles (RFC 5321 §6.3).
const RECEIVED_MIN: u32 = 100;
/// Most octets that may be announced with SIZE: clients in use read a 32-bit number.
const CONTENT_OCTETS_LARGEST: u64 = 2_147_483_647;

/// Where LMTP must not be spoken (RFC 2033 §5).
const SMTP_PORT: u16 = 25;

/// What becomes of a CR or LF in content that is not part of a CRLF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BareLineEnds {
    /// The message is refused, whoever sends it (RFC 5321 §2.3.8).
    #[default]
    Refuse,
    /// From programs on this machine it becomes a CRLF, with a warning in the log; for development.
    RepairLoopback,
}

impl BareLineEnds {
    /// True where `peer`, in either form of its address, may send them.
    #[must_use]
    pub fn are_repaired_for(self, peer: IpAddr) -> bool {
        match self {
            Self::Refuse => false,
            Self::RepairLoopback => peer.to_canonical().is_loopback(),
        }
    }
}

/// What the table `[smtp.domains."NAME"]` says of one of the server's domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainConfig {
    /// Most octets of a message for recipients there; above that of the server it has no effect.
    #[serde(deserialize_with = "content_octets_max")]
    pub content_octets_max: u64,
}

/// Most seconds that parameters of nine digits can name.
const NINE_DIGITS_LARGEST: u32 = 999_999_999;

/// What the table `[smtp]` says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where mail from other servers is received (25); empty: nowhere.
    pub reception: Vec<SocketAddr>,
    /// Where users submit mail, with STARTTLS (587); empty: nowhere.
    pub submission: Vec<SocketAddr>,
    /// Where users submit mail, with TLS from the first octet (465); empty: nowhere.
    pub submissions: Vec<SocketAddr>,
    /// Where other programs of the same owner deliver mail for the local domains by LMTP; empty: nowhere.
    #[serde(deserialize_with = "lmtp")]
    pub lmtp: Vec<ListenAddress>,
    /// Proxies that begin each connection, but for LMTP, with a header of the PROXY protocol, which nobody else may.
    pub proxy_trusted: Vec<Network>,
    /// Seconds that such a header may take.
    #[serde(deserialize_with = "positive")]
    pub proxy_seconds: u64,
    /// Who may log in without TLS.
    pub clear_login: ClearLogin,
    /// Most octets of a message (SIZE, RFC 1870).
    #[serde(deserialize_with = "content_octets_max")]
    pub content_octets_max: u64,
    /// Octets of memory that sessions which receive content may hold together.
    #[serde(deserialize_with = "receiving_octets_max")]
    pub receiving_octets_max: u64,
    /// Most octets of a message's header section.
    #[serde(deserialize_with = "positive")]
    pub header_octets_max: u64,
    /// Received fields over which a message is taken to go round in circles (RFC 5321 §6.3).
    #[serde(deserialize_with = "received_max")]
    pub received_max: u32,
    /// What becomes of a CR or LF in content that is not part of a CRLF.
    pub bare_line_ends: BareLineEnds,
    /// What holds for single domains.
    pub domains: BTreeMap<String, DomainConfig>,
    /// Most recipients of a message, at least 100; as many may be refused in a session.
    #[serde(deserialize_with = "recipients_max")]
    pub recipients_max: usize,
    /// Seconds for which a sender may have mail held back (FUTURERELEASE, RFC 4865); 0: not at all.
    #[serde(deserialize_with = "nine_digits")]
    pub future_release_seconds_max: u32,
    /// Fewest seconds within which a sender may ask for delivery or return (DELIVERBY, RFC 2852); 0: any.
    #[serde(deserialize_with = "nine_digits")]
    pub deliver_by_seconds_min: u32,
    /// Whether users who have logged in may ask who is behind an alias (EXPN, RFC 5321 §3.5.2).
    pub expand_aliases: bool,
    /// Whether Received fields of submitted mail say who has logged in.
    pub received_names_login: bool,
    /// Errors that a session may make before it is ended.
    pub errors_max: u32,
    /// Seconds that the answer to an error waits once a session has made half of these; not on this machine.
    pub error_delay_seconds: u64,
    /// Commands of a session between two messages, but for those of the messages themselves, before it is ended.
    #[serde(deserialize_with = "positive")]
    pub commands_max: u32,
    /// Failed logins of a session before it is ended; clients try up to four mechanisms in a row.
    pub login_failures_max: u32,
    /// Connections at one time, for each of the services.
    #[serde(deserialize_with = "positive")]
    pub connections_max: usize,
    /// Connections at one time from one address, for each of the services.
    #[serde(deserialize_with = "positive")]
    pub connections_per_address_max: usize,
    /// Seconds that a TLS handshake may take.
    #[serde(deserialize_with = "positive")]
    pub handshake_seconds: u64,
    /// Seconds to wait for the next command (at least 300 by RFC 5321 §4.5.3.2.7).
    #[serde(deserialize_with = "positive")]
    pub idle_seconds: u64,
    /// Seconds from the first octet of a command to its end.
    #[serde(deserialize_with = "positive")]
    pub command_seconds: u64,
    /// Seconds to wait for the next octet of content.
    #[serde(deserialize_with = "positive")]
    pub content_idle_seconds: u64,
    /// Octets a second that content must reach on average.
    pub content_octets_per_second_min: u64,
    /// Seconds that a client may take nothing of what is written to it.
    #[serde(deserialize_with = "positive")]
    pub write_seconds: u64,
    /// Seconds that running transactions may take once the server is asked to stop.
    pub drain_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            reception: everywhere(25),
            submission: everywhere(587),
            submissions: everywhere(465),
            lmtp: Vec::new(),
            proxy_trusted: Vec::new(),
            proxy_seconds: 5,
            clear_login: ClearLogin::Never,
            content_octets_max: 50 << 20,
            receiving_octets_max: 256 << 20,
            header_octets_max: 1 << 20,
            received_max: 100,
            bare_line_ends: BareLineEnds::Refuse,
            domains: BTreeMap::new(),
            recipients_max: 1000,
            future_release_seconds_max: 30 * 24 * 60 * 60,
            deliver_by_seconds_min: 0,
            expand_aliases: false,
            received_names_login: false,
            errors_max: 20,
            error_delay_seconds: 1,
            commands_max: 1000,
            login_failures_max: 5,
            connections_max: 8192,
            connections_per_address_max: 256,
            handshake_seconds: 20,
            idle_seconds: 300,
            command_seconds: 60,
            content_idle_seconds: 180,
            content_octets_per_second_min: 1000,
            write_seconds: 120,
            drain_seconds: 4,
        }
    }
}

impl Config {
    /// The deadlines of one connection.
    #[must_use]
    pub const fn connection_limits(&self) -> ConnectionLimits {
        ConnectionLimits {
            handshake: Duration::from_secs(self.handshake_seconds),
            idle: Duration::from_secs(self.idle_seconds),
            command: Duration::from_secs(self.command_seconds),
            content_idle: Duration::from_secs(self.content_idle_seconds),
            content_octets_per_second_min: self.content_octets_per_second_min,
            write: Duration::from_secs(self.write_seconds),
            drain: Duration::from_secs(self.drain_seconds),
        }
    }

    /// Whose word is taken for who a client is.
    #[must_use]
    pub fn proxies(&self) -> Proxies {
        Proxies::new(&self.proxy_trusted, Duration::from_secs(self.proxy_seconds))
    }

    /// How long answers to errors wait.
    pub(crate) const fn error_delay(&self) -> ErrorDelay {
        ErrorDelay::new(self.errors_max, Duration::from_secs(self.error_delay_seconds))
    }

    /// The bounds of all listeners of one service.
    #[must_use]
    pub const fn listener_limits(&self) -> ListenerLimits {
        ListenerLimits {
            connections_max: self.connections_max,
            connections_per_address_max: self.connections_per_address_max,
        }
    }
}

fn everywhere(port: u16) -> Vec<SocketAddr> {
    vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)]
}

fn lmtp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ListenAddress>, D::Error> {
    let addresses = Vec::<ListenAddress>::deserialize(deserializer)?;
    if addresses.iter().filter_map(ListenAddress::network).any(|address| address.port() == SMTP_PORT) {
        return Err(D::Error::custom(
            "lmtp must not be on port 25 (RFC 2033, section 5): use 24 or a Unix socket",
        ));
    }
    Ok(addresses)
}

fn recipients_max<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let recipients = usize::deserialize(deserializer)?;
    if recipients < RECIPIENTS_MIN {
        return Err(D::Error::custom("recipients_max must be at least 100 (RFC 5321, section 4.5.3.1.8)"));
    }
    Ok(recipients)
}

fn received_max<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let fields = u32::deserialize(deserializer)?;
    if fields < RECEIVED_MIN {
        return Err(D::Error::custom("received_max must be at least 100 (RFC 5321, section 6.3)"));
    }
    Ok(fields)
}

/// What RFC 4865 §3 and RFC 2852 §2 have room for.
fn nine_digits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let seconds = u32::deserialize(deserializer)?;
    if seconds > NINE_DIGITS_LARGEST {
        return Err(D::Error::custom("seconds must be at most 999999999 (RFC 4865, RFC 2852)"));
    }
    Ok(seconds)
}

fn receiving_octets_max<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let octets = u64::deserialize(deserializer)?;
    if octets < SHARE_OCTETS {
        return Err(D::Error::custom(
            "receiving_octets_max must be at least 262144, with which one session receives",
        ));
    }
    Ok(octets)
}

fn content_octets_max<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let octets = u64::deserialize(deserializer)?;
    if octets == 0 || octets > CONTENT_OCTETS_LARGEST {
        return Err(D::Error::custom("content_octets_max must be from 1 to 2147483647"));
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<Config, toml::de::Error> {
        toml::from_str(toml)
    }

    #[test]
    fn an_empty_table_gives_the_defaults() {
        assert_eq!(read("").unwrap(), Config::default());
    }

    #[test]
    fn keys_are_read_and_unknown_ones_refused() {
        let config =
            read("reception = []\nsubmission = [\"127.0.0.1:0\"]\nclear_login = \"loopback\"").unwrap();
        assert!(config.reception.is_empty());
        assert_eq!(config.submission, ["127.0.0.1:0".parse().unwrap()]);
        assert_eq!(config.clear_login, ClearLogin::Loopback);
        assert!(read("clear_logins = \"never\"").is_err());
    }

    #[test]
    fn a_domain_has_a_table_of_its_own() {
        let config = read("[domains.\"example.org\"]\ncontent_octets_max = 1000").unwrap();
        assert_eq!(config.domains["example.org"], DomainConfig { content_octets_max: 1000 });
        assert!(read("[domains.\"example.org\"]\ncontent_octets_max = 0").is_err());
        assert!(read("[domains.\"example.org\"]\ncontent_max = 1").is_err());
    }

    #[test]
    fn bare_line_ends_are_repaired_for_this_machine_only_and_only_where_told_so() {
        assert_eq!(read("").unwrap().bare_line_ends, BareLineEnds::Refuse);
        let repair = read("bare_line_ends = \"repair-loopback\"").unwrap().bare_line_ends;
        for (peer, expected) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("192.0.2.1", false),
            ("10.0.0.1", false),
            ("fe80::1", false),
        ] {
            let peer = peer.parse().unwrap();
            assert_eq!(repair.are_repaired_for(peer), expected, "{peer}");
            assert!(!BareLineEnds::Refuse.are_repaired_for(peer), "{peer}");
        }
    }

    #[test]
    fn lmtp_is_served_anywhere_but_on_the_port_of_smtp() {
        let config = read("lmtp = [\"127.0.0.1:24\", \"unix:/run/mailstack/lmtp.sock\"]").unwrap();
        assert_eq!(config.lmtp.len(), 2);
        for port_25 in ["127.0.0.1:25", "[::]:25"] {
            let error = read(&format!("lmtp = [\"{port_25}\"]")).unwrap_err();
            assert!(error.message().contains("RFC 2033"), "{error}");
        }
        assert!(read("lmtp = [\"unix:lmtp.sock\"]").is_err());
    }

    #[test]
    fn proxies_are_networks() {
        let config = read("proxy_trusted = [\"10.0.0.0/8\", \"2001:db8::1\"]\nproxy_seconds = 1").unwrap();
        assert_eq!(config.proxy_trusted.len(), 2);
        for wrong in [
            "proxy_trusted = [\"proxy.example.org\"]",
            "proxy_trusted = [\"10.0.0.1/8\"]",
            "proxy_seconds = 0",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_are_checked_at_their_edges() {
        assert!(read("recipients_max = 100").is_ok());
        assert!(read("recipients_max = 99").is_err());
        assert!(read("content_octets_max = 2147483647").is_ok());
        assert!(read("content_octets_max = 2147483648").is_err());
        assert!(read("content_octets_max = 0").is_err());
        assert!(read("receiving_octets_max = 262144").is_ok());
        assert!(read("receiving_octets_max = 262143").is_err());
        assert!(read("received_max = 100").is_ok());
        assert!(read("received_max = 99").is_err());
        assert!(read("header_octets_max = 1").is_ok());
        assert!(read("header_octets_max = 0").is_err());
        for key in ["future_release_seconds_max", "deliver_by_seconds_min"] {
            assert!(read(&format!("{key} = 999999999")).is_ok());
            assert!(read(&format!("{key} = 1000000000")).is_err());
        }
        assert!(read("connections_max = 1\nidle_seconds = 1").is_ok());
        assert!(read("connections_max = 0").is_err());
        assert!(read("idle_seconds = 0").unwrap_err().message().contains("at least 1"));
    }
}

//! The table `[pop3]` of the configuration, with production's defaults.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mailwire::daemon::config::positive;
use mailwire::daemon::errors::ErrorDelay;
use mailwire::daemon::login::ClearLogin;
use mailwire::net::{ConnectionLimits, ListenerLimits, Network, Proxies};
use serde::Deserialize;

use crate::replies::Language;

/// How mail is retrieved: listeners, limits and deadlines.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Addresses that begin in clear and offer STLS (port 110).
    pub pop3: Vec<SocketAddr>,
    /// Addresses with TLS from the first octet (port 995, RFC 8314 §3.1).
    pub pop3s: Vec<SocketAddr>,
    /// Who may log in in clear.
    pub clear_login: ClearLogin,
    /// Connections at one time.
    #[serde(deserialize_with = "positive")]
    pub connections_max: usize,
    /// Connections at one time from one address.
    #[serde(deserialize_with = "positive")]
    pub connections_per_address_max: usize,
    /// Proxies that begin each connection with a header of the PROXY protocol, which nobody else may.
    pub proxy_trusted: Vec<Network>,
    /// How long that header may take.
    #[serde(deserialize_with = "positive")]
    pub proxy_seconds: u64,
    /// Commands of one session that may be wrong before it is closed.
    pub errors_max: u32,
    /// Seconds that the answer to a wrong command waits once a session has said half of these; not on this machine.
    pub error_delay_seconds: u64,
    /// Commands of one session that may come before its login.
    #[serde(deserialize_with = "positive")]
    pub commands_max: u32,
    /// Logins of one session that may fail before it is closed.
    pub login_failures_max: u32,
    /// The language of the replies for a client that leaves it to the server (`LANG *`); one that does not ask gets English.
    pub language: Language,
    /// How long a client may be silent; RFC 1939 §3 demands at least 600.
    #[serde(deserialize_with = "positive")]
    pub idle_seconds: u64,
    /// How long a command line may take from its first octet to its end.
    #[serde(deserialize_with = "positive")]
    pub command_seconds: u64,
    /// How long a TLS handshake may take.
    #[serde(deserialize_with = "positive")]
    pub handshake_seconds: u64,
    /// How long a client may take nothing of what is sent to it.
    #[serde(deserialize_with = "positive")]
    pub write_seconds: u64,
    /// How long a login holds on for another session to give the maildrop back.
    pub lease_wait_seconds: u64,
    /// How long running sessions may go on once the server is asked to stop.
    pub drain_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        let everywhere = |port| vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)];
        Self {
            pop3: everywhere(110),
            pop3s: everywhere(995),
            clear_login: ClearLogin::Never,
            connections_max: 8192,
            connections_per_address_max: 256,
            proxy_trusted: Vec::new(),
            proxy_seconds: 5,
            errors_max: 20,
            error_delay_seconds: 1,
            commands_max: 1000,
            login_failures_max: 5,
            language: Language::English,
            idle_seconds: 600,
            command_seconds: 60,
            handshake_seconds: 20,
            write_seconds: 120,
            lease_wait_seconds: 1,
            drain_seconds: 4,
        }
    }
}

impl Config {
    /// What one connection may cost.
    pub(crate) const fn connection_limits(&self) -> ConnectionLimits {
        ConnectionLimits {
            handshake: Duration::from_secs(self.handshake_seconds),
            idle: Duration::from_secs(self.idle_seconds),
            command: Duration::from_secs(self.command_seconds),
            // A POP3 client sends no content (RFC 1939 §3), so this pair is never asked for.
            content_idle: Duration::from_secs(self.command_seconds),
            content_octets_per_second_min: 0,
            write: Duration::from_secs(self.write_seconds),
            drain: Duration::from_secs(self.drain_seconds),
        }
    }

    /// Whose word is taken for who a client is.
    pub(crate) fn proxies(&self) -> Proxies {
        Proxies::new(&self.proxy_trusted, Duration::from_secs(self.proxy_seconds))
    }

    /// How long answers to errors wait.
    pub(crate) const fn error_delay(&self) -> ErrorDelay {
        ErrorDelay::new(self.errors_max, Duration::from_secs(self.error_delay_seconds))
    }

    /// How many connections there may be.
    pub(crate) const fn listener_limits(&self) -> ListenerLimits {
        ListenerLimits {
            connections_max: self.connections_max,
            connections_per_address_max: self.connections_per_address_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_gives_the_defaults() {
        assert_eq!(toml::from_str::<Config>("").unwrap(), Config::default());
    }

    #[test]
    fn keys_replace_the_defaults_one_by_one() {
        let config: Config = toml::from_str(
            "pop3 = [\"127.0.0.1:0\"]\npop3s = []\nclear_login = \"loopback\"\nidle_seconds = 900",
        )
        .unwrap();
        assert_eq!(config.pop3, [SocketAddr::from(([127, 0, 0, 1], 0))]);
        assert!(config.pop3s.is_empty());
        assert_eq!(config.clear_login, ClearLogin::Loopback);
        assert_eq!(config.connection_limits().idle, Duration::from_mins(15));
        assert_eq!(config.errors_max, Config::default().errors_max);
    }

    #[test]
    fn limits_and_times_that_would_serve_nobody_are_errors() {
        assert!(
            toml::from_str::<Config>("idle_seconds = 1\nlease_wait_seconds = 0\ndrain_seconds = 0").is_ok()
        );
        for key in ["idle_seconds", "connections_max", "connections_per_address_max", "write_seconds"] {
            assert!(toml::from_str::<Config>(&format!("{key} = 0")).is_err(), "{key}");
        }
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        assert!(toml::from_str::<Config>("idle_secs = 900").is_err());
    }

    #[test]
    fn the_default_idle_time_is_the_least_that_the_rfc_allows() {
        // RFC 1939 §3: "Such a timer MUST be of at least 10 minutes' duration."
        assert!(Config::default().connection_limits().idle >= Duration::from_mins(10));
    }
}

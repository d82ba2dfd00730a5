//! The table `[relay]` of the configuration: where mail for other domains goes, when it is tried again, and every limit.

use std::path::PathBuf;
use std::time::Duration;

use mailwire::daemon::config::{ConfigError, ConfigFile, positive};
use mailwire::net::{ConnectionLimits, Network, Roots};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::dkim::Dkim;
use crate::reports::ReportsConfig;

use super::names::{Dns, MtaStsConfig};
use super::route::{RouteError, Routes};

/// Fewest recipients that every server takes in one transaction (RFC 5321 §4.5.3.1.8).
const RECIPIENTS_MAX: usize = 100;
/// Octets a second that a server must reach with its replies; they are short.
const REPLY_OCTETS_PER_SECOND_MIN: u64 = 10;

/// All tables that say how mail goes to other domains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelayTables {
    /// `[relay]`.
    pub relay: RelayConfig,
    /// `[dns]`.
    pub dns: Dns,
    /// `[mta_sts]`.
    pub mta_sts: MtaStsConfig,
    /// `[dkim]`.
    pub dkim: Dkim,
    /// `[reports]`.
    pub reports: ReportsConfig,
}

impl RelayTables {
    /// Reads them.
    ///
    /// # Errors
    /// Where one of them is wrong.
    pub fn read(file: &ConfigFile) -> Result<Self, ConfigError> {
        Ok(Self {
            relay: file.table("relay")?,
            dns: file.table("dns")?,
            mta_sts: file.table("mta_sts")?,
            dkim: file.table("dkim")?,
            reports: file.table("reports")?,
        })
    }
}

/// What the table `[relay]` says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelayConfig {
    /// Whether mail for other domains is taken from users who have logged in, and sent there.
    pub enabled: bool,
    /// Networks whose programs may hand in mail for other domains at port 25, without a login.
    pub trusted: Vec<Network>,
    /// Where mail goes; the first route that fits counts, and without one the domain's own exchangers.
    pub routes: Vec<RouteConfig>,
    /// Who must have signed the certificates of other domains' exchangers where these must be right; empty: whom the
    /// system trusts.
    pub ca_file: PathBuf,
    /// The port of other domains' exchangers.
    #[serde(deserialize_with = "positive")]
    pub port: u16,
    /// Seconds until the second attempt; each next one waits twice as long.
    #[serde(deserialize_with = "positive")]
    pub retry_seconds: u64,
    /// Most seconds between two attempts.
    #[serde(deserialize_with = "positive")]
    pub retry_seconds_max: u64,
    /// Seconds after which a message that could not be delivered goes back.
    #[serde(deserialize_with = "positive")]
    pub expire_seconds: u64,
    /// Seconds after which its sender hears that a message is delayed; 0: never.
    pub warn_seconds: u64,
    /// Entries of the queue that are held in memory at one time.
    #[serde(deserialize_with = "positive")]
    pub entries_max: usize,
    /// Connections to other servers at one time.
    #[serde(deserialize_with = "positive")]
    pub sessions_max: usize,
    /// Connections that are being made at one time, besides those, and as many again that take long.
    #[serde(deserialize_with = "positive")]
    pub connecting_max: usize,
    /// Connections to one destination at one time.
    #[serde(deserialize_with = "positive")]
    pub destination_sessions_max: usize,
    /// Messages that are sent over one connection.
    #[serde(deserialize_with = "positive")]
    pub session_messages_max: u32,
    /// Seconds for which a connection waits for a further message.
    pub session_idle_seconds: u64,
    /// Recipients of one transaction, at most 100.
    #[serde(deserialize_with = "recipients_max")]
    pub recipients_max: usize,
    /// Octets up to which a message comes back whole with a report, where its sender has not asked for less.
    pub returned_octets_max: u64,
    /// Seconds that connecting to one address may take.
    #[serde(deserialize_with = "positive")]
    pub connect_seconds: u64,
    /// Seconds that a TLS handshake may take.
    #[serde(deserialize_with = "positive")]
    pub handshake_seconds: u64,
    /// Seconds to wait for a greeting or a reply (RFC 5321 §4.5.3.2: 300).
    #[serde(deserialize_with = "positive")]
    pub reply_seconds: u64,
    /// Seconds that a server may take nothing of a message (RFC 5321 §4.5.3.2.5: 180).
    #[serde(deserialize_with = "positive")]
    pub block_seconds: u64,
    /// Seconds to wait for the reply to a whole message (RFC 5321 §4.5.3.2.6: 600).
    #[serde(deserialize_with = "positive")]
    pub end_seconds: u64,
}

/// What `[[relay.routes]]` says: whose mail goes where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouteConfig {
    /// `alice@example.org`, `@example.org`; none: anybody's.
    pub senders: Vec<String>,
    /// `example.net`, `.example.net` for all below it; none: for any domain.
    pub domains: Vec<String>,
    /// The server that gets it; empty: the exchangers of the domain.
    pub host: String,
    /// Its port; without one that of the TLS mode.
    pub port: Option<u16>,
    /// How it is protected on its way; without it `required` where there is a host.
    pub tls: Option<TlsMode>,
    /// Who logs in there; empty: nobody.
    pub login: String,
    /// The file with the password.
    pub password_file: PathBuf,
    /// The file with a token, instead of a password.
    pub token_file: PathBuf,
    /// Who must have signed the server's certificate; empty: whom the system trusts.
    pub ca_file: PathBuf,
}

/// How mail on its way is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// STARTTLS where it is offered, whoever the certificate is for (RFC 7435), and more where the domain asks for it.
    Opportunistic,
    /// STARTTLS, with a certificate of the host.
    Required,
    /// TLS from the first octet, with a certificate of the host (RFC 8314 §3).
    Implicit,
    /// In clear.
    Never,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            trusted: Vec::new(),
            routes: Vec::new(),
            ca_file: PathBuf::new(),
            port: 25,
            retry_seconds: 300,
            retry_seconds_max: 4 * 60 * 60,
            expire_seconds: 5 * 24 * 60 * 60,
            warn_seconds: 4 * 60 * 60,
            entries_max: 10_000,
            sessions_max: 1000,
            connecting_max: 1000,
            destination_sessions_max: 20,
            session_messages_max: 100,
            session_idle_seconds: 5,
            recipients_max: RECIPIENTS_MAX,
            returned_octets_max: 1 << 20,
            connect_seconds: 30,
            handshake_seconds: 60,
            reply_seconds: 300,
            block_seconds: 180,
            end_seconds: 600,
        }
    }
}

impl RelayConfig {
    /// Whether what the routes name is there.
    ///
    /// # Errors
    /// See [`RouteError`].
    pub fn check(&self) -> Result<(), RouteError> {
        Routes::new(self).map(drop)
    }

    /// Whom exchangers' certificates are compared with.
    pub(crate) fn roots(&self) -> Roots {
        if self.ca_file.as_os_str().is_empty() { Roots::System } else { Roots::File(self.ca_file.clone()) }
    }

    /// The deadlines of one connection. The wait for a reply is the longest one; each step has its own within it.
    pub(super) const fn connection_limits(&self) -> ConnectionLimits {
        let reply = if self.reply_seconds > self.end_seconds { self.reply_seconds } else { self.end_seconds };
        ConnectionLimits {
            handshake: Duration::from_secs(self.handshake_seconds),
            idle: Duration::from_secs(reply),
            command: Duration::from_secs(self.reply_seconds),
            content_idle: Duration::from_secs(self.reply_seconds),
            content_octets_per_second_min: REPLY_OCTETS_PER_SECOND_MIN,
            write: Duration::from_secs(self.block_seconds),
            // A client is not drained by its connection.
            drain: Duration::ZERO,
        }
    }
}

fn recipients_max<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let recipients = usize::deserialize(deserializer)?;
    if recipients == 0 || recipients > RECIPIENTS_MAX {
        return Err(D::Error::custom("recipients_max must be from 1 to 100 (RFC 5321, section 4.5.3.1.8)"));
    }
    Ok(recipients)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<RelayConfig, toml::de::Error> {
        toml::from_str(toml)
    }

    #[test]
    fn an_empty_table_gives_the_defaults() {
        assert_eq!(read("").unwrap(), RelayConfig::default());
    }

    #[test]
    fn limits_are_checked_at_their_edges() {
        for (right, wrong) in [
            ("recipients_max = 100", "recipients_max = 101"),
            ("recipients_max = 1", "recipients_max = 0"),
            ("retry_seconds = 1", "retry_seconds = 0"),
            ("entries_max = 1", "entries_max = 0"),
            ("port = 1", "port = 0"),
        ] {
            assert!(read(right).is_ok(), "{right}");
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_route_has_the_keys_that_it_needs() {
        let route =
            "[[routes]]\nhost = \"smtp.example.net\"\ntls = \"implicit\"\nsenders = [\"@example.org\"]\n";
        let config = read(route).unwrap();
        let [route] = config.routes.as_slice() else { panic!("{config:?}") };
        assert_eq!(
            (route.host.as_str(), route.tls, route.port),
            ("smtp.example.net", Some(TlsMode::Implicit), None)
        );
        assert!(read("[[routes]]\nhots = \"x\"\n").is_err());
        assert!(read("[[routes]]\ntls = \"sometimes\"\n").is_err());
    }
}

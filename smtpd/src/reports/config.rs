//! The table `[reports]` of the configuration: which reports are collected and sent, and in whose name.

use mailwire::address::Mailbox;
use mailwire::daemon::config::positive;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::tally::Kind;

/// What the table `[reports]` says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReportsConfig {
    /// Whether it is counted how TLS with other hosts goes, and their domains are told.
    pub tls: bool,
    /// What the organization that reports is called; empty: as the server is.
    pub organization: String,
    /// An address for questions about reports; empty: postmaster of the first domain.
    #[serde(deserialize_with = "address")]
    pub contact: String,
    /// From whom reports come: an address of a domain whose mail is signed; empty: postmaster of the first domain.
    #[serde(deserialize_with = "address")]
    pub from: String,
    /// Seconds after the end of a day within which, at a moment of this server's own, its reports are sent.
    pub delay_seconds_max: u64,
    /// Most reports of each kind about one day; those about most sessions or messages come first.
    #[serde(deserialize_with = "positive")]
    pub reports_max: usize,
    /// Seconds that handing over a report by HTTPS may take.
    #[serde(deserialize_with = "positive")]
    pub post_seconds: u64,
}

impl Default for ReportsConfig {
    fn default() -> Self {
        Self {
            tls: false,
            organization: String::new(),
            contact: String::new(),
            from: String::new(),
            delay_seconds_max: 4 * 60 * 60,
            reports_max: 1000,
            post_seconds: 60,
        }
    }
}

impl ReportsConfig {
    /// True where anything is collected.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.tls
    }

    pub(super) const fn collects(&self, kind: Kind) -> bool {
        match kind {
            Kind::Tls => self.tls,
        }
    }
}

/// An address, or nothing.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match Mailbox::parse(&text) {
        Ok(mailbox) if !mailbox.needs_smtputf8() => Ok(text),
        Ok(_) => Err(D::Error::custom(format!("\"{text}\" must be in ASCII"))),
        Err(_) if text.is_empty() => Ok(text),
        Err(error) => Err(D::Error::custom(format!("\"{text}\" is no address: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<ReportsConfig, toml::de::Error> {
        toml::from_str(toml)
    }

    #[test]
    fn an_empty_table_gives_the_defaults_and_nothing_is_collected() {
        assert_eq!(read("").unwrap(), ReportsConfig::default());
        assert!(!ReportsConfig::default().is_on());
        assert!(read("tls = true").unwrap().collects(Kind::Tls));
    }

    #[test]
    fn addresses_and_limits_are_checked() {
        assert_eq!(read("from = \"reports@example.org\"").unwrap().from, "reports@example.org");
        for wrong in [
            "from = \"reports\"",
            "contact = \"a b@example.org\"",
            "from = \"\u{fc}@example.org\"",
            "reports_max = 0",
            "post_seconds = 0",
            "x = 1",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read("delay_seconds_max = 0\nreports_max = 1").is_ok());
    }
}

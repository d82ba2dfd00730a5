//! The table `[scan]` of the configuration: which programs look at content, and what becomes of it while they are away.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use mailwire::daemon::config::positive;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Most scanners: all of them see each message.
const SCANNERS_MAX: usize = 8;

/// What the table `[scan]` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScanConfig {
    /// The scanners; none: nobody looks at content.
    #[serde(deserialize_with = "scanners")]
    pub scanners: Vec<ScannerConfig>,
}

/// What `[[scan.scanners]]` says of one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScannerConfig {
    /// What it speaks.
    #[serde(default)]
    pub kind: Kind,
    /// Where it answers.
    pub at: Place,
    /// Seconds that it may take from the end of the content to its word, and for each piece of content before; a milter for each
    /// of its answers, and again whenever it says that it is busy.
    #[serde(default = "seconds", deserialize_with = "positive")]
    pub seconds: u64,
    /// Seconds that a milter may take for all of the content, and for one command before, however often it says that it is busy.
    #[serde(default = "content_seconds", deserialize_with = "positive")]
    pub content_seconds: u64,
    /// Seconds for connecting to it.
    #[serde(default = "connect_seconds", deserialize_with = "positive")]
    pub connect_seconds: u64,
    /// What holds while it is away, or what it says cannot be understood.
    #[serde(default)]
    pub when_away: WhenAway,
    /// What becomes of a message that it rejects.
    #[serde(default)]
    pub reject: Reject,
    /// Octets of content above which it is not asked any more.
    #[serde(default = "octets_max", deserialize_with = "positive")]
    pub octets_max: u64,
    /// Whether it is asked about what users submit as well.
    #[serde(default)]
    pub submissions: bool,
}

impl ScanConfig {
    /// Those that hear of each step of a transaction.
    pub(crate) fn milters(&self) -> impl Iterator<Item = &ScannerConfig> + Clone {
        let is_milter = |scanner: &&ScannerConfig| match scanner.kind {
            Kind::Milter => true,
            Kind::Rspamd => false,
        };
        self.scanners.iter().filter(is_milter)
    }
}

impl ScannerConfig {
    /// A scanner there, with all else as it is where nothing is said.
    #[must_use]
    pub const fn new(at: Place) -> Self {
        Self {
            kind: Kind::Rspamd,
            at,
            seconds: seconds(),
            content_seconds: content_seconds(),
            connect_seconds: connect_seconds(),
            when_away: WhenAway::Accept,
            reject: Reject::Refuse,
            octets_max: octets_max(),
            submissions: false,
        }
    }

    /// How long connecting may take.
    pub(super) const fn connect(&self) -> Duration {
        Duration::from_secs(self.connect_seconds)
    }

    /// How long it may think.
    pub(super) const fn patience(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// What a scanner speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// rspamd's protocol over HTTP.
    #[default]
    Rspamd,
    /// Sendmail's mail filter protocol.
    Milter,
}

/// Where a scanner answers: `127.0.0.1:11333`, or `unix:` and a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// What holds while a scanner is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenAway {
    /// Mail is taken without its word.
    #[default]
    Accept,
    /// Mail is put off until it is there.
    Defer,
}

/// What becomes of a message that a scanner rejects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reject {
    /// It is refused.
    #[default]
    Refuse,
    /// It is junk.
    Junk,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| path.starts_with('/')) {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        text.parse().map(Self::Tcp).map_err(|_| {
            format!(
                "\"{}\" is not of the form 127.0.0.1:11333, [::1]:11333 or unix:/path",
                text.escape_default()
            )
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

fn scanners<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ScannerConfig>, D::Error> {
    let scanners = Vec::<ScannerConfig>::deserialize(deserializer)?;
    if scanners.len() > SCANNERS_MAX {
        return Err(D::Error::custom(format!("`scanners` has more than {SCANNERS_MAX} scanners")));
    }
    Ok(scanners)
}

const fn seconds() -> u64 {
    30
}

const fn content_seconds() -> u64 {
    300
}

const fn connect_seconds() -> u64 {
    3
}

const fn octets_max() -> u64 {
    20 << 20
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ScanConfig, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_scanner_needs_nothing_but_its_place() {
        let scan = read("[[scanners]]\nat = \"127.0.0.1:11333\"").unwrap();
        let [scanner] = &scan.scanners[..] else { panic!("{scan:?}") };
        assert_eq!((scanner.when_away, scanner.reject), (WhenAway::Accept, Reject::Refuse));
        assert!(!scanner.submissions && scanner.seconds == 30 && scanner.octets_max == 20 << 20);
        assert_eq!((scanner.kind, scanner.content_seconds), (Kind::Rspamd, 300));
        assert_eq!(*scanner, ScannerConfig::new(scanner.at.clone()));
        let milter = read("[[scanners]]\nkind = \"milter\"\nat = \"unix:/run/m.sock\"").unwrap();
        assert_eq!(milter.scanners[0].kind, Kind::Milter);
        assert!(read("[[scanners]]\nkind = \"filter\"\nat = \"127.0.0.1:1\"").is_err());
    }

    #[test]
    fn places_are_addresses_with_a_port_or_paths() {
        for right in ["127.0.0.1:11333", "[::1]:11333", "unix:/run/rspamd/rspamd.sock"] {
            assert_eq!(right.parse::<Place>().unwrap().to_string(), right);
        }
        for wrong in ["", "127.0.0.1", "localhost:11333", "unix:rspamd.sock", "http://127.0.0.1:11333/"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_are_checked_at_their_edges() {
        let scanner = "[[scanners]]\nat = \"127.0.0.1:1\"\n";
        for key in ["seconds", "content_seconds", "connect_seconds", "octets_max"] {
            assert!(read(&format!("{scanner}{key} = 1")).is_ok());
            assert!(read(&format!("{scanner}{key} = 0")).is_err());
        }
        assert!(
            read(&scanner.repeat(SCANNERS_MAX)).is_ok() && read(&scanner.repeat(SCANNERS_MAX + 1)).is_err()
        );
    }
}

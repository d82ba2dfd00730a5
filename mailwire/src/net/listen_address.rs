//! Where to listen, as a configuration writes it: an address with a port, or the path of a Unix socket.

use std::fmt;
use std::net::{AddrParseError, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

/// What stands before the path of a Unix socket.
const UNIX: &str = "unix:";
/// Most octets of such a path: Linux has room for 108, one of them a NUL (unix(7)).
const UNIX_PATH_OCTETS_MAX: usize = 107;

/// Where to listen.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum ListenAddress {
    /// `127.0.0.1:24`, `[::1]:24`.
    Tcp(SocketAddr),
    /// `unix:/run/mailstack/lmtp.sock`.
    Unix(PathBuf),
}

/// Why a text names no place to listen at.
#[derive(Debug, Error)]
pub enum ListenAddressError {
    /// It is neither an address with a port nor a path.
    #[error("\"{text}\" is neither an address with a port, such as 127.0.0.1:24, nor unix: and a path")]
    Unknown {
        /// What was written.
        text: String,
        /// Why it is no address.
        #[source]
        source: AddrParseError,
    },
    /// The path does not begin at the root.
    #[error("the path of \"{0}\" must begin with a slash")]
    Relative(String),
    /// The system has no room for the path.
    #[error("the path of \"{0}\" is longer than the 107 octets that the system has room for")]
    TooLong(String),
}

impl ListenAddress {
    /// The address, where it is one of the network.
    #[must_use]
    pub const fn network(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The path, where it is a Unix socket's.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(path) => Some(path),
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        let Some(path) = text.strip_prefix(UNIX) else {
            let unknown = |source| ListenAddressError::Unknown { text: text.to_owned(), source };
            return text.parse().map(Self::Tcp).map_err(unknown);
        };
        if !path.starts_with('/') {
            return Err(ListenAddressError::Relative(text.to_owned()));
        }
        if path.len() > UNIX_PATH_OCTETS_MAX {
            return Err(ListenAddressError::TooLong(text.to_owned()));
        }
        Ok(Self::Unix(PathBuf::from(path)))
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = ListenAddressError;

    fn try_from(text: String) -> Result<Self, ListenAddressError> {
        text.parse()
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "{UNIX}{}", path.display()),
        }
    }
}

/// As it is written, so that a list of them in the log can be read.
impl fmt::Debug for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_shown_again() {
        for text in ["127.0.0.1:24", "[::1]:24", "unix:/run/mailstack/lmtp.sock"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_place_to_listen_at_is_refused() {
        for text in ["", "24", "localhost:24", "127.0.0.1", "unix:", "unix:lmtp.sock", "/run/lmtp.sock"] {
            text.parse::<ListenAddress>().unwrap_err();
        }
    }

    #[test]
    fn a_path_fits_up_to_the_last_octet() {
        let path = |octets: usize| format!("unix:/{}", "x".repeat(octets - 1)).parse::<ListenAddress>();
        path(UNIX_PATH_OCTETS_MAX).unwrap();
        assert!(matches!(path(UNIX_PATH_OCTETS_MAX + 1), Err(ListenAddressError::TooLong(_))));
    }
}

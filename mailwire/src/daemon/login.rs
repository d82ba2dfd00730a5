//! What all servers hold alike about logins: who may log in without TLS, and how a login name is logged.

use std::net::IpAddr;

use serde::Deserialize;

use crate::address::PATH_OCTETS_MAX;
use crate::escape::escaped;

/// What the guard knows whoever leaves it to a token to say who they are as, until the token has been looked at.
pub const UNNAMED: &str = "(unnamed)";

/// Who may send a password over a connection that TLS does not protect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClearLogin {
    /// Nobody (RFC 8314 §3.3, §4.1).
    #[default]
    Never,
    /// Programs on this machine.
    Loopback,
}

impl ClearLogin {
    /// True where `peer` may, in either form of its address.
    #[must_use]
    pub fn allows(self, peer: IpAddr) -> bool {
        match self {
            Self::Never => false,
            Self::Loopback => peer.to_canonical().is_loopback(),
        }
    }
}

/// A login name as it was sent, for a log: escaped, and cut where no address is as long (RFC 5321 §4.5.3.1.3).
#[must_use]
pub fn shown(login: &str) -> String {
    let octets = login.as_bytes();
    escaped(octets.get(..PATH_OCTETS_MAX).unwrap_or(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_either_form_of_its_address() {
        for (peer, expected) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("::ffff:127.3.2.1", true),
            ("192.0.2.1", false),
            ("::ffff:192.0.2.1", false),
        ] {
            let peer = peer.parse().unwrap();
            assert_eq!(ClearLogin::Loopback.allows(peer), expected, "{peer}");
            assert!(!ClearLogin::Never.allows(peer), "{peer}");
        }
    }

    #[test]
    fn a_login_name_is_shown_escaped_and_cut() {
        assert_eq!(shown("a\r\n\u{e4}"), "a\\r\\n\\xc3\\xa4");
        assert_eq!(shown(&"\u{e4}".repeat(1000)).len(), 4 * PATH_OCTETS_MAX);
    }
}

//! Whom the gate is about: hosts of the internet, and nobody at home.

use std::net::{IpAddr, Ipv6Addr};

/// True for addresses that hosts of the internet have. Programs of this machine and of private networks (RFC 1918,
/// RFC 6598, RFC 4193) are in no list, and nobody gains by making them wait.
pub(crate) fn is_stranger(address: IpAddr) -> bool {
    let is_at_home = match address.to_canonical() {
        IpAddr::V4(address) => {
            // 100.64.0.0/10, RFC 6598 §7.
            let is_shared = matches!(address.octets(), [100, 64..=127, _, _]);
            address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_unspecified()
                || is_shared
        }
        IpAddr::V6(address) => {
            address == Ipv6Addr::LOCALHOST
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.is_unspecified()
        }
    };
    !is_at_home
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_the_internet_are_strangers() {
        for (address, stranger) in [
            ("192.0.2.1", true),
            ("100.63.255.255", true),
            ("100.64.0.0", false),
            ("100.127.255.255", false),
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("192.168.0.1", false),
            ("169.254.1.1", false),
            ("0.0.0.0", false),
            ("::ffff:10.0.0.1", false),
            ("::ffff:192.0.2.1", true),
            ("::1", false),
            ("fd00::1", false),
            ("fe80::1", false),
            ("2001:db8::1", true),
        ] {
            assert_eq!(is_stranger(address.parse().unwrap()), stranger, "{address}");
        }
    }
}

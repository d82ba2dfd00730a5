//! DNS records of keys as lines of a zone file (RFC 1035 §5.1).

use mailwire::address::Domain;
use smtpd::dkim::Key;

/// Most octets of a string in a TXT record (RFC 1035 §3.3.14); what is longer comes in several.
const STRING_OCTETS_MAX: usize = 255;

/// Where the record of a key stands (RFC 6376 §3.6.2.1).
pub(super) fn record_name(domain: &Domain, key: &Key) -> String {
    format!("{}._domainkey.{}", key.selector, domain.in_a_labels())
}

/// A line for each key.
pub(super) fn record_lines(domain: &Domain, keys: &[Key]) -> Vec<String> {
    let line = |key| format!("{}. IN TXT {}", record_name(domain, key), strings(&key.pair.record()));
    keys.iter().map(line).collect()
}

/// Text of ASCII letters, digits and what base64 has besides.
fn strings(text: &str) -> String {
    let quoted = text.as_bytes().chunks(STRING_OCTETS_MAX).map(|part| {
        let part = String::from_utf8_lossy(part);
        format!("\"{part}\"")
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_comes_in_several_strings() {
        assert_eq!(strings("v=DKIM1; p=x"), "\"v=DKIM1; p=x\"");
        let (first, second) = ("a".repeat(255), "b".repeat(10));
        assert_eq!(strings(&format!("{first}{second}")), format!("\"{first}\" \"{second}\""));
    }
}

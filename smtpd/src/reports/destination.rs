//! Where a domain wants its reports: `rua`, a list of URIs (RFC 8460 §3, RFC 7489 §6.2).

use mailwire::address::Mailbox;
use mailwire::net::HttpsUrl;

/// Most destinations of one domain that get a report.
pub(super) const DESTINATIONS_MAX: usize = 5;

/// Where a report goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// By mail.
    Mail(Mailbox),
    /// By POST.
    Post(HttpsUrl),
}

impl Destination {
    /// `None` for what is neither `mailto:` nor `https:`, or not of their forms.
    pub(super) fn parse(uri: &str) -> Option<Self> {
        let (scheme, rest) = uri.trim().split_once(':')?;
        if scheme.eq_ignore_ascii_case("mailto") {
            return mailbox(rest).map(Self::Mail);
        }
        let url = HttpsUrl::parse(uri.trim()).ok()?;
        // Nobody else's record is to lead to a service of this machine.
        (scheme.eq_ignore_ascii_case("https") && !url.is_clear()).then_some(Self::Post(url))
    }
}

/// `mailto:` without fields (RFC 6068 §2), percent-encoded.
fn mailbox(rest: &str) -> Option<Mailbox> {
    let address = rest.split(['?', ',']).next()?;
    let mailbox = Mailbox::parse(&decoded(address)?).ok()?;
    (!mailbox.needs_smtputf8()).then_some(mailbox)
}

/// `pct-encoded`, RFC 3986 §2.1.
fn decoded(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut octets = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.get(..2).filter(|digits| digits.bytes().all(|octet| octet.is_ascii_hexdigit()))?;
        octets.push(u8::from_str_radix(digits, 16).ok()?);
        octets.extend(piece.get(2..)?.as_bytes());
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(uri: &str) -> Option<String> {
        match Destination::parse(uri)? {
            Destination::Mail(mailbox) => Some(mailbox.to_string()),
            Destination::Post(_) => None,
        }
    }

    #[test]
    fn addresses_are_read_with_their_escapes() {
        assert_eq!(mail(" MAILTO:reports@example.org ").as_deref(), Some("reports@example.org"));
        assert_eq!(mail("mailto:a%2Cb%21@example.org?subject=x").as_deref(), None, "a comma needs quotes");
        assert_eq!(mail("mailto:a%21b@example.org?subject=x").as_deref(), Some("a!b@example.org"));
        for wrong in [
            "mailto:",
            "mailto:a",
            "mailto:a%@b.example",
            "mailto:a%0d%0a@b.example",
            "mailto:a%zz@b.example",
        ] {
            assert_eq!(Destination::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn reports_are_posted_by_https_only() {
        assert!(matches!(Destination::parse("https://a.example/v1/tlsrpt"), Some(Destination::Post(_))));
        for wrong in
            ["http://a.example/", "http://127.0.0.1/", "ftp://a.example/", "https://u:p@a.example/", "x", ""]
        {
            assert_eq!(Destination::parse(wrong), None, "{wrong}");
        }
    }
}

//! Whose message it claims to be: the domain in From (RFC 7489 §3.1.1, §6.6.1).

use mail_auth::AuthenticatedMessage;
use mailwire::address::{Domain, Mailbox};

use super::a_labels;
use super::reading::Read;

/// Who a message claims to be from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Author {
    /// The domain, in A-labels.
    Domain(String),
    /// Nobody that all readers would agree on.
    Broken(&'static str),
    /// It could not be found out, for this reason.
    Unknown(String),
}

/// The one domain that From names.
pub(super) fn author(read: &Read) -> Author {
    if !read.is_whole {
        return Author::Broken("the header section is too long");
    }
    let Some(message) = AuthenticatedMessage::parse(&read.header) else {
        return Author::Broken("there is no From");
    };
    let mut fields = message.headers.iter().filter(|(name, _)| is_from(name));
    let (Some((_, body)), None) = (fields.next(), fields.next()) else {
        return Author::Broken("there is not one From");
    };
    let mut domains: Vec<_> = message.from.iter().filter_map(|address| domain(address)).collect();
    // Who reads strictly may see somebody else.
    domains.extend(Mailbox::of_originator(body).ok().and_then(|mailbox| named(mailbox.domain())));
    domains.sort_unstable();
    domains.dedup();
    match <[String; 1]>::try_from(domains) {
        Ok([domain]) => Author::Domain(domain),
        Err(domains) if domains.is_empty() => Author::Broken("From names nobody"),
        Err(_) => Author::Broken("From names several domains"),
    }
}

/// `From` with blanks behind it is read by some as that field (RFC 5322 §4.5.2).
fn is_from(name: &[u8]) -> bool {
    name.trim_ascii_end().eq_ignore_ascii_case(b"from")
}

fn domain(address: &str) -> Option<String> {
    let (_, name) = address.rsplit_once('@')?;
    named(&Domain::parse(name).ok()?)
}

/// In A-labels; an address has no owner who could say anything.
fn named(domain: &Domain) -> Option<String> {
    match domain {
        Domain::Name(_) => Some(a_labels(domain)),
        Domain::Address(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::reading::Reading;

    fn of(header: &str) -> Result<String, &'static str> {
        let mut reading = Reading::default();
        reading.pass(header.as_bytes());
        match author(&reading.read()) {
            Author::Domain(domain) => Ok(domain),
            Author::Broken(why) => Err(why),
            Author::Unknown(_) => Err("unknown"),
        }
    }

    #[test]
    fn the_author_is_the_one_domain_in_from() {
        for (header, expected) in [
            ("From: a@b.example\r\n\r\n", "b.example"),
            ("Subject: x\r\nFROM:\r\n \"x@y\" <a@B.Example>\r\n\r\n", "b.example"),
            ("From: a@b.example, c@b.example\r\n\r\n", "b.example"),
            ("From: a@ä.example\r\n\r\n", "xn--4ca.example"),
        ] {
            assert_eq!(of(header).as_deref(), Ok(expected), "{header:?}");
        }
    }

    #[test]
    fn who_is_not_named_clearly_is_nobody() {
        for header in [
            "",
            "Subject: x\r\n\r\n",
            "From: a@b.example\r\nFrom: a@b.example\r\n\r\n",
            "From: a@b.example\r\nFrom : a@b.example\r\n\r\n",
            "From: a@b.example, c@d.example\r\n\r\n",
            "From: nobody\r\n\r\n",
            "From: undisclosed:;\r\n\r\n",
            "From: a@[192.0.2.1]\r\n\r\n",
        ] {
            assert!(of(header).is_err(), "{header:?}");
        }
    }
}

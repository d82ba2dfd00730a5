//! What a list said of somebody: which name it is asked about, and what its answer means.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use super::{ListConfig, Pattern};

/// Most characters of a reason that a list gives.
pub(super) const REASON_CHARACTERS_MAX: usize = 200;
/// RFC 5782 §2.1: answers that lie elsewhere are no answers of a list.
const ANSWERS: u8 = 127;
/// What URI lists say to those whom they do not answer.
const NOT_FOR_YOU: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// What one list said of one address or domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which of the configuration's lists, from 0.
    pub list: usize,
    /// An address, or a domain.
    pub subject: String,
    /// What came back.
    pub heard: Heard,
}

/// What came back from a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It has no such entry, or one that does not count.
    NotListed,
    /// It has one.
    Listed {
        /// Its answers that count.
        answers: Vec<Ipv4Addr>,
        /// Its own words, made safe to show.
        reason: Option<String>,
    },
    /// It says that it does not answer us, or what no list says.
    Unusable(Ipv4Addr),
    /// It did not answer in time, or DNS failed.
    Silent,
}

impl Heard {
    /// What addresses in an answer mean to a list for which `patterns` count.
    pub(super) fn of(addresses: &[Ipv4Addr], patterns: &[Pattern]) -> Self {
        let counts = |answer: &Ipv4Addr| {
            let is_answer = answer.octets().first() == Some(&ANSWERS) && !is_error(*answer);
            let is_meant = patterns.iter().any(|pattern| pattern.matches(*answer));
            is_answer && (is_meant || (patterns.is_empty() && *answer != NOT_FOR_YOU))
        };
        let answers: Vec<_> = addresses.iter().copied().filter(counts).collect();
        if !answers.is_empty() {
            return Self::Listed { answers, reason: None };
        }
        let unusable = |answer: &Ipv4Addr| {
            answer.octets().first() != Some(&ANSWERS) || is_error(*answer) || *answer == NOT_FOR_YOU
        };
        addresses.iter().copied().find(unusable).map_or(Self::NotListed, Self::Unusable)
    }
}

/// 127.255.255.0/24: how large providers say that they do not answer this resolver, or that the question is wrong.
fn is_error(answer: Ipv4Addr) -> bool {
    matches!(answer.octets(), [127, 255, 255, _])
}

/// The name that a list is asked about an address (RFC 5782 §2.1, §2.4).
pub(super) fn name_of_address(address: IpAddr, zone: &str) -> String {
    let mut name = String::new();
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            let _ = write!(name, "{d}.{c}.{b}.{a}.");
        }
        IpAddr::V6(address) => {
            for octet in address.octets().iter().rev() {
                let _ = write!(name, "{:x}.{:x}.", octet & 15, octet >> 4);
            }
        }
    }
    name + zone
}

/// The words of a list, in printable ASCII: they come from outside, and go to others.
pub(super) fn reason(words: &[u8]) -> Option<String> {
    let printable =
        |&octet: &u8| if octet == b' ' || octet.is_ascii_graphic() { char::from(octet) } else { '?' };
    let text: String = words.iter().take(REASON_CHARACTERS_MAX).map(printable).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

impl Finding {
    /// In words, for trace and log.
    #[must_use]
    pub fn shown(&self, list: &ListConfig) -> String {
        let (subject, name) = (&self.subject, list.shown());
        match &self.heard {
            Heard::NotListed => format!("{subject} is not in {name}"),
            Heard::Listed { answers, reason } => {
                let mut text = format!("{subject} is in {name} (");
                for (index, answer) in answers.iter().take(4).enumerate() {
                    let _ = write!(text, "{}{answer}", if index > 0 { ", " } else { "" });
                }
                text.push(')');
                if let Some(reason) = reason {
                    let _ = write!(text, ": {reason}");
                }
                text
            }
            Heard::Unusable(answer) => format!("{name} does not answer this server ({answer})"),
            Heard::Silent => format!("{name} has not answered about {subject}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(addresses: &[&str], patterns: &[&str]) -> Heard {
        let addresses: Vec<_> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let patterns: Vec<_> = patterns.iter().map(|text| text.parse().unwrap()).collect();
        Heard::of(&addresses, &patterns)
    }

    fn listed(answers: &[&str]) -> Heard {
        let answers = answers.iter().map(|text| text.parse().unwrap()).collect();
        Heard::Listed { answers, reason: None }
    }

    #[test]
    fn lists_are_asked_by_the_reversed_address() {
        // The examples of RFC 5782 §2.1 and §2.4.
        for (address, name) in [
            ("192.0.2.99", "99.2.0.192.bad.example.com"),
            ("::ffff:192.0.2.99", "99.2.0.192.bad.example.com"),
            (
                "2001:db8:1:2:3:4:567:89ab",
                "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bad.example.com",
            ),
        ] {
            assert_eq!(name_of_address(address.parse().unwrap(), "bad.example.com"), name);
        }
    }

    #[test]
    fn only_answers_that_count_are_a_listing() {
        assert_eq!(heard(&[], &[]), Heard::NotListed);
        assert_eq!(heard(&["127.0.0.2"], &[]), listed(&["127.0.0.2"]));
        assert_eq!(heard(&["127.0.0.2", "127.0.0.9"], &["127.0.0.4-9"]), listed(&["127.0.0.9"]));
        assert_eq!(heard(&["127.0.0.2"], &["127.0.0.4"]), Heard::NotListed);
        // Combined lists may have it as one of their bits.
        assert_eq!(heard(&["127.0.0.1"], &["127.0.0.1"]), listed(&["127.0.0.1"]));
    }

    #[test]
    fn errors_and_answers_of_no_list_are_no_listing() {
        for odd in ["127.255.255.254", "127.255.255.0", "127.0.0.1", "192.0.2.1", "0.0.0.0"] {
            assert_eq!(heard(&[odd], &[]), Heard::Unusable(odd.parse().unwrap()));
        }
        // Not even where the configuration says so.
        assert!(matches!(heard(&["127.255.255.254"], &["127.*.*.*"]), Heard::Unusable(_)));
        assert_eq!(heard(&["127.255.255.254", "127.0.0.2"], &[]), listed(&["127.0.0.2"]));
    }

    #[test]
    fn reasons_are_short_and_printable() {
        assert_eq!(reason(b""), None);
        assert_eq!(reason(b"  "), None);
        let told = reason(b"see https://bl.example/?ip\r\n250 OK \xff").unwrap();
        assert_eq!(told, "see https://bl.example/?ip??250 OK ?");
        assert_eq!(reason(&[b'x'; 1000]).unwrap().len(), REASON_CHARACTERS_MAX);
    }
}

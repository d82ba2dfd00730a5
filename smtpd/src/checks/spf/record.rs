//! SPF records (RFC 7208 §4.5, §4.6, §12): read as a whole before anything of them counts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Spf;
use super::macros::{MacroString, Purpose};

/// What a record begins with (RFC 7208 §4.5).
const VERSION: &str = "v=spf1";

/// What a domain says about who sends its mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) directives: Vec<Directive>,
    pub(super) redirect: Option<MacroString>,
    pub(super) explanation: Option<MacroString>,
}

/// `directive = [ qualifier ] mechanism`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    /// What is said where the mechanism matches.
    pub(super) result: Spf,
    pub(super) mechanism: Mechanism,
}

/// RFC 7208 §5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    All,
    Include(MacroString),
    A(Option<MacroString>, Prefixes),
    Mx(Option<MacroString>, Prefixes),
    Ptr(Option<MacroString>),
    /// `ip4` and `ip6`.
    Ip(IpAddr, u32),
    Exists(MacroString),
}

/// `dual-cidr-length`: how many bits of an address count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefixes {
    pub(super) four: u32,
    pub(super) six: u32,
}

impl Record {
    /// True for TXT records that are SPF records (RFC 7208 §4.5).
    pub(super) fn is_one(text: &[u8]) -> bool {
        text.get(..VERSION.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(VERSION.as_bytes()))
            && text.get(VERSION.len()).is_none_or(|octet| *octet == b' ')
    }

    /// `None` where something in it is wrong, wherever it stands.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
        let mut record = Self::default();
        for term in text.get(VERSION.len()..)?.split(' ').filter(|term| !term.is_empty()) {
            match modifier(term) {
                Some((name, value)) => record.modify(name, value)?,
                None => record.directives.push(Directive::parse(term)?),
            }
        }
        Some(record)
    }

    /// RFC 7208 §6: redirect and exp may stand there once, and unknown ones are passed over.
    fn modify(&mut self, name: &str, value: &str) -> Option<()> {
        let place = match name.to_ascii_lowercase().as_str() {
            "redirect" => &mut self.redirect,
            "exp" => &mut self.explanation,
            _ => return MacroString::parse(value, Purpose::Name).map(|_| ()),
        };
        let name = MacroString::parse_name(value)?;
        place.replace(name).is_none().then_some(())
    }
}

/// `name "=" macro-string`, where the term is one; `name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )`.
fn modifier(term: &str) -> Option<(&str, &str)> {
    let (name, value) = term.split_once('=')?;
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet));
    is_name.then_some((name, value))
}

impl Directive {
    fn parse(term: &str) -> Option<Self> {
        let (result, mechanism) = match term.as_bytes().first()? {
            b'+' => (Spf::Pass, term.get(1..)?),
            b'-' => (Spf::Fail, term.get(1..)?),
            b'~' => (Spf::SoftFail, term.get(1..)?),
            b'?' => (Spf::Neutral, term.get(1..)?),
            _ => (Spf::Pass, term),
        };
        Some(Self { result, mechanism: Mechanism::parse(mechanism)? })
    }
}

impl Mechanism {
    fn parse(text: &str) -> Option<Self> {
        let end = text.find([':', '/']).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end)?;
        let argument = rest.strip_prefix(':');
        match (name.to_ascii_lowercase().as_str(), argument) {
            ("all", None) if rest.is_empty() => Some(Self::All),
            ("include", Some(name)) => MacroString::parse_name(name).map(Self::Include),
            ("exists", Some(name)) => MacroString::parse_name(name).map(Self::Exists),
            ("a", _) => host_and_prefixes(rest).map(|(name, prefixes)| Self::A(name, prefixes)),
            ("mx", _) => host_and_prefixes(rest).map(|(name, prefixes)| Self::Mx(name, prefixes)),
            ("ptr", None) if rest.is_empty() => Some(Self::Ptr(None)),
            ("ptr", Some(name)) => MacroString::parse_name(name).map(|name| Self::Ptr(Some(name))),
            ("ip4", Some(network)) => {
                let (address, bits) = network_of(network, Ipv4Addr::BITS)?;
                Some(Self::Ip(address.parse::<Ipv4Addr>().ok()?.into(), bits))
            }
            ("ip6", Some(network)) => {
                let (address, bits) = network_of(network, Ipv6Addr::BITS)?;
                Some(Self::Ip(address.parse::<Ipv6Addr>().ok()?.into(), bits))
            }
            _ => None,
        }
    }
}

/// `[ ":" domain-spec ] [ dual-cidr-length ]`. A name may have slashes in it, so the lengths are taken from its end.
fn host_and_prefixes(text: &str) -> Option<(Option<MacroString>, Prefixes)> {
    let (text, six) = match text.rsplit_once("//") {
        Some((before, length)) if is_number(length) => (before, bits(length, Ipv6Addr::BITS)?),
        _ => (text, Ipv6Addr::BITS),
    };
    let (text, four) = match text.rsplit_once('/') {
        Some((before, length)) if is_number(length) => (before, bits(length, Ipv4Addr::BITS)?),
        _ => (text, Ipv4Addr::BITS),
    };
    let name = match text.strip_prefix(':') {
        Some(name) => Some(MacroString::parse_name(name)?),
        None if text.is_empty() => None,
        None => return None,
    };
    Some((name, Prefixes { four, six }))
}

/// An address, with the length of its prefix, if there is one.
fn network_of(text: &str, bits_max: u32) -> Option<(&str, u32)> {
    match text.split_once('/') {
        Some((address, length)) => Some((address, bits(length, bits_max)?)),
        None => Some((text, bits_max)),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

/// `"0" / %x31-39 *DIGIT`, RFC 7208 §12.
fn bits(text: &str, bits_max: u32) -> Option<u32> {
    let is_plain = is_number(text) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|bits| is_plain && *bits <= bits_max)
}

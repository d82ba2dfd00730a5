//! Macros (RFC 7208 §7): names and explanations into which facts about the client are put.

use std::net::IpAddr;

use super::Asked;

/// Octets of a name that DNS takes (RFC 1035 §2.3.4), without its final dot.
const NAME_OCTETS_MAX: usize = 253;

/// What a macro string is for: some letters, and spaces, are for explanations only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// `domain-spec`, or the value of a modifier.
    Name,
    /// `explain-string`.
    Explanation,
}

/// `macro-string = *( macro-expand / macro-literal )`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MacroString(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Expand(Expand),
}

/// `"%{" macro-letter transformers *delimiter "}"`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expand {
    letter: char,
    is_escaped: bool,
    /// How many of the parts on the right are kept; 0 for all.
    kept: usize,
    is_reversed: bool,
    delimiters: String,
}

/// What a macro can say.
pub(super) struct Facts<'a> {
    pub(super) asked: &'a Asked<'a>,
    /// The domain whose record this is.
    pub(super) domain: &'a str,
    /// The validated name of the client, where it is needed.
    pub(super) validated: &'a str,
}

impl MacroString {
    /// `None` where it is none.
    pub(super) fn parse(text: &str, purpose: Purpose) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            parts.push(match character {
                '%' => match rest.next()? {
                    '%' => Part::Literal("%".to_owned()),
                    '_' => Part::Literal(" ".to_owned()),
                    '-' => Part::Literal("%20".to_owned()),
                    '{' => {
                        let inside;
                        (inside, rest) = rest.as_str().split_once('}').map(|(a, b)| (a, b.chars()))?;
                        Part::Expand(Expand::parse(inside, purpose)?)
                    }
                    _ => return None,
                },
                ' ' if purpose == Purpose::Explanation => Part::Literal(character.to_string()),
                '!'..='~' => Part::Literal(character.to_string()),
                _ => return None,
            });
        }
        Some(Self(parts))
    }

    /// `domain-spec = macro-string domain-end`, RFC 7208 §7.1.
    pub(super) fn parse_name(text: &str) -> Option<Self> {
        let parsed = Self::parse(text, Purpose::Name)?;
        let ends_in_macro = text.ends_with('}') || ["%%", "%_", "%-"].iter().any(|end| text.ends_with(end));
        let without_dot = text.strip_suffix('.').unwrap_or(text);
        let top = without_dot.rsplit_once('.').map(|(_, top)| top);
        (ends_in_macro || top.is_some_and(is_top_label)).then_some(parsed)
    }

    /// True where the client's validated name is in it.
    pub(super) fn names_validated(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Expand(Expand { letter: 'p', .. })))
    }

    /// With the facts put in.
    pub(super) fn expand(&self, facts: &Facts<'_>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Expand(expand) => text.push_str(&expand.value(facts)),
            }
        }
        text
    }

    /// The same as the name of a domain: where it is too long for DNS, labels go from its left.
    pub(super) fn expand_name(&self, facts: &Facts<'_>) -> String {
        let expanded = self.expand(facts);
        let mut name = expanded.strip_suffix('.').unwrap_or(&expanded);
        while name.len() > NAME_OCTETS_MAX {
            let Some((_, right)) = name.split_once('.') else { break };
            name = right;
        }
        name.to_owned()
    }
}

/// `toplabel`, RFC 7208 §7.1: it is not a number.
fn is_top_label(label: &str) -> bool {
    let is_let_dig_hyphen = label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    let is_number = label.bytes().all(|octet| octet.is_ascii_digit());
    is_let_dig_hyphen && !is_number && !label.starts_with('-') && !label.ends_with('-')
}

impl Expand {
    fn parse(inside: &str, purpose: Purpose) -> Option<Self> {
        let mut rest = inside.chars();
        let written = rest.next()?;
        let letter = written.to_ascii_lowercase();
        match (letter, purpose) {
            ('s' | 'l' | 'o' | 'd' | 'i' | 'p' | 'h' | 'v', _) | ('c' | 'r' | 't', Purpose::Explanation) => {}
            _ => return None,
        }
        let rest = rest.as_str();
        let behind_digits = rest.trim_start_matches(|character: char| character.is_ascii_digit());
        let digits = rest.strip_suffix(behind_digits).unwrap_or_default();
        let kept = match digits {
            "" => 0,
            // Nothing has so many parts that a longer number meant fewer.
            digits => digits.parse().unwrap_or(usize::MAX),
        };
        if kept == 0 && !digits.is_empty() {
            return None;
        }
        let behind_r = behind_digits.strip_prefix(['r', 'R']);
        let delimiters = behind_r.unwrap_or(behind_digits).to_owned();
        let is_delimiter = |character| matches!(character, '.' | '-' | '+' | ',' | '/' | '_' | '=');
        delimiters.chars().all(is_delimiter).then_some(Self {
            letter,
            is_escaped: written.is_ascii_uppercase(),
            kept,
            is_reversed: behind_r.is_some(),
            delimiters,
        })
    }

    /// RFC 7208 §7.3.
    fn value(&self, facts: &Facts<'_>) -> String {
        let raw = self.raw(facts);
        let is_delimiter = |character| match self.delimiters.as_str() {
            "" => character == '.',
            delimiters => delimiters.contains(character),
        };
        let mut parts: Vec<&str> = raw.split(is_delimiter).collect();
        if self.is_reversed {
            parts.reverse();
        }
        let dropped = if self.kept == 0 { 0 } else { parts.len().saturating_sub(self.kept) };
        let kept = parts.get(dropped..).unwrap_or_default().join(".");
        if self.is_escaped { escaped(&kept) } else { kept }
    }

    /// RFC 7208 §7.2.
    fn raw(&self, facts: &Facts<'_>) -> String {
        let Asked { ip, helo, local_part, sender_domain, receiver, unix_seconds, .. } = facts.asked;
        match self.letter {
            's' => format!("{local_part}@{sender_domain}"),
            'l' => (*local_part).to_owned(),
            'o' => (*sender_domain).to_owned(),
            'd' => facts.domain.to_owned(),
            'i' => dotted(*ip),
            'p' => facts.validated.to_owned(),
            'v' => if ip.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
            'h' => (*helo).to_owned(),
            'c' => ip.to_string(),
            'r' => (*receiver).to_owned(),
            't' => unix_seconds.to_string(),
            _ => String::new(),
        }
    }
}

/// An address as `%{i}` gives it: an IPv6 one in nibbles.
fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().flat_map(|octet| [octet >> 4, octet & 0xf]);
            nibbles.map(|nibble| format!("{nibble:X}")).collect::<Vec<_>>().join(".")
        }
    }
}

/// What is not unreserved in URIs (RFC 3986 §2.3), escaped.
fn escaped(text: &str) -> String {
    let mut output = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                output.push(char::from(octet));
            }
            _ => {
                let nibble =
                    |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0').to_ascii_uppercase();
                output.extend(['%', nibble(octet >> 4), nibble(octet & 0xf)]);
            }
        }
    }
    output
}

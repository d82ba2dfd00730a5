//! Which answers of a list count: `127.0.0.2`, `127.0.0.4-7`, `127.0.*.1-3`.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Answers of one form: for each of the four numbers, the least and the most that it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern([(u8, u8); 4]);

impl Pattern {
    /// True where the answer is of this form.
    #[must_use]
    pub fn matches(&self, answer: Ipv4Addr) -> bool {
        self.0.iter().zip(answer.octets()).all(|(&(least, most), number)| (least..=most).contains(&number))
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Option<Vec<_>> = text.split('.').map(number).collect();
        let numbers: Option<[(u8, u8); 4]> = numbers.and_then(|numbers| numbers.try_into().ok());
        // RFC 5782 §2.1: no list answers with anything else.
        numbers.filter(|[first, ..]| *first == (127, 127)).map(Self).ok_or_else(|| {
            format!("\"{}\" is not of the form 127.0.0.2, 127.0.0.4-7 or 127.0.*.2", text.escape_default())
        })
    }
}

/// `2`, `4-7` or `*`.
fn number(text: &str) -> Option<(u8, u8)> {
    if text == "*" {
        return Some((0, u8::MAX));
    }
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.parse().ok())?;
    let (least, most) = (digits(least)?, digits(most)?);
    (least <= most).then_some((least, most))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            match number {
                (0, u8::MAX) => f.write_str("*")?,
                (least, most) if least == most => write!(f, "{least}")?,
                (least, most) => write!(f, "{least}-{most}")?,
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_single_answers_ranges_and_anything() {
        for (pattern, matches, other) in [
            ("127.0.0.2", "127.0.0.2", "127.0.0.3"),
            ("127.0.0.4-7", "127.0.0.7", "127.0.0.8"),
            ("127.0.*.2-3", "127.0.10.3", "127.0.10.1"),
            ("127.*.*.*", "127.255.255.254", "128.0.0.1"),
        ] {
            let read: Pattern = pattern.parse().unwrap();
            assert!(read.matches(matches.parse().unwrap()), "{pattern}");
            assert!(!read.matches(other.parse().unwrap()), "{pattern}");
            assert_eq!(read.to_string(), pattern);
        }
    }

    #[test]
    fn what_no_list_answers_is_no_pattern() {
        for wrong in [
            "",
            "127",
            "127.0.0",
            "127.0.0.2.3",
            "10.0.0.2",
            "127.0.0.256",
            "127.0.0.7-4",
            "127.0.0.+2",
            "127.0.0.2-",
        ] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
    }
}

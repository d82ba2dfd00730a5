//! Enhanced status codes (RFC 3463, registry of RFC 5248).

use std::fmt;

/// `class.subject.detail`; the class is always the reply's first digit (RFC 2034 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enhanced(pub u8, pub u16, pub u16);

impl Enhanced {
    /// Reads `status-code = class "." subject "." detail` (RFC 3463 §2) from the front of a reply's text; gives the
    /// code and the text behind it.
    pub(super) fn split(text: &str) -> Option<(Self, &str)> {
        let (code, rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut parts = code.split('.');
        let mut part = || parts.next().filter(|part| is_number(part));
        let class = part().filter(|class| matches!(*class, "2" | "4" | "5"))?.parse().ok()?;
        let code = Self(class, part()?.parse().ok()?, part()?.parse().ok()?);
        parts.next().is_none().then_some((code, rest))
    }
}

/// `1*3DIGIT`, RFC 3463 §2.
fn is_number(part: &str) -> bool {
    (1..=3).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_digit())
}

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_split_from_the_text_behind_it() {
        assert_eq!(Enhanced::split("5.1.1 no such"), Some((Enhanced(5, 1, 1), "no such")));
        assert_eq!(Enhanced::split("2.0.0"), Some((Enhanced(2, 0, 0), "")));
    }

    #[test]
    fn other_text_is_no_code() {
        for text in
            ["", "2.0", "2.0.0.1 x", "3.0.0 x", "2.+1.0 x", "2.1000.0 x", "2..0 x", "10.0.0.1", "22.0.0"]
        {
            assert_eq!(Enhanced::split(text), None, "{text}");
        }
    }
}

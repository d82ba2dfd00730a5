//! What tells the keys of a domain apart (RFC 6376 §3.1).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Most octets of a label (RFC 1035 §2.3.4), and of a selector here.
const OCTETS_MAX: usize = 63;

/// `selector = sub-domain *( "." sub-domain )`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector(String);

/// It is no selector.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is no selector: letters, digits and hyphens, at most 63, such as key2")]
pub struct SelectorError(String);

impl Selector {
    /// As it stands in DNS and in signatures.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let is_label = |label: &str| {
            let is_inside = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
            !label.is_empty()
                && label.bytes().all(is_inside)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if text.len() <= OCTETS_MAX && text.split('.').all(is_label) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(SelectorError(text.chars().take(OCTETS_MAX).collect()))
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_made_of_labels() {
        for right in ["a", "key2", "2026-11", "brisbane.south", &"x".repeat(63)] {
            assert_eq!(right.parse::<Selector>().unwrap().as_str(), right);
        }
        assert_eq!("Key".parse::<Selector>().unwrap().as_str(), "key");
        for wrong in ["", ".", "..", "a.", "-a", "a-", "a/b", "../x", "\u{fc}", "a b", &"x".repeat(64)] {
            assert!(wrong.parse::<Selector>().is_err(), "{wrong}");
        }
    }
}

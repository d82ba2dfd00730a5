//! Domains, which are the same in A-labels and U-labels (RFC 5890 §2.3.2.1, §2.3.2.4).

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use idna::AsciiDenyList;
use nom::combinator::all_consuming;
use nom::{Finish, Parser};

use super::{AddressError, grammar};

/// How an A-label begins (RFC 5890 §2.3.1).
const A_LABEL_PREFIX: &str = "xn--";

/// A domain name, in lower case, or an address literal (RFC 5321 §2.3.5, §4.1.3).
///
/// `bücher.example` and `xn--bcher-kva.example` are equal; each is shown as it was written.
#[derive(Clone, Debug)]
pub enum Domain {
    /// `example.org`; U-labels are kept as UTF-8 (RFC 6531 §3.3).
    Name(String),
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Address(IpAddr),
}

impl Domain {
    /// Parses `example.org`, `[192.0.2.1]` or `[IPv6:2001:db8::1]`; UTF-8 is taken (RFC 6531 §3.3).
    ///
    /// # Errors
    /// Where the text is neither, or is too long.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let parsed = all_consuming(grammar::domain_or_address_literal).parse(text).finish();
        parsed.map(|(_, domain)| domain).map_err(|error| AddressError::new(text, error.code))
    }

    /// The same domain in A-labels where this one has U-labels, and in U-labels where it has A-labels; `None` where there
    /// is only one way to write it.
    #[must_use]
    pub fn other_spelling(&self) -> Option<Self> {
        let Self::Name(name) = self else { return None };
        let other = if name.is_ascii() {
            name.split('.').any(|label| label.starts_with(A_LABEL_PREFIX)).then(|| in_u_labels(name))?
        } else {
            in_a_labels(name).into_owned()
        };
        (other != *name).then_some(Self::Name(other))
    }

    /// One form for all spellings, which DNS knows as well; as it was where it has no such form.
    #[must_use]
    pub fn in_a_labels(&self) -> Cow<'_, Self> {
        match self {
            Self::Name(name) if !name.is_ascii() => Cow::Owned(Self::Name(in_a_labels(name).into_owned())),
            Self::Name(_) | Self::Address(_) => Cow::Borrowed(self),
        }
    }
}

/// As it was where it has no such form.
fn in_a_labels(name: &str) -> Cow<'_, str> {
    if name.is_ascii() {
        return Cow::Borrowed(name);
    }
    idna::domain_to_ascii_cow(name.as_bytes(), AsciiDenyList::EMPTY).unwrap_or(Cow::Borrowed(name))
}

/// As it was where that would not lead back.
fn in_u_labels(name: &str) -> String {
    let (shown, outcome) = idna::domain_to_unicode(name);
    if outcome.is_ok() && in_a_labels(&shown) == name { shown } else { name.to_owned() }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(one), Self::Name(other)) => one == other || in_a_labels(one) == in_a_labels(other),
            (Self::Address(one), Self::Address(other)) => one == other,
            (Self::Name(_), Self::Address(_)) | (Self::Address(_), Self::Name(_)) => false,
        }
    }
}

impl Eq for Domain {}

impl Hash for Domain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Name(name) => in_a_labels(name).hash(state),
            Self::Address(address) => address.hash(state),
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "[{address}]"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[IPv6:{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_domain_is_the_same_in_a_labels_and_u_labels() {
        for (a_labels, u_labels) in [
            ("xn--bcher-kva.example", "bücher.example"),
            ("xn--e1afmkfd.xn--p1ai", "пример.рф"),
            ("XN--BCHER-KVA.example", "BÜCHER.EXAMPLE"),
            ("mail.xn--fa-hia.example", "mail.faß.example"),
            // The same letter, composed and not.
            ("xn--bcher-kva.example", "bu\u{308}cher.example"),
        ] {
            let (one, other) = (domain(a_labels), domain(u_labels));
            assert_eq!(one, other);
            assert_eq!(HashSet::from([one.clone(), other.clone()]).len(), 1, "{a_labels}");
            assert_eq!(other.other_spelling().unwrap().to_string(), one.to_string());
        }
        let u_labels = domain("xn--bcher-kva.example").other_spelling().unwrap();
        assert_eq!(u_labels.to_string(), "bücher.example");
    }

    #[test]
    fn what_has_one_spelling_is_itself_alone() {
        for text in ["example.org", "a--b.example", "xn--zzzz.example", "xn--a.example", "[192.0.2.1]"] {
            let domain = domain(text);
            assert_eq!(domain.other_spelling(), None, "{text}");
        }
        assert_ne!(domain("bücher.example"), domain("bucher.example"));
        assert_ne!(domain("faß.example"), domain("fass.example"));
        assert_ne!(domain("[192.0.2.1]"), domain("192.0.2.1.example"));
    }

    proptest! {
        #[test]
        fn the_other_spelling_is_equal_and_leads_back(name in "[a-zà-ÿα-ωа-я]{1,8}(-[a-zß]{1,4})?\\.[a-zéи]{2,5}") {
            if let Ok(domain) = Domain::parse(&name)
                && let Some(other) = domain.other_spelling()
            {
                prop_assert_eq!(&other, &domain);
                prop_assert_eq!(other.other_spelling(), Some(domain));
            }
        }
    }
}

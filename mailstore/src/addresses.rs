//! One address, or all of a domain: what catch-alls take, and what may be granted.

use std::fmt;

use mailwire::address::{AddressError, Domain, Mailbox};

/// One address, or all of a domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Addresses {
    /// `name@example.org`.
    One(Mailbox),
    /// `@example.org`.
    Domain(Domain),
}

impl Addresses {
    /// Parses `name@example.org` or `@example.org`.
    ///
    /// # Errors
    /// Where the text is neither.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix('@') {
            Some(domain) => Domain::parse(domain).map(Self::Domain),
            None => Mailbox::parse(text).map(Self::One),
        }
    }

    /// The domain in which they all are.
    #[must_use]
    pub const fn domain(&self) -> &Domain {
        match self {
            Self::One(mailbox) => mailbox.domain(),
            Self::Domain(domain) => domain,
        }
    }

    /// As [`Mailbox::key`]; no mailbox has the key of a domain, since a local part is never empty without its quotes.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::One(mailbox) => mailbox.key(),
            Self::Domain(domain) => domain_key(domain),
        }
    }

    /// As [`Mailbox::other_key`].
    pub(crate) fn other_key(&self) -> Option<String> {
        match self {
            Self::One(mailbox) => mailbox.other_key(),
            Self::Domain(domain) => domain.other_spelling().map(|domain| domain_key(&domain)),
        }
    }
}

/// The key of all of a domain.
pub(crate) fn domain_key(domain: &Domain) -> String {
    format!("@{domain}").to_lowercase()
}

impl From<Mailbox> for Addresses {
    fn from(mailbox: Mailbox) -> Self {
        Self::One(mailbox)
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(mailbox) => mailbox.fmt(f),
            Self::Domain(domain) => write!(f, "@{domain}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_reads_back_as_it_is_written_and_no_two_have_one_key() {
        for text in ["a@example.org", "@example.org", "\"\"@example.org", "@[192.0.2.1]"] {
            assert_eq!(Addresses::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "@", "example.org", "a@", "@a@b", "@a b"] {
            assert!(Addresses::parse(text).is_err(), "{text:?}");
        }
        let key = |text| Addresses::parse(text).unwrap().key();
        assert_eq!(key("@Example.ORG"), key("@example.org"));
        assert_ne!(key("\"\"@example.org"), key("@example.org"));
    }
}

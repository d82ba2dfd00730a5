//! Subaddresses (RFC 5233 §1): `user+detail` is `user`, who has a name for what it is about.

use super::{AddressError, LocalPart, Mailbox};

/// What begins a detail. RFC 5233 §1 leaves it to each site; this is the usual one.
const SEPARATOR: char = '+';

impl Mailbox {
    /// What this is a subaddress of, and its detail; `None` where it is none. The first separator counts, and a detail may
    /// be empty.
    #[must_use]
    pub fn subaddress(&self) -> Option<(Self, &str)> {
        let (user, detail) = self.local_part.as_str().split_once(SEPARATOR)?;
        if user.is_empty() {
            return None;
        }
        Some((Self { local_part: LocalPart(user.to_owned()), domain: self.domain.clone() }, detail))
    }

    /// Its subaddress with this detail.
    ///
    /// # Errors
    /// Where that is no address: it is too long, or has controls in it.
    pub fn with_detail(&self, detail: &str) -> Result<Self, AddressError> {
        let local_part = LocalPart(format!("{}{SEPARATOR}{detail}", self.local_part.as_str()));
        Self::parse(&Self { local_part, domain: self.domain.clone() }.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).unwrap()
    }

    #[test]
    fn a_subaddress_is_a_user_with_a_detail() {
        for (text, user, detail) in [
            ("user+detail@example.org", "user@example.org", "detail"),
            ("User+Detail@example.org", "User@example.org", "Detail"),
            ("user+a+b@example.org", "user@example.org", "a+b"),
            ("user+@example.org", "user@example.org", ""),
            ("\"a b+c d\"@[192.0.2.1]", "\"a b\"@[192.0.2.1]", "c d"),
            ("пример+деталь@example.org", "пример@example.org", "деталь"),
        ] {
            assert_eq!(mailbox(text).subaddress(), Some((mailbox(user), detail)), "{text}");
        }
        for text in ["user@example.org", "+detail@example.org", "user@[IPv6:::1]"] {
            assert_eq!(mailbox(text).subaddress(), None, "{text}");
        }
    }

    #[test]
    fn a_detail_makes_a_subaddress_that_is_an_address() {
        let user = mailbox("user@example.org");
        assert_eq!(user.with_detail("junk"), Ok(mailbox("user+junk@example.org")));
        assert_eq!(
            mailbox("\"a b\"@example.org").with_detail("c").unwrap().to_string(),
            "\"a b+c\"@example.org"
        );
        assert!(user.with_detail(&"x".repeat(64 - "user+".len())).is_ok());
        assert!(matches!(user.with_detail(&"x".repeat(65 - "user+".len())), Err(AddressError::TooLong(_))));
    }
}

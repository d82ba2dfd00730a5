//! Preparation of passwords and names, so that equal ones typed differently are equal (RFC 4013 `SASLprep`).

use std::borrow::Cow;

use crate::secret::Secret;

/// `password` as SCRAM hashes it and as a password at rest should be hashed: `SASLprep` (RFC 5802 §2.2, RFC 4013).
///
/// A password that `SASLprep` forbids (control characters, unassigned code points, mixed directions) stays as it
/// is rather than being refused, on both sides alike: whoever could log in by PLAIN can so by SCRAM. Clients of
/// `PostgreSQL` do the same.
#[must_use]
pub fn prepared(password: &Secret<String>) -> Secret<String> {
    Secret::new(text(password.expose()).into_owned())
}

/// A login name by `SASLprep` (RFC 4616 §2, RFC 6856 §2.2), so that it is the same however its letters are composed; or as
/// it is where `SASLprep` forbids it.
#[must_use]
pub fn prepared_login(login: &str) -> Cow<'_, str> {
    text(login)
}

/// `text` by `SASLprep`, or as it is where `SASLprep` forbids it or leaves nothing of it.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    match stringprep::saslprep(text) {
        Ok(prepared) if !prepared.is_empty() => prepared,
        Ok(_) | Err(_) => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_4013_are_prepared_as_it_says() {
        assert_eq!(text("I\u{ad}X"), "IX");
        assert_eq!(text("user"), "user");
        assert_eq!(text("USER"), "USER");
        assert_eq!(text("\u{aa}"), "a");
        assert_eq!(text("\u{2168}"), "IX");
    }

    #[test]
    fn what_rfc_4013_forbids_stays_as_it_is() {
        for forbidden in ["\u{7}", "\u{627}1", "\u{ad}", ""] {
            assert_eq!(text(forbidden), forbidden);
        }
    }

    #[test]
    fn every_kind_of_space_is_the_plain_one() {
        assert_eq!(text("two\u{a0}words"), "two words");
    }
}

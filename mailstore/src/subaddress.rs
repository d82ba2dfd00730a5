//! Further maildrops of an account, for mail to its subaddresses (RFC 5233): `user+junk` has one of its own.

use std::fmt;

use mailwire::address::Mailbox;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::MaildropId;

/// Most further maildrops of an account.
pub const SUBADDRESS_MAILDROPS_MAX: usize = 50;
/// Most octets of a detail: a local part has 64 (RFC 5321 §4.5.3.1.1), of which the user and the `+` have some.
pub const DETAIL_OCTETS_MAX: usize = 62;

/// What stands behind the `+` of a subaddress, and names a maildrop; in any case of its letters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Detail(String);

/// Why a text is no detail that may name a maildrop.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "the name of a subaddress maildrop has 1 to {DETAIL_OCTETS_MAX} octets that an address takes without quotes, such as \
     junk or lists.rust"
)]
pub struct NoDetail;

impl Detail {
    /// Takes what needs no quotes behind the `+` of a local part (`Dot-string`, RFC 5321 §4.1.2), so that it can be typed as
    /// a part of a login.
    ///
    /// # Errors
    /// Where the text is empty, too long, or needs quotes.
    pub fn parse(text: &str) -> Result<Self, NoDetail> {
        let detail = text.to_lowercase();
        if !(1..=DETAIL_OCTETS_MAX).contains(&detail.len()) {
            return Err(NoDetail);
        }
        // Quotes would be gone from the local part.
        let subaddress = Mailbox::parse(&format!("u+{detail}@x")).map_err(|_| NoDetail)?;
        let fits = subaddress.subaddress().is_some_and(|(_, found)| found == detail);
        if fits { Ok(Self(detail)) } else { Err(NoDetail) }
    }

    /// The detail as text, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Detail {
    type Error = NoDetail;

    fn try_from(text: String) -> Result<Self, NoDetail> {
        Self::parse(&text)
    }
}

impl From<Detail> for String {
    fn from(detail: Detail) -> Self {
        detail.0
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A further maildrop of an account, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubaddressMaildrop {
    /// The detail of the subaddress whose mail it gets.
    pub detail: Detail,
    /// Its own identity.
    pub maildrop: MaildropId,
    /// Messages in it.
    pub messages: u64,
    /// Octets of all of them.
    pub octets: u64,
}

/// Whether a maildrop is removed with mail in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WithMail {
    /// With whatever is in it, or can be brought back to it.
    GivenUp,
    /// Only where there is none.
    Kept,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_can_be_typed_as_a_part_of_a_login_and_has_no_case() {
        let longest = "x".repeat(DETAIL_OCTETS_MAX);
        for right in ["junk", "lists.rust", "a+b", "-", "m\u{fc}ll", "1", &longest] {
            assert_eq!(Detail::parse(right).unwrap().as_str(), right);
        }
        assert_eq!(Detail::parse("Junk"), Detail::parse("jUNK"));
        let too_long = format!("{longest}x");
        for wrong in ["", " ", "a b", "a@b", "a.", "a..b", "\"a\"", "a\"", "a\0", "a\r\n", "(a)", &too_long] {
            assert_eq!(Detail::parse(wrong), Err(NoDetail), "{wrong:?}");
        }
    }
}

//! Where an account has its mail put.

use crate::{Account, Detail, MaildropId};

/// The further maildrop that an account's junk goes to, where it has one of this name.
const JUNK: &str = "junk";

/// What is known of a maildrop when mail for it is put somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filing {
    /// Whose it is.
    pub account: Account,
    /// The account's further maildrops.
    pub further: Vec<(Detail, MaildropId)>,
}

impl Filing {
    /// The further maildrop of this name.
    #[must_use]
    pub fn further(&self, detail: &str) -> Option<MaildropId> {
        self.further.iter().find(|(known, _)| known.as_str() == detail).map(|(_, maildrop)| *maildrop)
    }

    /// Where the account's junk goes: the maildrop for its subaddress `junk`, where there is one.
    #[must_use]
    pub fn junk(&self) -> Option<MaildropId> {
        self.further(JUNK)
    }
}

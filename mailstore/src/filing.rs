//! Where an account has its mail put: its further maildrops, and the rules that it has for its mail.

use std::sync::Arc;

use async_trait::async_trait;
use mailwire::address::Mailbox;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Account, AdministrationError, Detail, MaildropId};

/// The further maildrop that an account's junk goes to, where it has one of this name.
const JUNK: &str = "junk";
/// Most octets of an account's rules.
pub const RULE_FILE_OCTETS_MAX: usize = 16 << 10;

/// The rules of an account for its mail, as text that the store does not read. Clones share it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RuleFile(Arc<str>);

/// Why a text is no account's rules.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the rules of an account have 1 to {RULE_FILE_OCTETS_MAX} octets")]
pub struct NoRuleFile;

impl RuleFile {
    /// Takes any text that is not too long.
    ///
    /// # Errors
    /// Where it is empty, or longer than [`RULE_FILE_OCTETS_MAX`].
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, NoRuleFile> {
        let text = text.into();
        if (1..=RULE_FILE_OCTETS_MAX).contains(&text.len()) { Ok(Self(text)) } else { Err(NoRuleFile) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RuleFile {
    type Error = NoRuleFile;

    fn try_from(text: String) -> Result<Self, NoRuleFile> {
        Self::new(text)
    }
}

impl From<RuleFile> for String {
    fn from(rules: RuleFile) -> Self {
        rules.as_str().to_owned()
    }
}

/// What is known of a maildrop when mail for it is put somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filing {
    /// Whose it is.
    pub account: Account,
    /// The account's further maildrops.
    pub further: Vec<(Detail, MaildropId)>,
    /// Its rules, where it has some.
    pub rules: Option<RuleFile>,
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

/// Rules of accounts change; each change is one durable commit. They go with their account.
#[async_trait]
pub trait RuleFiles: Send + Sync {
    /// Gives an account rules in the place of those that it has; `None`: it has none from now on.
    ///
    /// # Errors
    /// Where there is no such account, or the store cannot do it.
    async fn set_rule_file(
        &self,
        address: &Mailbox,
        rules: Option<RuleFile>,
    ) -> Result<(), AdministrationError>;
    /// The rules of an account; `None` where it has none.
    ///
    /// # Errors
    /// Where there is no such account, or the store cannot answer.
    async fn rule_file(&self, address: &Mailbox) -> Result<Option<RuleFile>, AdministrationError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_not_too_long_and_not_nothing() {
        let longest = "x".repeat(RULE_FILE_OCTETS_MAX);
        assert_eq!(RuleFile::new(longest.as_str()).unwrap().as_str(), longest);
        assert_eq!(RuleFile::new(format!("{longest}x")), Err(NoRuleFile));
        assert_eq!(RuleFile::new(""), Err(NoRuleFile));
    }
}

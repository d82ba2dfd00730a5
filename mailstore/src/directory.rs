//! Who may log in, who receives, who may send as whom; and how that changes.

use async_trait::async_trait;
use mailwire::address::Mailbox;
use mailwire::secret::Secret;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::MaildropId;

/// The store cannot answer now; trying again may help. The text says why, for the log and not for a peer.
#[derive(Clone, Debug, Error, PartialEq, Eq, Serialize, Deserialize)]
#[error("the store cannot answer: {0}")]
pub struct Unavailable(pub String);

/// Who may log in, with which maildrop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The login name and first address.
    pub address: Mailbox,
    /// Where its mail lies.
    pub maildrop: MaildropId,
}

/// Another address of one or more accounts or aliases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The address that is not an account's own.
    pub address: Mailbox,
    /// Accounts or aliases that get its mail.
    pub targets: Vec<Mailbox>,
}

/// Questions that a session asks.
#[async_trait]
pub trait Directory: Send + Sync {
    /// The account, or `None` where login or password is wrong; both cost the same work.
    ///
    /// `login` is what the client gave: a whole address, in any case.
    ///
    /// # Errors
    /// Where the store cannot answer; that says nothing about the password.
    async fn authenticate(
        &self,
        login: &str,
        password: &Secret<String>,
    ) -> Result<Option<Account>, Unavailable>;

    /// The maildrops that mail for `mailbox` goes to (aliases followed, `+` subaddresses taken as their account,
    /// each maildrop once); `None` where there is no such mailbox.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn recipient(&self, mailbox: &Mailbox) -> Result<Option<Vec<MaildropId>>, Unavailable>;

    /// True where `account` may send as `mailbox`: its own address, a subaddress of it, or an alias that reaches it.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn may_send_as(&self, account: &Account, mailbox: &Mailbox) -> Result<bool, Unavailable>;
}

/// Why accounts or aliases were not changed. The texts are for the administrator.
#[derive(Clone, Debug, Error, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdministrationError {
    /// The address is taken.
    #[error("{0} exists already")]
    Exists(String),
    /// There is nothing of that name.
    #[error("there is no {0} here")]
    Missing(String),
    /// An alias would reach nothing, or itself.
    #[error("{alias} cannot deliver to {target}: {problem}")]
    Target {
        /// The alias.
        alias: String,
        /// The target that is wrong.
        target: String,
        /// Why.
        problem: String,
    },
    /// Other aliases still point to what is to be removed.
    #[error("{address} is still a target of {alias}; change that alias first")]
    InUse {
        /// What was to be removed.
        address: String,
        /// Who points to it.
        alias: String,
    },
    /// The store cannot do it now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Accounts and aliases change; each change is one durable commit.
#[async_trait]
pub trait Administration: Send + Sync {
    /// All accounts, by address.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn accounts(&self) -> Result<Vec<Account>, AdministrationError>;
    /// Adds an account with an empty maildrop.
    ///
    /// # Errors
    /// Where the address is taken, or the store cannot do it.
    async fn add_account(
        &self,
        address: &Mailbox,
        password: &Secret<String>,
    ) -> Result<Account, AdministrationError>;
    /// Removes an account and its maildrop.
    ///
    /// # Errors
    /// Where there is none, an alias points to it, or the store cannot do it.
    async fn remove_account(&self, address: &Mailbox) -> Result<(), AdministrationError>;
    /// Sets a new password.
    ///
    /// # Errors
    /// Where there is no such account, or the store cannot do it.
    async fn set_password(
        &self,
        address: &Mailbox,
        password: &Secret<String>,
    ) -> Result<(), AdministrationError>;
    /// All aliases, by address.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn aliases(&self) -> Result<Vec<Alias>, AdministrationError>;
    /// Adds an alias, or targets to one that exists.
    ///
    /// # Errors
    /// Where the address is an account's, a target does not exist or leads back, or the store cannot do it.
    async fn add_alias(&self, alias: &Alias) -> Result<(), AdministrationError>;
    /// Removes an alias.
    ///
    /// # Errors
    /// Where there is none, another alias points to it, or the store cannot do it.
    async fn remove_alias(&self, address: &Mailbox) -> Result<(), AdministrationError>;
}

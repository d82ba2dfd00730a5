//! Who may log in, who receives, who may send as whom; and how that changes.

use std::iter;

use async_trait::async_trait;
use mailwire::address::Mailbox;
use mailwire::sasl::ScramKeys;
use mailwire::secret::Secret;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    Addresses, CommonRules, Detail, Filing, MaildropId, OwnRules, Rules, SubaddressMaildrop, WithMail,
};

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

/// Who has logged in, and what that opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Whose login it is, with whatever detail.
    pub account: Account,
    /// The maildrop that it names: the account's own, or the one for a subaddress.
    pub maildrop: MaildropId,
    /// The address of that maildrop.
    pub address: Mailbox,
}

impl From<Account> for Login {
    /// To the account's own maildrop.
    fn from(account: Account) -> Self {
        let (maildrop, address) = (account.maildrop, account.address.clone());
        Self { account, maildrop, address }
    }
}

/// Another address of one or more accounts or aliases, or a catch-all: all of a domain that nothing else takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The address that is not an account's own.
    pub address: Addresses,
    /// Accounts, aliases or subaddress maildrops that get its mail.
    pub targets: Vec<Mailbox>,
}

/// The most that all maildrops of an account may hold together. What was expunged and can be brought back does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Octets of all its messages; 0: no limit.
    pub octets: u64,
    /// How many messages; 0: no limit.
    pub messages: u64,
}

/// How a message and a maildrop's quota do not go together.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OverQuota {
    /// There may be room for it once other mail is gone.
    #[error("there is no room left within its quota")]
    Full,
    /// There never will be.
    #[error("the message alone is larger than its quota")]
    TooLarge,
}

/// Where mail for a mailbox goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recipient {
    /// There is no such mailbox.
    Missing,
    /// To these maildrops; aliases followed, each once.
    Maildrops(Vec<MaildropId>),
    /// To these, of whose accounts one or more have rules for their mail.
    Filtered(Vec<MaildropId>),
    /// To a maildrop that may not hold it, be it among others.
    OverQuota(OverQuota),
}

impl Recipient {
    /// The maildrops that get the mail; none where it goes nowhere.
    #[must_use]
    pub fn maildrops(&self) -> &[MaildropId] {
        match self {
            Self::Maildrops(maildrops) | Self::Filtered(maildrops) => maildrops,
            Self::Missing | Self::OverQuota(_) => &[],
        }
    }

    /// True where an account that gets the mail has rules for it.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        match self {
            Self::Filtered(_) => true,
            Self::Maildrops(_) | Self::Missing | Self::OverQuota(_) => false,
        }
    }
}

/// What an account has, and may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountUsage {
    /// Whose.
    pub account: Account,
    /// Messages in all of its maildrops.
    pub messages: u64,
    /// Octets of all of them.
    pub octets: u64,
    /// The limits that hold for it.
    pub quota: Quota,
    /// Where they come from.
    pub source: QuotaSource,
    /// What holds for the use of its maildrop.
    pub rules: Rules,
    /// What of that is its own.
    pub own_rules: OwnRules,
    /// Its further maildrops, by their details, with what of that is in them.
    pub further: Vec<SubaddressMaildrop>,
}

impl AccountUsage {
    /// All maildrops of the account with their addresses, its own first.
    pub fn maildrops(&self) -> impl Iterator<Item = (Mailbox, MaildropId)> {
        let address = &self.account.address;
        let further = self.further.iter().filter_map(|one| {
            // It was an address when the maildrop was made.
            Some((address.with_detail(one.detail.as_str()).ok()?, one.maildrop))
        });
        iter::once((address.clone(), self.account.maildrop)).chain(further)
    }
}

/// Where a quota comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QuotaSource {
    /// The configuration, whose quota holds for every account without one of its own.
    Configuration,
    /// [`Administration::set_quota`].
    Account,
}

/// Questions that a session asks.
#[async_trait]
pub trait Directory: Send + Sync {
    /// What the login opens, or `None` where login or password is wrong; both cost the same work. Application passwords are
    /// right as well.
    ///
    /// `login` is what the client gave: a whole address, in any case. A subaddress that has a maildrop of its own opens
    /// that, with the passwords of its account; any other one is unknown.
    ///
    /// # Errors
    /// Where the store cannot answer; that says nothing about the password.
    async fn authenticate(
        &self,
        login: &str,
        password: &Secret<String>,
    ) -> Result<Option<Login>, Unavailable>;

    /// What a login opens that has proved itself in another way; `None` where there is nothing.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn account(&self, login: &str) -> Result<Option<Login>, Unavailable>;

    /// What a server must know of the login's password for SCRAM-SHA-256 (RFC 5802 §3, RFC 7677).
    ///
    /// A login that is unknown, or whose keys are not known yet, gets keys that nobody meets, with a salt that is the same
    /// whenever and wherever it is asked for. All subaddresses are shown the salt of their account, be it known or not, so
    /// that nobody sees by it which of them have maildrops. Application passwords have no keys: an exchange knows but one salt.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn scram_keys(&self, login: &str) -> Result<ScramKeys, Unavailable>;

    /// Where mail for `mailbox` of about `octets` (0: unknown) goes, with aliases followed. A subaddress is taken as its account
    /// or alias, and leads to the maildrop for its detail in each account that has one; then the domain's catch-all. A postmaster without any of these is stood in for by the postmaster of
    /// the primary domain, or by the oldest account (RFC 5321 §4.5.1). The quota is looked at once more, and exactly, when the message is committed.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn recipient(&self, mailbox: &Mailbox, octets: u64) -> Result<Recipient, Unavailable>;

    /// True where `account` may send as `mailbox`: its own address, an alias that reaches it, a subaddress of either, or
    /// what it was granted. A catch-all lets nobody send as what it catches.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn may_send_as(&self, account: &Account, mailbox: &Mailbox) -> Result<bool, Unavailable>;

    /// What is known of a maildrop when mail for it is put somewhere; `None` where it has just been removed.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn filing(&self, maildrop: MaildropId) -> Result<Option<Filing>, Unavailable>;

    /// A secret of this store, the same in every process, after a restart and in a store that comes back from a backup: what
    /// is made with it can be recognised when it comes back.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn forwarding_secret(&self) -> Result<Secret<[u8; 32]>, Unavailable>;

    /// What can be said of the use of maildrops before it is known who logs in.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn common_rules(&self) -> Result<CommonRules, Unavailable>;
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
    /// Another account may still send as what is to be removed.
    #[error("{account} may still send as {address}; take that grant back first")]
    Granted {
        /// What was to be removed.
        address: String,
        /// Who may send as it.
        account: String,
    },
    /// The account cannot have a maildrop for that subaddress.
    #[error("{address} cannot have a maildrop {detail}: {problem}")]
    NoSubaddress {
        /// The account.
        address: String,
        /// The detail.
        detail: String,
        /// Why.
        problem: String,
    },
    /// A maildrop that was to be removed holds mail.
    #[error(
        "{address} holds messages: {messages}, and deleted ones that can still be brought back: {deleted}"
    )]
    HoldsMail {
        /// Of the maildrop.
        address: String,
        /// Messages in it.
        messages: u64,
        /// Messages that were expunged from it.
        deleted: u64,
    },
    /// There are as many as there may be.
    #[error("{what} already, which is as many as there may be; remove one first")]
    TooMany {
        /// Who has how many.
        what: String,
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
    /// Removes an account with all of its maildrops, its rules, its application passwords and what it was granted.
    ///
    /// # Errors
    /// Where there is none, an alias points to it or to one of its maildrops, another account may send as it, or the store
    /// cannot do it.
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
    /// Sets an account's own quota; `None`: that of the configuration holds again. What is in the maildrop already
    /// stays, and more comes in only where it fits.
    ///
    /// # Errors
    /// Where there is no such account, or the store cannot do it.
    async fn set_quota(&self, address: &Mailbox, quota: Option<Quota>) -> Result<(), AdministrationError>;
    /// Sets what holds for the use of an account's maildrop besides what is configured.
    ///
    /// # Errors
    /// Where there is no such account, or the store cannot do it.
    async fn set_rules(&self, address: &Mailbox, own: OwnRules) -> Result<(), AdministrationError>;
    /// What all accounts have and may have, by address.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn usage(&self) -> Result<Vec<AccountUsage>, AdministrationError>;
    /// Adds a further maildrop to an account, for mail to its subaddress with this detail, which has gone to the account's
    /// own until then.
    ///
    /// # Errors
    /// Where there is no such account, the subaddress is taken or too long, the account has a `+` in its own name or
    /// [`crate::SUBADDRESS_MAILDROPS_MAX`] of them, or the store cannot do it.
    async fn add_maildrop(&self, address: &Mailbox, detail: &Detail) -> Result<(), AdministrationError>;
    /// Removes a further maildrop. Mail to its subaddress goes to the account's own again.
    ///
    /// # Errors
    /// Where there is no such account or maildrop, an alias points to it, it holds mail that is not to be given up, or the
    /// store cannot do it.
    async fn remove_maildrop(
        &self,
        address: &Mailbox,
        detail: &Detail,
        with_mail: WithMail,
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
    async fn remove_alias(&self, address: &Addresses) -> Result<(), AdministrationError>;
}

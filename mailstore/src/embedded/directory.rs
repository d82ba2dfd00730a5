//! Who may log in and who receives, and how that changes.

use std::sync::PoisonError;

use async_trait::async_trait;
use mailwire::address::Mailbox;
use mailwire::cause::chain;
use mailwire::sasl::ScramKeys;
use mailwire::secret::Secret;
use tracing::warn;

use super::accounts::{Accounts, account};
use super::app_passwords::Hash;
use super::change::{Change, DirectoryChange, Refused};
use super::credentials::{NewPassword, ScramRecord};
use super::host::Core;
use super::keys::Usage;
use super::record::AccountRecord;
use crate::{
    Account, AccountUsage, Addresses, Administration, AdministrationError, Alias, CommonRules, Directory,
    MaildropId, OwnRules, Quota, Recipient, Unavailable,
};

impl Core {
    /// Looks at the accounts; `look` must be quick.
    pub(super) fn with_accounts<T>(&self, look: impl FnOnce(&Accounts) -> T) -> T {
        look(&self.accounts.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The key under which the account or alias of this address is kept.
    pub(super) fn kept_key(&self, address: &Mailbox) -> String {
        self.with_accounts(|accounts| accounts.kept_key(&address.clone().into()))
    }

    pub(super) async fn change_directory(&self, change: DirectoryChange) -> Result<(), AdministrationError> {
        let unavailable = |why: &str| AdministrationError::Unavailable(Unavailable(why.to_owned()));
        let login = change.login_changed().map(str::to_owned);
        match self.commit(Change::Directory(change)).await {
            Ok(_) => {
                // Whoever has just been given a new password is not to be put off for the old one.
                if let Some(login) = login {
                    self.keeper.forgive_guesses(&login);
                }
                Ok(())
            }
            Err(Refused::Administration(error)) => Err(error),
            Err(Refused::Full) => Err(unavailable("the disk is full")),
            Err(Refused::Unavailable(why)) => Err(unavailable(&why)),
            Err(Refused::OverQuota { why, .. }) => Err(unavailable(&why.to_string())),
            Err(Refused::Missing) => Err(unavailable("the maildrop is gone")),
        }
    }

    async fn hash(&self, password: &Secret<String>) -> Result<NewPassword, AdministrationError> {
        self.hasher.hash(password).await.map_err(|why| AdministrationError::Unavailable(Unavailable(why)))
    }

    /// Keys for SCRAM, where an account that was added by an earlier release has none: this is the one moment at which
    /// its password is known. The login is right whatever comes of it, and the next one tries again.
    async fn add_keys(&self, account: &AccountRecord, password: &Secret<String>) {
        let has_keys =
            |accounts: &Accounts| accounts.scram(account.maildrop).is_some_and(ScramRecord::is_current);
        if self.with_accounts(has_keys) {
            return;
        }
        let address = account.address.clone();
        // The salt that it has shown so far, so that nobody sees from outside that the login exists.
        let scram = match self.hasher.scram(password, self.false_keys.salt(&address)).await {
            Ok(scram) => scram,
            Err(why) => return warn!(account = address, why, "no keys for SCRAM could be derived"),
        };
        let password_hash = account.password_hash.clone();
        let change = DirectoryChange::AddKeys { address: address.clone(), password_hash, scram };
        match self.commit(Change::Directory(change)).await {
            // Somebody else has changed something meanwhile.
            Ok(_) | Err(Refused::Missing) => {}
            Err(refused) => warn!(account = address, ?refused, "keys for SCRAM could not be kept"),
        }
    }
}

#[async_trait]
impl Directory for Core {
    async fn authenticate(
        &self,
        login: &str,
        password: &Secret<String>,
    ) -> Result<Option<Account>, Unavailable> {
        let app_password = Hash::of(password);
        let (found, by_app_password) = self.with_accounts(|accounts| {
            let found = accounts.account(login);
            let maildrop = found.map(|record| record.maildrop);
            let knows = |hash| maildrop.is_some_and(|maildrop| accounts.app_passwords.knows(maildrop, hash));
            (found.cloned(), app_password.is_some_and(knows))
        });
        if by_app_password {
            return Ok(found.as_ref().and_then(account));
        }
        if let Some(record) = found.as_ref().filter(|record| self.remembered.knows(record, password)) {
            return Ok(account(record));
        }
        let hash = found.as_ref().map(|record| record.password_hash.clone());
        let right = self.hasher.verify(hash, password).await.map_err(Unavailable)?;
        let record = found.as_ref().filter(|_| right);
        if let Some(record) = record {
            self.add_keys(record, password).await;
            self.remembered.remember(record, password);
        }
        Ok(record.and_then(account))
    }

    async fn account(&self, login: &str) -> Result<Option<Account>, Unavailable> {
        Ok(self.with_accounts(|accounts| accounts.account(login).and_then(account)))
    }

    async fn scram_keys(&self, login: &str) -> Result<ScramKeys, Unavailable> {
        // Made in any case, so that a known login takes as long.
        let false_keys = self.false_keys.keys(login);
        let found = self.with_accounts(|accounts| {
            accounts.account(login).and_then(|record| accounts.scram(record.maildrop)).cloned()
        });
        Ok(found.map_or(false_keys, ScramRecord::keys))
    }

    async fn recipient(&self, mailbox: &Mailbox, octets: u64) -> Result<Recipient, Unavailable> {
        let found = self.with_accounts(|accounts| {
            let maildrops = accounts.recipient(mailbox)?;
            let limit = |maildrop: &MaildropId| Some((maildrop.0, accounts.limits(maildrop.0)?));
            let limits: Vec<_> = maildrops.iter().filter_map(limit).collect();
            Some((maildrops, limits))
        });
        let Some((maildrops, limits)) = found else { return Ok(Recipient::Missing) };
        let mut over = None;
        for (maildrop, quota) in limits {
            let usage = self.index.ask(|index| Ok(index.usage(maildrop)));
            let usage = usage.map_err(|error| Unavailable(chain(&error)))?;
            // There is no message without an octet.
            over = over.max(quota.check(usage, octets.max(1)).err());
        }
        Ok(over.map_or(Recipient::Maildrops(maildrops), Recipient::OverQuota))
    }

    async fn may_send_as(&self, account: &Account, mailbox: &Mailbox) -> Result<bool, Unavailable> {
        Ok(self.with_accounts(|accounts| accounts.may_send_as(account, mailbox)))
    }

    async fn common_rules(&self) -> Result<CommonRules, Unavailable> {
        Ok(self.with_accounts(Accounts::common_rules))
    }
}

#[async_trait]
impl Administration for Core {
    async fn accounts(&self) -> Result<Vec<Account>, AdministrationError> {
        Ok(self.with_accounts(Accounts::list))
    }

    async fn add_account(
        &self,
        address: &Mailbox,
        password: &Secret<String>,
    ) -> Result<Account, AdministrationError> {
        let address = self.kept_key(address);
        // Asked before as well, so that nobody waits for a hash in vain.
        self.with_accounts(|accounts| accounts.check_new_account(&address))?;
        let password = self.hash(password).await?;
        self.change_directory(DirectoryChange::AddAccount { address: address.clone(), password }).await?;
        let added = self.with_accounts(|accounts| accounts.account(&address).and_then(account));
        added.ok_or(AdministrationError::Missing(address))
    }

    async fn remove_account(&self, address: &Mailbox) -> Result<(), AdministrationError> {
        self.change_directory(DirectoryChange::RemoveAccount { address: self.kept_key(address) }).await
    }

    async fn set_password(
        &self,
        address: &Mailbox,
        password: &Secret<String>,
    ) -> Result<(), AdministrationError> {
        let address = self.kept_key(address);
        self.with_accounts(|accounts| accounts.existing(&address).map(|_| ()))?;
        let password = self.hash(password).await?;
        self.change_directory(DirectoryChange::SetPassword { address, password }).await
    }

    async fn set_quota(&self, address: &Mailbox, quota: Option<Quota>) -> Result<(), AdministrationError> {
        self.change_directory(DirectoryChange::SetQuota { address: self.kept_key(address), quota }).await
    }

    async fn set_rules(&self, address: &Mailbox, own: OwnRules) -> Result<(), AdministrationError> {
        let address = self.kept_key(address);
        self.change_directory(DirectoryChange::SetRules { address: address.clone(), own }).await?;
        if let Some(account) = self.with_accounts(|accounts| accounts.account(&address).and_then(account)) {
            self.last_leases.forget(account.maildrop.0);
            self.next_looks.forget(account.maildrop.0);
        }
        Ok(())
    }

    async fn usage(&self) -> Result<Vec<AccountUsage>, AdministrationError> {
        let mut all: Vec<_> = self.with_accounts(|accounts| {
            let usage = |account: Account| {
                let maildrop = account.maildrop.0;
                let (quota, source) = accounts.quota(maildrop);
                let (rules, own_rules) = (accounts.rules.of(maildrop), accounts.rules.own(maildrop));
                AccountUsage { account, messages: 0, octets: 0, quota, source, rules, own_rules }
            };
            accounts.list().into_iter().map(usage).collect()
        });
        let index = self.index.get().map_err(|error| Unavailable(chain(&error)))?;
        for usage in &mut all {
            let Usage { messages, octets } = index.usage(usage.account.maildrop.0);
            (usage.messages, usage.octets) = (messages, octets);
        }
        Ok(all)
    }

    async fn aliases(&self) -> Result<Vec<Alias>, AdministrationError> {
        Ok(self.with_accounts(Accounts::aliases))
    }

    async fn add_alias(&self, alias: &Alias) -> Result<(), AdministrationError> {
        let (address, targets) = self.with_accounts(|accounts| {
            let targets = alias.targets.iter().map(|target| accounts.kept_key(&target.clone().into()));
            (accounts.kept_key(&alias.address), targets.collect())
        });
        self.change_directory(DirectoryChange::AddAlias { address, targets }).await
    }

    async fn remove_alias(&self, address: &Addresses) -> Result<(), AdministrationError> {
        let address = self.with_accounts(|accounts| accounts.kept_key(address));
        self.change_directory(DirectoryChange::RemoveAlias { address }).await
    }
}

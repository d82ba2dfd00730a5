//! Who may log in and who receives, and how that changes.

use std::sync::PoisonError;

use async_trait::async_trait;
use mailwire::address::Mailbox;
use mailwire::cause::chain;
use mailwire::secret::Secret;

use super::accounts::{Accounts, account};
use super::change::{Change, DirectoryChange, Refused};
use super::host::Core;
use super::keys::Usage;
use crate::{
    Account, AccountUsage, Administration, AdministrationError, Alias, Directory, MaildropId, Quota,
    Recipient, Unavailable,
};

impl Core {
    /// Looks at the accounts; `look` must be quick.
    fn with_accounts<T>(&self, look: impl FnOnce(&Accounts) -> T) -> T {
        look(&self.accounts.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn change_directory(&self, change: DirectoryChange) -> Result<(), AdministrationError> {
        let unavailable = |why: &str| AdministrationError::Unavailable(Unavailable(why.to_owned()));
        match self.commit(Change::Directory(change)).await {
            Ok(_) => Ok(()),
            Err(Refused::Administration(error)) => Err(error),
            Err(Refused::Full) => Err(unavailable("the disk is full")),
            Err(Refused::Unavailable(why)) => Err(unavailable(&why)),
            Err(Refused::OverQuota { why, .. }) => Err(unavailable(&why.to_string())),
            Err(Refused::Missing) => Err(unavailable("the maildrop is gone")),
        }
    }

    async fn hash(&self, password: &Secret<String>) -> Result<String, AdministrationError> {
        self.hasher.hash(password).await.map_err(|why| AdministrationError::Unavailable(Unavailable(why)))
    }
}

#[async_trait]
impl Directory for Core {
    async fn authenticate(
        &self,
        login: &str,
        password: &Secret<String>,
    ) -> Result<Option<Account>, Unavailable> {
        let found = self.with_accounts(|accounts| accounts.account(login).cloned());
        if let Some(record) = found.as_ref().filter(|record| self.remembered.knows(record, password)) {
            return Ok(account(record));
        }
        let hash = found.as_ref().map(|record| record.password_hash.clone());
        let right = self.hasher.verify(hash, password).await.map_err(Unavailable)?;
        let record = found.as_ref().filter(|_| right);
        if let Some(record) = record {
            self.remembered.remember(record, password);
        }
        Ok(record.and_then(account))
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
        Ok(self.with_accounts(|accounts| accounts.reaches(mailbox, account)))
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
        let address = address.key();
        // Asked before as well, so that nobody waits for a hash in vain.
        self.with_accounts(|accounts| accounts.check_new_account(&address))?;
        let password_hash = self.hash(password).await?;
        self.change_directory(DirectoryChange::AddAccount { address: address.clone(), password_hash })
            .await?;
        let added = self.with_accounts(|accounts| accounts.account(&address).and_then(account));
        added.ok_or(AdministrationError::Missing(address))
    }

    async fn remove_account(&self, address: &Mailbox) -> Result<(), AdministrationError> {
        self.change_directory(DirectoryChange::RemoveAccount { address: address.key() }).await
    }

    async fn set_password(
        &self,
        address: &Mailbox,
        password: &Secret<String>,
    ) -> Result<(), AdministrationError> {
        let address = address.key();
        self.with_accounts(|accounts| accounts.existing(&address).map(|_| ()))?;
        let password_hash = self.hash(password).await?;
        self.change_directory(DirectoryChange::SetPassword { address, password_hash }).await
    }

    async fn set_quota(&self, address: &Mailbox, quota: Option<Quota>) -> Result<(), AdministrationError> {
        self.change_directory(DirectoryChange::SetQuota { address: address.key(), quota }).await
    }

    async fn usage(&self) -> Result<Vec<AccountUsage>, AdministrationError> {
        let quotas: Vec<_> = self.with_accounts(|accounts| {
            let quota = |account: Account| {
                let (quota, source) = accounts.quota(account.maildrop.0);
                (account, quota, source)
            };
            accounts.list().into_iter().map(quota).collect()
        });
        let index = self.index.get().map_err(|error| Unavailable(chain(&error)))?;
        let usage = quotas.into_iter().map(|(account, quota, source)| {
            let Usage { messages, octets } = index.usage(account.maildrop.0);
            AccountUsage { account, messages, octets, quota, source }
        });
        Ok(usage.collect())
    }

    async fn aliases(&self) -> Result<Vec<Alias>, AdministrationError> {
        Ok(self.with_accounts(Accounts::aliases))
    }

    async fn add_alias(&self, alias: &Alias) -> Result<(), AdministrationError> {
        let targets = alias.targets.iter().map(Mailbox::key).collect();
        self.change_directory(DirectoryChange::AddAlias { address: alias.address.key(), targets }).await
    }

    async fn remove_alias(&self, address: &Mailbox) -> Result<(), AdministrationError> {
        self.change_directory(DirectoryChange::RemoveAlias { address: address.key() }).await
    }
}

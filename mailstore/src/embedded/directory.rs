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
use super::record::AccountRecord;
use super::subaddresses::MaildropChange;
use crate::{
    Account, AccountUsage, Addresses, Administration, AdministrationError, Alias, CommonRules, Detail,
    Directory, Filing, Login, MaildropId, OwnRules, Quota, Recipient, SubaddressMaildrop, Unavailable,
    WithMail,
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
            Err(Refused::Missing | Refused::Concluded) => Err(unavailable("the maildrop is gone")),
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
    ) -> Result<Option<Login>, Unavailable> {
        let app_password = Hash::of(password);
        let (found, by_app_password) = self.with_accounts(|accounts| {
            let found = accounts.login(login).map(|(record, login)| (record.clone(), login));
            let maildrop = found.as_ref().map(|(record, _)| record.maildrop);
            let knows = |hash| maildrop.is_some_and(|maildrop| accounts.app_passwords.knows(maildrop, hash));
            (found, app_password.is_some_and(knows))
        });
        let is_remembered = |(record, _): &(AccountRecord, _)| self.remembered.knows(record, password);
        if by_app_password || found.as_ref().is_some_and(is_remembered) {
            return Ok(found.map(|(_, login)| login));
        }
        let hash = found.as_ref().map(|(record, _)| record.password_hash.clone());
        let right = self.hasher.verify(hash, password).await.map_err(Unavailable)?;
        let Some((record, login)) = found.filter(|_| right) else { return Ok(None) };
        self.add_keys(&record, password).await;
        self.remembered.remember(&record, password);
        Ok(Some(login))
    }

    async fn account(&self, login: &str) -> Result<Option<Login>, Unavailable> {
        Ok(self.with_accounts(|accounts| accounts.login(login).map(|(_, login)| login)))
    }

    async fn scram_keys(&self, login: &str) -> Result<ScramKeys, Unavailable> {
        // Made in any case, so that a known login takes as long.
        let false_keys = self.false_keys.keys(login);
        let (found, opens) = self.with_accounts(|accounts| {
            let record = accounts.account_behind(login);
            let found = record.and_then(|record| accounts.scram(record.maildrop)).cloned();
            (found.map(ScramRecord::keys), accounts.login(login).is_some())
        });
        Ok(match found {
            Some(keys) if opens => keys,
            // The salt must not tell which subaddresses open something.
            Some(ScramKeys { salt, iterations, .. }) => ScramKeys { salt, iterations, ..false_keys },
            None => false_keys,
        })
    }

    async fn recipient(&self, mailbox: &Mailbox, octets: u64) -> Result<Recipient, Unavailable> {
        let found = self.with_accounts(|accounts| {
            let maildrops = accounts.recipient(mailbox)?;
            let limit = |maildrop: &MaildropId| {
                let account = accounts.owner(maildrop.0);
                Some((accounts.maildrops_of(account).collect::<Vec<_>>(), accounts.limits(account)?))
            };
            let limits: Vec<_> = maildrops.iter().filter_map(limit).collect();
            let has_rules = accounts.have_rules(&maildrops);
            Some((maildrops, limits, has_rules))
        });
        let Some((maildrops, limits, has_rules)) = found else { return Ok(Recipient::Missing) };
        let mut over = None;
        for (of_account, quota) in limits {
            let usage = self.index.ask(|index| Ok(index.usage_of(of_account)));
            let usage = usage.map_err(|error| Unavailable(chain(&error)))?;
            // There is no message without an octet.
            over = over.max(quota.check(usage, octets.max(1)).err());
        }
        let reached =
            if has_rules { Recipient::Filtered(maildrops) } else { Recipient::Maildrops(maildrops) };
        Ok(over.map_or(reached, Recipient::OverQuota))
    }

    async fn may_send_as(&self, account: &Account, mailbox: &Mailbox) -> Result<bool, Unavailable> {
        Ok(self.with_accounts(|accounts| accounts.may_send_as(account, mailbox)))
    }

    async fn filing(&self, maildrop: MaildropId) -> Result<Option<Filing>, Unavailable> {
        Ok(self.with_accounts(|accounts| accounts.filing(maildrop)))
    }

    async fn forwarding_secret(&self) -> Result<Secret<[u8; 32]>, Unavailable> {
        Ok(self.false_keys.forwarding_secret())
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
        self.with_accounts(|accounts| accounts.check_new(&address))?;
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
        let maildrops: Vec<_> = self.with_accounts(|accounts| {
            let account = accounts.account(&address).map(|record| record.maildrop);
            account.into_iter().flat_map(|account| accounts.maildrops_of(account)).collect()
        });
        for maildrop in maildrops {
            self.last_leases.forget(maildrop);
            self.next_looks.forget(maildrop);
        }
        Ok(())
    }

    async fn usage(&self) -> Result<Vec<AccountUsage>, AdministrationError> {
        let mut all: Vec<_> = self.with_accounts(|accounts| {
            let empty = |(detail, maildrop): (&str, u64)| {
                let (detail, maildrop) = (Detail::parse(detail).ok()?, MaildropId(maildrop));
                Some(SubaddressMaildrop { detail, maildrop, messages: 0, octets: 0 })
            };
            let usage = |account: Account| {
                let maildrop = account.maildrop.0;
                let (quota, source) = accounts.quota(maildrop);
                let (rules, own_rules) = (accounts.rules.of(maildrop), accounts.rules.own(maildrop));
                let further = accounts.subaddresses.of(maildrop).filter_map(empty).collect();
                AccountUsage { account, messages: 0, octets: 0, quota, source, rules, own_rules, further }
            };
            accounts.list().into_iter().map(usage).collect()
        });
        let index = self.index.get().map_err(|error| Unavailable(chain(&error)))?;
        for usage in &mut all {
            let mut sum = index.usage(usage.account.maildrop.0);
            for further in &mut usage.further {
                let of_further = index.usage(further.maildrop.0);
                (further.messages, further.octets) = (of_further.messages, of_further.octets);
                sum = sum.plus(of_further);
            }
            (usage.messages, usage.octets) = (sum.messages, sum.octets);
        }
        Ok(all)
    }

    async fn add_maildrop(&self, address: &Mailbox, detail: &Detail) -> Result<(), AdministrationError> {
        let (address, detail) = (self.kept_key(address), detail.as_str().to_owned());
        self.change_directory(DirectoryChange::Maildrops(MaildropChange::Add { address, detail })).await
    }

    async fn remove_maildrop(
        &self,
        address: &Mailbox,
        detail: &Detail,
        with_mail: WithMail,
    ) -> Result<(), AdministrationError> {
        let (address, detail) = (self.kept_key(address), detail.as_str().to_owned());
        let change = MaildropChange::Remove { address, detail, with_mail };
        self.change_directory(DirectoryChange::Maildrops(change)).await
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

//! Accounts and aliases in memory: questions answered at once, changes checked before they are written.

use std::collections::{BTreeMap, HashMap, HashSet};

use mailwire::address::Mailbox;

use super::credentials::ScramRecord;
use super::index::{Index, IndexError};
use super::record::{AccountRecord, Event};
use crate::{Account, AdministrationError, Alias, MaildropId, Quota, QuotaSource};

/// What begins a subaddress (RFC 5233 §1).
const SUBADDRESS_SEPARATOR: char = '+';

/// Every account and alias, by the key of its address.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    by_address: BTreeMap<String, AccountRecord>,
    aliases: BTreeMap<String, Vec<String>>,
    maildrops: HashSet<u64>,
    /// Of those that have some, by maildrop.
    scram: HashMap<u64, ScramRecord>,
    /// Of those that have limits of their own.
    quotas: HashMap<u64, Quota>,
    /// Of all others.
    default_quota: Quota,
}

impl Accounts {
    /// What the index holds; accounts without a quota of their own have `default_quota`.
    pub(crate) fn load(index: &Index, default_quota: Quota) -> Result<Self, IndexError> {
        let by_address: BTreeMap<_, _> =
            index.accounts()?.into_iter().map(|account| (account.address.clone(), account)).collect();
        let maildrops = by_address.values().map(|account| account.maildrop).collect();
        let aliases = index.aliases()?.into_iter().collect();
        let (scram, quotas) = (index.scram()?, index.quotas()?);
        Ok(Self { by_address, aliases, maildrops, scram, quotas, default_quota })
    }

    /// Follows a committed event.
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Account(account) => {
                self.scram.remove(&account.maildrop);
                self.put(account);
            }
            Event::KeyedAccount { account, scram } => {
                self.scram.insert(account.maildrop, scram.clone());
                self.put(account);
            }
            Event::AccountRemoved { address, maildrop } => {
                self.maildrops.remove(maildrop);
                self.quotas.remove(maildrop);
                self.scram.remove(maildrop);
                self.by_address.remove(address);
            }
            Event::Alias { address, targets } => {
                self.aliases.insert(address.clone(), targets.clone());
            }
            Event::AliasRemoved { address } => {
                self.aliases.remove(address);
            }
            Event::Quota { maildrop, quota: Some(quota) } => {
                self.quotas.insert(*maildrop, *quota);
            }
            Event::Quota { maildrop, quota: None } => {
                self.quotas.remove(maildrop);
            }
            Event::Message(_)
            | Event::Imported { .. }
            | Event::Moved(_)
            | Event::Expunge { .. }
            | Event::Returned { .. }
            | Event::Purged { .. }
            | Event::Restated { .. }
            | Event::QueueChanged { .. }
            | Event::QueueFinished { .. }
            | Event::Torn { .. }
            | Event::Segments { .. }
            | Event::Closed => {}
        }
    }

    fn put(&mut self, account: &AccountRecord) {
        self.maildrops.insert(account.maildrop);
        self.by_address.insert(account.address.clone(), account.clone());
    }

    /// The keys for SCRAM of a maildrop's account.
    pub(crate) fn scram(&self, maildrop: u64) -> Option<&ScramRecord> {
        self.scram.get(&maildrop)
    }

    /// True while the account of this maildrop exists.
    pub(crate) fn has_maildrop(&self, maildrop: u64) -> bool {
        self.maildrops.contains(&maildrop)
    }

    /// A maildrop's own quota.
    pub(crate) fn own_quota(&self, maildrop: u64) -> Option<Quota> {
        self.quotas.get(&maildrop).copied()
    }

    /// The quota that holds for a maildrop, and where it comes from.
    pub(crate) fn quota(&self, maildrop: u64) -> (Quota, QuotaSource) {
        let own = self.own_quota(maildrop).map(|quota| (quota, QuotaSource::Account));
        own.unwrap_or((self.default_quota, QuotaSource::Configuration))
    }

    /// The quota that holds for a maildrop, where it limits anything.
    pub(crate) fn limits(&self, maildrop: u64) -> Option<Quota> {
        let (quota, _) = self.quota(maildrop);
        (quota != Quota::default()).then_some(quota)
    }

    /// Where an alias leads to, by the key of its address.
    pub(crate) fn targets(&self, address: &str) -> Option<&[String]> {
        self.aliases.get(address).map(Vec::as_slice)
    }

    /// The address of the account with this maildrop.
    pub(crate) fn address_of(&self, maildrop: u64) -> Option<&str> {
        self.by_address
            .values()
            .find(|account| account.maildrop == maildrop)
            .map(|account| account.address.as_str())
    }

    /// The account that logs in as `login`, in any case.
    pub(crate) fn account(&self, login: &str) -> Option<&AccountRecord> {
        self.by_address.get(&login.to_lowercase())
    }

    /// All accounts, by address.
    pub(crate) fn list(&self) -> Vec<Account> {
        self.by_address.values().filter_map(account).collect()
    }

    /// All aliases, by address.
    pub(crate) fn aliases(&self) -> Vec<Alias> {
        let alias = |(address, targets): (&String, &Vec<String>)| {
            let targets = targets.iter().filter_map(|target| Mailbox::parse(target).ok()).collect();
            Some(Alias { address: Mailbox::parse(address).ok()?, targets })
        };
        self.aliases.iter().filter_map(alias).collect()
    }

    /// The maildrops that `mailbox` reaches, each once; `None` where it reaches none.
    pub(crate) fn recipient(&self, mailbox: &Mailbox) -> Option<Vec<MaildropId>> {
        let key = self.known_key(mailbox)?;
        let mut maildrops = Vec::new();
        self.visit(&key, &mut |account| {
            let maildrop = MaildropId(account.maildrop);
            if !maildrops.contains(&maildrop) {
                maildrops.push(maildrop);
            }
        });
        (!maildrops.is_empty()).then_some(maildrops)
    }

    /// True where `mailbox` reaches the maildrop of `account`, be it among others.
    pub(crate) fn reaches(&self, mailbox: &Mailbox, account: &Account) -> bool {
        self.recipient(mailbox).is_some_and(|maildrops| maildrops.contains(&account.maildrop))
    }

    /// The key under which `mailbox` is an account or alias, itself or as a subaddress.
    fn known_key(&self, mailbox: &Mailbox) -> Option<String> {
        let known = |key: &String| self.by_address.contains_key(key) || self.aliases.contains_key(key);
        let key = mailbox.key();
        if known(&key) {
            return Some(key);
        }
        let (base, _) = mailbox.local_part().as_str().split_once(SUBADDRESS_SEPARATOR)?;
        let base = Mailbox::parse(&format!("{base}@{}", mailbox.domain())).ok()?.key();
        known(&base).then_some(base)
    }

    /// Calls `found` for every account that `key` leads to; an alias is followed once, so no loop is endless.
    fn visit<'a>(&'a self, key: &'a str, found: &mut impl FnMut(&'a AccountRecord)) {
        let mut seen = HashSet::new();
        let mut waiting = vec![key];
        while let Some(key) = waiting.pop() {
            if !seen.insert(key) {
                continue;
            }
            if let Some(account) = self.by_address.get(key) {
                found(account);
            } else if let Some(targets) = self.aliases.get(key) {
                // Reversed, so that the first target is the first to be visited.
                waiting.extend(targets.iter().rev().map(String::as_str));
            }
        }
    }

    /// Refuses a new account whose address is taken.
    pub(crate) fn check_new_account(&self, address: &str) -> Result<(), AdministrationError> {
        if self.by_address.contains_key(address) || self.aliases.contains_key(address) {
            return Err(AdministrationError::Exists(address.to_owned()));
        }
        Ok(())
    }

    /// The account that is to be changed.
    pub(crate) fn existing(&self, address: &str) -> Result<&AccountRecord, AdministrationError> {
        self.by_address.get(address).ok_or_else(|| AdministrationError::Missing(format!("account {address}")))
    }

    /// Refuses to remove what an alias still points to.
    pub(crate) fn check_unused(&self, address: &str) -> Result<(), AdministrationError> {
        let user = self.aliases.iter().find(|(_, targets)| targets.iter().any(|target| target == address));
        user.map_or(Ok(()), |(alias, _)| {
            Err(AdministrationError::InUse { address: address.to_owned(), alias: alias.clone() })
        })
    }

    /// The targets that an alias will have; refuses those that do not exist or lead back to it.
    pub(crate) fn alias_targets(
        &self,
        address: &str,
        added: &[String],
    ) -> Result<Vec<String>, AdministrationError> {
        if self.by_address.contains_key(address) {
            return Err(AdministrationError::Exists(format!("an account {address}")));
        }
        let mut targets = self.aliases.get(address).cloned().unwrap_or_default();
        for target in added {
            let wrong = |problem: &str| AdministrationError::Target {
                alias: address.to_owned(),
                target: target.clone(),
                problem: problem.to_owned(),
            };
            if !self.by_address.contains_key(target) && !self.aliases.contains_key(target) {
                return Err(wrong("there is no account or alias of that name here"));
            }
            if target == address || self.leads_to(target, address) {
                return Err(wrong("it leads back to the alias itself"));
            }
            if !targets.contains(target) {
                targets.push(target.clone());
            }
        }
        Ok(targets)
    }

    /// Refuses an alias that does not exist.
    pub(crate) fn check_alias(&self, address: &str) -> Result<(), AdministrationError> {
        if self.aliases.contains_key(address) {
            return Ok(());
        }
        Err(AdministrationError::Missing(format!("alias {address}")))
    }

    fn leads_to(&self, from: &str, to: &str) -> bool {
        let mut seen = HashSet::new();
        let mut waiting = vec![from];
        while let Some(key) = waiting.pop() {
            if key == to {
                return true;
            }
            if seen.insert(key) {
                waiting.extend(self.aliases.get(key).into_iter().flatten().map(String::as_str));
            }
        }
        false
    }
}

/// An account as its users see it.
pub(crate) fn account(record: &AccountRecord) -> Option<Account> {
    let address = Mailbox::parse(&record.address).ok()?;
    Some(Account { address, maildrop: MaildropId(record.maildrop) })
}

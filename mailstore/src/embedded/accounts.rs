//! Accounts and aliases in memory: questions answered at once, changes checked before they are written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::iter;

use mailwire::address::{Domain, Mailbox};
use mailwire::sasl::prepared_login;

use super::app_passwords::AppPasswords;
use super::credentials::ScramRecord;
use super::grants::Grants;
use super::index::{Index, IndexError};
use super::record::{AccountRecord, Event};
use super::rule_files::RuleFiles;
use super::rules::RulesOfAccounts;
use super::subaddresses::{self, Subaddresses};
use crate::{
    Account, Addresses, AdministrationError, Alias, CommonRules, Detail, Filing, Login, MaildropId, Options,
    Quota, QuotaSource,
};

/// Who must be reached in every domain (RFC 5321 §4.5.1).
const POSTMASTER: &str = "postmaster";

/// Every account and alias, by the key of its address.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    by_address: BTreeMap<String, AccountRecord>,
    aliases: BTreeMap<String, Vec<String>>,
    /// Whose each own maildrop is, by the key of the address.
    maildrops: HashMap<u64, String>,
    /// Of those that have some, by maildrop.
    scram: HashMap<u64, ScramRecord>,
    pub(crate) app_passwords: AppPasswords,
    pub(crate) grants: Grants,
    pub(crate) subaddresses: Subaddresses,
    /// Of those that have limits of their own.
    quotas: HashMap<u64, Quota>,
    /// Of all others.
    default_quota: Quota,
    pub(crate) rules: RulesOfAccounts,
    pub(crate) rule_files: RuleFiles,
    /// Whose postmaster is everybody's, where there is no nearer one.
    primary_domain: Option<Domain>,
}

impl Accounts {
    /// What the index holds; where it says nothing, the options do.
    pub(crate) fn load(index: &Index, options: &Options) -> Result<Self, IndexError> {
        let by_address: BTreeMap<_, _> =
            index.accounts()?.into_iter().map(|account| (account.address.clone(), account)).collect();
        Ok(Self {
            maildrops: by_address
                .values()
                .map(|account| (account.maildrop, account.address.clone()))
                .collect(),
            by_address,
            aliases: index.aliases()?.into_iter().collect(),
            scram: index.scram()?,
            app_passwords: index.app_passwords()?,
            grants: index.grants()?,
            subaddresses: index.subaddresses()?,
            quotas: index.quotas()?,
            default_quota: options.quota(),
            rules: RulesOfAccounts::new(index.rules()?, options.rules()),
            rule_files: RuleFiles::new(index.rule_files()?),
            primary_domain: options.primary_domain.clone(),
        })
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
            Event::AccountRemoved { address, maildrop }
            | Event::AccountRemovedWith { address, maildrop, further: _ } => {
                self.maildrops.remove(maildrop);
                self.quotas.remove(maildrop);
                self.rules.remove(*maildrop);
                self.rule_files.set(*maildrop, None);
                self.scram.remove(maildrop);
                self.app_passwords.remove(*maildrop);
                self.grants.remove(*maildrop);
                self.subaddresses.remove_account(*maildrop);
                self.by_address.remove(address);
            }
            Event::AppPassword { maildrop, name, password } => {
                self.app_passwords.set(*maildrop, name, *password);
            }
            Event::Grant { maildrop, addresses, grant } => self.grants.set(*maildrop, addresses, *grant),
            Event::MaildropAdded { account, detail, maildrop } => {
                self.subaddresses.add(*account, detail, *maildrop);
            }
            Event::MaildropRemoved { account, detail, maildrop } => {
                self.subaddresses.remove(*account, detail, *maildrop);
            }
            Event::Alias { address, targets } => {
                self.aliases.insert(address.clone(), targets.clone());
            }
            Event::AliasRemoved { address } => {
                self.aliases.remove(address);
            }
            Event::RuleFile { maildrop, text } => self.rule_files.set(*maildrop, text.as_deref()),
            Event::Rules { maildrop, own } => self.rules.set(*maildrop, *own),
            Event::Quota { maildrop, quota: Some(quota) } => {
                self.quotas.insert(*maildrop, *quota);
            }
            Event::Quota { maildrop, quota: None } => {
                self.quotas.remove(maildrop);
            }
            Event::Message(_)
            | Event::Imported { .. }
            | Event::Accepted(_)
            | Event::Moved(_)
            | Event::MovedWith { .. }
            | Event::Expunge { .. }
            | Event::Returned { .. }
            | Event::ReturnedAt { .. }
            | Event::Purged { .. }
            | Event::Restated { .. }
            | Event::QueueChanged { .. }
            | Event::QueueFinished { .. }
            | Event::Settled { .. }
            | Event::Traced { .. }
            | Event::Taken(_)
            | Event::MovedOn(_)
            | Event::Torn { .. }
            | Event::Segments { .. }
            | Event::Closed => {}
        }
    }

    fn put(&mut self, account: &AccountRecord) {
        self.maildrops.insert(account.maildrop, account.address.clone());
        self.by_address.insert(account.address.clone(), account.clone());
    }

    /// The keys for SCRAM of a maildrop's account.
    pub(crate) fn scram(&self, maildrop: u64) -> Option<&ScramRecord> {
        self.scram.get(&maildrop)
    }

    /// True while the maildrop exists, be it an account's own or a further one.
    pub(crate) fn has_maildrop(&self, maildrop: u64) -> bool {
        self.maildrops.contains_key(&maildrop) || self.subaddresses.owner(maildrop).is_some()
    }

    /// The own maildrop of the account to which a maildrop belongs.
    pub(crate) fn owner(&self, maildrop: u64) -> u64 {
        self.subaddresses.owner(maildrop).unwrap_or(maildrop)
    }

    /// All maildrops of an account, its own first.
    pub(crate) fn maildrops_of(&self, account: u64) -> impl Iterator<Item = u64> {
        iter::once(account).chain(self.subaddresses.of(account).map(|(_, maildrop)| maildrop))
    }

    /// An account's own quota.
    pub(crate) fn own_quota(&self, account: u64) -> Option<Quota> {
        self.quotas.get(&account).copied()
    }

    /// The quota that holds for all maildrops of an account together, and where it comes from.
    pub(crate) fn quota(&self, account: u64) -> (Quota, QuotaSource) {
        let own = self.own_quota(account).map(|quota| (quota, QuotaSource::Account));
        own.unwrap_or((self.default_quota, QuotaSource::Configuration))
    }

    /// The same, where it limits anything.
    pub(crate) fn limits(&self, account: u64) -> Option<Quota> {
        let (quota, _) = self.quota(account);
        (quota != Quota::default()).then_some(quota)
    }

    /// What can be said of the use of maildrops before it is known who logs in.
    pub(crate) fn common_rules(&self) -> CommonRules {
        self.rules.common(self.by_address.len())
    }

    /// Where an alias leads to, by the key of its address.
    pub(crate) fn targets(&self, address: &str) -> Option<&[String]> {
        self.aliases.get(address).map(Vec::as_slice)
    }

    /// The address of a maildrop: that of its account, or a subaddress of it.
    pub(crate) fn address_of(&self, maildrop: u64) -> Option<String> {
        let owner = self.owner(maildrop);
        let address = self.maildrops.get(&owner)?;
        let further = self.subaddresses.of(owner).find(|(_, further)| *further == maildrop);
        Some(match further {
            Some((detail, _)) => subaddresses::subaddress(address, detail),
            None => address.clone(),
        })
    }

    /// True where the account of one of these has rules for its mail.
    pub(crate) fn have_rules(&self, maildrops: &[MaildropId]) -> bool {
        let has_rules = |maildrop: &MaildropId| self.rule_files.get(self.owner(maildrop.0)).is_some();
        !self.rule_files.is_empty() && maildrops.iter().any(has_rules)
    }

    /// What is known of a maildrop when mail for it is put somewhere.
    pub(crate) fn filing(&self, maildrop: MaildropId) -> Option<Filing> {
        let owner = self.owner(maildrop.0);
        let account = account(self.by_address.get(self.maildrops.get(&owner)?)?)?;
        let further = |(detail, maildrop)| Some((Detail::parse(detail).ok()?, MaildropId(maildrop)));
        Some(Filing {
            account,
            further: self.subaddresses.of(owner).filter_map(further).collect(),
            rules: self.rule_files.get(owner).cloned(),
        })
    }

    /// The account that logs in as `login`, in any spelling of that mailbox.
    pub(crate) fn account(&self, login: &str) -> Option<&AccountRecord> {
        let spelled = |login: &str| {
            let otherwise = || self.by_address.get(&self.kept_key(&Mailbox::parse(login).ok()?.into()));
            self.by_address.get(&login.to_lowercase()).or_else(otherwise)
        };
        spelled(login).or_else(|| spelled(&prepared_login(login)))
    }

    /// Whose login it is, with whatever detail, be there a maildrop for it or not.
    pub(crate) fn account_behind(&self, login: &str) -> Option<&AccountRecord> {
        let of_user = || self.account(&Mailbox::parse(login).ok()?.subaddress()?.0.key());
        self.account(login).or_else(of_user)
    }

    /// What `login` opens, where its account is known: the account's own maildrop, or that of a subaddress.
    pub(crate) fn login(&self, login: &str) -> Option<(&AccountRecord, Login)> {
        if let Some(record) = self.account(login) {
            return Some((record, account(record)?.into()));
        }
        let key = self.kept_key(&Mailbox::parse(login).ok()?.into());
        let (record, maildrop) = self.further(&key)?;
        let address = Mailbox::parse(&key).ok()?;
        Some((record, Login { account: account(record)?, maildrop: MaildropId(maildrop), address }))
    }

    /// The account and its further maildrop with the address of this key.
    fn further(&self, key: &str) -> Option<(&AccountRecord, u64)> {
        if self.subaddresses.is_empty() {
            return None;
        }
        let mailbox = Mailbox::parse(key).ok()?;
        let (user, detail) = mailbox.subaddress()?;
        let account = self.by_address.get(&user.key())?;
        Some((account, self.subaddresses.get(account.maildrop, detail)?))
    }

    /// The key under which an account or alias is kept, however its domain was spelled then; of a new one, its own.
    pub(crate) fn kept_key(&self, addresses: &Addresses) -> String {
        self.kept(addresses.key(), || addresses.other_key())
    }

    fn kept(&self, key: String, other_key: impl FnOnce() -> Option<String>) -> String {
        if self.knows(&key) {
            return key;
        }
        other_key().filter(|other| self.knows(other)).unwrap_or(key)
    }

    /// All accounts, by address, as they are kept.
    pub(crate) fn records(&self) -> impl Iterator<Item = &AccountRecord> {
        self.by_address.values()
    }

    /// All accounts, by address.
    pub(crate) fn list(&self) -> Vec<Account> {
        self.by_address.values().filter_map(account).collect()
    }

    /// All aliases, by address.
    pub(crate) fn aliases(&self) -> Vec<Alias> {
        let alias = |(address, targets): (&String, &Vec<String>)| {
            let targets = targets.iter().filter_map(|target| Mailbox::parse(target).ok()).collect();
            Some(Alias { address: Addresses::parse(address).ok()?, targets })
        };
        self.aliases.iter().filter_map(alias).collect()
    }

    /// The maildrops that get mail for `mailbox`, each once; `None` where nobody does.
    ///
    /// What is no account's, alias's or subaddress's goes to the catch-all of its domain. A postmaster's mail goes to
    /// somebody in any case (RFC 5321 §4.5.1): to the postmaster of the primary domain, or to the oldest account.
    pub(crate) fn recipient(&self, mailbox: &Mailbox) -> Option<Vec<MaildropId>> {
        let unknown = || self.catch_all(mailbox).or_else(|| self.stand_in_for_postmaster(mailbox));
        let (key, detail) = self.known_key(mailbox).or_else(|| Some((unknown()?, None)))?;
        let mut maildrops = Vec::new();
        self.visit(&key, &mut |account, further| {
            let of_detail = || self.subaddresses.get(account.maildrop, detail.as_deref()?);
            let maildrop = MaildropId(further.or_else(of_detail).unwrap_or(account.maildrop));
            if !maildrops.contains(&maildrop) {
                maildrops.push(maildrop);
            }
        });
        (!maildrops.is_empty()).then_some(maildrops)
    }

    /// True where `account` may send as `mailbox`: as it is reached by it under a name of its own, be it among others, or
    /// was granted it. That somebody gets what nobody else takes makes them nobody else.
    pub(crate) fn may_send_as(&self, account: &Account, mailbox: &Mailbox) -> bool {
        let mut is_reached = false;
        if let Some((key, _)) = self.known_key(mailbox) {
            self.visit(&key, &mut |found, _| is_reached |= found.maildrop == account.maildrop.0);
        }
        is_reached || self.grants.allow(account.maildrop.0, mailbox)
    }

    /// True where it is the key of an account, an alias or a further maildrop.
    fn knows(&self, key: &str) -> bool {
        self.by_address.contains_key(key) || self.aliases.contains_key(key) || self.further(key).is_some()
    }

    /// The key under which `mailbox` is known itself; or what it is a subaddress of, with the detail.
    fn known_key(&self, mailbox: &Mailbox) -> Option<(String, Option<String>)> {
        let known = |mailbox: &Mailbox| {
            Some(self.kept(mailbox.key(), || mailbox.other_key())).filter(|key| self.knows(key))
        };
        let of_user = || {
            let (user, detail) = mailbox.subaddress()?;
            Some((known(&user)?, Some(detail.to_lowercase())))
        };
        known(mailbox).map(|key| (key, None)).or_else(of_user)
    }

    /// The key of the alias that takes what nothing else takes of the domain.
    fn catch_all(&self, mailbox: &Mailbox) -> Option<String> {
        let key = self.kept_key(&Addresses::Domain(mailbox.domain().clone()));
        self.aliases.contains_key(&key).then_some(key)
    }

    /// The key of who gets a postmaster's mail, where `mailbox` is one.
    fn stand_in_for_postmaster(&self, mailbox: &Mailbox) -> Option<String> {
        let user = mailbox.subaddress().map(|(user, _)| user);
        let local_part = user.as_ref().unwrap_or(mailbox).local_part();
        if !local_part.as_str().eq_ignore_ascii_case(POSTMASTER) {
            return None;
        }
        let primary = self.primary_domain.as_ref().and_then(|domain| {
            let postmaster = Mailbox::parse(&format!("{POSTMASTER}@{domain}")).ok()?;
            Some(self.kept_key(&postmaster.into()))
        });
        // Maildrops are numbered in the order in which they are made.
        let oldest = || self.by_address.values().min_by_key(|account| account.maildrop);
        primary.filter(|key| self.knows(key)).or_else(|| Some(oldest()?.address.clone()))
    }

    /// Calls `found` for every account that `key` leads to, with the further maildrop that it names; an alias is followed
    /// once, so no loop is endless.
    fn visit<'a>(&'a self, key: &'a str, found: &mut impl FnMut(&'a AccountRecord, Option<u64>)) {
        let mut seen = HashSet::new();
        let mut waiting = vec![key];
        while let Some(key) = waiting.pop() {
            if !seen.insert(key) {
                continue;
            }
            if let Some(account) = self.by_address.get(key) {
                found(account, None);
            } else if let Some(targets) = self.aliases.get(key) {
                // Reversed, so that the first target is the first to be visited.
                waiting.extend(targets.iter().rev().map(String::as_str));
            } else if let Some((account, maildrop)) = self.further(key) {
                found(account, Some(maildrop));
            }
        }
    }

    /// Refuses what is to be added under an address that is taken.
    pub(crate) fn check_new(&self, address: &str) -> Result<(), AdministrationError> {
        if self.knows(address) { Err(AdministrationError::Exists(address.to_owned())) } else { Ok(()) }
    }

    /// The account that is to be changed.
    pub(crate) fn existing(&self, address: &str) -> Result<&AccountRecord, AdministrationError> {
        self.by_address.get(address).ok_or_else(|| AdministrationError::Missing(format!("account {address}")))
    }

    /// Refuses to remove what an alias still points to, be it to a further maildrop of the account.
    pub(crate) fn check_unused(&self, address: &str) -> Result<(), AdministrationError> {
        let leads_there = |target: &String| {
            target == address || self.further(target).is_some_and(|(account, _)| account.address == address)
        };
        let user = self.aliases.iter().find(|(_, targets)| targets.iter().any(leads_there));
        user.map_or(Ok(()), |(alias, _)| {
            Err(AdministrationError::InUse { address: address.to_owned(), alias: alias.clone() })
        })
    }

    /// Refuses to remove the account of an address that others may send as: it may be somebody else's one day.
    pub(crate) fn check_not_granted(&self, address: &str, maildrop: u64) -> Result<(), AdministrationError> {
        let holder = self.grants.holder(address, maildrop).and_then(|holder| self.address_of(holder));
        holder.map_or(Ok(()), |account| {
            Err(AdministrationError::Granted { address: address.to_owned(), account })
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
        if self.further(address).is_some() {
            return Err(AdministrationError::Exists(format!("a subaddress maildrop {address}")));
        }
        let mut targets = self.aliases.get(address).cloned().unwrap_or_default();
        for target in added {
            let wrong = |problem: &str| AdministrationError::Target {
                alias: address.to_owned(),
                target: target.clone(),
                problem: problem.to_owned(),
            };
            if !self.knows(target) {
                return Err(wrong("there is no account, alias or subaddress maildrop of that name here"));
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

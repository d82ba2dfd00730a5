//! What the index knows of accounts and aliases, read as a whole.

use std::collections::HashMap;

use super::app_passwords::AppPasswords;
use super::credentials::ScramRecord;
use super::grants::{Grant, Grants};
use super::index::{Index, IndexError, decoded, maildrop_of};
use super::keys;
use super::record::AccountRecord;
use super::subaddresses::Subaddresses;
use crate::{OwnRules, Quota};

impl Index {
    /// The accounts with limits of their own, by maildrop.
    pub(crate) fn quotas(&self) -> Result<HashMap<u64, Quota>, IndexError> {
        decoded(self.quotas.iter()).map(|pair| pair.map(|(key, quota)| (maildrop_of(&key), quota))).collect()
    }

    /// The rules that accounts have of their own, by maildrop.
    pub(crate) fn rules(&self) -> Result<HashMap<u64, OwnRules>, IndexError> {
        decoded(self.rules.iter()).map(|pair| pair.map(|(key, own)| (maildrop_of(&key), own))).collect()
    }

    /// All accounts.
    pub(crate) fn accounts(&self) -> Result<Vec<AccountRecord>, IndexError> {
        self.accounts.iter().values().map(|value| Ok(postcard::from_bytes(&value?)?)).collect()
    }

    /// The keys for SCRAM of accounts, by maildrop.
    pub(crate) fn scram(&self) -> Result<HashMap<u64, ScramRecord>, IndexError> {
        decoded(self.scram.iter()).map(|pair| pair.map(|(key, scram)| (maildrop_of(&key), scram))).collect()
    }

    /// All application passwords.
    pub(crate) fn app_passwords(&self) -> Result<AppPasswords, IndexError> {
        let mut all = AppPasswords::default();
        for pair in decoded(self.app_passwords.iter()) {
            let (key, record) = pair?;
            if let Some((maildrop, name)) = keys::named_parts(&key) {
                all.set(maildrop, name, Some(record));
            }
        }
        Ok(all)
    }

    /// All grants.
    pub(crate) fn grants(&self) -> Result<Grants, IndexError> {
        let mut all = Grants::default();
        for key in self.grants.iter().keys() {
            if let Some((maildrop, addresses)) = keys::named_parts(&key?) {
                all.set(maildrop, addresses, Grant::Given);
            }
        }
        Ok(all)
    }

    /// All further maildrops of accounts.
    pub(crate) fn subaddresses(&self) -> Result<Subaddresses, IndexError> {
        let mut all = Subaddresses::default();
        for pair in decoded(self.subaddresses.iter()) {
            let (key, maildrop) = pair?;
            if let Some((account, detail)) = keys::named_parts(&key) {
                all.add(account, detail, maildrop);
            }
        }
        Ok(all)
    }

    /// All aliases with their targets.
    pub(crate) fn aliases(&self) -> Result<Vec<(String, Vec<String>)>, IndexError> {
        self.aliases
            .iter()
            .map(|pair| {
                let (key, value) = pair?;
                Ok((String::from_utf8_lossy(&key).into_owned(), postcard::from_bytes(&value)?))
            })
            .collect()
    }
}

//! Whom accounts may send as besides themselves, because somebody has granted it.

use std::collections::{BTreeMap, BTreeSet};

use mailwire::address::Mailbox;
use serde::{Deserialize, Serialize};

use crate::Addresses;

/// Keys of addresses and domains, by the maildrop of the account that may send as them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grants(BTreeMap<u64, BTreeSet<String>>);

/// Whether a grant holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Grant {
    Given,
    Taken,
}

impl Grants {
    pub(crate) fn set(&mut self, maildrop: u64, addresses: &str, grant: Grant) {
        let of_account = self.0.entry(maildrop).or_default();
        match grant {
            Grant::Given => of_account.insert(addresses.to_owned()),
            Grant::Taken => of_account.remove(addresses),
        };
        if of_account.is_empty() {
            self.0.remove(&maildrop);
        }
    }

    /// An account is gone.
    pub(crate) fn remove(&mut self, maildrop: u64) {
        self.0.remove(&maildrop);
    }

    pub(crate) fn has(&self, maildrop: u64, addresses: &str) -> bool {
        self.0.get(&maildrop).is_some_and(|of_account| of_account.contains(addresses))
    }

    /// Maildrops of the accounts that have some.
    pub(crate) fn maildrops(&self) -> impl Iterator<Item = u64> {
        self.0.keys().copied()
    }

    /// Of one account, as keys.
    pub(crate) fn keys(&self, maildrop: u64) -> BTreeSet<String> {
        self.0.get(&maildrop).cloned().unwrap_or_default()
    }

    /// How many an account has.
    pub(crate) fn count(&self, maildrop: u64) -> usize {
        self.0.get(&maildrop).map_or(0, BTreeSet::len)
    }

    /// True where the account may send as `mailbox`: it or its domain was granted, or what it is a subaddress of.
    pub(crate) fn allow(&self, maildrop: u64, mailbox: &Mailbox) -> bool {
        let has = |addresses: Addresses| self.has(maildrop, &self.kept_key(maildrop, &addresses));
        has(mailbox.clone().into())
            || has(Addresses::Domain(mailbox.domain().clone()))
            || mailbox.subaddress().is_some_and(|(user, _)| has(user.into()))
    }

    /// The key under which a grant is kept, however its domain was spelled then; of a new one, its own.
    pub(crate) fn kept_key(&self, maildrop: u64, addresses: &Addresses) -> String {
        let key = addresses.key();
        let other = || addresses.other_key().filter(|other| self.has(maildrop, other));
        if self.has(maildrop, &key) { key } else { other().unwrap_or(key) }
    }

    /// The maildrop of another account than that of `own`, which may send as exactly these.
    pub(crate) fn holder(&self, addresses: &str, own: u64) -> Option<u64> {
        let others = self.0.iter().filter(|(maildrop, _)| **maildrop != own);
        others.filter(|(_, of_account)| of_account.contains(addresses)).map(|(maildrop, _)| *maildrop).next()
    }

    /// Addresses before domains, each by their names.
    pub(crate) fn list(&self, maildrop: u64) -> Vec<Addresses> {
        let all = self.0.get(&maildrop).into_iter().flatten();
        let (mut one, domains): (Vec<_>, Vec<_>) = all
            .filter_map(|key| Addresses::parse(key).ok())
            .partition(|addresses| matches!(addresses, Addresses::One(_)));
        one.extend(domains);
        one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_about_an_address_with_its_subaddresses_or_about_a_domain() {
        let mut grants = Grants::default();
        grants.set(7, "sales@example.test", Grant::Given);
        grants.set(7, "@example.org", Grant::Given);
        let allowed = |maildrop, mailbox: &str| grants.allow(maildrop, &Mailbox::parse(mailbox).unwrap());
        for right in ["Sales@Example.test", "sales+spring@example.test", "anyone@example.org"] {
            assert!(allowed(7, right), "{right}");
            assert!(!allowed(8, right), "{right}");
        }
        for wrong in
            ["sale@example.test", "sales@sub.example.test", "anyone@sub.example.org", "sales@example.net"]
        {
            assert!(!allowed(7, wrong), "{wrong}");
        }
        let listed: Vec<_> = grants.list(7).iter().map(ToString::to_string).collect();
        assert_eq!(listed, ["sales@example.test", "@example.org"]);
        assert_eq!(grants.holder("@example.org", 8), Some(7));
        assert_eq!(grants.holder("@example.org", 7), None);
    }

    #[test]
    fn what_is_taken_back_is_gone() {
        let mut grants = Grants::default();
        grants.set(7, "@example.org", Grant::Given);
        grants.set(7, "@example.org", Grant::Taken);
        assert!(!grants.has(7, "@example.org") && grants.0.is_empty());
    }
}

//! Further maildrops of accounts, for mail to their subaddresses: what there is, and how it changes.

use std::collections::BTreeMap;

use mailwire::address::Mailbox;

use super::accounts::Accounts;
use super::change::{Refused, State};
use super::record::Event;
use crate::{AdministrationError, SUBADDRESS_MAILDROPS_MAX, WithMail};

/// A wish about the maildrops of the account of `address`.
#[derive(Debug)]
pub(crate) enum MaildropChange {
    Add { address: String, detail: String },
    Remove { address: String, detail: String, with_mail: WithMail },
}

/// All that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subaddresses {
    /// By the maildrop of the account and the detail.
    by_account: BTreeMap<u64, BTreeMap<String, u64>>,
    /// The maildrop of the account to which each of them belongs.
    owners: BTreeMap<u64, u64>,
}

impl Subaddresses {
    pub(crate) fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    pub(crate) fn add(&mut self, account: u64, detail: &str, maildrop: u64) {
        self.by_account.entry(account).or_default().insert(detail.to_owned(), maildrop);
        self.owners.insert(maildrop, account);
    }

    /// One that was added later under the same detail stays.
    pub(crate) fn remove(&mut self, account: u64, detail: &str, maildrop: u64) {
        self.owners.remove(&maildrop);
        let Some(of_account) = self.by_account.get_mut(&account) else { return };
        if of_account.get(detail) == Some(&maildrop) {
            of_account.remove(detail);
        }
        if of_account.is_empty() {
            self.by_account.remove(&account);
        }
    }

    /// An account is gone.
    pub(crate) fn remove_account(&mut self, account: u64) {
        for maildrop in self.by_account.remove(&account).unwrap_or_default().values() {
            self.owners.remove(maildrop);
        }
    }

    pub(crate) fn get(&self, account: u64, detail: &str) -> Option<u64> {
        self.by_account.get(&account)?.get(detail).copied()
    }

    /// Of one account, by their details.
    pub(crate) fn of(&self, account: u64) -> impl Iterator<Item = (&str, u64)> {
        let of_account = self.by_account.get(&account).into_iter().flatten();
        of_account.map(|(detail, maildrop)| (detail.as_str(), *maildrop))
    }

    /// The maildrop of the account to which a further one belongs.
    pub(crate) fn owner(&self, maildrop: u64) -> Option<u64> {
        self.owners.get(&maildrop).copied()
    }

    /// The maildrops of the accounts that have some.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = u64> {
        self.by_account.keys().copied()
    }
}

impl State<'_> {
    /// The event that it becomes, and how many entries there are after it.
    pub(crate) fn maildrops(&self, change: MaildropChange) -> Result<(Event, u64), Refused> {
        match change {
            MaildropChange::Add { address, detail } => {
                let account = self.accounts.check_new_maildrop(&address, &detail)?;
                Ok((Event::MaildropAdded { account, detail, maildrop: self.sequence }, self.live))
            }
            MaildropChange::Remove { address, detail, with_mail } => {
                let (account, maildrop) = self.accounts.check_removable(&address, &detail)?;
                let messages = self.index.ask(|index| Ok(index.usage(maildrop).messages))?;
                let entries = self.index.ask(|index| index.count_entries(maildrop))?;
                if with_mail == WithMail::Kept && entries > 0 {
                    let address = subaddress(&address, &detail);
                    let deleted = entries.saturating_sub(messages);
                    return Err(AdministrationError::HoldsMail { address, messages, deleted }.into());
                }
                let event = Event::MaildropRemoved { account, detail, maildrop };
                Ok((event, self.live.saturating_sub(entries)))
            }
        }
    }
}

impl Accounts {
    /// The maildrop of the account that is to get a further one; refuses what nobody could reach.
    fn check_new_maildrop(&self, address: &str, detail: &str) -> Result<u64, AdministrationError> {
        let account = self.existing(address)?.maildrop;
        let unfit = |problem: &str| AdministrationError::NoSubaddress {
            address: address.to_owned(),
            detail: detail.to_owned(),
            problem: problem.to_owned(),
        };
        let mailbox = Mailbox::parse(address).map_err(|error| unfit(&error.to_string()))?;
        if mailbox.subaddress().is_some() {
            return Err(unfit("its name has a + in it already"));
        }
        let subaddress = mailbox.with_detail(detail).map_err(|error| unfit(&error.to_string()))?.key();
        self.check_new(&subaddress)?;
        if self.subaddresses.of(account).count() >= SUBADDRESS_MAILDROPS_MAX {
            let what = format!("{address} has {SUBADDRESS_MAILDROPS_MAX} subaddress maildrops");
            return Err(AdministrationError::TooMany { what });
        }
        Ok(account)
    }

    /// The maildrop of the account, and the one that is to go; refuses one that an alias still points to.
    fn check_removable(&self, address: &str, detail: &str) -> Result<(u64, u64), AdministrationError> {
        let account = self.existing(address)?.maildrop;
        let subaddress = subaddress(address, detail);
        let missing = || AdministrationError::Missing(format!("subaddress maildrop {subaddress}"));
        let maildrop = self.subaddresses.get(account, detail).ok_or_else(missing)?;
        self.check_unused(&subaddress)?;
        Ok((account, maildrop))
    }
}

/// The key of a subaddress, from that of its account.
pub(crate) fn subaddress(address: &str, detail: &str) -> String {
    let subaddress = Mailbox::parse(address).and_then(|mailbox| mailbox.with_detail(detail));
    subaddress.map_or_else(|_| format!("{address} +{detail}"), |subaddress| subaddress.key())
}

/// False where a login is what nearly all are: letters that have another case at most, without quotes and a detail.
pub(crate) fn has_other_spellings(login: &str) -> bool {
    !login.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"._-@".contains(&octet))
}

/// The same text for all spellings of a login.
pub(crate) fn one_spelling(login: &str) -> String {
    if !has_other_spellings(login) {
        return login.to_ascii_lowercase();
    }
    Mailbox::parse(login).map_or_else(|_| login.to_lowercase(), |mailbox| mailbox.key_in_a_labels())
}

/// The same text for all spellings of all logins of an account: what it is a subaddress of, where it is one.
pub(crate) fn login_of_account(login: &str) -> String {
    if !has_other_spellings(login) {
        return login.to_ascii_lowercase();
    }
    let user = Mailbox::parse(login).ok().and_then(|mailbox| Some(mailbox.subaddress()?.0.key_in_a_labels()));
    user.unwrap_or_else(|| one_spelling(login))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_maildrop_is_found_by_its_detail_and_knows_whose_it_is() {
        let mut all = Subaddresses::default();
        all.add(7, "junk", 9);
        all.add(7, "lists", 10);
        all.add(8, "junk", 11);
        assert_eq!((all.get(7, "junk"), all.get(8, "junk"), all.get(8, "lists")), (Some(9), Some(11), None));
        assert_eq!((all.owner(10), all.owner(7)), (Some(7), None));
        assert_eq!(all.of(7).collect::<Vec<_>>(), [("junk", 9), ("lists", 10)]);
        all.remove(7, "junk", 9);
        all.remove_account(8);
        assert_eq!((all.owner(9), all.owner(11)), (None, None));
        all.remove(7, "lists", 10);
        assert!(all.is_empty() && all == Subaddresses::default());
    }

    #[test]
    fn all_logins_of_an_account_are_one() {
        let logins = [
            "alice@x.test",
            "Alice@X.test",
            "alice+junk@x.test",
            "ALICE+a+b@x.test",
            "\"\\alice+\\a\"@x.test",
        ];
        for login in logins {
            assert_eq!(login_of_account(login), "alice@x.test", "{login}");
        }
        for login in ["alice+junk@x.test", "\"alice+junk\"@X.test"] {
            assert_eq!(one_spelling(login), "alice+junk@x.test", "{login}");
        }
        for login in ["a.b@b\u{fc}cher.test", "A.b+c@xn--bcher-kva.test", "\"a.b\"@B\u{dc}CHER.test"] {
            assert_eq!(login_of_account(login), "a.b@xn--bcher-kva.test", "{login}");
        }
        for login in ["", "+@", "+a@x.test", "a b@x.test", "(unnamed)", "a+b"] {
            assert_eq!(login_of_account(login), login);
        }
    }

    #[test]
    fn what_was_added_later_outlives_the_end_of_what_was_there_before() {
        let mut all = Subaddresses::default();
        all.add(7, "junk", 9);
        all.add(7, "junk", 12);
        all.remove(7, "junk", 9);
        assert_eq!((all.get(7, "junk"), all.owner(12), all.owner(9)), (Some(12), Some(7), None));
    }
}

//! What is not as it was written, and whose mail that is.

use std::collections::HashMap;

use super::super::record::Event;
use super::super::subaddresses::subaddress;
use super::inspection::Harm;
use crate::{Finding, Owner, UniqueId};

/// Who has a message, as its record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Maildrop { maildrop: u64, unique_id: UniqueId },
    Recipient(String),
}

/// Everybody who has the message of a record.
pub(super) fn holders(event: &Event) -> Vec<Holder> {
    if let Some(moved) = event.moved() {
        let entries = moved
            .entries
            .iter()
            .map(|entry| Holder::Maildrop { maildrop: entry.maildrop, unique_id: entry.unique_id.clone() });
        let queue = moved.queue.iter().map(|waiting| Holder::Recipient(waiting.mailbox.clone()));
        return entries.chain(queue).collect();
    }
    let Some(message) = event.message() else { return Vec::new() };
    let carried = event.carried_unique_id().cloned();
    let own = carried.unwrap_or_else(|| UniqueId::minted(message.unique_id));
    let maildrop = |maildrop: &u64| Holder::Maildrop { maildrop: *maildrop, unique_id: own.clone() };
    let relay = message.relay.iter().map(|relay| Holder::Recipient(relay.mailbox.clone()));
    message.maildrops.iter().map(maildrop).chain(relay).collect()
}

/// Addresses of maildrops.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    accounts: HashMap<u64, String>,
    /// The maildrop of the account, and the detail.
    further: HashMap<u64, (u64, String)>,
}

impl Addresses {
    /// A maildrop has this address.
    pub(super) fn account(&mut self, maildrop: u64, address: &str) {
        self.accounts.insert(maildrop, address.to_owned());
    }

    /// It is for a subaddress of an account, of which something may be known later.
    pub(super) fn further(&mut self, maildrop: u64, account: u64, detail: &str) {
        self.further.insert(maildrop, (account, detail.to_owned()));
    }

    /// All that others know.
    pub(super) fn add(&mut self, others: &Self) {
        let Self { accounts, further } = others.clone();
        self.accounts.extend(accounts);
        self.further.extend(further);
    }

    fn of(&self, maildrop: u64) -> Option<String> {
        let of_further = || {
            let (account, detail) = self.further.get(&maildrop)?;
            Some(subaddress(self.accounts.get(account)?, detail))
        };
        self.accounts.get(&maildrop).cloned().or_else(of_further)
    }
}

pub(super) fn owners(holders: &[Holder], addresses: &Addresses) -> Vec<Owner> {
    let owner = |holder: &Holder| match holder {
        Holder::Maildrop { maildrop, unique_id } => {
            let address = addresses.of(*maildrop).unwrap_or_else(|| "a removed account".to_owned());
            Owner::Account { address, unique_id: unique_id.clone() }
        }
        Holder::Recipient(mailbox) => Owner::Recipient(mailbox.clone()),
    };
    holders.iter().map(owner).collect()
}

/// A harm, told.
pub(super) fn told(harm: &Harm, addresses: &Addresses) -> Finding {
    let Harm { place, offset, octets, problem, holders, .. } = harm;
    let owners = owners(holders, addresses);
    Finding { problem: *problem, file: place.to_string(), offset: *offset, octets: *octets, owners }
}

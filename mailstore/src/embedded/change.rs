//! What somebody wants to become true, and the event that it becomes once it is checked against the state.

use mailwire::cause::chain;
use mailwire::clock;

use super::access::AccessChange;
use super::accounts::Accounts;
use super::carry::Carry;
use super::circumstances::Circumstances;
use super::credentials::{NewPassword, ScramRecord};
use super::index::IndexError;
use super::index_slot::IndexSlot;
use super::quotas::Added;
use super::record::{Accepted, AccountRecord, Event, Message, Taken};
use super::settled::{Absent, QueueWish};
use super::subaddresses::MaildropChange;
use crate::{AdministrationError, OverQuota, OwnRules, Quota, RuleFile, UniqueId};

/// A wish.
#[derive(Debug)]
pub(crate) enum Change {
    Message {
        message: Box<Message>,
        circumstances: Option<Box<Circumstances>>,
        /// What is left out together where a maildrop may not hold the message; empty: nothing is, nobody gets it.
        groups: Vec<Vec<u64>>,
        further: Box<Further>,
    },
    /// A message from another store.
    Import(Box<Message>, UniqueId, Option<Box<Circumstances>>),
    Expunge {
        maildrop: u64,
        messages: Vec<u64>,
    },
    /// Expunged messages come back, each with a new unique-id where there is one.
    Return {
        maildrop: u64,
        messages: Vec<(u64, Option<UniqueId>)>,
    },
    /// Expunged messages can be brought back no more.
    Purge {
        maildrop: u64,
        messages: Vec<u64>,
    },
    Directory(DirectoryChange),
    Queue(Vec<QueueWish>),
    /// Out of a segment that goes.
    Carry(Carry),
    /// A segment is about to go: these ranges are left.
    Segments {
        present: Vec<(u32, u32)>,
    },
    /// The store is being closed in order.
    Close,
}

/// A wish about accounts and aliases; addresses are keys.
#[derive(Debug)]
pub(crate) enum DirectoryChange {
    AddAccount {
        address: String,
        password: NewPassword,
    },
    SetPassword {
        address: String,
        password: NewPassword,
    },
    /// The keys of an account that had none as they should be, derived from the password with this hash.
    AddKeys {
        address: String,
        password_hash: String,
        scram: ScramRecord,
    },
    RemoveAccount {
        address: String,
    },
    SetQuota {
        address: String,
        quota: Option<Quota>,
    },
    SetRules {
        address: String,
        own: OwnRules,
    },
    SetRuleFile {
        address: String,
        rules: Option<RuleFile>,
    },
    AddAlias {
        address: String,
        targets: Vec<String>,
    },
    RemoveAlias {
        address: String,
    },
    Access(AccessChange),
    Maildrops(MaildropChange),
}

impl DirectoryChange {
    /// Whose logins go by other passwords afterwards.
    pub(crate) fn login_changed(&self) -> Option<&str> {
        match self {
            Self::AddAccount { address, .. }
            | Self::SetPassword { address, .. }
            | Self::RemoveAccount { address }
            | Self::Access(
                AccessChange::AddAppPassword { address, .. }
                | AccessChange::RemoveAppPassword { address, .. },
            ) => Some(address),
            Self::AddKeys { .. }
            | Self::SetQuota { .. }
            | Self::SetRules { .. }
            | Self::SetRuleFile { .. }
            | Self::AddAlias { .. }
            | Self::RemoveAlias { .. }
            | Self::Maildrops(_)
            | Self::Access(AccessChange::Grant { .. }) => None,
        }
    }
}

/// What becomes true with a message beside it.
#[derive(Debug, Default)]
pub(crate) struct Further {
    /// What its header section calls it.
    pub(crate) message_id: Option<String>,
    /// What becomes of entries of the queue, on which it reports.
    pub(crate) concludes: Vec<QueueWish>,
}

/// Why it did not become true.
#[derive(Clone, Debug)]
pub(crate) enum Refused {
    /// The disk is full.
    Full,
    /// The store cannot do it now.
    Unavailable(String),
    /// An account or alias says no.
    Administration(AdministrationError),
    /// A maildrop may not hold the message; where there are groups, each has such a one.
    OverQuota { maildrop: u64, why: OverQuota, groups: Vec<OverQuota> },
    /// There is no such maildrop or queue entry any more.
    Missing,
    /// A queue entry that the message reports on is not there any more.
    Concluded,
}

impl From<IndexError> for Refused {
    fn from(error: IndexError) -> Self {
        Self::Unavailable(chain(&error))
    }
}

impl From<AdministrationError> for Refused {
    fn from(error: AdministrationError) -> Self {
        Self::Administration(error)
    }
}

/// What a change is checked against: the state before its group, and what the group adds where that counts.
pub(crate) struct State<'a> {
    pub(crate) index: &'a IndexSlot,
    pub(crate) accounts: &'a Accounts,
    pub(crate) added: &'a Added,
    /// Octets of content that stand in the record itself.
    pub(crate) content_octets: u64,
    /// The record's own number.
    pub(crate) sequence: u64,
    /// Maildrop and queue entries so far.
    pub(crate) live: u64,
}

/// The shortest form that says it all.
fn accepted(
    message: Message,
    unique_id: Option<UniqueId>,
    circumstances: Option<Box<Circumstances>>,
) -> Event {
    match (unique_id, circumstances) {
        (None, None) => Event::Message(message),
        (Some(unique_id), None) => Event::Imported { message, unique_id },
        (unique_id, Some(circumstances)) => {
            Event::Accepted(Box::new(Accepted { message, unique_id, circumstances }))
        }
    }
}

impl State<'_> {
    /// The event, and how many maildrop and queue entries there are after it.
    pub(crate) fn event(&self, change: Change) -> Result<(Event, u64), Refused> {
        match change {
            Change::Message { message, circumstances, groups: _, further } => {
                let live = self.live_with(&message)?;
                self.check_quotas(&message)?;
                let Further { message_id, concludes } = *further;
                if message_id.is_none() && concludes.is_empty() {
                    return Ok((accepted(*message, None, circumstances), live));
                }
                let (concludes, live) = self.settled(concludes, Absent::Refused, live)?;
                let circumstances = circumstances.unwrap_or_default();
                let accepted = Accepted { message: *message, unique_id: None, circumstances };
                let at = clock::unix_seconds();
                Ok((Event::Taken(Box::new(Taken { accepted, message_id, at, concludes })), live))
            }
            // It was let in once before.
            Change::Import(message, unique_id, circumstances) => {
                let live = self.live_with(&message)?;
                Ok((accepted(*message, Some(unique_id), circumstances), live))
            }
            Change::Expunge { maildrop, messages } => self.expunge(maildrop, messages),
            Change::Return { maildrop, mut messages } => {
                let there = self.expunged(maildrop, messages.iter().map(|(message, _)| *message))?;
                messages.retain(|(message, _)| there.contains(message));
                let at = clock::unix_seconds();
                Ok((Event::ReturnedAt { maildrop, messages, at }, self.live))
            }
            Change::Purge { maildrop, messages } => {
                let messages = self.expunged(maildrop, messages.into_iter())?;
                let live = self.live.saturating_sub(messages.len() as u64);
                Ok((Event::Purged { maildrop, messages }, live))
            }
            Change::Directory(change) => self.directory(change),
            Change::Queue(wishes) => self.queue(wishes),
            Change::Carry(carry) => Ok((self.carry(carry)?, self.live)),
            Change::Segments { present } => Ok((Event::Segments { present }, self.live)),
            Change::Close => Ok((Event::Closed, self.live)),
        }
    }

    /// How many entries there are with `message`, which must have somewhere to go.
    fn live_with(&self, message: &Message) -> Result<u64, Refused> {
        if !message.maildrops.iter().all(|maildrop| self.accounts.has_maildrop(*maildrop)) {
            return Err(Refused::Missing);
        }
        let added = message.maildrops.len().saturating_add(message.relay.len());
        Ok(self.live.saturating_add(added as u64))
    }

    /// Only what is there is listed, so that the count of entries stays true when records are applied again.
    fn expunge(&self, maildrop: u64, messages: Vec<u64>) -> Result<(Event, u64), Refused> {
        let mut there = Vec::with_capacity(messages.len());
        for message in messages {
            if self.index.ask(|index| index.has_entry(maildrop, message))? {
                there.push(message);
            }
        }
        Ok((Event::Expunge { maildrop, messages: there, at: clock::unix_seconds() }, self.live))
    }

    /// Those that are expunged and can be brought back.
    fn expunged(&self, maildrop: u64, messages: impl Iterator<Item = u64>) -> Result<Vec<u64>, Refused> {
        let mut there = Vec::new();
        for message in messages {
            if self.index.ask(|index| index.expunged_entry(maildrop, message))?.is_some() {
                there.push(message);
            }
        }
        Ok(there)
    }

    fn directory(&self, change: DirectoryChange) -> Result<(Event, u64), Refused> {
        let event = match change {
            DirectoryChange::AddAccount { address, password } => {
                self.accounts.check_new(&address)?;
                let NewPassword { hash: password_hash, scram } = password;
                let created_at = clock::unix_seconds();
                let account = AccountRecord { address, maildrop: self.sequence, password_hash, created_at };
                Event::KeyedAccount { account, scram }
            }
            DirectoryChange::SetPassword { address, password } => {
                let NewPassword { hash: password_hash, scram } = password;
                let account = self.accounts.existing(&address)?.clone();
                Event::KeyedAccount { account: AccountRecord { password_hash, ..account }, scram }
            }
            DirectoryChange::AddKeys { address, password_hash, scram } => {
                let account = self.accounts.existing(&address)?.clone();
                // The password may have been changed meanwhile, or another login may have been quicker.
                let has_keys = self.accounts.scram(account.maildrop).is_some_and(ScramRecord::is_current);
                if has_keys || account.password_hash != password_hash {
                    return Err(Refused::Missing);
                }
                Event::KeyedAccount { account, scram }
            }
            DirectoryChange::RemoveAccount { address } => {
                let maildrop = self.accounts.existing(&address)?.maildrop;
                self.accounts.check_unused(&address)?;
                self.accounts.check_not_granted(&address, maildrop)?;
                let further: Vec<u64> =
                    self.accounts.subaddresses.of(maildrop).map(|(_, maildrop)| maildrop).collect();
                let mut live = self.live;
                for maildrop in further.iter().chain([&maildrop]) {
                    live = live.saturating_sub(self.index.ask(|index| index.count_entries(*maildrop))?);
                }
                return Ok((Event::account_removed(address, maildrop, further), live));
            }
            DirectoryChange::SetQuota { address, quota } => {
                Event::Quota { maildrop: self.accounts.existing(&address)?.maildrop, quota }
            }
            DirectoryChange::SetRules { address, own } => {
                Event::Rules { maildrop: self.accounts.existing(&address)?.maildrop, own }
            }
            DirectoryChange::SetRuleFile { address, rules } => Event::RuleFile {
                maildrop: self.accounts.existing(&address)?.maildrop,
                text: rules.map(String::from),
            },
            DirectoryChange::Access(change) => change.event(self.accounts)?,
            DirectoryChange::Maildrops(change) => return self.maildrops(change),
            DirectoryChange::AddAlias { address, targets } => {
                let targets = self.accounts.alias_targets(&address, &targets)?;
                Event::Alias { address, targets }
            }
            DirectoryChange::RemoveAlias { address } => {
                self.accounts.check_alias(&address)?;
                self.accounts.check_unused(&address)?;
                Event::AliasRemoved { address }
            }
        };
        Ok((event, self.live))
    }
}

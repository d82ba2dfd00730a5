//! What a store holds, as its users see it, and how that changes.

use std::collections::{BTreeMap, BTreeSet};

use super::super::app_passwords::Hash;
use super::super::credentials::{NewPassword, ScramRecord};
use super::super::grants::Grant;
use super::super::subaddresses::subaddress;
use crate::{OwnRules, Quota, ReturnAs, RuleFile};

/// A message of the simulation, by the number that its content carries.
pub(super) type Token = u64;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AccountView {
    pub(super) maildrop: u64,
    pub(super) password_hash: String,
    pub(super) scram: Option<ScramRecord>,
    pub(super) quota: Option<Quota>,
    pub(super) rules: OwnRules,
    pub(super) rule_file: Option<RuleFile>,
    pub(super) app_passwords: BTreeMap<String, Hash>,
    pub(super) grants: BTreeSet<String>,
    /// Its further maildrops, by their details.
    pub(super) further: BTreeMap<String, u64>,
}

impl AccountView {
    /// As it is when it was just added.
    fn new(maildrop: u64, password: NewPassword) -> Self {
        let NewPassword { hash: password_hash, scram } = password;
        Self {
            maildrop,
            password_hash,
            scram: Some(scram),
            quota: None,
            rules: OwnRules::default(),
            rule_file: None,
            app_passwords: BTreeMap::new(),
            grants: BTreeSet::new(),
            further: BTreeMap::new(),
        }
    }

    fn set_app_password(&mut self, name: &str, hash: Option<Hash>) {
        match hash {
            Some(hash) => self.app_passwords.insert(name.to_owned(), hash),
            None => self.app_passwords.remove(name),
        };
    }
}

/// A recipient that waits for relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct QueueView {
    pub(super) token: Token,
    pub(super) mailbox: String,
    pub(super) due: u64,
    pub(super) attempts: u32,
    pub(super) last_result: String,
    pub(super) held: bool,
    pub(super) warned: bool,
}

/// The life of a message with recipients elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TraceView {
    pub(super) recipients: Vec<String>,
    /// What was said, by recipient and attempt.
    pub(super) attempts: BTreeMap<(u32, u32), String>,
    /// Recipients that have ended.
    pub(super) ended: BTreeSet<u32>,
}

/// Everything that a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) accounts: BTreeMap<String, AccountView>,
    pub(super) aliases: BTreeMap<String, Vec<String>>,
    /// Messages with the numbers of their commits, in the order of their arrival, by the address of the maildrop.
    pub(super) maildrops: BTreeMap<String, Vec<(u64, Token)>>,
    /// The same of what was expunged and can be brought back.
    pub(super) expunged: BTreeMap<String, Vec<(u64, Token)>>,
    /// By the number of the message's commit and of the recipient.
    pub(super) queue: BTreeMap<(u64, u32), QueueView>,
    /// By the number of the message's commit.
    pub(super) traces: BTreeMap<u64, TraceView>,
}

/// One thing that is asked of the store.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Deliver { token: Token, maildrops: Vec<String>, relay: Vec<Relay>, concludes: QueueChanges },
    Expunge { maildrop: String, tokens: Vec<Token> },
    Return { maildrop: String, tokens: Vec<Token>, how: ReturnAs },
    Purge { maildrop: String, tokens: Vec<Token> },
    AddAccount { address: String, password: NewPassword },
    SetPassword { address: String, password: NewPassword },
    RemoveAccount { address: String },
    SetQuota { address: String, quota: Option<Quota> },
    SetRules { address: String, own: OwnRules },
    SetRuleFile { address: String, rules: Option<RuleFile> },
    SetAppPassword { address: String, name: String, hash: Option<Hash> },
    Grant { address: String, addresses: String, grant: Grant },
    AddMaildrop { account: String, detail: String },
    RemoveMaildrop { account: String, detail: String },
    AddAlias { address: String, target: String },
    RemoveAlias { address: String },
    Queue { changes: QueueChanges },
}

/// What becomes of entries of the queue, all of it or nothing.
pub(super) type QueueChanges = Vec<((u64, u32), QueueChange)>;

/// A recipient elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Relay {
    pub(super) mailbox: String,
    pub(super) due: u64,
}

/// What becomes of an entry of the queue.
#[derive(Clone, Debug)]
pub(super) enum QueueChange {
    Defer { due: u64, result: String, warned: bool },
    Hold,
    Release,
    Finish,
}

impl View {
    /// Does what `step` says; `sequence` is the number of its commit.
    pub(super) fn apply(&mut self, step: &Step, sequence: u64) {
        match step {
            Step::Deliver { token, maildrops, relay, concludes } => {
                self.deliver(*token, maildrops, relay, sequence);
                self.queue(concludes);
            }
            Step::Expunge { maildrop, tokens } => {
                let gone = take(&mut self.maildrops, maildrop, tokens);
                give(&mut self.expunged, maildrop, gone);
            }
            Step::Return { maildrop, tokens, how: _ } => {
                let back = take(&mut self.expunged, maildrop, tokens);
                give(&mut self.maildrops, maildrop, back);
            }
            Step::Purge { maildrop, tokens } => {
                take(&mut self.expunged, maildrop, tokens);
            }
            Step::AddAccount { address, password } => {
                self.accounts.insert(address.clone(), AccountView::new(sequence, password.clone()));
                self.add_maildrop(address);
            }
            Step::SetPassword { address, password } => {
                self.change(address, |account| {
                    account.password_hash.clone_from(&password.hash);
                    account.scram = Some(password.scram.clone());
                });
            }
            Step::RemoveAccount { address } => {
                let account = self.accounts.remove(address);
                for detail in account.iter().flat_map(|account| account.further.keys()) {
                    self.remove_maildrop(&subaddress(address, detail));
                }
                self.remove_maildrop(address);
            }
            Step::AddMaildrop { account, detail } => {
                self.add_maildrop(&subaddress(account, detail));
                self.change(account, |account| {
                    account.further.insert(detail.clone(), sequence);
                });
            }
            Step::RemoveMaildrop { account, detail } => {
                self.remove_maildrop(&subaddress(account, detail));
                self.change(account, |account| {
                    account.further.remove(detail);
                });
            }
            Step::SetQuota { address, quota } => self.change(address, |account| account.quota = *quota),
            Step::SetRules { address, own } => self.change(address, |account| account.rules = *own),
            Step::SetRuleFile { address, rules } => {
                self.change(address, |account| account.rule_file.clone_from(rules));
            }
            Step::SetAppPassword { address, name, hash } => {
                self.change(address, |account| account.set_app_password(name, *hash));
            }
            Step::Grant { address, addresses, grant } => {
                self.change(address, |account| {
                    match grant {
                        Grant::Given => account.grants.insert(addresses.clone()),
                        Grant::Taken => account.grants.remove(addresses),
                    };
                });
            }
            Step::AddAlias { address, target } => {
                let targets = self.aliases.entry(address.clone()).or_default();
                if !targets.contains(target) {
                    targets.push(target.clone());
                }
            }
            Step::RemoveAlias { address } => drop(self.aliases.remove(address)),
            Step::Queue { changes } => self.queue(changes),
        }
    }

    /// Changes an account that is there.
    fn change(&mut self, address: &str, change: impl FnOnce(&mut AccountView)) {
        if let Some(account) = self.accounts.get_mut(address) {
            change(account);
        }
    }

    fn add_maildrop(&mut self, address: &str) {
        self.maildrops.insert(address.to_owned(), Vec::new());
        self.expunged.insert(address.to_owned(), Vec::new());
    }

    fn remove_maildrop(&mut self, address: &str) {
        self.maildrops.remove(address);
        self.expunged.remove(address);
    }

    /// The maildrop with this address.
    pub(super) fn maildrop(&self, address: &str) -> Option<u64> {
        let further = |(name, account): (&String, &AccountView)| {
            let mut further = account.further.iter();
            let found = further.find(|(detail, _)| subaddress(name, detail) == address);
            found.map(|(_, maildrop)| *maildrop)
        };
        let own = self.accounts.get(address).map(|account| account.maildrop);
        own.or_else(|| self.accounts.iter().find_map(further))
    }

    fn deliver(&mut self, token: Token, maildrops: &[String], relay: &[Relay], sequence: u64) {
        for maildrop in maildrops {
            give(&mut self.maildrops, maildrop, vec![(sequence, token)]);
        }
        if !relay.is_empty() {
            let recipients = relay.iter().map(|relay| relay.mailbox.clone()).collect();
            self.traces.insert(sequence, TraceView { recipients, ..TraceView::default() });
        }
        for (recipient, relay) in (0..).zip(relay) {
            let entry = QueueView {
                token,
                mailbox: relay.mailbox.clone(),
                due: relay.due,
                attempts: 0,
                last_result: String::new(),
                held: false,
                warned: false,
            };
            self.queue.insert((sequence, recipient), entry);
        }
    }

    fn queue(&mut self, changes: &QueueChanges) {
        for (id, change) in changes {
            self.change_entry(*id, change);
        }
    }

    fn change_entry(&mut self, id: (u64, u32), change: &QueueChange) {
        let Some(entry) = self.queue.get_mut(&id) else { return };
        let trace = self.traces.entry(id.0).or_default();
        match change {
            QueueChange::Defer { due, result, warned } => {
                entry.warned |= *warned;
                entry.due = *due;
                entry.attempts = entry.attempts.saturating_add(1);
                entry.last_result.clone_from(result);
                trace.attempts.insert((id.1, entry.attempts), result.clone());
            }
            QueueChange::Hold => entry.held = true,
            QueueChange::Release => entry.held = false,
            QueueChange::Finish => {
                trace.ended.insert(id.1);
                self.queue.remove(&id);
            }
        }
    }

    /// The number of the commit that brought `token`, where anybody has it.
    pub(super) fn sequence(&self, token: Token) -> Option<u64> {
        let mut delivered = self.maildrops.values().chain(self.expunged.values()).flatten();
        let queued = || self.queue.iter().find(|(_, entry)| entry.token == token);
        delivered
            .find(|(_, found)| *found == token)
            .map(|(sequence, _)| *sequence)
            .or_else(|| queued().map(|((sequence, _), _)| *sequence))
    }

    /// How many maildrop and queue entries there are.
    pub(super) fn live(&self) -> usize {
        let entries = self.maildrops.values().chain(self.expunged.values()).map(Vec::len).sum::<usize>();
        entries.saturating_add(self.queue.len())
    }

    /// The first thing in which `self`, which was expected, and `found` differ.
    pub(super) fn difference(&self, found: &Self) -> Option<String> {
        differs("account", &self.accounts, &found.accounts)
            .or_else(|| differs("alias", &self.aliases, &found.aliases))
            .or_else(|| differs("maildrop", &self.maildrops, &found.maildrops))
            .or_else(|| differs("expunged messages", &self.expunged, &found.expunged))
            .or_else(|| differs("queue entry", &self.queue, &found.queue))
            .or_else(|| differs("trace", &self.traces, &found.traces))
    }
}

type Messages = BTreeMap<String, Vec<(u64, Token)>>;

/// Takes those of `tokens` that are there.
fn take(from: &mut Messages, maildrop: &str, tokens: &[Token]) -> Vec<(u64, Token)> {
    let Some(messages) = from.get_mut(maildrop) else { return Vec::new() };
    messages.extract_if(.., |(_, token)| tokens.contains(token)).collect()
}

/// Puts messages where they belong in the order of arrival.
fn give(to: &mut Messages, maildrop: &str, messages: Vec<(u64, Token)>) {
    let there = to.entry(maildrop.to_owned()).or_default();
    there.extend(messages);
    there.sort_unstable();
}

fn differs<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: &BTreeMap<K, V>,
    found: &BTreeMap<K, V>,
) -> Option<String> {
    expected.keys().chain(found.keys()).find_map(|key| {
        let (expected, found) = (expected.get(key), found.get(key));
        (expected != found).then(|| format!("{what} {key:?}: expected {expected:?}, found {found:?}"))
    })
}

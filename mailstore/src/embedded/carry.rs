//! What is carried on from a segment that goes: each record's share in the state as it is now, or nothing.
//!
//! What is carried stands behind everything that it follows from and before everything that follows from it, so it says
//! how things are at this moment, whatever the record in the old segment said.

use super::change::{Refused, State};
use super::circumstances::Circumstances;
use super::grants::Grant;
use super::journal::Location;
use super::keys::{EntryValue, TraceKey};
use super::record::{EntryState, Event, Message, Moved, MovedEntry, MovedOn, MovedRecipient, Restated};
use super::settled::restated;
use super::traced::TracedRow;
use crate::OwnRules;
use mailwire::clock;

/// One wish of the compaction.
#[derive(Debug)]
pub(crate) enum Carry {
    /// A message, with its content, for those who still have it where it was.
    Message(Box<CarriedMessage>),
    /// What became of messages that lie in other segments.
    Entries(Vec<CarriedEntry>),
    /// Rows of lives.
    Traces(Vec<TraceKey>),
    /// One recipient of a message in another segment.
    Queue { message: u64, recipient: u32, grave: Grave },
    /// The account of this address.
    Account { address: String },
    /// An account that was removed, with its further maildrops.
    AccountRemoved { address: String, maildrop: u64, further: Vec<u64> },
    /// The further maildrop of an account with this detail.
    Maildrop { account: u64, detail: String },
    /// A further maildrop that was removed.
    MaildropRemoved { account: u64, detail: String, maildrop: u64 },
    /// The alias of this address.
    Alias { address: String, grave: Grave },
    /// The application password of a maildrop's account with this name.
    AppPassword { maildrop: u64, name: String, grave: Grave },
    /// Whether a maildrop's account may send as these.
    Grant { maildrop: u64, addresses: String, grave: Grave },
    /// The quota of a maildrop.
    Quota { maildrop: u64, grave: Grave },
    /// The rules that a maildrop's account has of its own.
    Rules { maildrop: u64, grave: Grave },
    /// The rules that a maildrop's account has for its mail.
    RuleFile { maildrop: u64, grave: Grave },
}

/// Whether a deletion must be remembered, since something is left that would bring back what was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grave {
    Kept,
    Needless,
}

/// A message in a segment that goes.
#[derive(Debug)]
pub(crate) struct CarriedMessage {
    pub(crate) from: Location,
    pub(crate) sequence: u64,
    /// Without maildrops and recipients.
    pub(crate) message: Message,
    pub(crate) circumstances: Option<Box<Circumstances>>,
    /// Who may still have it.
    pub(crate) maildrops: Vec<u64>,
    pub(crate) recipients: Vec<u32>,
}

/// A message of which a segment that goes says something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CarriedEntry {
    pub(crate) maildrop: u64,
    pub(crate) message: u64,
    pub(crate) grave: Grave,
}

impl State<'_> {
    /// The event that carries it on; `Missing` where there is nothing to carry.
    pub(crate) fn carry(&self, carry: Carry) -> Result<Event, Refused> {
        match carry {
            Carry::Message(message) => self.carry_message(*message),
            Carry::Entries(entries) => self.carry_entries(&entries),
            Carry::Traces(keys) => self.carry_traces(&keys),
            Carry::Queue { message, recipient, grave } => self.carry_queue(message, recipient, grave),
            Carry::Account { address } => {
                let account = self.accounts.account(&address).ok_or(Refused::Missing)?;
                Ok(Event::of_account(account.clone(), self.accounts.scram(account.maildrop).cloned()))
            }
            Carry::AccountRemoved { address, maildrop, further } => {
                Ok(Event::account_removed(address, maildrop, further))
            }
            Carry::Maildrop { account, detail } => {
                let maildrop = self.accounts.subaddresses.get(account, &detail).ok_or(Refused::Missing)?;
                Ok(Event::MaildropAdded { account, detail, maildrop })
            }
            Carry::MaildropRemoved { account, detail, maildrop } => {
                Ok(Event::MaildropRemoved { account, detail, maildrop })
            }
            Carry::Alias { address, grave } => match self.accounts.targets(&address) {
                Some(targets) => Ok(Event::Alias { address, targets: targets.to_vec() }),
                None if grave == Grave::Kept => Ok(Event::AliasRemoved { address }),
                None => Err(Refused::Missing),
            },
            Carry::AppPassword { maildrop, name, grave } => {
                let password = self.accounts.app_passwords.get(maildrop, &name);
                if password.is_none() {
                    self.must_remember(maildrop, grave)?;
                }
                Ok(Event::AppPassword { maildrop, name, password })
            }
            Carry::Grant { maildrop, addresses, grave } => {
                let grant = if self.accounts.grants.has(maildrop, &addresses) {
                    Grant::Given
                } else {
                    self.must_remember(maildrop, grave)?;
                    Grant::Taken
                };
                Ok(Event::Grant { maildrop, addresses, grant })
            }
            Carry::Rules { maildrop, grave } => {
                let own = self.accounts.rules.own(maildrop);
                if own == OwnRules::default() {
                    self.must_remember(maildrop, grave)?;
                }
                Ok(Event::Rules { maildrop, own })
            }
            Carry::RuleFile { maildrop, grave } => {
                let rules = self.accounts.rule_files.get(maildrop);
                if rules.is_none() {
                    self.must_remember(maildrop, grave)?;
                }
                Ok(Event::RuleFile { maildrop, text: rules.map(|rules| rules.as_str().to_owned()) })
            }
            Carry::Quota { maildrop, grave } => match self.accounts.own_quota(maildrop) {
                Some(quota) => Ok(Event::Quota { maildrop, quota: Some(quota) }),
                None if grave == Grave::Kept && self.accounts.has_maildrop(maildrop) => {
                    Ok(Event::Quota { maildrop, quota: None })
                }
                None => Err(Refused::Missing),
            },
        }
    }

    /// `Missing` where nobody needs to know that a maildrop's account has something no more.
    fn must_remember(&self, maildrop: u64, grave: Grave) -> Result<(), Refused> {
        let is_needed = grave == Grave::Kept && self.accounts.has_maildrop(maildrop);
        if is_needed { Ok(()) } else { Err(Refused::Missing) }
    }

    fn carry_message(&self, carried: CarriedMessage) -> Result<Event, Refused> {
        let CarriedMessage { from, sequence, message, circumstances, maildrops, recipients } = carried;
        let mut entries = Vec::new();
        for maildrop in maildrops {
            let live = self.index.ask(|index| index.entry(maildrop, sequence))?;
            let expunged = self.index.ask(|index| index.expunged_entry(maildrop, sequence))?;
            let known = live.map(|entry| (entry, None));
            let known = known.or(expunged.map(|expunged| (expunged.entry, Some(expunged.at))));
            if let Some((entry, expunged_at)) = known.filter(|(entry, _)| entry.subject.location == from) {
                entries.push(MovedEntry { maildrop, unique_id: entry.unique_id, expunged_at });
            }
        }
        let (mut queue, mut warned) = (Vec::new(), Vec::new());
        for recipient in recipients {
            let waiting = self.index.ask(|index| index.queue_value(sequence, recipient))?;
            if let Some(waiting) = waiting.filter(|waiting| waiting.subject.location == from) {
                warned.extend(waiting.warned.then_some(recipient));
                queue.push(MovedRecipient {
                    recipient,
                    mailbox: waiting.mailbox,
                    due: waiting.due,
                    expires: waiting.expires,
                    attempts: waiting.attempts,
                    last_result: waiting.last_result,
                    held: waiting.held,
                });
            }
        }
        if entries.is_empty() && queue.is_empty() {
            return Err(Refused::Missing);
        }
        let moved = Moved { sequence, message, entries, queue };
        if !warned.is_empty() {
            return Ok(Event::MovedOn(Box::new(MovedOn { moved, circumstances, warned })));
        }
        let moved = Box::new(moved);
        Ok(match circumstances {
            None => Event::Moved(moved),
            Some(circumstances) => Event::MovedWith { moved, circumstances },
        })
    }

    fn carry_entries(&self, carried: &[CarriedEntry]) -> Result<Event, Refused> {
        let mut entries = Vec::new();
        for CarriedEntry { maildrop, message, grave } in carried.iter().copied() {
            if !self.accounts.has_maildrop(maildrop) {
                continue;
            }
            let live = self.index.ask(|index| index.entry(maildrop, message))?;
            let expunged = self.index.ask(|index| index.expunged_entry(maildrop, message))?;
            let state = match (live, expunged) {
                (Some(EntryValue { unique_id, .. }), _) => {
                    match self.index.ask(|index| index.came_at(maildrop, message))? {
                        Some(at) => EntryState::LiveSince { unique_id, at },
                        None => EntryState::Live { unique_id },
                    }
                }
                (None, Some(expunged)) => {
                    EntryState::Expunged { unique_id: expunged.entry.unique_id, at: expunged.at }
                }
                (None, None) if grave == Grave::Kept => EntryState::Gone,
                (None, None) => continue,
            };
            entries.push(Restated { maildrop, message, state });
        }
        if entries.is_empty() { Err(Refused::Missing) } else { Ok(Event::Restated { entries }) }
    }

    /// Those that are still kept.
    fn carry_traces(&self, keys: &[TraceKey]) -> Result<Event, Refused> {
        let mut rows = Vec::new();
        for key in keys {
            let record = self.index.ask(|index| index.trace_row(*key))?;
            rows.extend(record.map(|record| TracedRow { key: *key, record }));
        }
        if rows.is_empty() { Err(Refused::Missing) } else { Ok(Event::Traced { rows }) }
    }

    fn carry_queue(&self, message: u64, recipient: u32, grave: Grave) -> Result<Event, Refused> {
        match self.index.ask(|index| index.queue_value(message, recipient))? {
            Some(waiting) => {
                let entries = vec![restated(message, recipient, waiting)];
                Ok(Event::Settled { at: clock::unix_seconds(), entries })
            }
            None if grave == Grave::Kept => Ok(Event::QueueFinished { message, recipient, at: 0 }),
            None => Err(Refused::Missing),
        }
    }
}

//! What a committed record changes in the index.

use sled::IVec;

use super::app_passwords::AppPasswordRecord;
use super::circumstances::Circumstances;
use super::credentials::ScramRecord;
use super::grants::Grant;
use super::index::{Index, IndexError, encoded, get, put, take};
use super::journal::Location;
use super::keys::{self, ContentFile, EntryValue, ExpungedValue, QueueValue, SEGMENTS, Subject};
use super::queue_index::queue_value;
use super::record::{AccountRecord, EntryState, Event, Frame, Message, Moved, MovedRecipient, Restated};
use crate::{OwnRules, Quota, UniqueId};

/// A committed record, as the index takes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committed<'a> {
    pub(crate) location: Location,
    pub(crate) sequence: u64,
    /// Octets of frame and head.
    pub(crate) front_octets: u64,
    /// Octets of content in the record.
    pub(crate) content_octets: u64,
    pub(crate) event: &'a Event,
}

impl<'a> Committed<'a> {
    pub(crate) const fn new(location: Location, frame: &Frame, event: &'a Event) -> Self {
        Self {
            location,
            sequence: frame.sequence,
            front_octets: frame.content_offset(),
            content_octets: frame.content_octets,
            event,
        }
    }

    fn subject(&self, message: &Message) -> Subject {
        let file = message.file.as_ref();
        let file = file.map(|file| ContentFile { name: message.unique_id, octets: file.octets });
        Subject {
            location: self.location,
            front_octets: u32::try_from(self.front_octets).unwrap_or(u32::MAX),
            octets: self.content_octets.saturating_add(file.map_or(0, |file| file.octets)),
            header_octets: message.header_octets,
            repertoire: message.repertoire,
            file,
        }
    }
}

impl Index {
    /// Brings the trees to what they are after this record. Applying a record twice, or after later ones have been
    /// applied once already, ends in the same state as long as all later ones follow again.
    pub(crate) fn apply(&self, committed: Committed<'_>) -> Result<(), IndexError> {
        // Whoever looks through lives meanwhile finds the end of one before its entry goes, and none without its entry: one that is
        // not in the queue and has no end of late is over.
        self.apply_rows(committed)?;
        self.apply_event(committed)?;
        self.apply_beginning(committed)
    }

    fn apply_event(&self, committed: Committed<'_>) -> Result<(), IndexError> {
        match committed.event {
            Event::Message(message) | Event::Imported { message, .. } => {
                self.apply_message(committed, message)
            }
            Event::Accepted(accepted) => self.apply_message(committed, &accepted.message),
            Event::Taken(taken) => {
                self.apply_message(committed, &taken.accepted.message)?;
                self.apply_settled(&taken.concludes)
            }
            Event::Moved(moved) | Event::MovedWith { moved, .. } => self.apply_moved(committed, moved, &[]),
            Event::MovedOn(on) => self.apply_moved(committed, &on.moved, &on.warned),
            Event::Expunge { maildrop, messages, at } => {
                messages.iter().try_for_each(|message| self.expunge(*maildrop, *message, *at))
            }
            Event::Returned { maildrop, messages } => {
                let mut messages = messages.iter();
                messages.try_for_each(|(message, fresh)| self.bring_back(*maildrop, *message, fresh.as_ref()))
            }
            Event::ReturnedAt { maildrop, messages, at } => {
                messages.iter().try_for_each(|(message, fresh)| {
                    self.bring_back(*maildrop, *message, fresh.as_ref())?;
                    self.note_came(*maildrop, *message, *at)
                })
            }
            Event::Purged { maildrop, messages } => {
                self.note_freed();
                messages.iter().try_for_each(|message| self.purge(*maildrop, *message))
            }
            Event::Restated { entries } => {
                self.note_restated(committed.location.segment, committed.front_octets.saturating_mul(2));
                entries.iter().try_for_each(|entry| self.restate(entry))
            }
            Event::Account(account) => self.put_account(account, None),
            Event::KeyedAccount { account, scram } => self.put_account(account, Some(scram)),
            Event::AppPassword { maildrop, name, password } => {
                self.put_app_password(&keys::named(*maildrop, name), password.as_ref())
            }
            Event::Grant { maildrop, addresses, grant } => {
                self.put_grant(&keys::named(*maildrop, addresses), *grant)
            }
            Event::AccountRemoved { address, maildrop } => self.remove_account(address, *maildrop, &[]),
            Event::AccountRemovedWith { address, maildrop, further } => {
                self.remove_account(address, *maildrop, further)
            }
            Event::MaildropAdded { account, detail, maildrop } => {
                put(&self.subaddresses, &keys::named(*account, detail), maildrop)
            }
            Event::MaildropRemoved { account, detail, maildrop } => {
                self.remove_subaddress(&keys::named(*account, detail), *maildrop)
            }
            Event::Quota { maildrop, quota } => self.put_quota(&keys::maildrop(*maildrop), quota.as_ref()),
            Event::Rules { maildrop, own } => self.put_rules(&keys::maildrop(*maildrop), own),
            Event::RuleFile { maildrop, text } => self.put_rule_file(*maildrop, text.as_deref()),
            Event::Alias { address, targets } => put(&self.aliases, address.as_bytes(), targets),
            Event::AliasRemoved { address } => {
                self.aliases.remove(address.as_bytes())?;
                Ok(())
            }
            Event::QueueChanged { .. } | Event::QueueFinished { .. } | Event::Settled { .. } => {
                self.apply_to_queue(committed.event)
            }
            Event::Torn { segment, offset, octets, message: _ } => {
                put(&self.torn, &keys::torn(*segment, *offset), octets)
            }
            Event::Segments { present } => put(&self.meta, SEGMENTS, present),
            Event::Traced { .. } | Event::Closed => Ok(()),
        }
    }

    fn apply_message(&self, committed: Committed<'_>, message: &Message) -> Result<(), IndexError> {
        let circumstances = committed.event.circumstances();
        let subject = committed.subject(message);
        let carried = committed.event.carried_unique_id().cloned();
        let entry = EntryValue {
            unique_id: carried.unwrap_or_else(|| UniqueId::minted(message.unique_id)),
            received_at: message.accepted_at,
            subject,
            release_at: release_at(circumstances),
        };
        // One value for all maildrops: it is made once.
        let value = IVec::from(encoded(&entry)?);
        for maildrop in &message.maildrops {
            self.put_entry(*maildrop, committed.sequence, &entry, value.clone())?;
            self.note_carried(*maildrop, committed.sequence, message)?;
        }
        let _coming = (!message.relay.is_empty()).then(|| self.coming());
        for (recipient, relay) in (0_u32..).zip(&message.relay) {
            let waiting = MovedRecipient {
                recipient,
                mailbox: relay.mailbox.clone(),
                due: relay.due,
                expires: relay.expires,
                attempts: 0,
                last_result: String::new(),
                held: false,
            };
            let value = queue_value(message, circumstances, subject, &waiting);
            self.put_queue(committed.sequence, recipient, &value)?;
        }
        Ok(())
    }

    fn apply_moved(&self, committed: Committed<'_>, moved: &Moved, warned: &[u32]) -> Result<(), IndexError> {
        let Moved { sequence, message, entries, queue } = moved;
        let circumstances = committed.event.circumstances();
        let subject = committed.subject(message);
        for held in entries {
            let entry = EntryValue {
                unique_id: held.unique_id.clone(),
                received_at: message.accepted_at,
                subject,
                release_at: release_at(circumstances),
            };
            match held.expunged_at {
                None => {
                    let value = encoded(&entry)?;
                    self.put_entry(held.maildrop, *sequence, &entry, value.into())?;
                    self.note_carried(held.maildrop, *sequence, message)?;
                    self.take_expunged(held.maildrop, *sequence)?;
                }
                Some(at) => {
                    self.forget_came(held.maildrop, *sequence)?;
                    self.take_entry(held.maildrop, *sequence)?;
                    self.put_expunged(held.maildrop, *sequence, &ExpungedValue { entry, at })?;
                }
            }
        }
        for waiting in queue {
            let warned = warned.contains(&waiting.recipient);
            let value = QueueValue { warned, ..queue_value(message, circumstances, subject, waiting) };
            self.put_queue(*sequence, waiting.recipient, &value)?;
        }
        self.moved.insert(keys::moved(*sequence, committed.location.segment), &[])?;
        Ok(())
    }

    /// Whoever sees the entry finds it counted: the count is not to be had in between.
    fn put_entry(
        &self,
        maildrop: u64,
        message: u64,
        entry: &EntryValue,
        value: IVec,
    ) -> Result<(), IndexError> {
        let mut holdings = self.holdings();
        if self.entries.insert(keys::entry(maildrop, message), value)?.is_none() {
            self.note_change();
            holdings.added(maildrop, message, entry);
        } else {
            holdings.changed(maildrop);
        }
        Ok(())
    }

    fn take_entry(&self, maildrop: u64, message: u64) -> Result<Option<EntryValue>, IndexError> {
        let mut holdings = self.holdings();
        let taken: Option<EntryValue> = take(&self.entries, &keys::entry(maildrop, message))?;
        if let Some(entry) = &taken {
            self.note_change();
            holdings.removed(maildrop, entry);
        }
        Ok(taken)
    }

    fn put_expunged(&self, maildrop: u64, message: u64, value: &ExpungedValue) -> Result<(), IndexError> {
        self.note_change();
        put(&self.expunged, &keys::entry(maildrop, message), value)
    }

    fn take_expunged(&self, maildrop: u64, message: u64) -> Result<Option<ExpungedValue>, IndexError> {
        let taken = take(&self.expunged, &keys::entry(maildrop, message))?;
        if taken.is_some() {
            self.note_change();
        }
        Ok(taken)
    }

    /// A message that was received elsewhere came here later than its entry says, which the row of its commit tells.
    fn note_carried(&self, maildrop: u64, sequence: u64, message: &Message) -> Result<(), IndexError> {
        if message.trace.at > message.accepted_at {
            self.note_came(maildrop, sequence, message.trace.at)?;
        }
        Ok(())
    }

    /// The latest time counts: records may be applied again, and copies of a message tell of its first arrival.
    fn note_came(&self, maildrop: u64, message: u64, at: u64) -> Result<(), IndexError> {
        if self.came_at(maildrop, message)?.is_none_or(|before| before < at) {
            put(&self.came, &keys::entry(maildrop, message), &at)?;
        }
        Ok(())
    }

    fn forget_came(&self, maildrop: u64, message: u64) -> Result<(), IndexError> {
        self.came.remove(keys::entry(maildrop, message))?;
        Ok(())
    }

    /// A message as it is known, be it in its maildrop or expunged.
    fn known(&self, maildrop: u64, message: u64) -> Result<Option<EntryValue>, IndexError> {
        let entry: Option<EntryValue> = get(&self.entries, &keys::entry(maildrop, message))?;
        Ok(match entry {
            Some(entry) => Some(entry),
            None => self.expunged_entry(maildrop, message)?.map(|expunged| expunged.entry),
        })
    }

    fn expunge(&self, maildrop: u64, message: u64, at: u64) -> Result<(), IndexError> {
        self.forget_came(maildrop, message)?;
        let entry = match self.take_entry(maildrop, message)? {
            Some(entry) => Some(entry),
            None => self.expunged_entry(maildrop, message)?.map(|expunged| expunged.entry),
        };
        let Some(entry) = entry else { return Ok(()) };
        self.put_expunged(maildrop, message, &ExpungedValue { entry, at })
    }

    fn bring_back(&self, maildrop: u64, message: u64, fresh: Option<&UniqueId>) -> Result<(), IndexError> {
        let Some(mut entry) = self.known(maildrop, message)? else { return Ok(()) };
        if let Some(fresh) = fresh {
            entry.unique_id = fresh.clone();
        }
        self.take_expunged(maildrop, message)?;
        let value = encoded(&entry)?;
        self.put_entry(maildrop, message, &entry, value.into())
    }

    fn purge(&self, maildrop: u64, message: u64) -> Result<(), IndexError> {
        self.forget_came(maildrop, message)?;
        self.take_entry(maildrop, message)?;
        self.take_expunged(maildrop, message)?;
        Ok(())
    }

    fn restate(&self, restated: &Restated) -> Result<(), IndexError> {
        let Restated { maildrop, message, state } = restated;
        match state {
            EntryState::Live { unique_id } => self.bring_back(*maildrop, *message, Some(unique_id)),
            EntryState::LiveSince { unique_id, at } => {
                self.bring_back(*maildrop, *message, Some(unique_id))?;
                self.note_came(*maildrop, *message, *at)
            }
            EntryState::Expunged { unique_id, at } => {
                self.bring_back(*maildrop, *message, Some(unique_id))?;
                self.expunge(*maildrop, *message, *at)
            }
            EntryState::Gone => self.purge(*maildrop, *message),
        }
    }

    fn put_account(&self, account: &AccountRecord, scram: Option<&ScramRecord>) -> Result<(), IndexError> {
        let maildrop = keys::maildrop(account.maildrop);
        match scram {
            Some(scram) => put(&self.scram, &maildrop, scram)?,
            None => drop(self.scram.remove(maildrop)?),
        }
        put(&self.accounts, account.address.as_bytes(), account)
    }

    fn put_app_password(&self, key: &[u8], password: Option<&AppPasswordRecord>) -> Result<(), IndexError> {
        match password {
            Some(password) => put(&self.app_passwords, key, password)?,
            None => drop(self.app_passwords.remove(key)?),
        }
        Ok(())
    }

    fn put_rules(&self, key: &[u8], own: &OwnRules) -> Result<(), IndexError> {
        if *own == OwnRules::default() {
            self.rules.remove(key)?;
            return Ok(());
        }
        put(&self.rules, key, own)
    }

    fn put_quota(&self, key: &[u8], quota: Option<&Quota>) -> Result<(), IndexError> {
        match quota {
            Some(quota) => put(&self.quotas, key, quota)?,
            None => drop(self.quotas.remove(key)?),
        }
        Ok(())
    }

    fn put_grant(&self, key: &[u8], grant: Grant) -> Result<(), IndexError> {
        match grant {
            Grant::Given => self.grants.insert(key, &[])?,
            Grant::Taken => self.grants.remove(key)?,
        };
        Ok(())
    }

    /// An account of the same address that was added later stays.
    fn remove_account(&self, address: &str, maildrop: u64, further: &[u64]) -> Result<(), IndexError> {
        let account: Option<AccountRecord> = get(&self.accounts, address.as_bytes())?;
        if account.is_some_and(|account| account.maildrop == maildrop) {
            self.accounts.remove(address.as_bytes())?;
        }
        self.quotas.remove(keys::maildrop(maildrop))?;
        self.rules.remove(keys::maildrop(maildrop))?;
        self.scram.remove(keys::maildrop(maildrop))?;
        for tree in [&self.app_passwords, &self.grants, &self.subaddresses, &self.rule_files] {
            for key in tree.scan_prefix(keys::maildrop(maildrop)).keys() {
                tree.remove(key?)?;
            }
        }
        further.iter().chain([&maildrop]).try_for_each(|maildrop| self.remove_entries(*maildrop))
    }

    /// One that was added later under the same key stays.
    fn remove_subaddress(&self, key: &[u8], maildrop: u64) -> Result<(), IndexError> {
        if get(&self.subaddresses, key)? == Some(maildrop) {
            self.subaddresses.remove(key)?;
        }
        self.remove_entries(maildrop)
    }

    /// All that is in a maildrop, or can be brought back to it.
    fn remove_entries(&self, maildrop: u64) -> Result<(), IndexError> {
        self.note_freed();
        for key in self.came.scan_prefix(keys::maildrop(maildrop)).keys() {
            self.came.remove(key?)?;
        }
        let mut holdings = self.holdings();
        for key in self.entries.scan_prefix(keys::maildrop(maildrop)).keys() {
            self.note_change();
            self.entries.remove(key?)?;
        }
        holdings.ended(maildrop);
        drop(holdings);
        for expunged in self.expunged(maildrop) {
            self.take_expunged(maildrop, expunged?.0)?;
        }
        Ok(())
    }
}

fn release_at(circumstances: Option<&Circumstances>) -> Option<u64> {
    circumstances.and_then(|circumstances| circumstances.terms.release_at)
}

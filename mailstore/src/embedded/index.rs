//! The sled index: applied after the journal is synced, never waited for, and never the truth.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sled::Tree;
use thiserror::Error;

use super::files::{File, Files, Mode};
use super::journal::Location;
use super::keys::{self, CHECKPOINT, CLOSED, Checkpoint, EntryValue, QueueValue};
use super::record::{AccountRecord, Event, Frame, Message};

/// Octets of sled's cache. Small: entries are small, and content is not in it.
const CACHE_OCTETS: u64 = 16 << 20;
/// sled frees the space of old segments only while it flushes by itself; its default.
const FLUSH_MILLISECONDS: u64 = 500;

/// Why the index cannot be used; it is set aside and rebuilt then.
#[derive(Debug, Error)]
pub(crate) enum IndexError {
    /// sled says so.
    #[error("the index failed")]
    Sled(#[from] sled::Error),
    /// sled panicked while it opened its file.
    #[error("the index is damaged: sled panicked on it")]
    Panicked,
    /// It has failed and is being opened again.
    #[error("the index is being opened again")]
    Reopening,
    /// A value is not what the table of keys says.
    #[error("the index holds a value that cannot be read")]
    Value(#[from] postcard::Error),
    /// Its file failed.
    #[error("the file of the index failed")]
    Io(#[from] std::io::Error),
}

/// The trees of `keys.rs`.
pub(crate) struct Index {
    db: sled::Db,
    file: Arc<dyn File>,
    entries: Tree,
    queue: Tree,
    due: Tree,
    accounts: Tree,
    aliases: Tree,
    meta: Tree,
}

/// A committed record, as the index takes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committed<'a> {
    pub(crate) location: Location,
    pub(crate) sequence: u64,
    pub(crate) content_octets: u64,
    pub(crate) event: &'a Event,
}

impl<'a> Committed<'a> {
    pub(crate) const fn new(location: Location, frame: &Frame, event: &'a Event) -> Self {
        Self { location, sequence: frame.sequence, content_octets: frame.content_octets, event }
    }
}

impl Index {
    /// Opens the index in `folder`, or makes an empty one.
    pub(crate) fn open(files: &dyn Files, folder: &Path) -> Result<Self, IndexError> {
        let config = sled::Config::new()
            .path(folder)
            .cache_capacity(CACHE_OCTETS)
            .flush_every_ms(Some(FLUSH_MILLISECONDS));
        // sled 0.34 panics on some damaged files where it should return an error (its issue 1387).
        let db = catch_unwind(AssertUnwindSafe(|| config.open())).map_err(|_| IndexError::Panicked)??;
        let file = files.open(&folder.join("db"), Mode::Read)?;
        Ok(Self {
            file,
            entries: db.open_tree("entries")?,
            queue: db.open_tree("queue")?,
            due: db.open_tree("due")?,
            accounts: db.open_tree("accounts")?,
            aliases: db.open_tree("aliases")?,
            meta: db.open_tree("meta")?,
            db,
        })
    }

    /// Brings the trees to what they are after this record. Applying a record twice, or after later ones have been
    /// applied once already, ends in the same state as long as all later ones follow again.
    pub(crate) fn apply(&self, committed: Committed<'_>) -> Result<(), IndexError> {
        match committed.event {
            Event::Message(message) => self.apply_message(committed, message),
            Event::Expunge { maildrop, messages, at: _ } => {
                for message in messages {
                    self.entries.remove(keys::entry(*maildrop, *message))?;
                }
                Ok(())
            }
            Event::Account(account) => put(&self.accounts, account.address.as_bytes(), account),
            Event::AccountRemoved { address, maildrop } => {
                self.accounts.remove(address.as_bytes())?;
                for key in self.entries.scan_prefix(keys::maildrop(*maildrop)).keys() {
                    self.entries.remove(key?)?;
                }
                Ok(())
            }
            Event::Alias { address, targets } => put(&self.aliases, address.as_bytes(), targets),
            Event::AliasRemoved { address } => {
                self.aliases.remove(address.as_bytes())?;
                Ok(())
            }
            Event::QueueChanged { message, recipient, due, attempts, last_result, held } => {
                let Some(old) = self.queue_value(*message, *recipient)? else { return Ok(()) };
                let changed = QueueValue {
                    due: *due,
                    attempts: *attempts,
                    last_result: last_result.clone(),
                    held: *held,
                    ..old
                };
                self.put_queue(*message, *recipient, &changed)
            }
            Event::QueueFinished { message, recipient, at: _ } => self.remove_queue(*message, *recipient),
            Event::Torn { message, .. } => match message {
                Some((sequence, message)) => self.unapply_message(*sequence, message),
                None => Ok(()),
            },
        }
    }

    fn apply_message(&self, committed: Committed<'_>, message: &Message) -> Result<(), IndexError> {
        let octets =
            committed.content_octets.saturating_add(message.file.as_ref().map_or(0, |file| file.octets));
        let entry = EntryValue {
            unique_id: message.unique_id,
            octets,
            header_octets: message.header_octets,
            received_at: message.accepted_at,
            location: committed.location,
        };
        let value = postcard::to_stdvec(&entry)?;
        for maildrop in &message.maildrops {
            self.entries.insert(keys::entry(*maildrop, committed.sequence), value.as_slice())?;
        }
        for (recipient, relay) in (0_u32..).zip(&message.relay) {
            let value = QueueValue {
                reverse_path: message.reverse_path.clone(),
                mailbox: relay.mailbox.clone(),
                accepted_at: message.accepted_at,
                due: relay.due,
                expires: relay.expires,
                attempts: 0,
                last_result: String::new(),
                held: false,
                octets,
                header_octets: message.header_octets,
                delivery_prefix_octets: message.delivery_prefix_octets,
                location: committed.location,
                unique_id: message.unique_id,
            };
            self.put_queue(committed.sequence, recipient, &value)?;
        }
        Ok(())
    }

    fn unapply_message(&self, sequence: u64, message: &Message) -> Result<(), IndexError> {
        for maildrop in &message.maildrops {
            self.entries.remove(keys::entry(*maildrop, sequence))?;
        }
        for (recipient, _) in (0_u32..).zip(&message.relay) {
            self.remove_queue(sequence, recipient)?;
        }
        Ok(())
    }

    fn put_queue(&self, message: u64, recipient: u32, value: &QueueValue) -> Result<(), IndexError> {
        self.remove_due(message, recipient)?;
        put(&self.queue, &keys::queue(message, recipient), value)?;
        if !value.held {
            self.due.insert(keys::due(value.due, message, recipient), &[])?;
        }
        Ok(())
    }

    fn remove_queue(&self, message: u64, recipient: u32) -> Result<(), IndexError> {
        self.remove_due(message, recipient)?;
        self.queue.remove(keys::queue(message, recipient))?;
        Ok(())
    }

    fn remove_due(&self, message: u64, recipient: u32) -> Result<(), IndexError> {
        if let Some(old) = self.queue_value(message, recipient)? {
            self.due.remove(keys::due(old.due, message, recipient))?;
        }
        Ok(())
    }

    /// One entry of the queue.
    pub(crate) fn queue_value(&self, message: u64, recipient: u32) -> Result<Option<QueueValue>, IndexError> {
        get(&self.queue, &keys::queue(message, recipient))
    }

    /// Due time, message and recipient of what waits, earliest first.
    pub(crate) fn due(&self) -> impl Iterator<Item = Result<(u64, u64, u32), IndexError>> {
        self.due.iter().keys().filter_map(|key| match key {
            Ok(key) => keys::due_parts(&key).map(Ok),
            Err(error) => Some(Err(error.into())),
        })
    }

    /// The messages of a maildrop, in the order of their arrival.
    pub(crate) fn entries(
        &self,
        maildrop: u64,
    ) -> impl Iterator<Item = Result<(u64, EntryValue), IndexError>> {
        self.entries.scan_prefix(keys::maildrop(maildrop)).filter_map(|pair| match pair {
            Ok((key, value)) => {
                let message = keys::entry_message(&key)?;
                Some(postcard::from_bytes(&value).map(|value| (message, value)).map_err(IndexError::from))
            }
            Err(error) => Some(Err(error.into())),
        })
    }

    /// How many messages a maildrop has.
    pub(crate) fn count_entries(&self, maildrop: u64) -> Result<u64, IndexError> {
        self.entries(maildrop).try_fold(0, |count: u64, entry| entry.map(|_| count.saturating_add(1)))
    }

    /// True where the maildrop holds the message.
    pub(crate) fn has_entry(&self, maildrop: u64, message: u64) -> Result<bool, IndexError> {
        Ok(self.entries.contains_key(keys::entry(maildrop, message))?)
    }

    /// All accounts.
    pub(crate) fn accounts(&self) -> Result<Vec<AccountRecord>, IndexError> {
        self.accounts.iter().values().map(|value| Ok(postcard::from_bytes(&value?)?)).collect()
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

    /// Entries of all maildrops and of the queue, each looked at.
    pub(crate) fn count_live(&self) -> Result<u64, IndexError> {
        let mut live: u64 = 0;
        for value in self.entries.iter().values() {
            let _: EntryValue = postcard::from_bytes(&value?)?;
            live = live.saturating_add(1);
        }
        for value in self.queue.iter().values() {
            let _: QueueValue = postcard::from_bytes(&value?)?;
            live = live.saturating_add(1);
        }
        Ok(live)
    }

    /// The last checkpoint.
    pub(crate) fn checkpoint(&self) -> Result<Option<Checkpoint>, IndexError> {
        get(&self.meta, CHECKPOINT)
    }

    /// Returns when everything applied so far is on disk.
    ///
    /// sled's flush only starts the writing (it does not fsync), so it is followed by fdatasync on its file.
    pub(crate) fn sync(&self) -> Result<(), IndexError> {
        self.db.flush()?;
        self.file.sync()?;
        Ok(())
    }

    /// Says up to where the index is complete; only after [`Self::sync`] of all that comes before it.
    pub(crate) fn put_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), IndexError> {
        put(&self.meta, CHECKPOINT, checkpoint)
    }

    /// Marks an orderly close.
    pub(crate) fn mark_closed(&self) -> Result<(), IndexError> {
        self.meta.insert(CLOSED, &[])?;
        self.sync()
    }

    /// True where the last close was orderly; durably takes the mark away.
    pub(crate) fn take_closed(&self) -> Result<bool, IndexError> {
        let closed = self.meta.remove(CLOSED)?.is_some();
        if closed {
            self.sync()?;
        }
        Ok(closed)
    }
}

fn put<T: Serialize>(tree: &Tree, key: &[u8], value: &T) -> Result<(), IndexError> {
    tree.insert(key, postcard::to_stdvec(value)?)?;
    Ok(())
}

fn get<T: DeserializeOwned>(tree: &Tree, key: &[u8]) -> Result<Option<T>, IndexError> {
    Ok(tree.get(key)?.map(|value| postcard::from_bytes(&value)).transpose()?)
}

//! The sled index: applied after the journal is synced, never waited for, and never the truth.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sled::Tree;
use thiserror::Error;

use super::files::{File, Files, Mode};
use super::holdings::Holdings;
use super::journal::Location;
use super::keys::{
    self, CHECKPOINT, CLOSED, Checkpoint, EntryValue, ExpungedValue, QueueValue, SCRUBBED, SEGMENTS, Subject,
    Usage,
};
use super::queue_index::Front;
use super::traced::Carried;

/// Octets of sled's cache. Small: entries are small, and content is not in it.
const CACHE_OCTETS: u64 = 4 << 20;
/// sled frees the space of old segments only while it flushes by itself; its default.
const FLUSH_MILLISECONDS: u64 = 500;
/// Room for a usual value, taken at once.
const VALUE_OCTETS: usize = 96;

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
    /// It has lost or kept what it should not have.
    #[error("the index has {counted} entries, the journal says {expected}")]
    Miscounted { counted: u64, expected: u64 },
    /// A value is not what the table of keys says.
    #[error("the index holds a value that cannot be read")]
    Value(#[from] postcard::Error),
    /// Its file failed.
    #[error("the file of the index failed")]
    Io(#[from] std::io::Error),
}

/// The trees of `keys.rs`; they are changed in [`super::apply`].
pub(crate) struct Index {
    db: sled::Db,
    file: Arc<dyn File>,
    pub(super) entries: Tree,
    pub(super) came: Tree,
    pub(super) expunged: Tree,
    pub(super) queue: Tree,
    pub(super) due: Tree,
    pub(super) domains: Tree,
    pub(super) traces: Tree,
    pub(super) trace_names: Tree,
    /// Rows of lives that were carried on.
    pub(crate) carried: Carried,
    /// Up to where what is due is taken.
    pub(super) front: Front,
    /// Held while the recipients of a message come into the queue: whoever looks for what is due sees all or none.
    coming: RwLock<()>,
    pub(super) accounts: Tree,
    pub(super) scram: Tree,
    pub(super) app_passwords: Tree,
    pub(super) grants: Tree,
    pub(super) subaddresses: Tree,
    pub(super) aliases: Tree,
    pub(super) quotas: Tree,
    pub(super) rules: Tree,
    pub(super) rule_files: Tree,
    pub(super) moved: Tree,
    pub(super) torn: Tree,
    pub(super) meta: Tree,
    usage_at_close: Tree,
    /// As the entries say, always.
    holdings: Mutex<Holdings>,
    /// Octets of deletions that are remembered, by segment, as far as they were applied here.
    restated: Mutex<HashMap<u32, u64>>,
    /// Something is needed no more.
    freed: AtomicBool,
    changes: AtomicU64,
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
            came: db.open_tree("came")?,
            expunged: db.open_tree("expunged")?,
            queue: db.open_tree("queue")?,
            due: db.open_tree("due")?,
            domains: db.open_tree("domains")?,
            traces: db.open_tree("traces")?,
            trace_names: db.open_tree("trace_names")?,
            carried: Carried::default(),
            front: Front::default(),
            coming: RwLock::default(),
            accounts: db.open_tree("accounts")?,
            scram: db.open_tree("scram")?,
            app_passwords: db.open_tree("app_passwords")?,
            grants: db.open_tree("grants")?,
            subaddresses: db.open_tree("subaddresses")?,
            aliases: db.open_tree("aliases")?,
            quotas: db.open_tree("quotas")?,
            rules: db.open_tree("rules")?,
            rule_files: db.open_tree("rule_files")?,
            moved: db.open_tree("moved")?,
            torn: db.open_tree("torn")?,
            meta: db.open_tree("meta")?,
            usage_at_close: db.open_tree("usage")?,
            holdings: Mutex::default(),
            restated: Mutex::default(),
            // Nobody has looked yet.
            freed: AtomicBool::new(true),
            changes: AtomicU64::new(0),
            db,
        })
    }

    /// The messages of a maildrop, in the order of their arrival.
    pub(crate) fn entries(
        &self,
        maildrop: u64,
    ) -> impl Iterator<Item = Result<(u64, EntryValue), IndexError>> {
        decoded(self.entries.scan_prefix(keys::maildrop(maildrop))).map(of_maildrop)
    }

    /// The messages of a maildrop that can be brought back, in the order of their arrival.
    pub(crate) fn expunged(
        &self,
        maildrop: u64,
    ) -> impl Iterator<Item = Result<(u64, ExpungedValue), IndexError>> {
        decoded(self.expunged.scan_prefix(keys::maildrop(maildrop))).map(of_maildrop)
    }

    /// As [`Self::entries`], from the message after `after` on.
    pub(crate) fn entries_behind(
        &self,
        maildrop: u64,
        after: Option<u64>,
    ) -> impl Iterator<Item = Result<(u64, EntryValue), IndexError>> {
        decoded(self.entries.range(keys::behind(maildrop, after))).map(of_maildrop)
    }

    /// As [`Self::expunged`], from the message after `after` on.
    pub(crate) fn expunged_behind(
        &self,
        maildrop: u64,
        after: Option<u64>,
    ) -> impl Iterator<Item = Result<(u64, ExpungedValue), IndexError>> {
        decoded(self.expunged.range(keys::behind(maildrop, after))).map(of_maildrop)
    }

    /// Maildrop and message of what was expunged up to `at` (seconds since 1970).
    pub(crate) fn expunged_until(&self, at: u64) -> impl Iterator<Item = Result<(u64, u64), IndexError>> {
        decoded::<ExpungedValue>(self.expunged.iter()).filter_map(move |pair| match pair {
            Ok((key, value)) if value.at <= at => keys::entry_parts(&key).map(Ok),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
    }

    /// How many messages a maildrop has, with those that can be brought back.
    pub(crate) fn count_entries(&self, maildrop: u64) -> Result<u64, IndexError> {
        let entries = self.entries(maildrop).map(|entry| entry.map(|_| ()));
        let mut all = entries.chain(self.expunged(maildrop).map(|entry| entry.map(|_| ())));
        all.try_fold(0, |count: u64, entry| entry.map(|()| count.saturating_add(1)))
    }

    /// True where the maildrop holds the message.
    pub(crate) fn has_entry(&self, maildrop: u64, message: u64) -> Result<bool, IndexError> {
        Ok(self.entries.contains_key(keys::entry(maildrop, message))?)
    }

    /// A message in a maildrop.
    pub(crate) fn entry(&self, maildrop: u64, message: u64) -> Result<Option<EntryValue>, IndexError> {
        get(&self.entries, &keys::entry(maildrop, message))
    }

    /// When a message in a maildrop came there, seconds since 1970, where its entry does not say so.
    pub(crate) fn came_at(&self, maildrop: u64, message: u64) -> Result<Option<u64>, IndexError> {
        get(&self.came, &keys::entry(maildrop, message))
    }

    /// A message of a maildrop that can be brought back.
    pub(crate) fn expunged_entry(
        &self,
        maildrop: u64,
        message: u64,
    ) -> Result<Option<ExpungedValue>, IndexError> {
        get(&self.expunged, &keys::entry(maildrop, message))
    }

    /// Every place where content is that somebody may still read, with who that is.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = Result<(Holder, Subject), IndexError>> {
        let entry = |(key, value): (sled::IVec, EntryValue)| (Holder::entry(&key), value.subject);
        let expunged = |(key, value): (sled::IVec, ExpungedValue)| (Holder::entry(&key), value.entry.subject);
        let queued = |(key, value): (sled::IVec, QueueValue)| (Holder::queue(&key), value.subject);
        decoded(self.entries.iter())
            .map(move |pair| pair.map(entry))
            .chain(decoded(self.expunged.iter()).map(move |pair| pair.map(expunged)))
            .chain(decoded(self.queue.iter()).map(move |pair| pair.map(queued)))
    }

    /// Segments that a message was copied to, as far as it is known.
    pub(crate) fn moved(&self, message: u64) -> impl Iterator<Item = Result<u32, IndexError>> {
        self.moved.scan_prefix(message.to_be_bytes()).keys().filter_map(|key| match key {
            Ok(key) => keys::moved_segment(&key).map(Ok),
            Err(error) => Some(Err(error.into())),
        })
    }

    /// Forgets what it knows about a segment that is gone, to which `moved` messages had been copied.
    pub(crate) fn forget_segment(&self, segment: u32, moved: &[u64]) -> Result<(), IndexError> {
        for message in moved {
            self.moved.remove(keys::moved(*message, segment))?;
        }
        self.carried.forget_segment(segment);
        for key in self.torn.scan_prefix(segment.to_be_bytes()).keys() {
            self.torn.remove(key?)?;
        }
        Ok(())
    }

    /// True where a crash explains that there is no record.
    pub(crate) fn is_torn(&self, at: Location) -> Result<bool, IndexError> {
        Ok(self.torn.contains_key(keys::torn(at.segment, at.offset))?)
    }

    /// Something is needed no more, so that its space may come back.
    pub(super) fn note_freed(&self) {
        self.freed.store(true, Ordering::Relaxed);
    }

    /// True where that was so since it was asked last.
    pub(crate) fn take_freed(&self) -> bool {
        self.freed.swap(false, Ordering::Relaxed)
    }

    /// A segment holds deletions that must be remembered.
    pub(super) fn note_restated(&self, segment: u32, octets: u64) {
        let mut restated = self.restated.lock().unwrap_or_else(PoisonError::into_inner);
        let before = restated.entry(segment).or_default();
        *before = before.saturating_add(octets);
    }

    /// Octets of them in a segment.
    pub(crate) fn restated(&self, segment: u32) -> u64 {
        let restated = self.restated.lock().unwrap_or_else(PoisonError::into_inner);
        restated.get(&segment).copied().unwrap_or_default()
    }

    /// While it is held, all recipients of a message come into the queue.
    pub(super) fn coming(&self) -> RwLockWriteGuard<'_, ()> {
        self.coming.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// While it is held, of no message only some recipients are in the queue.
    pub(super) fn has_come(&self) -> RwLockReadGuard<'_, ()> {
        self.coming.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the maildrops; whoever changes their entries keeps it meanwhile.
    pub(super) fn holdings(&self) -> MutexGuard<'_, Holdings> {
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is in a maildrop.
    pub(crate) fn usage(&self, maildrop: u64) -> Usage {
        self.holdings().usage(maildrop)
    }

    /// What is in several maildrops together.
    pub(crate) fn usage_of(&self, maildrops: impl IntoIterator<Item = u64>) -> Usage {
        let holdings = self.holdings();
        maildrops.into_iter().map(|maildrop| holdings.usage(maildrop)).fold(Usage::default(), Usage::plus)
    }

    /// How many entries there are of maildrops, of what can be brought back, and of the queue, each looked at; and
    /// what is in each maildrop.
    pub(crate) fn count(&self) -> Result<(u64, HashMap<u64, Usage>), IndexError> {
        let mut usage: HashMap<u64, Usage> = HashMap::new();
        let mut live: u64 = 0;
        for pair in decoded::<EntryValue>(self.entries.iter()) {
            let (key, value) = pair?;
            usage.entry(maildrop_of(&key)).or_default().add(&value);
            live = live.saturating_add(1);
        }
        for pair in decoded::<ExpungedValue>(self.expunged.iter()) {
            pair?;
            live = live.saturating_add(1);
        }
        for pair in decoded::<QueueValue>(self.queue.iter()) {
            pair?;
            live = live.saturating_add(1);
        }
        Ok((live, usage))
    }

    /// As [`Self::count`], while nothing changes: what is in each maildrop is known from now on.
    pub(crate) fn count_live(&self) -> Result<u64, IndexError> {
        let (live, usage) = self.count()?;
        *self.holdings() = Holdings::of(usage);
        Ok(live)
    }

    /// An entry was added or removed.
    pub(super) fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Entries that were added or removed so far.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
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

    /// The ranges of segments that must be there, with all that come behind them.
    pub(crate) fn segments(&self) -> Result<Option<Vec<(u32, u32)>>, IndexError> {
        get(&self.meta, SEGMENTS)
    }

    /// Up to where content was read and compared with its checksums.
    pub(crate) fn scrubbed(&self) -> Result<Option<Location>, IndexError> {
        get(&self.meta, SCRUBBED)
    }

    /// Remembers it.
    pub(crate) fn put_scrubbed(&self, location: Location) -> Result<(), IndexError> {
        put(&self.meta, SCRUBBED, &location)
    }

    /// Marks an orderly close.
    pub(crate) fn mark_closed(&self) -> Result<(), IndexError> {
        self.usage_at_close.clear()?;
        for (maildrop, usage) in self.holdings().usages() {
            put(&self.usage_at_close, &keys::maildrop(maildrop), &usage)?;
        }
        self.meta.insert(CLOSED, &[])?;
        self.sync()
    }

    /// Takes what the maildrops hold from what was known at the orderly close, which spares a count.
    pub(crate) fn load_usage(&self) -> Result<(), IndexError> {
        let usages = decoded(self.usage_at_close.iter());
        let usages = usages.map(|pair| pair.map(|(key, usage)| (maildrop_of(&key), usage)));
        *self.holdings() = Holdings::of(usages.collect::<Result<_, IndexError>>()?);
        Ok(())
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

/// Who keeps content from going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Maildrop { maildrop: u64, message: u64 },
    Queue { message: u64, recipient: u32 },
}

impl Holder {
    fn entry(key: &[u8]) -> Self {
        let (maildrop, message) = keys::entry_parts(key).unwrap_or_default();
        Self::Maildrop { maildrop, message }
    }

    fn queue(key: &[u8]) -> Self {
        let (message, recipient) = keys::queue_parts(key).unwrap_or_default();
        Self::Queue { message, recipient }
    }
}

pub(super) fn decoded<T: DeserializeOwned>(
    pairs: sled::Iter,
) -> impl Iterator<Item = Result<(sled::IVec, T), IndexError>> {
    pairs.map(|pair| {
        let (key, value) = pair?;
        Ok((key, postcard::from_bytes(&value)?))
    })
}

/// The maildrop in a key that begins with one.
pub(super) fn maildrop_of(key: &[u8]) -> u64 {
    key.first_chunk::<8>().map_or(0, |octets| u64::from_be_bytes(*octets))
}

fn of_maildrop<T>(pair: Result<(sled::IVec, T), IndexError>) -> Result<(u64, T), IndexError> {
    pair.map(|(key, value)| (keys::entry_parts(&key).map_or(0, |(_, message)| message), value))
}

pub(super) fn put<T: Serialize>(tree: &Tree, key: &[u8], value: &T) -> Result<(), IndexError> {
    tree.insert(key, encoded(value)?)?;
    Ok(())
}

/// A value as a tree holds it.
pub(super) fn encoded<T: Serialize>(value: &T) -> Result<Vec<u8>, IndexError> {
    Ok(postcard::to_extend(value, Vec::with_capacity(VALUE_OCTETS))?)
}

pub(super) fn get<T: DeserializeOwned>(tree: &Tree, key: &[u8]) -> Result<Option<T>, IndexError> {
    Ok(tree.get(key)?.map(|value| postcard::from_bytes(&value)).transpose()?)
}

/// What a tree held under `key` until now.
pub(super) fn take<T: DeserializeOwned>(tree: &Tree, key: &[u8]) -> Result<Option<T>, IndexError> {
    Ok(tree.remove(key)?.map(|value| postcard::from_bytes(&value)).transpose()?)
}

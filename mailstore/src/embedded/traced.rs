//! Lives of messages in the index: rows by message, recipient and attempt, found by what people know of a message.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use blake2::{Blake2s256, Digest};
use mailwire::address::Mailbox;
use serde::{Deserialize, Serialize};

use super::apply::Committed;
use super::circumstances::life;
use super::index::{Index, IndexError, decoded, encoded, get};
use super::keys::{self, TraceKey};
use super::record::Event;
use super::settled::{SettledEntry, SettledState};
use crate::{Attempt, Ending, TraceRow};

/// Attempts of each recipient of which the rows are kept in any case, from the first one on.
const FIRST_ATTEMPTS: u32 = 8;
/// And from the last one back.
const LAST_ATTEMPTS: u32 = 24;

/// One row. Never changed: a journal is read for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TraceRecord {
    /// How the message came.
    Accepted {
        /// Seconds since 1970.
        at: u64,
        reverse_path: String,
        message_id: Option<String>,
        rows: Vec<TraceRow>,
    },
    /// A recipient elsewhere.
    Recipient(String),
    Attempt(Attempt),
    Ended {
        /// Seconds since 1970.
        at: u64,
        how: Ending,
    },
}

/// A row, and whose it is. Never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TracedRow {
    pub(crate) key: TraceKey,
    pub(crate) record: TraceRecord,
}

/// What is known of a life without a look at its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) message: u64,
    /// Of all its rows.
    pub(crate) octets: u64,
    /// Seconds since 1970 since when nothing more can come; `None` while it is in the queue.
    pub(crate) rests_since: Option<u64>,
}

/// How much of the journal is rows that were carried on, and how much of that is needed.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    segments: Mutex<HashMap<u32, u64>>,
    /// Octets of rows that came since somebody has looked at all of them.
    fresh: AtomicU64,
    /// Octets of those that were there then.
    counted: AtomicU64,
}

impl Carried {
    fn note(&self, segment: u32, octets: u64) {
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        let before = segments.entry(segment).or_default();
        *before = before.saturating_add(octets);
    }

    /// About so many octets of a segment are needed for rows: as much of all that was carried as there are rows.
    pub(crate) fn needed(&self, segment: u32) -> u64 {
        let segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        let all = segments.values().fold(0_u64, |all, octets| all.saturating_add(*octets)).max(1);
        let here = segments.get(&segment).copied().unwrap_or_default();
        // Frame and head are there twice.
        let rows = self.rows().saturating_mul(2).min(all);
        let needed = u128::from(here).saturating_mul(rows.into()) / u128::from(all);
        u64::try_from(needed).unwrap_or(u64::MAX)
    }

    pub(crate) fn forget_segment(&self, segment: u32) {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner).remove(&segment);
    }

    /// Octets of rows that came since they were counted.
    pub(crate) fn fresh(&self) -> u64 {
        self.fresh.load(Ordering::Relaxed)
    }

    fn rows(&self) -> u64 {
        self.counted.load(Ordering::Relaxed).saturating_add(self.fresh())
    }

    /// All rows were looked at: so many octets of them are left.
    pub(crate) fn count(&self, octets: u64) {
        self.counted.store(octets, Ordering::Relaxed);
        self.fresh.store(0, Ordering::Relaxed);
    }
}

/// What finds a message by the name that its header section gives it.
pub(crate) fn message_id_name(message_id: &str) -> [u8; 9] {
    name(b'm', message_id)
}

/// What finds it by an address.
pub(crate) fn address_name(mailbox: &Mailbox) -> [u8; 9] {
    name(b'a', &mailbox.key_in_a_labels())
}

/// Short: whoever finds a message by it looks whether it is meant.
fn name(kind: u8, text: &str) -> [u8; 9] {
    let digest = Blake2s256::digest(text.as_bytes());
    let mut name = [kind; 9];
    name.iter_mut().skip(1).zip(digest).for_each(|(to, from)| *to = from);
    name
}

impl TraceRecord {
    /// What its message can be found by.
    pub(crate) fn names(&self) -> Vec<[u8; 9]> {
        let address = |text: &str| Mailbox::parse(text).ok().map(|mailbox| address_name(&mailbox));
        match self {
            Self::Accepted { reverse_path, message_id, .. } => {
                let by_id = message_id.as_deref().map(message_id_name);
                by_id.into_iter().chain(address(reverse_path)).collect()
            }
            Self::Recipient(mailbox) => address(mailbox).into_iter().collect(),
            Self::Attempt(_) | Self::Ended { .. } => Vec::new(),
        }
    }
}

impl SettledEntry {
    /// The rows that it leaves.
    fn rows(&self, at: u64) -> impl Iterator<Item = TracedRow> {
        let of = |number| TraceKey::of(self.message, self.recipient, number);
        let attempt = self.attempt.clone().map(TraceRecord::Attempt);
        let attempt = attempt.map(|record| TracedRow { key: of(self.attempts), record });
        let ended = match self.state {
            SettledState::Ended(how) => {
                Some(TracedRow { key: of(TraceKey::END), record: TraceRecord::Ended { at, how } })
            }
            SettledState::Waits { .. } => None,
        };
        attempt.into_iter().chain(ended)
    }

    /// Their keys.
    pub(crate) fn trace_keys(&self) -> impl Iterator<Item = TraceKey> {
        self.rows(0).map(|row| row.key)
    }
}

fn rows(pairs: sled::Iter) -> impl Iterator<Item = Result<TracedRow, IndexError>> {
    decoded(pairs).filter_map(|pair| match pair {
        Ok((key, record)) => TraceKey::decode(&key).map(|key| Ok(TracedRow { key, record })),
        Err(error) => Some(Err(error)),
    })
}

impl Index {
    /// What a record says of lives that have begun.
    pub(super) fn apply_rows(&self, committed: Committed<'_>) -> Result<(), IndexError> {
        let event = committed.event;
        if let Event::Traced { rows } = event {
            let octets = rows.iter().try_fold(0_u64, |octets, row| {
                self.put_trace(row.clone()).map(|put| octets.saturating_add(put))
            })?;
            self.carried.note(committed.location.segment, octets.saturating_mul(2));
        }
        let at = event.settled_at();
        for row in event.settled().iter().flat_map(|entry| entry.rows(at)) {
            self.put_trace(row)?;
        }
        Ok(())
    }

    /// The life that begins with a record.
    pub(super) fn apply_beginning(&self, committed: Committed<'_>) -> Result<(), IndexError> {
        let Committed { sequence, event, .. } = committed;
        let Some(message) = event.message().filter(|message| !message.relay.is_empty()) else {
            return Ok(());
        };
        let accepted = TraceRecord::Accepted {
            at: message.accepted_at,
            reverse_path: message.reverse_path.clone(),
            message_id: event.message_id().map(str::to_owned),
            rows: life(message, event.circumstances()).rows,
        };
        self.put_trace(TracedRow { key: TraceKey::accepted(sequence), record: accepted })?;
        for (recipient, relay) in (0_u32..).zip(&message.relay) {
            let key = TraceKey::of(sequence, recipient, 0);
            self.put_trace(TracedRow { key, record: TraceRecord::Recipient(relay.mailbox.clone()) })?;
        }
        Ok(())
    }

    /// Gives its octets.
    fn put_trace(&self, TracedRow { key, record }: TracedRow) -> Result<u64, IndexError> {
        for name in record.names() {
            self.trace_names.insert(keys::traced_as(name, key.message), &[])?;
        }
        let value = encoded(&record)?;
        let octets = (TraceKey::OCTETS.saturating_add(value.len())) as u64;
        if self.traces.insert(key.encode(), value)?.is_none() {
            self.carried.fresh.fetch_add(octets, Ordering::Relaxed);
        }
        if matches!(record, TraceRecord::Attempt(_)) {
            let middle = FIRST_ATTEMPTS.saturating_add(1)..=key.number.saturating_sub(LAST_ATTEMPTS);
            let of = |number| TraceKey { number, ..key }.encode();
            if !middle.is_empty() {
                for gone in self.traces.range(of(*middle.start())..=of(*middle.end())).keys() {
                    self.traces.remove(gone?)?;
                }
            }
        }
        Ok(octets)
    }

    /// One row.
    pub(crate) fn trace_row(&self, key: TraceKey) -> Result<Option<TraceRecord>, IndexError> {
        get(&self.traces, &key.encode())
    }

    /// All rows of a message, in their order.
    pub(crate) fn trace(&self, message: u64) -> impl Iterator<Item = Result<TracedRow, IndexError>> + use<> {
        rows(self.traces.scan_prefix(message.to_be_bytes()))
    }

    /// All rows of all lives.
    pub(crate) fn traces(&self) -> impl Iterator<Item = Result<TracedRow, IndexError>> + use<> {
        rows(self.traces.iter())
    }

    /// True where a message is found by a name.
    pub(crate) fn is_traced_as(&self, name: [u8; 9], message: u64) -> Result<bool, IndexError> {
        Ok(self.trace_names.contains_key(keys::traced_as(name, message))?)
    }

    /// The same for two indexes that hold the same lives, found by the same names.
    pub(crate) fn traces_checksum(&self) -> Result<u32, IndexError> {
        let mut checksum = 0;
        for pair in self.traces.iter().chain(self.trace_names.iter()) {
            let (key, value) = pair?;
            checksum = crc32c::crc32c_append(crc32c::crc32c_append(checksum, &key), &value);
        }
        Ok(checksum)
    }

    /// Messages that may be known by a name, the newest first, of those older than `before`.
    pub(crate) fn traced_as(
        &self,
        name: [u8; 9],
        before: Option<u64>,
    ) -> impl Iterator<Item = Result<u64, IndexError>> + use<> {
        let range = keys::traced_as(name, 0)..keys::traced_as(name, before.unwrap_or(u64::MAX));
        self.trace_names.range(range).keys().rev().filter_map(|key| match key {
            Ok(key) => keys::traced_message(&key).map(Ok),
            Err(error) => Some(Err(error.into())),
        })
    }

    /// The lives behind a message, in the order of their messages.
    pub(crate) fn trace_summaries(&self, after: u64, lives_max: usize) -> Result<Vec<Summary>, IndexError> {
        let mut summaries: Vec<Summary> = Vec::new();
        for pair in self.traces.range(after.saturating_add(1).to_be_bytes()..) {
            let (key, value) = pair?;
            let Some(key) = TraceKey::decode(&key) else { continue };
            if summaries.last().is_none_or(|last| last.message != key.message) {
                if summaries.len() >= lives_max {
                    break;
                }
                let is_live = self.queued_of(key.message)?;
                let rests_since = (!is_live).then_some(0);
                summaries.push(Summary { message: key.message, octets: 0, rests_since });
            }
            let Some(summary) = summaries.last_mut() else { continue };
            let octets = (TraceKey::OCTETS.saturating_add(value.len())) as u64;
            summary.octets = summary.octets.saturating_add(octets);
            if key.may_be_the_end()
                && let TraceRecord::Accepted { at, .. } | TraceRecord::Ended { at, .. } =
                    postcard::from_bytes(&value)?
            {
                summary.rests_since = summary.rests_since.map(|before| before.max(at));
            }
        }
        Ok(summaries)
    }

    /// True while a recipient of the message is in the queue.
    fn queued_of(&self, message: u64) -> Result<bool, IndexError> {
        Ok(self.queue.scan_prefix(message.to_be_bytes()).keys().next().transpose()?.is_some())
    }

    /// Forgets a life.
    pub(crate) fn forget_trace(&self, message: u64) -> Result<(), IndexError> {
        for row in self.trace(message) {
            let TracedRow { key, record } = row?;
            for name in record.names() {
                self.trace_names.remove(keys::traced_as(name, message))?;
            }
            self.traces.remove(key.encode())?;
        }
        Ok(())
    }

    /// Forgets what was tried, of a life that goes on. Gives the octets of it.
    pub(crate) fn forget_attempts(&self, message: u64) -> Result<u64, IndexError> {
        let mut octets: u64 = 0;
        for row in self.trace(message) {
            let TracedRow { key, record } = row?;
            if matches!(record, TraceRecord::Attempt(_))
                && let Some(value) = self.traces.remove(key.encode())?
            {
                octets = octets.saturating_add((TraceKey::OCTETS.saturating_add(value.len())) as u64);
            }
        }
        Ok(octets)
    }
}

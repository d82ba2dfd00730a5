//! The sled trees: every key and value of the index, with a version. The index may be deleted at any time.
//!
//! | tree | key | value |
//! |---|---|---|
//! | `entries` | maildrop, message | [`EntryValue`] |
//! | `queue` | message, recipient | [`QueueValue`] |
//! | `due` | due, message, recipient | nothing |
//! | `accounts` | address | [`super::record::AccountRecord`] |
//! | `aliases` | address | list of addresses |
//! | `meta` | `checkpoint` | [`Checkpoint`] |
//! | `meta` | `closed` | nothing; there only after an orderly close |
//!
//! Numbers in keys are big-endian, so that sled's order is theirs. Values stay far below the size from which
//! sled writes them to files of their own that it never syncs.

use serde::{Deserialize, Serialize};

use super::journal::Location;

/// Version of this table; an index of another version is rebuilt.
pub(crate) const SCHEMA: u32 = 1;

pub(crate) const CHECKPOINT: &[u8] = b"checkpoint";
pub(crate) const CLOSED: &[u8] = b"closed";

/// A message in a maildrop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EntryValue {
    pub(crate) unique_id: [u8; 16],
    pub(crate) octets: u64,
    pub(crate) header_octets: u64,
    pub(crate) received_at: u64,
    pub(crate) location: Location,
}

/// A recipient that waits for relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueValue {
    pub(crate) reverse_path: String,
    pub(crate) mailbox: String,
    pub(crate) accepted_at: u64,
    pub(crate) due: u64,
    pub(crate) expires: u64,
    pub(crate) attempts: u32,
    pub(crate) last_result: String,
    pub(crate) held: bool,
    /// Octets of the whole message.
    pub(crate) octets: u64,
    pub(crate) header_octets: u64,
    /// Octets at its front that are not relayed.
    pub(crate) delivery_prefix_octets: u32,
    pub(crate) location: Location,
    pub(crate) unique_id: [u8; 16],
}

/// Up to where the index is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) schema: u32,
    pub(crate) epoch_seed: u32,
    /// Where the next record begins.
    pub(crate) next: Location,
    pub(crate) next_sequence: u64,
    pub(crate) live: u64,
}

/// Key of one message in a maildrop.
pub(crate) fn entry(maildrop: u64, message: u64) -> [u8; 16] {
    joined(maildrop.to_be_bytes(), message.to_be_bytes())
}

/// What all keys of one maildrop begin with.
pub(crate) const fn maildrop(maildrop: u64) -> [u8; 8] {
    maildrop.to_be_bytes()
}

/// The message in a key of `entries`.
pub(crate) fn entry_message(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().map(|octets| u64::from_be_bytes(*octets))
}

/// Key of one recipient in the queue.
pub(crate) fn queue(message: u64, recipient: u32) -> [u8; 12] {
    joined(message.to_be_bytes(), recipient.to_be_bytes())
}

/// Key of one recipient by the time of its next attempt.
pub(crate) fn due(due: u64, message: u64, recipient: u32) -> [u8; 20] {
    joined(due.to_be_bytes(), queue(message, recipient))
}

/// Due time, message and recipient in a key of `due`.
pub(crate) fn due_parts(key: &[u8]) -> Option<(u64, u64, u32)> {
    let mut fields = super::record::Fields(key);
    Some((
        u64::from_be_bytes(fields.take()?),
        u64::from_be_bytes(fields.take()?),
        u32::from_be_bytes(fields.take()?),
    ))
}

fn joined<const A: usize, const B: usize, const C: usize>(front: [u8; A], back: [u8; B]) -> [u8; C] {
    let mut key = [0; C];
    key.iter_mut().zip(front.into_iter().chain(back)).for_each(|(to, from)| *to = from);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_numbers_and_are_taken_apart_again() {
        assert!(entry(1, 300) < entry(2, 1));
        assert!(entry(1, 2) < entry(1, 300));
        assert_eq!(entry_message(&entry(5, 300)), Some(300));
        assert!(due(9, 1, 1) < due(10, 0, 0));
        assert_eq!(due_parts(&due(9, 300, 7)), Some((9, 300, 7)));
    }
}

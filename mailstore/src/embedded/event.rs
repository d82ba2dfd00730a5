//! What the head of a record says: what became true.
//!
//! Events and their fields are never changed, only added as new variants: a journal is read for ever.

use serde::{Deserialize, Serialize};

use super::app_passwords::AppPasswordRecord;
use super::circumstances::Circumstances;
use super::credentials::ScramRecord;
use super::grants::Grant;
use super::settled::SettledEntry;
use super::traced::TracedRow;
use crate::{OwnRules, Quota, Repertoire, TraceRow, UniqueId};

/// What became true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// A message was accepted, for all its recipients at once.
    Message(Message),
    /// Messages left a maildrop.
    Expunge {
        maildrop: u64,
        /// Message identities; all of them were there.
        messages: Vec<u64>,
        /// Seconds since 1970.
        at: u64,
    },
    /// An account was added, or its password changed, by a release of format 2 or 1: without keys for SCRAM.
    Account(AccountRecord),
    /// An account and its maildrop are gone.
    AccountRemoved { address: String, maildrop: u64 },
    /// An alias has these targets from now on.
    Alias { address: String, targets: Vec<String> },
    /// An alias is gone.
    AliasRemoved { address: String },
    /// An attempt failed for now, or the entry was held or released; told by releases before [`Event::Settled`].
    QueueChanged { message: u64, recipient: u32, due: u64, attempts: u32, last_result: String, held: bool },
    /// The recipient got the message, or never will.
    QueueFinished { message: u64, recipient: u32, at: u64 },
    /// A crash left octets in the last group that were never acknowledged: they are no damage, and the message,
    /// where its head could still be read, does not exist.
    Torn {
        segment: u32,
        offset: u64,
        octets: u64,
        /// The sequence and head of the record, where it is one.
        message: Option<(u64, Message)>,
    },
    /// Expunged messages are in their maildrop again; told by releases before [`Event::ReturnedAt`].
    Returned {
        maildrop: u64,
        /// Message identities, each with a new unique-id where it is to be fetched again.
        messages: Vec<(u64, Option<UniqueId>)>,
    },
    /// Expunged messages cannot be brought back any more.
    Purged { maildrop: u64, messages: Vec<u64> },
    /// A message came from another store, with the unique-id that it had there.
    Imported { message: Message, unique_id: UniqueId },
    /// A message lies here from now on; this is all that is left of it.
    Moved(Box<Moved>),
    /// Carried on from a segment that goes: what became of messages that lie elsewhere.
    Restated { entries: Vec<Restated> },
    /// The segments that exist, as ranges of numbers, besides those after this record: one of them goes right after it.
    Segments { present: Vec<(u32, u32)> },
    /// A maildrop's own limits from now on; `None`: those of the configuration.
    Quota { maildrop: u64, quota: Option<Quota> },
    /// The store was closed in order: everything before this is on disk, and what cannot be read there is damage.
    Closed,
    /// An account was added, its password changed, or its keys were derived (since format 3).
    KeyedAccount { account: AccountRecord, scram: ScramRecord },
    /// An application password of the account with this maildrop; `None`: it is gone.
    AppPassword { maildrop: u64, name: String, password: Option<AppPasswordRecord> },
    /// The account with this maildrop may send as an address or as all of a domain, or may not any more.
    Grant { maildrop: u64, addresses: String, grant: Grant },
    /// A message was accepted, of which more is known than [`Event::Message`] and [`Event::Imported`] can say.
    Accepted(Box<Accepted>),
    /// As [`Event::Moved`], for such a message.
    MovedWith { moved: Box<Moved>, circumstances: Box<Circumstances> },
    /// What holds for the use of a maildrop from now on, besides what is configured.
    Rules { maildrop: u64, own: OwnRules },
    /// Expunged messages are in their maildrop again.
    ReturnedAt {
        maildrop: u64,
        /// As in [`Event::Returned`].
        messages: Vec<(u64, Option<UniqueId>)>,
        /// Seconds since 1970.
        at: u64,
    },
    /// The account with the maildrop `account` has a further one, for its subaddress with this detail.
    MaildropAdded { account: u64, detail: String, maildrop: u64 },
    /// It is gone, with all that was in it.
    MaildropRemoved { account: u64, detail: String, maildrop: u64 },
    /// As [`Event::AccountRemoved`], with the further maildrops that it had.
    AccountRemovedWith { address: String, maildrop: u64, further: Vec<u64> },
    /// What has become of entries of the queue, all at once.
    Settled {
        /// Seconds since 1970.
        at: u64,
        entries: Vec<SettledEntry>,
    },
    /// A message was accepted, and more became true with it than [`Event::Accepted`] can say.
    Taken(Box<Taken>),
    /// As [`Event::MovedWith`], where more is known of recipients elsewhere.
    MovedOn(Box<MovedOn>),
    /// Carried on from a segment that goes: rows of lives.
    Traced { rows: Vec<TracedRow> },
    /// The account of a maildrop has these rules for its mail from now on; `None`: it has none.
    RuleFile { maildrop: u64, text: Option<String> },
}

/// A message, and what became true with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    pub(crate) accepted: Accepted,
    /// What its header section calls it.
    pub(crate) message_id: Option<String>,
    /// Seconds since 1970.
    pub(crate) at: u64,
    /// What has become of entries of the queue, on which it reports.
    pub(crate) concludes: Vec<SettledEntry>,
}

/// A message that was copied out of a segment that goes, and what is known of its recipients elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MovedOn {
    pub(crate) moved: Moved,
    pub(crate) circumstances: Option<Box<Circumstances>>,
    /// Those of whom the sender has been told that it takes long.
    pub(crate) warned: Vec<u32>,
}

/// A message with what is kept beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) message: Message,
    /// The one that it had in another store, where it comes from there.
    pub(crate) unique_id: Option<UniqueId>,
    pub(crate) circumstances: Box<Circumstances>,
}

/// A message that was copied out of a segment that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moved {
    /// The message's identity: the sequence of the record that first held it.
    pub(crate) sequence: u64,
    /// Its head, without maildrops and recipients elsewhere.
    pub(crate) message: Message,
    pub(crate) entries: Vec<MovedEntry>,
    pub(crate) queue: Vec<MovedRecipient>,
}

/// A maildrop that holds a moved message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MovedEntry {
    pub(crate) maildrop: u64,
    pub(crate) unique_id: UniqueId,
    /// When it was expunged, where it was.
    pub(crate) expunged_at: Option<u64>,
}

/// A recipient elsewhere who has not got a moved message yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MovedRecipient {
    pub(crate) recipient: u32,
    pub(crate) mailbox: String,
    pub(crate) due: u64,
    pub(crate) expires: u64,
    pub(crate) attempts: u32,
    pub(crate) last_result: String,
    pub(crate) held: bool,
}

/// What has become of a message in a maildrop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Restated {
    pub(crate) maildrop: u64,
    pub(crate) message: u64,
    pub(crate) state: EntryState,
}

/// Where a message is in its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EntryState {
    /// In its maildrop.
    Live {
        unique_id: UniqueId,
    },
    /// It can be brought back.
    Expunged {
        unique_id: UniqueId,
        at: u64,
    },
    Gone,
    /// In its maildrop, since a time (seconds since 1970) that its message does not tell.
    LiveSince {
        unique_id: UniqueId,
        at: u64,
    },
}

/// An accepted message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    /// What UIDL shows.
    pub(crate) unique_id: [u8; 16],
    /// Seconds since 1970.
    pub(crate) accepted_at: u64,
    /// Without brackets; empty is the null reverse-path.
    pub(crate) reverse_path: String,
    /// Octets at the front that only final delivery shows.
    pub(crate) delivery_prefix_octets: u32,
    /// Octets of the header section, blank line included.
    pub(crate) header_octets: u64,
    /// Checksums of the content in this record, a block each.
    pub(crate) checksums: Vec<u32>,
    /// The rest of the content, where it lies in a file of its own.
    pub(crate) file: Option<FileContent>,
    /// Maildrops that hold it.
    pub(crate) maildrops: Vec<u64>,
    /// Recipients elsewhere.
    pub(crate) relay: Vec<RelayRecord>,
    /// The first row of its trace.
    pub(crate) trace: TraceRow,
    /// Kept in the record's flags, since this form is never changed.
    #[serde(skip)]
    pub(crate) repertoire: Repertoire,
}

/// Content in `content/UNIQUE-ID`, behind what the record itself holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileContent {
    pub(crate) octets: u64,
    /// A block each.
    pub(crate) checksums: Vec<u32>,
}

/// A recipient elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RelayRecord {
    pub(crate) mailbox: String,
    pub(crate) due: u64,
    pub(crate) expires: u64,
}

/// An account as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccountRecord {
    /// The key of its address.
    pub(crate) address: String,
    pub(crate) maildrop: u64,
    /// argon2id, in PHC form.
    pub(crate) password_hash: String,
    /// Seconds since 1970.
    pub(crate) created_at: u64,
}

impl Event {
    /// What says all that an account is.
    pub(crate) fn of_account(account: AccountRecord, scram: Option<ScramRecord>) -> Self {
        match scram {
            Some(scram) => Self::KeyedAccount { account, scram },
            None => Self::Account(account),
        }
    }

    /// What says that an account is gone, with the further maildrops that it had.
    pub(crate) fn account_removed(address: String, maildrop: u64, further: Vec<u64>) -> Self {
        if further.is_empty() {
            return Self::AccountRemoved { address, maildrop };
        }
        Self::AccountRemovedWith { address, maildrop, further }
    }

    pub(super) const fn kind(&self) -> u8 {
        match self {
            Self::Message(_) => 1,
            Self::Expunge { .. } => 2,
            Self::Account(_) => 3,
            Self::AccountRemoved { .. } => 4,
            Self::Alias { .. } => 5,
            Self::AliasRemoved { .. } => 6,
            Self::QueueChanged { .. } => 7,
            Self::QueueFinished { .. } => 8,
            Self::Torn { .. } => 9,
            Self::Returned { .. } => 10,
            Self::Purged { .. } => 11,
            Self::Imported { .. } => 12,
            Self::Moved(_) => 13,
            Self::Restated { .. } => 14,
            Self::Segments { .. } => 15,
            Self::Quota { .. } => 16,
            Self::Closed => 17,
            Self::KeyedAccount { .. } => 18,
            Self::AppPassword { .. } => 19,
            Self::Grant { .. } => 20,
            Self::Accepted(_) => 21,
            Self::MovedWith { .. } => 22,
            Self::Rules { .. } => 23,
            Self::ReturnedAt { .. } => 24,
            Self::MaildropAdded { .. } => 25,
            Self::MaildropRemoved { .. } => 26,
            Self::AccountRemovedWith { .. } => 27,
            Self::Settled { .. } => 28,
            Self::Taken(_) => 29,
            Self::MovedOn(_) => 30,
            Self::Traced { .. } => 31,
            Self::RuleFile { .. } => 32,
        }
    }

    /// The head of the message whose content stands behind this one; `None` where there is no content.
    pub(crate) fn message(&self) -> Option<&Message> {
        self.message_and_circumstances().map(|(message, _)| message)
    }

    /// The same, to be completed.
    pub(super) fn message_mut(&mut self) -> Option<&mut Message> {
        match self {
            Self::Message(message) | Self::Imported { message, .. } => Some(message),
            Self::Accepted(accepted) => Some(&mut accepted.message),
            Self::Taken(taken) => Some(&mut taken.accepted.message),
            Self::Moved(moved) | Self::MovedWith { moved, .. } => Some(&mut moved.message),
            Self::MovedOn(moved) => Some(&mut moved.moved.message),
            Self::Expunge { .. }
            | Self::Account(_)
            | Self::AccountRemoved { .. }
            | Self::Alias { .. }
            | Self::AliasRemoved { .. }
            | Self::QueueChanged { .. }
            | Self::QueueFinished { .. }
            | Self::Torn { .. }
            | Self::Returned { .. }
            | Self::Purged { .. }
            | Self::Restated { .. }
            | Self::Segments { .. }
            | Self::Quota { .. }
            | Self::KeyedAccount { .. }
            | Self::AppPassword { .. }
            | Self::Grant { .. }
            | Self::Rules { .. }
            | Self::ReturnedAt { .. }
            | Self::MaildropAdded { .. }
            | Self::MaildropRemoved { .. }
            | Self::AccountRemovedWith { .. }
            | Self::Settled { .. }
            | Self::Traced { .. }
            | Self::RuleFile { .. }
            | Self::Closed => None,
        }
    }

    /// What is kept beside that message.
    pub(crate) fn circumstances(&self) -> Option<&Circumstances> {
        self.message_and_circumstances().and_then(|(_, circumstances)| circumstances)
    }

    fn message_and_circumstances(&self) -> Option<(&Message, Option<&Circumstances>)> {
        match self {
            Self::Message(message) | Self::Imported { message, .. } => Some((message, None)),
            Self::Accepted(accepted) => Some((&accepted.message, Some(&accepted.circumstances))),
            Self::Taken(taken) => Some((&taken.accepted.message, Some(&taken.accepted.circumstances))),
            Self::MovedOn(on) => Some((&on.moved.message, on.circumstances.as_deref())),
            Self::Moved(moved) => Some((&moved.message, None)),
            Self::MovedWith { moved, circumstances } => Some((&moved.message, Some(circumstances))),
            Self::Expunge { .. }
            | Self::Account(_)
            | Self::AccountRemoved { .. }
            | Self::Alias { .. }
            | Self::AliasRemoved { .. }
            | Self::QueueChanged { .. }
            | Self::QueueFinished { .. }
            | Self::Torn { .. }
            | Self::Returned { .. }
            | Self::Purged { .. }
            | Self::Restated { .. }
            | Self::Segments { .. }
            | Self::Quota { .. }
            | Self::KeyedAccount { .. }
            | Self::AppPassword { .. }
            | Self::Grant { .. }
            | Self::Rules { .. }
            | Self::ReturnedAt { .. }
            | Self::MaildropAdded { .. }
            | Self::MaildropRemoved { .. }
            | Self::AccountRemovedWith { .. }
            | Self::Settled { .. }
            | Self::Traced { .. }
            | Self::RuleFile { .. }
            | Self::Closed => None,
        }
    }

    /// The message that was copied here, where it was.
    pub(crate) const fn moved(&self) -> Option<&Moved> {
        if let Self::MovedOn(on) = self {
            return Some(&on.moved);
        }
        if let Self::Moved(moved) | Self::MovedWith { moved, .. } = self { Some(moved) } else { None }
    }

    /// True where something comes into the queue, or changes in it.
    pub(crate) fn concerns_queue(&self) -> bool {
        !self.settled().is_empty() || self.message().is_some_and(|message| !message.relay.is_empty())
    }

    /// When that was, seconds since 1970.
    pub(crate) const fn settled_at(&self) -> u64 {
        if let Self::Taken(taken) = self {
            return taken.at;
        }
        if let Self::Settled { at, .. } = self { *at } else { 0 }
    }

    /// What the header section of the message calls it.
    pub(crate) fn message_id(&self) -> Option<&str> {
        if let Self::Taken(taken) = self { taken.message_id.as_deref() } else { None }
    }

    /// What has become of entries of the queue.
    pub(crate) fn settled(&self) -> &[SettledEntry] {
        if let Self::Taken(taken) = self {
            return &taken.concludes;
        }
        if let Self::Settled { entries, .. } = self { entries } else { &[] }
    }

    /// The unique-id that the message had in another store.
    pub(crate) const fn carried_unique_id(&self) -> Option<&UniqueId> {
        if let Self::Imported { unique_id, .. } = self {
            return Some(unique_id);
        }
        if let Self::Taken(taken) = self {
            return taken.accepted.unique_id.as_ref();
        }
        if let Self::Accepted(accepted) = self { accepted.unique_id.as_ref() } else { None }
    }
}

//! The embedded store: an append-only journal is the truth, sled is an index that may be deleted at any time.
//!
//! - [`files`], [`lock`], [`layout`]: the few file operations that everything else is built on, and where it lies
//! - [`event`], [`record`], [`segment`], [`journal`]: what is on disk, and how it gets there
//! - [`change`], [`quotas`]: wishes, checked against the state
//! - [`rules`]: what holds for the use of each maildrop
//! - [`committer`]: the one thread that writes, syncs once for all who wait, and answers
//! - [`keys`], [`index`], [`registered`], [`replay`], [`recovery`]: the sled trees, and how they follow the journal
//! - [`queue_index`], [`settled`]: entries of the queue, and what becomes of them
//! - [`traced`]: rows of the lives of messages that leave
//! - [`index_slot`], [`checkpoint`]: the index in use, and up to where it is complete
//! - [`room`]: what is left on the disk, and a reserve for when it is full
//! - [`content`], [`reading`]: octets of messages, read back by range and checked
//! - [`leases`], [`queue_leases`]: who has what for now
//! - [`expiry`]: mail whose days are over goes
//! - [`password`], [`credentials`], [`app_passwords`], [`remembered`]: who knows the password, at what cost
//! - [`grants`], [`access`]: whom accounts may send as besides themselves, and how that and their further passwords change
//! - [`subaddresses`]: further maildrops of accounts, and how they change
//! - [`rule_files`]: the rules of accounts for their mail
//! - [`notes`], [`recollections`], [`sightings`]: what could be found out anew, who has been here before, and what was seen,
//!   each in files of its own ([`framed`])
//! - [`guard`]: who guesses too often or sends too much
//! - [`draft`], [`header_end`], [`repertoire`], [`message_id`], [`accounts`], [`directory`], [`maildrops`], [`queue`], [`traces`]: the traits of this crate, answered
//! - [`simulation`]: the proof that a crash at any moment loses nothing that was answered for
//! - `bench` (with the feature of that name): a store on a slower disk, for the benchmarks
//! - [`maintenance`], [`backup`]: the store as a whole, kept still for those who read its files, and copied elsewhere
//! - [`host`]: all of it together, behind the lock file

mod access;
mod accounts;
mod adopting;
mod app_passwords;
mod apply;
mod backup;
#[cfg(feature = "bench")]
pub mod bench;
mod carry;
mod change;
mod check;
mod checkpoint;
mod circumstances;
mod committer;
mod compaction;
mod content;
mod credentials;
mod directory;
mod draft;
mod event;
mod expiry;
mod files;
mod framed;
mod free_space;
mod grants;
mod graves;
mod guard;
mod header_end;
mod holdings;
mod holds;
mod host;
mod identity;
mod index;
mod index_slot;
mod journal;
mod keys;
mod layout;
mod leases;
mod lock;
mod maildrops;
mod maintenance;
mod message_id;
mod notes;
mod password;
mod queue;
mod queue_index;
mod queue_leases;
mod quotas;
mod reading;
mod recollections;
mod record;
mod recovery;
mod registered;
mod remembered;
mod repair;
mod repertoire;
mod replay;
mod room;
mod rule_files;
mod rules;
mod segment;
mod settled;
mod sightings;
mod simulation;
mod subaddresses;
mod survey;
mod temporary;
mod traced;
mod traces;
mod undelete;
mod upkeep;

pub use backup::{
    Backup, BackupError, BackupPlan, Flaw, ListedSnapshot, PastContent, PastMessage, PastStore, Pruned,
    Reading, Restored, SnapshotContent, Taken, Verified, Which, back_up,
};
pub(crate) use host::{Core, Host, open};
pub(crate) use leases::Tenure;
pub(crate) use maildrops::EmbeddedLease;
pub(crate) use queue_leases::HolderId;
pub use simulation::{Proof, ProofError, ProofPlan, Sabotage, prove};

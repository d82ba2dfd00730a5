//! Backups: snapshots of the whole store in a folder of their own, of pieces that are kept once and named by their hash.
//!
//! ```text
//! format                            which version of all this
//! LOCK                              one process writes
//! objects/ab/abcdef...              a piece, named by its BLAKE2b-256
//! snapshots/20261122T020738.123Z    which pieces make up the store at that time
//! tmp/                              what is not whole yet
//! ```
//!
//! A snapshot is a prefix of the journal, up to a record that was committed, and the content files of that moment.
//! Segments only grow and content files never change, so a later snapshot needs only what is new.
//!
//! - [`objects`], [`manifest`], [`folder`]: what lies in the folder
//! - [`source`], [`write`], [`mend`]: how it gets there
//! - [`inspection`], [`damage`], [`verify`]: whether it is what it was
//! - [`view`], [`past`], [`restore`]: how it comes back
//! - [`prune`]: what is not wanted any more goes
//! - [`simulated`]: the same between simulated disks
//! - [`pace`], [`error`]: how far a work is, and why it is not done

mod damage;
mod error;
mod folder;
mod inspection;
mod manifest;
mod mend;
mod objects;
mod pace;
mod past;
mod prune;
mod restore;
pub(crate) mod simulated;
mod source;
#[cfg(test)]
mod tests;
mod verify;
mod view;
mod write;

pub use error::BackupError;
pub use folder::{Backup, ListedSnapshot, SnapshotContent, Which};
pub use past::{PastContent, PastMessage, PastStore};
pub use prune::Pruned;
pub use restore::Restored;
pub(crate) use restore::unfinished;
pub use verify::{Flaw, Verified};
pub use write::{BackupPlan, Reading, Taken, back_up};

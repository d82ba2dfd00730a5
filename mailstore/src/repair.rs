//! Looking after a store: damage is looked for and named, the index made anew, space brought back.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::{Depth, Finding, Progress, Unavailable};

/// How much of the disk's time a long work takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Speed {
    /// As little as `upkeep_octets_per_second` says, so that nobody notices.
    Budgeted,
    /// As much as there is: somebody waits for it.
    Full,
}

/// What a check has seen, or how far a rebuild is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seen {
    /// How far it is.
    Progress(Progress),
    /// Something is not as it should be.
    Finding(Finding),
}

/// What came back to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gain {
    /// Messages that were expunged because their days were over; their space stays until they are purged.
    pub expired: u64,
    /// Expunged messages whose time was over.
    pub purged: u64,
    /// Segments of the journal that are gone.
    pub segments: u64,
    /// Content files that are gone.
    pub files: u64,
}

/// Everything that keeps a store in order, besides what it does by itself.
#[async_trait]
pub trait Repair: Send + Sync {
    /// Looks for damage while the store serves. What is seen goes to `seen`; when nobody receives it any more, the check
    /// ends early.
    ///
    /// # Errors
    /// Where the store cannot be read at all.
    async fn check(&self, depth: Depth, speed: Speed, seen: mpsc::Sender<Seen>) -> Result<(), Unavailable>;
    /// Makes the index anew from the journal. Until it is done, nothing changes, and readers wait or get a temporary
    /// failure. It tells `seen` how far it is, and goes on where nobody listens any more.
    ///
    /// # Errors
    /// Where the disk fails.
    async fn rebuild(&self, seen: mpsc::Sender<Seen>) -> Result<(), Unavailable>;
    /// Expunges mail whose days are over, gives up expunged mail whose time is over, and brings its space back, now.
    ///
    /// # Errors
    /// Where the host has gone.
    async fn compact(&self) -> Result<Gain, Unavailable>;
}

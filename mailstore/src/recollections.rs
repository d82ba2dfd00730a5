//! What is remembered of who has been here before: much of it, each of little worth, within a bound.

use async_trait::async_trait;

use crate::{Note, Unavailable};

/// Most octets of one recollection, with its topic and its name.
pub const RECOLLECTION_OCTETS_MAX: usize = 1024;
/// Most octets of memory for the recollections of one topic.
pub const RECOLLECTIONS_OCTETS_MAX: usize = 8 << 20;
/// Most topics.
pub const RECOLLECTION_TOPICS_MAX: usize = 8;

/// Recollections have the form of notes. All processes share them, and they survive an orderly end; a process that is killed,
/// or loses its power, may take what came in the last minutes with it.
#[async_trait]
pub trait Recollections: Send + Sync {
    /// Those of these names that are of use at `now`.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn recall(&self, topic: &str, names: &[String], now: u64) -> Result<Vec<Note>, Unavailable>;

    /// Remembers each of these in the place of the one of the same topic and name. Where a topic has as many octets as may
    /// be, those of it go that were remembered longest ago. One that is longer than [`RECOLLECTION_OCTETS_MAX`], or of a
    /// topic beyond [`RECOLLECTION_TOPICS_MAX`], is not taken.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn remember(&self, recollections: Vec<Note>) -> Result<(), Unavailable>;

    /// Those of a topic that are of use at `now`, in the order of their names, behind `after`. It is a page: the next one
    /// begins behind its last name, and an empty one is the end.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn recollections(&self, topic: &str, after: &str, now: u64) -> Result<Vec<Note>, Unavailable>;
}

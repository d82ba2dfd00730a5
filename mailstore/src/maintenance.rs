//! The store as a whole: kept still for those who read its files.

use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Unavailable;

/// Of a store's files: what holds everything that was acknowledged before [`Maintenance::hold`] was called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldState {
    /// The store's folder.
    pub folder: PathBuf,
    /// Random, one for the whole store.
    pub(crate) epoch: u64,
    /// The segments of the journal, by number.
    pub(crate) segments: Vec<HeldSegment>,
}

/// A segment of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldSegment {
    pub(crate) number: u32,
    /// So much of it; there may be more.
    pub(crate) octets: u64,
}

/// While it lives, no file of the store goes that it speaks of. Deliveries and deletions go on.
#[async_trait]
pub trait Hold: Send {
    /// What is held.
    fn state(&self) -> &HeldState;

    /// Whether it was held all the time up to now.
    ///
    /// # Errors
    /// Where the process that hosts the store has ended meanwhile: files may have gone.
    async fn confirm(&mut self) -> Result<(), Unavailable>;
}

/// What is done to the store as a whole.
#[async_trait]
pub trait Maintenance: Send + Sync {
    /// Keeps the store's files for somebody who reads them.
    ///
    /// # Errors
    /// Where the store cannot answer.
    async fn hold(&self) -> Result<Box<dyn Hold>, Unavailable>;
}

//! A queued message's octets, read from the store piece by piece while they are sent.

use mailstore::{Queue, QueueEntry, QueueError, QueueId};
use thiserror::Error;

/// Octets that are read at a time.
const PIECE_OCTETS: usize = 64 << 10;

/// Why a message cannot be read to its end.
#[derive(Debug, Error)]
pub(super) enum ContentError {
    #[error("the message could not be read here")]
    Store(#[source] QueueError),
    #[error("the message ended early here")]
    Short,
}

/// The message of one entry.
pub(super) struct Content<'a> {
    queue: &'a dyn Queue,
    id: QueueId,
    octets: u64,
    offset: u64,
    /// What goes before all of it, until it has gone.
    front: Vec<u8>,
    piece: Vec<u8>,
}

impl<'a> Content<'a> {
    /// All of it.
    pub(super) const fn new(queue: &'a dyn Queue, entry: &QueueEntry) -> Self {
        Self { queue, id: entry.id, octets: entry.octets, offset: 0, front: Vec::new(), piece: Vec::new() }
    }

    /// With `front` before it.
    pub(super) fn behind(self, front: &[u8]) -> Self {
        Self { front: front.to_vec(), ..self }
    }

    /// The next piece; `None` behind the last one. What is not whole is never taken for the end.
    pub(super) async fn next(&mut self) -> Result<Option<&[u8]>, ContentError> {
        if !self.front.is_empty() {
            self.piece = std::mem::take(&mut self.front);
            return Ok(Some(&self.piece));
        }
        let left = self.octets.saturating_sub(self.offset);
        if left == 0 {
            return Ok(None);
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_OCTETS);
        self.piece = self.queue.read(self.id, self.offset, most).await.map_err(ContentError::Store)?;
        if self.piece.is_empty() {
            return Err(ContentError::Short);
        }
        let octets = u64::try_from(self.piece.len()).unwrap_or(u64::MAX);
        self.offset = self.offset.saturating_add(octets);
        Ok(Some(&self.piece))
    }
}

//! A queued message's octets, read from the store piece by piece while they are sent.

use mailstore::{Queue, QueueEntry, QueueError, QueueId};
use thiserror::Error;

use crate::content::{Plan, SevenBit};

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
    /// What makes it ASCII, where that is needed.
    conversion: Option<SevenBit>,
    is_converted: bool,
    piece: Vec<u8>,
}

impl<'a> Content<'a> {
    /// All of it.
    pub(super) const fn new(queue: &'a dyn Queue, entry: &QueueEntry) -> Self {
        Self {
            queue,
            id: entry.id,
            octets: entry.octets,
            offset: 0,
            front: Vec::new(),
            conversion: None,
            is_converted: false,
            piece: Vec::new(),
        }
    }

    /// Made ASCII by this plan, where there is one.
    pub(super) fn converted(self, plan: Option<&Plan>) -> Self {
        Self { conversion: plan.cloned().map(SevenBit::new), is_converted: plan.is_some(), ..self }
    }

    /// With `front` before it.
    pub(super) fn behind(self, front: &[u8]) -> Self {
        Self { front: front.to_vec(), ..self }
    }

    /// What a dialogue says in its place.
    pub(super) const fn words(&self) -> &'static str {
        if self.is_converted { "(the message, converted to 7 bits)" } else { "(the message)" }
    }

    /// The next piece; `None` behind the last one. What is not whole is never taken for the end.
    pub(super) async fn next(&mut self) -> Result<Option<&[u8]>, ContentError> {
        if !self.front.is_empty() {
            self.piece = std::mem::take(&mut self.front);
            return Ok(Some(&self.piece));
        }
        loop {
            let read = self.read().await?;
            let Some(conversion) = &mut self.conversion else {
                self.piece = read.unwrap_or_default();
                return Ok((!self.piece.is_empty()).then_some(&self.piece));
            };
            self.piece.clear();
            let Some(read) = read else {
                conversion.finish(&mut self.piece);
                self.conversion = None;
                return Ok((!self.piece.is_empty()).then_some(&self.piece));
            };
            conversion.convert(&read, &mut self.piece);
            // A line may not have come to its end yet.
            if !self.piece.is_empty() {
                return Ok(Some(&self.piece));
            }
        }
    }

    /// The next piece as the store has it, which is not empty.
    async fn read(&mut self) -> Result<Option<Vec<u8>>, ContentError> {
        let left = self.octets.saturating_sub(self.offset);
        if left == 0 {
            return Ok(None);
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_OCTETS);
        let piece = self.queue.read(self.id, self.offset, most).await.map_err(ContentError::Store)?;
        if piece.is_empty() {
            return Err(ContentError::Short);
        }
        self.offset = self.offset.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        Ok(Some(piece))
    }
}

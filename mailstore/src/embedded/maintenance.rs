//! The store as a whole: kept still for those who read its files.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;

use super::holds;
use super::host::Core;
use crate::maintenance::HeldSegment;
use crate::{HeldState, Hold, Maintenance, Unavailable};

struct EmbeddedHold {
    state: HeldState,
    _kept: holds::Held,
}

#[async_trait]
impl Hold for EmbeddedHold {
    fn state(&self) -> &HeldState {
        &self.state
    }

    async fn confirm(&mut self) -> Result<(), Unavailable> {
        Ok(())
    }
}

impl Core {
    /// The journal up to its last committed record: whatever was answered for is in there, and nothing else.
    fn committed(&self) -> io::Result<Vec<HeldSegment>> {
        let end = self.progress.applied();
        let journal = &self.contents.journal;
        let mut segments = Vec::new();
        for number in journal.segments().into_iter().filter(|number| *number <= end.segment) {
            let octets = if number == end.segment { end.offset } else { journal.file(number)?.octets()? };
            segments.push(HeldSegment { number, octets });
        }
        Ok(segments)
    }
}

#[async_trait]
impl Maintenance for Arc<Core> {
    async fn hold(&self) -> Result<Box<dyn Hold>, Unavailable> {
        let core = Self::clone(self);
        // A segment that is just being removed is waited for.
        let held = tokio::task::spawn_blocking(move || {
            let kept = core.holds.take();
            let segments = core.committed().map_err(|error| Unavailable(error.to_string()))?;
            // Whoever asks may work in another folder.
            let path = &core.options.path;
            let folder = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            let epoch = core.contents.journal.epoch();
            Ok(EmbeddedHold { state: HeldState { folder, epoch, segments }, _kept: kept })
        });
        let held = held.await.map_err(|error| Unavailable(error.to_string()))?;
        held.map(|held| Box::new(held) as _)
    }
}

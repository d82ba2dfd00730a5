//! The memory that all sessions hold together for content on its way: a share for each, and no more shares than fit.

use std::sync::Arc;

use async_trait::async_trait;
use mailstore::{Delivery, Draft, IntakeError, Receipt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::checks::HEADER_OCTETS_MAX;

/// Octets that one session holds at most while content comes: what was read in one piece (64 KiB, twice as much where a
/// buffer grew to it), what of it is gathered for the store, and a copy on its way into a file.
pub(crate) const SHARE_OCTETS: u64 = 256 << 10;

/// What shares are made of: what is kept of the header section of a message that is watched as it passes.
const UNIT_OCTETS: u64 = 128 << 10;
const _: () = assert!(HEADER_OCTETS_MAX as u64 == UNIT_OCTETS && SHARE_OCTETS == 2 * UNIT_OCTETS);

/// How much a session holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// What is on its way.
    Plain,
    /// A header section as well.
    Watched,
}

impl Size {
    const fn units(self) -> u32 {
        match self {
            Self::Plain => 2,
            Self::Watched => 3,
        }
    }
}

/// As many shares as fit.
#[derive(Clone, Debug)]
pub(crate) struct Receiving(Arc<Semaphore>);

/// One session's share; dropping it makes room.
#[derive(Debug)]
pub(crate) struct Share {
    _permit: OwnedSemaphorePermit,
}

/// A draft that comes into being, and goes, with a share.
struct WithShare {
    draft: Box<dyn Draft>,
    _share: Share,
}

impl Receiving {
    /// Shares of so many octets together, and at least one of either size.
    pub(crate) fn new(octets_max: u64) -> Self {
        let units = usize::try_from(octets_max / UNIT_OCTETS).unwrap_or(usize::MAX);
        Self(Arc::new(Semaphore::new(units.clamp(3, Semaphore::MAX_PERMITS))))
    }

    /// A share; `None` where all are taken.
    pub(crate) fn share(&self, size: Size) -> Option<Share> {
        Arc::clone(&self.0).try_acquire_many_owned(size.units()).ok().map(|permit| Share { _permit: permit })
    }
}

impl Share {
    /// Lets it last as long as the draft does.
    pub(crate) fn with(self, draft: Box<dyn Draft>) -> Box<dyn Draft> {
        Box::new(WithShare { draft, _share: self })
    }
}

#[async_trait]
impl Draft for WithShare {
    async fn write(&mut self, octets: &[u8]) -> Result<(), IntakeError> {
        self.draft.write(octets).await
    }

    async fn commit(self: Box<Self>, delivery: Delivery) -> Result<Receipt, IntakeError> {
        let Self { draft, _share } = *self;
        draft.commit(delivery).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_shares_as_fit_and_one_that_ends_makes_room() {
        let receiving = Receiving::new(3 * SHARE_OCTETS - 1);
        let first = receiving.share(Size::Plain).unwrap();
        let _second = receiving.clone().share(Size::Plain).unwrap();
        assert!(receiving.share(Size::Plain).is_none());
        drop(first);
        assert!(receiving.share(Size::Watched).is_some());
        assert!(receiving.share(Size::Plain).is_some());
    }

    #[test]
    fn one_session_can_always_receive() {
        let receiving = Receiving::new(0);
        let _only = receiving.share(Size::Watched).unwrap();
        assert!(receiving.share(Size::Plain).is_none());
    }
}

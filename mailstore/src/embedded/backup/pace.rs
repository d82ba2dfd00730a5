//! How far a long work is, and whether it is to go on.

use std::ops::ControlFlow;

use super::error::BackupError;
use crate::Progress;

/// Tells somebody who watches.
pub(super) struct Pace<'a> {
    progress: Progress,
    watch: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

impl<'a> Pace<'a> {
    pub(super) fn new(watch: &'a mut dyn FnMut(Progress) -> ControlFlow<()>) -> Self {
        Self { progress: Progress::default(), watch }
    }

    /// There is so much more to do than was known.
    pub(super) const fn expect(&mut self, octets: u64) {
        self.progress.total = self.progress.total.saturating_add(octets);
    }

    /// So much more is done.
    pub(super) fn advance(&mut self, octets: u64) -> Result<(), BackupError> {
        self.progress.done = self.progress.done.saturating_add(octets);
        match (self.watch)(self.progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(BackupError::Stopped),
        }
    }
}

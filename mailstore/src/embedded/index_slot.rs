//! The index that is in use, and its exchange for another one when it fails.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::Duration;

use mailwire::cause::chain;
use mailwire::clock;
use tracing::error;

use super::index::{Index, IndexError};

/// How long whoever reads the failed index may take to let go of it.
const LET_GO: Duration = Duration::from_secs(5);
/// How long whoever may wait does so while the index is being exchanged.
const EXCHANGE: Duration = Duration::from_secs(10);
/// Pause between two looks whether they have.
const PAUSE: Duration = Duration::from_millis(2);

/// Holds the index.
pub(crate) struct IndexSlot {
    current: RwLock<Option<Arc<Index>>>,
    /// Told of when there is an index again.
    waiting: Mutex<()>,
    there: Condvar,
    failed: AtomicBool,
}

impl IndexSlot {
    pub(crate) fn new(index: Index) -> Self {
        Self {
            current: RwLock::new(Some(Arc::new(index))),
            waiting: Mutex::default(),
            there: Condvar::new(),
            failed: AtomicBool::new(false),
        }
    }

    /// The index, for one question.
    pub(crate) fn get(&self) -> Result<Arc<Index>, IndexError> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone().ok_or(IndexError::Reopening)
    }

    /// As [`Self::ask`], but waits for an index that is being exchanged. For threads that may wait.
    pub(crate) fn ask_patiently<T>(
        &self,
        question: impl FnOnce(&Index) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_gone = |(): &mut ()| self.current.read().unwrap_or_else(PoisonError::into_inner).is_none();
        drop(self.there.wait_timeout_while(waiting, EXCHANGE, is_gone));
        self.ask(question)
    }

    /// Asks the index; where it fails, it is exchanged soon.
    pub(crate) fn ask<T>(
        &self,
        question: impl FnOnce(&Index) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        let index = self.get()?;
        question(&index).inspect_err(|error| self.fail(error))
    }

    fn fail(&self, error: &IndexError) {
        if !self.failed.swap(true, Ordering::AcqRel) {
            error!(error = chain(error), "the index failed; it is opened again");
        }
    }

    /// True from a failure until [`Self::exchange`] has worked.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    fn put(&self, index: Arc<Index>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(index);
        // Whoever looked before it was there waits by now.
        drop(self.waiting.lock());
        self.there.notify_all();
    }

    /// Takes the index out, waits until nobody uses it, and puts in what `open` gives.
    pub(crate) fn exchange<T>(&self, open: impl FnOnce() -> io::Result<(Index, T)>) -> io::Result<T> {
        let old = self.current.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(old) = old {
            let deadline = clock::instant() + LET_GO;
            while Arc::strong_count(&old) > 1 {
                if clock::instant() > deadline {
                    self.put(old);
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "the failed index is still being read",
                    ));
                }
                std::thread::sleep(PAUSE);
            }
        }
        // What comes next fails as well until it is tried again.
        self.failed.store(true, Ordering::Release);
        let (index, with) = open()?;
        self.put(Arc::new(index));
        self.failed.store(false, Ordering::Release);
        Ok(with)
    }
}

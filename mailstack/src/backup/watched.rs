//! Long work on a backup: shown while it goes on, and stopped by Ctrl-C at its next good place.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mailstore::Progress;
use tokio::sync::watch;

use crate::exchange::maildrop::until_interrupted;
use crate::output::Output;

/// Somebody who watches.
pub(super) struct Watched {
    progress: watch::Receiver<Progress>,
}

/// Given to the work, which calls it.
pub(super) type Tell = Box<dyn FnMut(Progress) -> ControlFlow<()> + Send>;

impl Watched {
    /// Both ends.
    pub(super) fn begin() -> (Self, Tell) {
        let (send, progress) = watch::channel(Progress::default());
        let interrupted: Arc<AtomicBool> = until_interrupted();
        let tell = move |progress| {
            send.send_replace(progress);
            if interrupted.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        (Self { progress }, Box::new(tell))
    }

    /// Shows how far `work` is until it ends.
    pub(super) async fn show<T>(mut self, output: &Output, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                Ok(()) = self.progress.changed() => {
                    let Progress { done, total } = *self.progress.borrow_and_update();
                    let percent = done.saturating_mul(100).checked_div(total).unwrap_or(0).min(100);
                    output.progress(&format!("{percent} %: {} of {} MiB", done >> 20, total >> 20));
                }
            }
        };
        output.progress("");
        done
    }

    /// The same of work that waits for the disk, on a thread made for it.
    pub(super) async fn blocking<T: Send + 'static>(
        self,
        output: &Output,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        self.show(output, tokio::task::spawn_blocking(work)).await.map_err(io::Error::other)
    }
}

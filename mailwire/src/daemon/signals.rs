//! SIGTERM and SIGINT begin the drain; SIGHUP asks for certificates to be read again.

use std::io;

use rustix::fs::Mode;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that a server obeys. From [`Self::register`] on none of them ends the process by itself.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Takes the signals over.
    ///
    /// # Errors
    /// Where the system refuses to register a handler.
    pub fn register() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT; runs `reload` at each SIGHUP meanwhile.
    pub async fn terminated(&mut self, reload: impl Fn()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => reload(),
            }
        }
    }
}

/// Makes files and folders of this process readable by their owner only (umask 077).
pub fn restrict_file_access() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

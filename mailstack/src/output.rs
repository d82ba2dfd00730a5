//! The one place that prints: results on standard output, failures on standard error.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use mailwire::cause::chain;
use mailwire::escape::without_controls;

/// Where a command's words go.
pub(crate) struct Output {
    results: Mutex<Box<dyn Write + Send>>,
    failures: Mutex<Box<dyn Write + Send>>,
    /// Failures are read by somebody who watches.
    terminal: bool,
}

impl Output {
    /// Standard output and standard error.
    pub(crate) fn standard() -> Self {
        Self {
            results: Mutex::new(Box::new(io::stdout())),
            failures: Mutex::new(Box::new(io::stderr())),
            terminal: io::stderr().is_terminal(),
        }
    }

    /// One line of a result; control characters in it are replaced.
    pub(crate) fn line(&self, text: &str) {
        self.text(&format!("{}\n", without_controls(text)));
    }

    /// A result of several such lines.
    pub(crate) fn lines(&self, lines: &[String]) {
        for line in lines {
            self.line(line);
        }
    }

    /// A result of several lines, as it is.
    pub(crate) fn text(&self, text: &str) {
        put(&self.results, text);
    }

    /// A part of a result that is not text.
    pub(crate) fn octets(&self, octets: &[u8]) -> io::Result<()> {
        let mut to = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        to.write_all(octets)?;
        to.flush()
    }

    /// What somebody who watches is asked.
    pub(crate) fn question(&self, text: &str) {
        put(&self.failures, &without_controls(text));
    }

    /// How far a long work is, in one line that the next one replaces; only on a terminal.
    pub(crate) fn progress(&self, text: &str) {
        if self.terminal {
            put(&self.failures, &format!("\r\x1b[K{}", without_controls(text)));
        }
    }

    /// A failure with its causes.
    pub(crate) fn failure(&self, failure: &(dyn Error + 'static)) {
        put(&self.failures, &format!("mailstack: {}\n", without_controls(&chain(failure))));
    }
}

/// A reader that has gone away (`mailstack account list | head`) is no failure.
fn put(to: &Mutex<Box<dyn Write + Send>>, text: &str) {
    let mut to = to.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use super::*;

    /// What was printed.
    #[derive(Clone, Default)]
    pub(crate) struct Printed(Arc<Mutex<Vec<u8>>>);

    impl Printed {
        /// An output that prints here, results and failures together.
        pub(crate) fn output(&self) -> Output {
            Output {
                results: Mutex::new(Box::new(self.clone())),
                failures: Mutex::new(Box::new(self.clone())),
                terminal: false,
            }
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Printed {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_failure_is_one_line_that_no_terminal_obeys() {
        let printed = Printed::default();
        printed.output().failure(&io::Error::other("no \x1b[2J\nsuch thing"));
        assert_eq!(printed.text(), "mailstack: no ?[2J?such thing\n");
    }
}

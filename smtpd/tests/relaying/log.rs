//! What the relay logs in the thread of one test.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Once;

thread_local! {
    static LOGGED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Everything that was logged in this thread since it was begun.
pub(crate) struct Log;

/// Writes what the thread that writes logs.
struct Writer;

impl Log {
    /// Listens from now on.
    pub(crate) fn begin() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let subscriber = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::INFO);
            subscriber.with_writer(|| Writer).init();
        });
        LOGGED.with_borrow_mut(Vec::clear);
        Self
    }

    /// The lines that have all of these words in them.
    pub(crate) fn lines(&self, words: &[&str]) -> Vec<String> {
        let Self = self;
        let text = LOGGED.with_borrow(|logged| String::from_utf8(logged.clone()).unwrap());
        let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
        text.lines().filter(has_all).map(str::to_owned).collect()
    }
}

impl Write for Writer {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.extend_from_slice(octets));
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

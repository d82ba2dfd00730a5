//! Where messages are imported from: one after the other, read in bounded chunks, with CRLF line ends.

use std::io;

use thiserror::Error;

/// Octets of content that are read at a time.
pub(crate) const CHUNK_OCTETS: usize = 64 << 10;

/// A message, before its content is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// What it is called where something is said about it.
    pub(crate) name: String,
    /// When it was received, seconds since 1970; `None` where nobody knows.
    pub(crate) received_at: Option<u64>,
    /// The unique-id under which clients know it already; not checked yet.
    pub(crate) carried: Option<String>,
}

/// A message that is left out.
#[derive(Debug, Error)]
#[error("{name} could not be read")]
pub(crate) struct Unreadable {
    pub(crate) name: String,
    #[source]
    pub(crate) source: io::Error,
}

/// How far the reading is, in messages or octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) at: u64,
    pub(crate) end: u64,
}

/// Messages in the order of their arrival.
pub(crate) trait Source {
    /// The next message, whether or not the one before was read to its end.
    fn next(&mut self) -> Option<Result<Item, Unreadable>>;

    /// Exchanges `chunk` for more of the content; it is empty at the end.
    ///
    /// Line ends are CRLF, and the last line has one; nothing is dot-stuffed.
    fn read(&mut self, chunk: &mut Vec<u8>) -> io::Result<()>;

    fn position(&self) -> Position;
}

//! Where messages are exported to: one after the other, each whole or not at all.

use std::io;

/// A message that goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) unique_id: String,
    /// Seconds since 1970.
    pub(crate) received_at: u64,
    /// Octets with CRLF line ends.
    pub(crate) octets: u64,
}

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// Nothing: an earlier export has written it.
    IsThere,
    /// Its content is to be written.
    Writing,
}

/// Takes messages in the order of their arrival.
pub(crate) trait Sink {
    /// Begins a message; one that was begun before and has not ended is forgotten.
    fn begin(&mut self, message: &Outgoing) -> io::Result<Begun>;

    /// More of its content: CRLF line ends, undotted.
    fn write(&mut self, octets: &[u8]) -> io::Result<()>;

    /// The message is whole.
    fn end(&mut self) -> io::Result<()>;

    /// All that have ended are on disk when this returns, with their unique-ids.
    fn close(&mut self) -> io::Result<()>;
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn outgoing(unique_id: &str, content: &[u8]) -> (Outgoing, Vec<u8>) {
        let octets = content.len() as u64;
        let message = Outgoing { unique_id: unique_id.to_owned(), received_at: 1_700_000_000, octets };
        (message, content.to_owned())
    }

    /// Exports `messages` in small chunks, and says how many were not there already.
    pub(crate) fn export(sink: &mut dyn Sink, messages: &[(Outgoing, Vec<u8>)]) -> usize {
        let mut written = 0;
        for (message, content) in messages {
            if sink.begin(message).unwrap() == Begun::Writing {
                written += 1;
                content.chunks(5).for_each(|chunk| sink.write(chunk).unwrap());
                sink.end().unwrap();
            }
        }
        sink.close().unwrap();
        written
    }
}

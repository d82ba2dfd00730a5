//! What rules of recipients must know of a message: kept only where a recipient has rules.

use mailstore::MaildropId;
use mailwire::address::Mailbox;

/// Octets of a header section that rules see at most.
const HEADER_OCTETS_MAX: usize = 64 << 10;
/// What ends a header section.
const END: &[u8] = b"\r\n\r\n";

/// A recipient of whose maildrops one or more belong to an account with rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilteredRecipient {
    /// As the client wrote it.
    pub mailbox: Mailbox,
    /// Where its mail goes.
    pub maildrops: Vec<MaildropId>,
}

/// What rules look at besides the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filtering {
    /// The recipients with rules.
    pub recipients: Vec<FilteredRecipient>,
    /// The header section as it came; at most its first 64 KiB.
    pub header: Vec<u8>,
    /// Octets of the content.
    pub octets: u64,
    /// Whether it is of ASCII characters alone.
    pub is_ascii: bool,
    /// Whether the sender has logged in.
    pub is_authenticated: bool,
}

/// Copies the header section of content that passes.
#[derive(Debug, Default)]
pub(super) struct HeaderCopy {
    octets: Vec<u8>,
    is_over: bool,
}

impl HeaderCopy {
    /// The next octets of the content.
    pub(super) fn take(&mut self, content: &[u8]) {
        if self.is_over {
            return;
        }
        // The end may lie across two pieces.
        let from = self.octets.len().saturating_sub(END.len());
        let room = HEADER_OCTETS_MAX.saturating_sub(self.octets.len());
        let part = content.get(..room).unwrap_or(content);
        self.octets.extend_from_slice(part);
        let end = memchr::memmem::find(self.octets.get(from..).unwrap_or_default(), END);
        if let Some(end) = end {
            self.octets.truncate(from.saturating_add(end).saturating_add(END.len()));
        }
        // Without a field there is nothing to be seen (RFC 5322 §3.5).
        self.is_over = end.is_some() || part.len() < content.len() || self.octets.starts_with(b"\r\n");
    }

    pub(super) fn into_octets(self) -> Vec<u8> {
        self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(content: &[u8], chunk: usize) -> Vec<u8> {
        let mut copy = HeaderCopy::default();
        content.chunks(chunk).for_each(|chunk| copy.take(chunk));
        copy.into_octets()
    }

    #[test]
    fn a_copy_ends_with_the_header_section_however_it_comes() {
        let content = b"A: b\r\nC: d\r\n\r\nbody\r\n\r\nmore";
        for chunk in 1..=content.len() {
            assert_eq!(copied(content, chunk), b"A: b\r\nC: d\r\n\r\n", "{chunk}");
        }
        assert_eq!(copied(b"A: b\r\n", 2), b"A: b\r\n");
    }

    #[test]
    fn a_copy_has_a_limit() {
        for chunk in [1000, 65_536, 200_000] {
            assert_eq!(copied(&vec![b'x'; 200_000], chunk).len(), HEADER_OCTETS_MAX);
        }
    }
}

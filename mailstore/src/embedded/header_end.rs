//! Where the header section ends, found while content passes by in chunks.

use memchr::memmem;

/// Looks for the first empty line. Content begins at the begin of a line.
#[derive(Debug)]
pub(crate) struct HeaderEnd {
    passed: u64,
    /// Up to three octets before the next chunk; a virtual CRLF stands before the content.
    tail: Vec<u8>,
    found: Option<u64>,
}

impl HeaderEnd {
    pub(crate) fn new() -> Self {
        Self { passed: 0, tail: b"\r\n".to_vec(), found: None }
    }

    pub(crate) fn update(&mut self, chunk: &[u8]) {
        if self.found.is_none() {
            self.search(chunk);
        }
        self.passed = self.passed.saturating_add(chunk.len() as u64);
    }

    fn search(&mut self, chunk: &[u8]) {
        let carried = self.tail.len();
        let joint: Vec<u8> = self.tail.iter().chain(chunk.iter().take(3)).copied().collect();
        let end = memmem::find(&joint, b"\r\n\r\n")
            .map(|at| (at + 4).saturating_sub(carried))
            .or_else(|| memmem::find(chunk, b"\r\n\r\n").map(|at| at + 4));
        if let Some(end) = end {
            self.found = Some(self.passed.saturating_add(end as u64));
            return;
        }
        self.tail.extend_from_slice(chunk.split_at(chunk.len().saturating_sub(3)).1);
        self.tail.drain(..self.tail.len().saturating_sub(3));
    }

    /// Octets of the header section with its blank line; `None` where there is no blank line.
    pub(crate) const fn octets(&self) -> Option<u64> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(content: &[u8], chunk: usize) -> Option<u64> {
        let mut header = HeaderEnd::new();
        content.chunks(chunk).for_each(|chunk| header.update(chunk));
        header.octets()
    }

    #[test]
    fn the_first_blank_line_ends_it_however_the_content_is_chopped() {
        for chunk in 1..20 {
            assert_eq!(end(b"A: b\r\n\r\nbody\r\n\r\nmore", chunk), Some(8));
            assert_eq!(end(b"\r\nbody\r\n\r\n", chunk), Some(2));
            assert_eq!(end(b"A: b\r\nC: d\r\n", chunk), None);
            assert_eq!(end(b"A: b\n\nbody\r\n", chunk), None);
            assert_eq!(end(b"", chunk), None);
        }
    }
}

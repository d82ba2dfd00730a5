//! Where the header section ends, found while content passes by in chunks.

use memchr::memmem;

/// What ends the header section.
const BLANK_LINE: &[u8] = b"\r\n\r\n";
/// As much of it as can stand before a chunk.
const TAIL_OCTETS: usize = BLANK_LINE.len() - 1;

/// Looks for the first empty line. Content begins at the begin of a line.
#[derive(Debug)]
pub(crate) struct HeaderEnd {
    passed: u64,
    /// The octets before the next chunk; a virtual line end stands before the content.
    tail: [u8; TAIL_OCTETS],
    found: Option<u64>,
}

impl HeaderEnd {
    pub(crate) fn new() -> Self {
        Self { passed: 0, tail: *b" \r\n", found: None }
    }

    pub(crate) fn update(&mut self, chunk: &[u8]) {
        if self.found.is_none() {
            self.search(chunk);
        }
        self.passed = self.passed.saturating_add(chunk.len() as u64);
    }

    fn search(&mut self, chunk: &[u8]) {
        let first = chunk.split_at(chunk.len().min(TAIL_OCTETS)).0;
        let mut joint = [0; 2 * TAIL_OCTETS];
        let (before, behind) = joint.split_at_mut(TAIL_OCTETS);
        before.copy_from_slice(&self.tail);
        behind.iter_mut().zip(first).for_each(|(room, octet)| *room = *octet);
        let end = memmem::find(&joint, BLANK_LINE)
            .map(|at| (at + BLANK_LINE.len()).saturating_sub(TAIL_OCTETS))
            .or_else(|| memmem::find(chunk, BLANK_LINE).map(|at| at + BLANK_LINE.len()));
        if let Some(end) = end {
            self.found = Some(self.passed.saturating_add(end as u64));
            return;
        }
        self.tail.rotate_left(first.len());
        self.tail.iter_mut().rev().zip(chunk.iter().rev()).for_each(|(room, octet)| *room = *octet);
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

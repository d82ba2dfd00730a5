//! The header section of a message that does not come back whole.

/// Octets of a header section that come back at most.
const HEADER_OCTETS_MAX: usize = 64 << 10;

/// Collects a header section up to its empty line, or up to so many octets.
#[derive(Debug, Default)]
pub(in super::super) struct HeaderSection {
    octets: Vec<u8>,
    is_over: bool,
}

impl HeaderSection {
    /// Takes the next octets of the message; false once nothing more is wanted.
    pub(super) fn take(&mut self, octets: &[u8]) -> bool {
        if self.is_over {
            return false;
        }
        // The end may lie across two pieces.
        let from = self.octets.len().saturating_sub(3);
        self.octets.extend_from_slice(octets);
        let end = self.octets.get(from..).unwrap_or_default().windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            self.octets.truncate(from.saturating_add(end).saturating_add(2));
            self.is_over = true;
        } else if self.octets.starts_with(b"\r\n") {
            self.octets.clear();
            self.is_over = true;
        } else if self.octets.len() > HEADER_OCTETS_MAX {
            // Whole lines: what is cut off is not torn.
            let cut = self.octets.get(..HEADER_OCTETS_MAX).unwrap_or_default();
            let end = cut.windows(2).rposition(|two| two == b"\r\n").map_or(0, |at| at.saturating_add(2));
            self.octets.truncate(end);
            self.is_over = true;
        }
        !self.is_over
    }

    /// Whole lines, without the empty one behind them.
    pub(in super::super) fn octets(&self) -> &[u8] {
        &self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(content: &[u8], chunk: usize) -> Vec<u8> {
        let mut section = HeaderSection::default();
        for chunk in content.chunks(chunk) {
            if !section.take(chunk) {
                break;
            }
        }
        section.octets().to_vec()
    }

    #[test]
    fn it_ends_at_the_empty_line_however_the_octets_come() {
        let content = b"A: b\r\nC: d\r\n\r\nbody\r\n\r\nmore\r\n";
        for chunk in 1..=content.len() {
            assert_eq!(taken(content, chunk), b"A: b\r\nC: d\r\n", "{chunk}");
        }
        assert_eq!(taken(b"\r\nbody\r\n", 3), b"");
        assert_eq!(taken(b"A: b\r\n", 3), b"A: b\r\n");
    }

    #[test]
    fn one_without_end_is_cut_at_a_line() {
        let section = taken(&b"A: bcdef\r\n".repeat(10_000), 1000);
        assert!(section.len() <= HEADER_OCTETS_MAX && section.ends_with(b"\r\n"));
        assert!(section.len() > HEADER_OCTETS_MAX - 20);
    }
}

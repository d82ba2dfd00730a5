//! base64 as content carries it (RFC 2045 §6.8): lines of 76 octets, written as the octets come.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Octets that fill a line of 76.
const LINE_OCTETS: usize = 57;

/// What so many octets become: 57 of them a line of 76 and its CRLF.
pub(crate) const fn octets_encoded(octets: u64) -> u64 {
    octets.div_ceil(57).saturating_mul(78)
}

/// Encodes one body.
#[derive(Debug, Default)]
pub(super) struct Base64Lines {
    /// Less than a line.
    held: Vec<u8>,
    line: String,
}

impl Base64Lines {
    /// Writes the lines that `octets` fill.
    pub(super) fn push(&mut self, octets: &[u8], output: &mut Vec<u8>) {
        let missing = LINE_OCTETS.saturating_sub(self.held.len());
        let (first, rest) = octets.split_at_checked(missing).unwrap_or((octets, &[]));
        self.held.extend_from_slice(first);
        if self.held.len() < LINE_OCTETS {
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        self.write(&held, output);
        let mut lines = rest.chunks_exact(LINE_OCTETS);
        for line in lines.by_ref() {
            self.write(line, output);
        }
        held.clear();
        held.extend_from_slice(lines.remainder());
        self.held = held;
    }

    /// Writes what fills no line.
    pub(super) fn finish(&mut self, output: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            self.write(&held, output);
        }
    }

    fn write(&mut self, octets: &[u8], output: &mut Vec<u8>) {
        self.line.clear();
        STANDARD.encode_string(octets, &mut self.line);
        output.extend_from_slice(self.line.as_bytes());
        output.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(octets: &[u8], chunk: usize) -> String {
        let (mut base64, mut output) = (Base64Lines::default(), Vec::new());
        octets.chunks(chunk).for_each(|chunk| base64.push(chunk, &mut output));
        base64.finish(&mut output);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn every_line_but_the_last_has_76_octets_however_the_octets_come() {
        let octets: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for length in [0, 1, 2, 3, 56, 57, 58, 114, 1000] {
            let octets = &octets[..length];
            let whole = encoded(octets, length.max(1));
            for chunk in 1..130 {
                assert_eq!(encoded(octets, chunk), whole, "{length} octets by {chunk}");
            }
            assert_eq!(STANDARD.decode(whole.replace("\r\n", "")).unwrap(), octets);
            let lines: Vec<&str> = whole.split_terminator("\r\n").collect();
            assert_eq!(lines.len(), length.div_ceil(LINE_OCTETS));
            let full = lines.len().saturating_sub(1);
            assert!(lines.iter().take(full).all(|line| line.len() == 76));
            assert!(u64::try_from(whole.len()).unwrap() <= octets_encoded(u64::try_from(length).unwrap()));
            assert!(whole.is_empty() || whole.ends_with("\r\n"));
        }
    }
}

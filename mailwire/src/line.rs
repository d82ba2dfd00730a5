//! Lines out of a stream of octets: only CRLF ends a line (RFC 5321 §2.3.8), and no line grows without bound.

use memchr::memchr;

/// Memory that an unfinished line may keep beyond twice its size (a growing `Vec` doubles).
const SLACK_OCTETS_MAX: usize = 512;

/// What [`LineBuffer::next_line`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A whole line without its CRLF. Bare CR and LF are still in it, for the grammar to refuse.
    Complete(Vec<u8>),
    /// A line over the limit; all of it up to and including its CRLF has been thrown away (RFC 5321 §4.5.3.1).
    TooLong,
}

/// Octets received and not yet consumed. Holds no memory while it is empty.
#[derive(Debug, Default)]
pub struct LineBuffer {
    octets: Vec<u8>,
    /// Where the octets that are not consumed start.
    start: usize,
    /// No CRLF ends before here, so each octet is looked at once however a line is chopped.
    scanned: usize,
    /// The line at the front was over the limit: what comes up to its CRLF is thrown away.
    discarding: bool,
}

impl LineBuffer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends what was received. The caller reads at most a chunk at a time and takes the lines out between.
    pub fn extend(&mut self, received: &[u8]) {
        self.octets.extend_from_slice(received);
    }

    /// The next line, CRLF not counted in `octets_max`; `None` until more is received.
    ///
    /// While a line is over the limit its octets are dropped as they come, so memory stays bounded.
    pub fn next_line(&mut self, octets_max: usize) -> Option<Line> {
        let Some(end) = self.line_end() else {
            self.keep_rest(octets_max);
            return None;
        };
        let line = self.octets.get(self.start..end).unwrap_or_default();
        let found = if self.discarding || line.len() > octets_max {
            Line::TooLong
        } else {
            Line::Complete(line.to_vec())
        };
        self.discarding = false;
        self.consume(end + b"\r\n".len() - self.start);
        Some(found)
    }

    /// Everything received and not consumed, for content that is not read in lines.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.octets.get(self.start..).unwrap_or_default()
    }

    /// Takes `octets` away from the front of [`Self::unread`].
    pub fn consume(&mut self, octets: usize) {
        self.start = self.start.saturating_add(octets).min(self.octets.len());
        self.scanned = self.start;
        if self.start == self.octets.len() {
            self.octets = Vec::new();
            self.start = 0;
            self.scanned = 0;
        }
    }

    /// Forgets everything received (RFC 3207 §4.2: what came before TLS cannot be trusted).
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Where the CR of the first CRLF stands.
    fn line_end(&mut self) -> Option<usize> {
        while let Some(found) = memchr(b'\n', self.octets.get(self.scanned..)?) {
            let line_feed = self.scanned + found;
            self.scanned = line_feed + 1;
            // The CR belongs to this line only where it is not consumed.
            if line_feed > self.start && self.octets.get(line_feed - 1) == Some(&b'\r') {
                return Some(line_feed - 1);
            }
        }
        self.scanned = self.octets.len();
        None
    }

    /// Makes the unfinished line the front of the buffer, in little memory; drops it where it is over the limit.
    fn keep_rest(&mut self, octets_max: usize) {
        let ends_in_cr = self.unread().last() == Some(&b'\r');
        if self.discarding || self.unread().len() - usize::from(ends_in_cr) > octets_max {
            self.discarding = true;
            // A CR may be the first half of the CRLF that ends the line.
            self.start = self.octets.len() - usize::from(ends_in_cr);
        }
        self.octets.drain(..self.start);
        self.start = 0;
        self.scanned = self.octets.len();
        if self.octets.capacity() > 2 * self.octets.len() + SLACK_OCTETS_MAX {
            self.octets.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OCTETS_MAX: usize = 8;

    /// All lines that come out when `input` arrives in pieces of the given sizes, and what is left.
    fn lines(input: &[u8], sizes: &[usize]) -> (Vec<Line>, Vec<u8>) {
        let mut buffer = LineBuffer::new();
        let mut found = Vec::new();
        let mut rest = input;
        let mut sizes = sizes.iter().copied().cycle();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(sizes.next().unwrap_or(1).clamp(1, rest.len()));
            rest = after;
            buffer.extend(piece);
            while let Some(line) = buffer.next_line(OCTETS_MAX) {
                found.push(line);
            }
            assert!(buffer.octets.len() <= OCTETS_MAX + 1);
            assert!(buffer.octets.capacity() <= 2 * (OCTETS_MAX + 1) + SLACK_OCTETS_MAX);
        }
        let left = buffer.unread().to_vec();
        (found, left)
    }

    fn complete(text: &str) -> Line {
        Line::Complete(text.as_bytes().to_vec())
    }

    #[test]
    fn only_crlf_ends_a_line() {
        let (found, left) = lines(b"a\nb\rc\r\n\r\n\n\r", &[100]);
        assert_eq!(found, [complete("a\nb\rc"), complete("")]);
        assert_eq!(left, b"\n\r");
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_taken_and_one_octet_more_is_not() {
        let (found, _) = lines(b"12345678\r\n123456789\r\nok\r\n", &[1]);
        assert_eq!(found, [complete("12345678"), Line::TooLong, complete("ok")]);
    }

    #[test]
    fn the_rest_of_a_line_that_is_too_long_is_no_command() {
        let (found, _) = lines(b"0123456789abcdef\nQUIT\rQUIT\r\r\nNOOP\r\n", &[3]);
        assert_eq!(found, [Line::TooLong, complete("NOOP")]);
    }

    #[test]
    fn a_line_feed_behind_a_consumed_carriage_return_ends_nothing() {
        let mut buffer = LineBuffer::new();
        buffer.extend(b"content\r\nx\r\n");
        buffer.consume(8);
        assert_eq!(buffer.next_line(OCTETS_MAX), Some(complete("\nx")));
    }

    #[test]
    fn an_empty_buffer_holds_no_memory() {
        let mut buffer = LineBuffer::new();
        buffer.extend(&[b'x'; 4096]);
        buffer.extend(b"\r\n");
        assert_eq!(buffer.next_line(10), Some(Line::TooLong));
        assert_eq!(buffer.octets.capacity(), 0);
    }

    #[test]
    fn clear_forgets_a_line_that_is_being_thrown_away() {
        let mut buffer = LineBuffer::new();
        buffer.extend(b"0123456789");
        assert_eq!(buffer.next_line(OCTETS_MAX), None);
        buffer.clear();
        buffer.extend(b"EHLO\r\n");
        assert_eq!(buffer.next_line(OCTETS_MAX), Some(complete("EHLO")));
    }

    proptest! {
        #[test]
        fn the_same_lines_come_out_however_the_input_is_chopped(
            input in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), any::<u8>()], 0..120),
            sizes in proptest::collection::vec(1_usize..12, 1..12),
        ) {
            let (chopped, left) = lines(&input, &sizes);
            let (whole, whole_left) = lines(&input, &[usize::MAX]);
            prop_assert_eq!(chopped, whole);
            prop_assert_eq!(left, whole_left);
        }
    }
}

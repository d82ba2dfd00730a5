//! Content framed by dots, chunk by chunk: transparency of RFC 5321 §4.5.2 and RFC 1939 §3.
//!
//! Only CRLF ends a line and only CRLF.CRLF ends the content. A dot after a bare CR or LF is content.

use memchr::memmem::Finder;

/// Where a line starts with a dot. Everything up to the dot is copied at memory speed.
const LINE_END_AND_DOT: &[u8] = b"\r\n.";

/// What one call of [`Unstuffer::unstuff`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unstuffed {
    /// Octets of the input that were used; fewer than all only where the content ended.
    pub consumed: usize,
    /// True when the final `.` CRLF has been consumed.
    pub ended: bool,
}

/// Where in a line the next octet of content stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Position {
    #[default]
    LineStart,
    Middle,
    /// Behind a CR that is content unless LF follows.
    Cr,
}

/// Where in framed content the next octet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framed {
    Content(Position),
    /// Behind a dot at the start of a line, which is left out.
    Dot,
    /// Behind such a dot and a CR, which is content unless LF follows.
    DotCr,
}

/// Removes dot-stuffing and finds the end, whatever the chunks.
#[derive(Debug)]
pub struct Unstuffer {
    at: Framed,
}

/// Adds dot-stuffing and the end, whatever the chunks.
#[derive(Debug, Default)]
pub struct Stuffer {
    at: Position,
}

impl Position {
    /// The position behind `octets`, which stand at `self` and hold no line that starts with a dot.
    fn behind(self, octets: &[u8]) -> Self {
        match octets {
            [] => self,
            [.., b'\r', b'\n'] => Self::LineStart,
            [b'\n'] if self == Self::Cr => Self::LineStart,
            [.., b'\r'] => Self::Cr,
            _ => Self::Middle,
        }
    }

    /// Splits `octets`, which stand at `self`, before the first dot that starts a line.
    fn before_line_dot<'a>(self, octets: &'a [u8], finder: &Finder<'_>) -> Option<(&'a [u8], &'a [u8])> {
        let dot = match (self, octets) {
            (Self::LineStart, [b'.', ..]) => 0,
            (Self::Cr, [b'\n', b'.', ..]) => 1,
            (Self::LineStart | Self::Middle | Self::Cr, _) => {
                finder.find(octets)? + LINE_END_AND_DOT.len() - 1
            }
        };
        octets.split_at_checked(dot)
    }
}

impl Default for Unstuffer {
    fn default() -> Self {
        Self { at: Framed::Content(Position::LineStart) }
    }
}

impl Unstuffer {
    /// Ready for the first octet after DATA's 354 (or after a POP3 `+OK`).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the content in `input` to `output`, the last line's CRLF included, without the final `.`.
    pub fn unstuff(&mut self, input: &[u8], output: &mut Vec<u8>) -> Unstuffed {
        let finder = Finder::new(LINE_END_AND_DOT);
        output.reserve(input.len());
        let mut rest = input;
        loop {
            match (self.at, rest) {
                (_, []) => return Unstuffed { consumed: input.len(), ended: false },
                (Framed::Content(position), _) => {
                    let Some((content, dot_first)) = position.before_line_dot(rest, &finder) else {
                        output.extend_from_slice(rest);
                        self.at = Framed::Content(position.behind(rest));
                        return Unstuffed { consumed: input.len(), ended: false };
                    };
                    output.extend_from_slice(content);
                    rest = dot_first.get(1..).unwrap_or_default();
                    self.at = Framed::Dot;
                }
                (Framed::Dot, [b'\r', after @ ..]) => {
                    rest = after;
                    self.at = Framed::DotCr;
                }
                // RFC 5321 §4.5.2: the dot goes where other octets follow it on its line.
                (Framed::Dot, [octet, after @ ..]) => {
                    output.push(*octet);
                    rest = after;
                    self.at = Framed::Content(Position::Middle);
                }
                (Framed::DotCr, [b'\n', after @ ..]) => {
                    return Unstuffed { consumed: input.len() - after.len(), ended: true };
                }
                (Framed::DotCr, _) => {
                    output.push(b'\r');
                    self.at = Framed::Content(Position::Cr);
                }
            }
        }
    }
}

impl Stuffer {
    /// Ready for the first octet of a message.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `content` to `output`, stuffed.
    pub fn stuff(&mut self, content: &[u8], output: &mut Vec<u8>) {
        let finder = Finder::new(LINE_END_AND_DOT);
        let mut rest = content;
        while let Some((before, dot_first)) = self.at.before_line_dot(rest, &finder) {
            output.extend_from_slice(before);
            output.extend_from_slice(b"..");
            rest = dot_first.get(1..).unwrap_or_default();
            self.at = Position::Middle;
        }
        output.extend_from_slice(rest);
        self.at = self.at.behind(rest);
    }

    /// Appends the CRLF that the last line may lack, and `.` CRLF.
    pub fn finish(self, output: &mut Vec<u8>) {
        match self.at {
            Position::LineStart => {}
            Position::Middle | Position::Cr => output.extend_from_slice(b"\r\n"),
        }
        output.extend_from_slice(b".\r\n");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds `input` in pieces; gives the content, octets consumed, and whether the end was seen.
    fn unstuffed(input: &[u8], sizes: &[usize]) -> (Vec<u8>, usize, bool) {
        let mut unstuffer = Unstuffer::new();
        let mut output = Vec::new();
        let mut consumed = 0;
        let mut sizes = sizes.iter().copied().cycle();
        while consumed < input.len() {
            let rest = &input[consumed..];
            let piece = &rest[..sizes.next().unwrap_or(1).clamp(1, rest.len())];
            let done = unstuffer.unstuff(piece, &mut output);
            consumed += done.consumed;
            if done.ended {
                return (output, consumed, true);
            }
            assert_eq!(done.consumed, piece.len());
        }
        (output, consumed, false)
    }

    fn stuffed(content: &[u8], sizes: &[usize]) -> Vec<u8> {
        let mut stuffer = Stuffer::new();
        let mut output = Vec::new();
        let mut rest = content;
        let mut sizes = sizes.iter().copied().cycle();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(sizes.next().unwrap_or(1).clamp(1, rest.len()));
            stuffer.stuff(piece, &mut output);
            rest = after;
        }
        stuffer.finish(&mut output);
        output
    }

    /// The rules of RFC 5321 §4.5.2 written naively, to compare with.
    fn naively_stuffed(content: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        for (index, octet) in content.iter().enumerate() {
            if *octet == b'.' && (index == 0 || content[..index].ends_with(b"\r\n")) {
                output.push(b'.');
            }
            output.push(*octet);
        }
        if !content.is_empty() && !content.ends_with(b"\r\n") {
            output.extend_from_slice(b"\r\n");
        }
        output.extend_from_slice(b".\r\n");
        output
    }

    #[test]
    fn only_crlf_dot_crlf_ends_content() {
        for smuggled in [
            "a\n.\nb",
            "a\r.\rb",
            "a\n.\r\nb",
            "a\r\n.\nb",
            "a\r\n.\rb",
            "a\r\n.\r\rb",
            "a\r.\r\nb",
            "a\r\n.\r.\r\nb",
            "\n.\r\n",
            "\r.\r\n",
        ] {
            for size in 1..8 {
                let input = format!("{smuggled}\r\n.\r\nQUIT\r\n");
                let (content, consumed, ended) = unstuffed(input.as_bytes(), &[size]);
                assert!(ended, "{smuggled:?}");
                assert_eq!(&input.as_bytes()[consumed..], b"QUIT\r\n", "{smuggled:?}");
                let expected = smuggled.replace("\r\n.", "\r\n") + "\r\n";
                assert_eq!(String::from_utf8(content).unwrap(), expected);
            }
        }
    }

    #[test]
    fn content_may_be_empty() {
        assert_eq!(unstuffed(b".\r\nNOOP\r\n", &[100]), (Vec::new(), 3, true));
        assert_eq!(stuffed(b"", &[1]), b".\r\n");
    }

    #[test]
    fn exactly_one_dot_is_removed_from_the_front_of_a_line() {
        let (content, _, ended) = unstuffed(b"..a\r\n...\r\n.b\r\n..\r\n.\r\n", &[3]);
        assert!(ended);
        assert_eq!(content, b".a\r\n..\r\nb\r\n.\r\n");
    }

    #[test]
    fn the_last_line_gets_the_line_end_it_lacks_and_no_other() {
        assert_eq!(stuffed(b"a", &[1]), b"a\r\n.\r\n");
        assert_eq!(stuffed(b"a\r\n", &[1]), b"a\r\n.\r\n");
        assert_eq!(stuffed(b"a\r", &[1]), b"a\r\r\n.\r\n");
        assert_eq!(stuffed(b".", &[1]), b"..\r\n.\r\n");
    }

    fn octets() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), any::<u8>()], 0..80)
    }

    fn sizes() -> impl Strategy<Value = Vec<usize>> {
        proptest::collection::vec(1_usize..9, 1..9)
    }

    proptest! {
        #[test]
        fn stuffing_follows_the_rule_however_chopped(content in octets(), sizes in sizes()) {
            prop_assert_eq!(stuffed(&content, &sizes), naively_stuffed(&content));
        }

        #[test]
        fn unstuffing_undoes_stuffing(content in octets(), sizes in sizes()) {
            let framed = stuffed(&content, &[usize::MAX]);
            let (back, consumed, ended) = unstuffed(&framed, &sizes);
            let mut expected = content.clone();
            if !content.is_empty() && !content.ends_with(b"\r\n") {
                expected.extend_from_slice(b"\r\n");
            }
            prop_assert!(ended);
            prop_assert_eq!(consumed, framed.len());
            prop_assert_eq!(back, expected);
        }

        #[test]
        fn any_input_unstuffs_the_same_however_chopped(input in octets(), sizes in sizes()) {
            prop_assert_eq!(unstuffed(&input, &sizes), unstuffed(&input, &[usize::MAX]));
        }
    }
}

//! quoted-printable as content carries it (RFC 2045 §6.7): lines of at most 76 octets, written as the octets come.

/// Octets of a line in front of the `=` that breaks it.
const LINE_OCTETS_MAX: usize = 75;

/// Encodes one body of lines.
#[derive(Debug, Default)]
pub(super) struct QuotedPrintable {
    column: usize,
    /// A blank that may turn out to stand at the end of its line.
    blank: Option<u8>,
}

impl QuotedPrintable {
    /// Writes a part of a line, or all of it, with its CRLF where that has come.
    pub(super) fn push(&mut self, piece: &[u8], output: &mut Vec<u8>) {
        let text = piece.strip_suffix(b"\r\n");
        for octet in text.unwrap_or(piece) {
            if let Some(blank) = self.blank.take() {
                self.put(&[blank], output);
            }
            match octet {
                b' ' | b'\t' => self.blank = Some(*octet),
                octet if is_plain(*octet) => self.put(&[*octet], output),
                octet => self.encode(*octet, output),
            }
        }
        if text.is_some() {
            self.finish(output);
            output.extend_from_slice(b"\r\n");
            self.column = 0;
        }
    }

    /// Writes what is left of the last line.
    pub(super) fn finish(&mut self, output: &mut Vec<u8>) {
        // Rule 3: blanks at the end of a line are encoded.
        if let Some(blank) = self.blank.take() {
            self.encode(blank, output);
        }
    }

    fn encode(&mut self, octet: u8, output: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let digit = |number: u8| DIGITS.get(usize::from(number)).copied().unwrap_or(b'0');
        self.put(&[b'=', digit(octet >> 4), digit(octet & 15)], output);
    }

    fn put(&mut self, token: &[u8], output: &mut Vec<u8>) {
        if self.column.saturating_add(token.len()) > LINE_OCTETS_MAX {
            output.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
        // No line begins with what could be taken for a delimiter.
        if self.column == 0 && token == b"-" {
            return self.encode(b'-', output);
        }
        self.column = self.column.saturating_add(token.len());
        output.extend_from_slice(token);
    }
}

/// What stands for itself.
pub(super) const fn is_plain(octet: u8) -> bool {
    matches!(octet, b' '..=b'~' | b'\t') && octet != b'='
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(pieces: &[&[u8]]) -> String {
        let (mut quoted, mut output) = (QuotedPrintable::default(), Vec::new());
        for piece in pieces {
            quoted.push(piece, &mut output);
        }
        quoted.finish(&mut output);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn what_is_not_plain_is_encoded_and_so_are_blanks_at_the_end_of_a_line() {
        for (text, expected) in [
            ("gr\u{fc}n = blau\r\n", "gr=C3=BCn =3D blau\r\n"),
            ("a \t \r\nb\t\r\n \r\n", "a \t=20\r\nb=09\r\n=20\r\n"),
            ("a ", "a=20"),
            ("", ""),
            ("\r\n", "\r\n"),
            ("--a\r\n-\r\na-b\r\n", "=2D-a\r\n=2D\r\na-b\r\n"),
            ("\0\u{7f}\u{1b}~", "=00=7F=1B~"),
        ] {
            let lines: Vec<&[u8]> = text.split_inclusive('\n').map(str::as_bytes).collect();
            assert_eq!(encoded(&lines), expected, "{text:?}");
        }
        assert_eq!(encoded(&[b"a ", b"b ", b"\r\n"]), "a b=20\r\n");
    }

    #[test]
    fn no_line_is_longer_than_76_octets_and_none_begins_like_a_delimiter() {
        for text in ["x".repeat(1000), "\u{e4}".repeat(500), "x -".repeat(400), "-".repeat(400)] {
            let encoded = encoded(&[text.as_bytes(), b"\r\n"]);
            assert!(encoded.lines().all(|line| line.len() <= 76 && !line.starts_with('-')), "{encoded}");
            let lines = encoded.replace("=\r\n", "");
            assert_eq!(lines.replace("=2D", "-").replace("=C3=A4", "\u{e4}"), text + "\r\n");
        }
    }
}

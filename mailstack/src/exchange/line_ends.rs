//! Line ends: CRLF as the store keeps them, LF as mail on disk has them; the way to the disk and back is exact.

use memchr::memchr;

/// Makes each LF that stands alone a CRLF, and keeps everything else: a bare CR is content as any other octet, and
/// Dovecot and Courier have always shown it so.
#[derive(Debug, Default)]
pub(crate) struct ToCrlf {
    last: Option<u8>,
}

impl ToCrlf {
    /// Appends `input` to `output`.
    pub(crate) fn convert(&mut self, input: &[u8], output: &mut Vec<u8>) {
        let mut rest = input;
        while let Some((line, behind)) = split_at_lf(rest) {
            output.extend_from_slice(line);
            if line.last().copied().or(self.last) != Some(b'\r') {
                output.push(b'\r');
            }
            output.push(b'\n');
            self.last = Some(b'\n');
            rest = behind;
        }
        output.extend_from_slice(rest);
        self.last = rest.last().copied().or(self.last);
    }

    /// Ends the last line, where nothing else has.
    pub(crate) fn finish(&self, output: &mut Vec<u8>) {
        if self.last.is_some_and(|last| last != b'\n') {
            output.extend_from_slice(b"\r\n");
        }
    }
}

/// Makes each CRLF an LF, but for one behind another CR: there LF alone would look like the end of a CRLF, and one CR
/// would be lost on the way back.
#[derive(Debug, Default)]
pub(crate) struct ToLf {
    /// The last octet was a CR, which is not written yet.
    withheld: bool,
    /// The octet before that one was a CR too.
    behind_cr: bool,
}

impl ToLf {
    /// Appends `input` to `output`.
    pub(crate) fn convert(&mut self, input: &[u8], output: &mut Vec<u8>) {
        for octet in input {
            match (self.withheld, octet) {
                (false, b'\r') => *self = Self { withheld: true, behind_cr: false },
                (false, _) => output.push(*octet),
                (true, b'\r') => {
                    output.push(b'\r');
                    self.behind_cr = true;
                }
                (true, b'\n') => {
                    output.extend_from_slice(if self.behind_cr { b"\r\n" } else { b"\n" });
                    self.withheld = false;
                }
                (true, _) => {
                    output.extend_from_slice(&[b'\r', *octet]);
                    self.withheld = false;
                }
            }
        }
    }

    /// Writes what is still withheld.
    pub(crate) fn finish(&self, output: &mut Vec<u8>) {
        if self.withheld {
            output.push(b'\r');
        }
    }
}

fn split_at_lf(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, behind) = octets.split_at_checked(memchr(b'\n', octets)?)?;
    Some((line, behind.get(1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn to_crlf(chunks: &[&[u8]]) -> Vec<u8> {
        let (mut converter, mut output) = (ToCrlf::default(), Vec::new());
        for chunk in chunks {
            converter.convert(chunk, &mut output);
        }
        converter.finish(&mut output);
        output
    }

    fn to_lf(chunks: &[&[u8]]) -> Vec<u8> {
        let (mut converter, mut output) = (ToLf::default(), Vec::new());
        for chunk in chunks {
            converter.convert(chunk, &mut output);
        }
        converter.finish(&mut output);
        output
    }

    #[test]
    fn every_line_ends_in_crlf_and_what_has_it_keeps_it() {
        for (given, made) in [
            ("a\nb\r\n\nc", "a\r\nb\r\n\r\nc\r\n"),
            ("a\rb\r\r\nc\r", "a\rb\r\r\nc\r\r\n"),
            ("\n", "\r\n"),
            ("", ""),
        ] {
            let given = given.as_bytes();
            assert_eq!(to_crlf(&[given]), made.as_bytes());
            let octets: Vec<&[u8]> = given.chunks(1).collect();
            assert_eq!(to_crlf(&octets), made.as_bytes());
        }
    }

    #[test]
    fn lines_on_disk_end_in_lf_unless_a_cr_would_be_lost() {
        assert_eq!(to_lf(&[b"a\r\nb\rc\r\n\r\n"]), b"a\nb\rc\n\n");
        assert_eq!(to_lf(&[b"a\r\r", b"\r\n\r", b"\n"]), b"a\r\r\r\n\n");
        assert_eq!(to_lf(&[b"a\r"]), b"a\r");
    }

    proptest! {
        #[test]
        fn the_way_to_the_disk_and_back_is_exact(lines in "([a\r]{0,3}\r\n){0,8}", size in 1_usize..5) {
            let chunks: Vec<&[u8]> = lines.as_bytes().chunks(size).collect();
            prop_assert_eq!(to_crlf(&[&to_lf(&chunks)]), lines.as_bytes());
        }
    }
}

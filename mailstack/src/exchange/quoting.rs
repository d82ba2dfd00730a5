//! The quoting of mboxrd: `>` before every line of `>*From `, and back, however the content is chopped.

use memchr::memchr;

use super::from_line::FROM;

/// Where in a line the next octet stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Start,
    /// Behind any number of `>` and so many octets of `From `, which are not written yet.
    From(usize),
    Middle,
}

/// Quotes content with LF line ends.
#[derive(Debug, Default)]
pub(crate) struct Quoter {
    at: At,
}

/// Takes the quoting away. The mboxo form, which quotes `From ` and not `>From `, cannot be told from it and is read
/// alike.
#[derive(Debug, Default)]
pub(crate) struct Unquoter {
    at: At,
    /// One `>` at the beginning of the line is not written yet.
    withheld: bool,
}

impl Quoter {
    /// Appends `input` to `output`.
    pub(crate) fn convert(&mut self, input: &[u8], output: &mut Vec<u8>) {
        let mut rest = input;
        while let Some((octet, behind)) = rest.split_first() {
            rest = match (self.at, *octet) {
                (At::Middle, _) => through_line(&mut self.at, rest, output),
                (At::Start | At::From(0), b'>') => {
                    output.push(b'>');
                    self.at = At::From(0);
                    behind
                }
                (At::Start, _) => {
                    self.at = At::From(0);
                    rest
                }
                (At::From(matched), octet) if FROM.get(matched) == Some(&octet) => {
                    self.at = At::From(matched.saturating_add(1));
                    if matched.saturating_add(1) == FROM.len() {
                        output.push(b'>');
                        output.extend_from_slice(FROM);
                        self.at = At::Middle;
                    }
                    behind
                }
                (At::From(matched), _) => {
                    output.extend(FROM.iter().take(matched));
                    self.at = At::Middle;
                    rest
                }
            };
        }
    }

    /// Writes what is still withheld.
    pub(crate) fn finish(&self, output: &mut Vec<u8>) {
        if let At::From(matched) = self.at {
            output.extend(FROM.iter().take(matched));
        }
    }
}

impl Unquoter {
    /// Appends `input` to `output`.
    pub(crate) fn convert(&mut self, input: &[u8], output: &mut Vec<u8>) {
        let mut rest = input;
        while let Some((octet, behind)) = rest.split_first() {
            rest = match (self.at, *octet) {
                (At::Start, b'>') => {
                    *self = Self { at: At::From(0), withheld: true };
                    behind
                }
                (At::Start | At::Middle, _) => through_line(&mut self.at, rest, output),
                (At::From(0), b'>') => {
                    output.push(b'>');
                    behind
                }
                (At::From(matched), octet) if FROM.get(matched) == Some(&octet) => {
                    self.at = At::From(matched.saturating_add(1));
                    if matched.saturating_add(1) == FROM.len() {
                        output.extend_from_slice(FROM);
                        *self = Self { at: At::Middle, withheld: false };
                    }
                    behind
                }
                (At::From(_), _) => {
                    self.finish(output);
                    *self = Self { at: At::Middle, withheld: false };
                    rest
                }
            };
        }
    }

    /// Writes what is still withheld.
    pub(crate) fn finish(&self, output: &mut Vec<u8>) {
        if self.withheld {
            output.push(b'>');
        }
        if let At::From(matched) = self.at {
            output.extend(FROM.iter().take(matched));
        }
    }
}

/// Writes up to the end of the line, and gives what stands behind it.
fn through_line<'a>(at: &mut At, rest: &'a [u8], output: &mut Vec<u8>) -> &'a [u8] {
    let end = memchr(b'\n', rest).map(|at| at.saturating_add(1));
    let (line, behind) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, &[]));
    output.extend_from_slice(line);
    *at = if end.is_some() { At::Start } else { At::Middle };
    behind
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quoted(content: &[u8], size: usize) -> Vec<u8> {
        let (mut quoter, mut output) = (Quoter::default(), Vec::new());
        content.chunks(size).for_each(|chunk| quoter.convert(chunk, &mut output));
        quoter.finish(&mut output);
        output
    }

    fn unquoted(content: &[u8], size: usize) -> Vec<u8> {
        let (mut unquoter, mut output) = (Unquoter::default(), Vec::new());
        content.chunks(size).for_each(|chunk| unquoter.convert(chunk, &mut output));
        unquoter.finish(&mut output);
        output
    }

    #[test]
    fn every_line_that_could_begin_a_message_is_quoted_however_chopped() {
        let content = b"From a\n>From b\n>>>From c\nFrom\n\n>x\nFro From d\n From e\n>Fro\nFrom f";
        let expected = b">From a\n>>From b\n>>>>From c\nFrom\n\n>x\nFro From d\n From e\n>Fro\n>From f";
        for size in 1..10 {
            assert_eq!(quoted(content, size), expected);
            assert_eq!(unquoted(expected, size), content);
        }
        assert_eq!(quoted(b">>Fro", 1), b">>Fro");
        assert_eq!(unquoted(b">>Fro", 1), b">>Fro");
    }

    #[test]
    fn the_older_form_is_read() {
        assert_eq!(unquoted(b">From a\n>x\n", 3), b"From a\n>x\n");
    }

    proptest! {
        #[test]
        fn unquoting_undoes_quoting(
            content in "(>{0,3}(From |Fro|F|x|)[\n>Fx ]{0,2}){0,12}", one in 1_usize..6, other in 1_usize..6,
        ) {
            let content = content.as_bytes();
            let quoted = quoted(content, one);
            prop_assert!(quoted.split(|octet| *octet == b'\n').all(|line| !line.starts_with(FROM)));
            prop_assert_eq!(unquoted(&quoted, other), content);
        }
    }
}

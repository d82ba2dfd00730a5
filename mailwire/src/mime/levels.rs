//! What is open while content passes, from the whole message down to the part that passes now, and the delimiters that
//! end parts (RFC 2046 §5.1.1).

use thiserror::Error;

use super::field::{MediaType, Parts};

/// Most multiparts and messages within each other, as many as Postfix follows.
pub const LEVELS_MAX: usize = 100;
/// Most delimiters in front of parts, in the whole message.
pub const PARTS_MAX: usize = 10_000;

/// More than [`LEVELS_MAX`] within each other, or more than [`PARTS_MAX`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the message has more parts than are followed, or deeper within each other")]
pub struct TooMany;

/// Multiparts and messages that are open, from the outside in.
#[derive(Debug, Default)]
pub struct Levels {
    open: Vec<Level>,
    parts: usize,
}

#[derive(Debug)]
enum Level {
    /// It ends with what it is in.
    Message,
    Multipart(Parts, Vec<u8>),
}

/// A line that ends a part, and all that is open in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiter {
    level: usize,
    /// `close-delimiter`: no more parts follow.
    pub is_close: bool,
}

impl Levels {
    /// A message begins within what is open.
    ///
    /// # Errors
    /// Where that is too deep.
    pub fn enter_message(&mut self) -> Result<(), TooMany> {
        self.enter(Level::Message)
    }

    /// A multipart begins within what is open.
    ///
    /// # Errors
    /// Where that is too deep.
    pub fn enter_multipart(&mut self, parts: Parts, boundary: Vec<u8>) -> Result<(), TooMany> {
        self.enter(Level::Multipart(parts, boundary))
    }

    fn enter(&mut self, level: Level) -> Result<(), TooMany> {
        if self.open.len() >= LEVELS_MAX {
            return Err(TooMany);
        }
        self.open.push(level);
        Ok(())
    }

    /// What an entity is that does not say so (RFC 2045 §5.2, RFC 2046 §5.1.5).
    #[must_use]
    pub fn media_type_default(&self) -> MediaType {
        match self.open.last() {
            Some(Level::Multipart(Parts::Digest, _)) => MediaType::Message,
            Some(Level::Multipart(Parts::Mixed | Parts::Signed, _) | Level::Message) | None => {
                MediaType::Discrete
            }
        }
    }

    /// True where the entity that begins is a message of its own, and not a part of one.
    #[must_use]
    pub fn are_at_message(&self) -> bool {
        !matches!(self.open.last(), Some(Level::Multipart(..)))
    }

    /// True where a line may still be a delimiter.
    #[must_use]
    pub fn have_delimiters(&self) -> bool {
        self.open.iter().any(|level| matches!(level, Level::Multipart(..)))
    }

    /// True within signed parts.
    #[must_use]
    pub fn are_signed(&self) -> bool {
        self.open.iter().any(|level| matches!(level, Level::Multipart(Parts::Signed, _)))
    }

    /// The delimiter that a line is: `"--" boundary ["--"] transport-padding`. The innermost multipart comes first, and any
    /// outer one ends what is in it (RFC 2046 §5.1.2). A line that goes on otherwise behind a boundary is none: most
    /// readers see it so, and a boundary may be the beginning of another one.
    #[must_use]
    pub fn delimiter(&self, line: &[u8]) -> Option<Delimiter> {
        let text = line.strip_prefix(b"--")?;
        let text = without_padding(text.strip_suffix(b"\r\n").unwrap_or(text));
        self.open.iter().enumerate().rev().find_map(|(level, open)| match open {
            Level::Message => None,
            Level::Multipart(_, boundary) => match text.strip_prefix(boundary.as_slice())? {
                b"" => Some(Delimiter { level, is_close: false }),
                b"--" => Some(Delimiter { level, is_close: true }),
                _ => None,
            },
        })
    }

    /// Goes to where a delimiter leads.
    ///
    /// # Errors
    /// Where those are too many parts.
    pub fn cross(&mut self, delimiter: Delimiter) -> Result<(), TooMany> {
        let Delimiter { level, is_close } = delimiter;
        self.open.truncate(if is_close { level } else { level.saturating_add(1) });
        if !is_close {
            self.parts = self.parts.saturating_add(1);
        }
        if self.parts > PARTS_MAX { Err(TooMany) } else { Ok(()) }
    }
}

/// `transport-padding = *LWSP-char`, RFC 2046 §5.1.1: blanks and tabs.
fn without_padding(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|octet| !matches!(octet, b' ' | b'\t')).map_or(0, |at| at + 1);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(boundaries: &[&str]) -> Levels {
        let mut levels = Levels::default();
        for boundary in boundaries {
            match *boundary {
                "" => levels.enter_message().unwrap(),
                boundary => levels.enter_multipart(Parts::Mixed, boundary.as_bytes().to_vec()).unwrap(),
            }
        }
        levels
    }

    fn delimiter(levels: &Levels, line: &str) -> Option<(usize, bool)> {
        levels.delimiter(line.as_bytes()).map(|found| (found.level, found.is_close))
    }

    #[test]
    fn a_delimiter_is_a_whole_line_of_any_multipart_that_is_open() {
        let levels = levels(&["a", "", "ab"]);
        for (line, expected) in [
            ("--a\r\n", Some((0, false))),
            ("--a", Some((0, false))),
            ("--a \t \r\n", Some((0, false))),
            ("--a--\r\n", Some((0, true))),
            ("--a-- \r\n", Some((0, true))),
            ("--ab\r\n", Some((2, false))),
            ("--ab--\r\n", Some((2, true))),
            ("--abc\r\n", None),
            ("--a-\r\n", None),
            ("--a---\r\n", None),
            ("--a --\r\n", None),
            ("--A\r\n", None),
            ("--\r\n", None),
            ("-a\r\n", None),
            (" --a\r\n", None),
            ("--b\r\n", None),
            ("--a\n\r\n", None),
            ("--a\r\r\n", None),
            ("--a\u{c}\r\n", None),
        ] {
            assert_eq!(delimiter(&levels, line), expected, "{line:?}");
        }
    }

    #[test]
    fn equal_boundaries_are_the_innermost_ones_until_that_is_closed() {
        let mut levels = levels(&["a", "a"]);
        let close = levels.delimiter(b"--a--\r\n").unwrap();
        levels.cross(close).unwrap();
        assert_eq!(delimiter(&levels, "--a\r\n"), Some((0, false)));
        let close = levels.delimiter(b"--a--\r\n").unwrap();
        levels.cross(close).unwrap();
        assert_eq!(delimiter(&levels, "--a\r\n"), None);
    }

    #[test]
    fn levels_and_parts_are_limited_at_their_edge() {
        let mut levels = levels(&["b"; LEVELS_MAX]);
        assert_eq!(levels.enter_message(), Err(TooMany));
        let part = levels.delimiter(b"--b\r\n").unwrap();
        for _ in 0..PARTS_MAX {
            assert_eq!(levels.cross(part), Ok(()));
        }
        assert_eq!(levels.cross(part), Err(TooMany));
    }
}

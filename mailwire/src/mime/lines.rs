//! Lines out of octets as they come: whole where they are short, in pieces where they are long, which binary data is.

use std::borrow::Cow;

use memchr::memchr_iter;

/// Most octets of a piece: a line of RFC 5322 §2.1.1 with its CRLF. A longer line is no delimiter.
const PIECE_OCTETS_MAX: usize = 1000;

/// A line with its CRLF, or a part of one. The same content is cut in the same pieces whatever chunks it comes in, and no
/// CRLF is cut in two.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The octets.
    pub octets: Cow<'a, [u8]>,
    /// With this the line begins.
    pub is_first: bool,
    /// With this the line ends, or the content.
    pub is_last: bool,
}

/// Cuts content into lines.
#[derive(Debug, Default)]
pub struct Lines {
    /// What does not make a piece yet.
    held: Vec<u8>,
    is_within: bool,
}

impl Piece<'_> {
    /// The whole line, where this is one.
    #[must_use]
    pub fn line(&self) -> Option<&[u8]> {
        (self.is_first && self.is_last).then_some(&*self.octets)
    }
}

impl Lines {
    /// The next piece, which is taken off `octets`; `None` once more must come for it.
    pub fn next<'a>(&mut self, octets: &mut &'a [u8]) -> Option<Piece<'a>> {
        let held = self.held.len();
        if held == 0
            && let Some((piece, rest)) = cut(octets).and_then(|at| octets.split_at_checked(at))
        {
            *octets = rest;
            return Some(self.piece(Cow::Borrowed(piece)));
        }
        let most = PIECE_OCTETS_MAX.saturating_sub(held);
        self.held.extend_from_slice(octets.get(..most).unwrap_or(octets));
        let Some(at) = cut(&self.held) else {
            *octets = &[];
            return None;
        };
        let mut piece = std::mem::take(&mut self.held);
        piece.truncate(at);
        // What was held alone was no piece, so all of it belongs to this one.
        *octets = octets.get(at.saturating_sub(held)..).unwrap_or_default();
        Some(self.piece(Cow::Owned(piece)))
    }

    /// The content has ended: what is left of it.
    pub fn last(&mut self) -> Option<Piece<'static>> {
        let octets = std::mem::take(&mut self.held);
        let is_first = !self.is_within;
        (!octets.is_empty()).then_some(Piece { octets: Cow::Owned(octets), is_first, is_last: true })
    }

    fn piece<'a>(&mut self, octets: Cow<'a, [u8]>) -> Piece<'a> {
        let is_last = octets.ends_with(b"\r\n");
        let is_first = !std::mem::replace(&mut self.is_within, !is_last);
        Piece { octets, is_first, is_last }
    }
}

/// Where the first piece of `octets` ends.
fn cut(octets: &[u8]) -> Option<usize> {
    let most = octets.get(..PIECE_OCTETS_MAX);
    let seen = most.unwrap_or(octets);
    let is_line_end = |&at: &usize| at > 0 && seen.get(at - 1) == Some(&b'\r');
    let line = memchr_iter(b'\n', seen).find(is_line_end).map(|at| at + 1);
    // A CR at the end may have its LF behind it.
    line.or_else(|| most.map(|most| most.len() - usize::from(most.ends_with(b"\r"))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(content: &[u8], chunk: usize) -> Vec<Piece<'static>> {
        let mut lines = Lines::default();
        let mut pieces = Vec::new();
        for mut chunk in content.chunks(chunk) {
            while let Some(Piece { octets, is_first, is_last }) = lines.next(&mut chunk) {
                pieces.push(Piece { octets: Cow::Owned(octets.into_owned()), is_first, is_last });
            }
            assert!(chunk.is_empty());
            assert!(lines.held.len() < PIECE_OCTETS_MAX);
        }
        pieces.extend(lines.last());
        pieces
    }

    fn shown(content: &[u8]) -> Vec<(String, bool, bool)> {
        let pieces = pieces(content, content.len().max(1)).into_iter();
        pieces.map(|piece| (piece.octets.escape_ascii().to_string(), piece.is_first, piece.is_last)).collect()
    }

    #[test]
    fn lines_end_with_crlf_only() {
        let line = |text: &str| (text.to_owned(), true, true);
        assert_eq!(shown(b""), []);
        assert_eq!(shown(b"a\r\n\r\nb"), [line("a\\r\\n"), line("\\r\\n"), line("b")]);
        assert_eq!(shown(b"a\nb\rc\r\r\n\n"), [line("a\\nb\\rc\\r\\r\\n"), line("\\n")]);
    }

    #[test]
    fn a_long_line_comes_in_pieces_and_its_line_end_in_one() {
        let lengths = |before: usize| {
            let content = [&vec![b'x'; before], b"\r\ny\r\n".as_slice()].concat();
            let pieces = pieces(&content, content.len()).into_iter();
            pieces.map(|piece| (piece.octets.len(), piece.is_first, piece.is_last)).collect::<Vec<_>>()
        };
        assert_eq!(lengths(998), [(1000, true, true), (3, true, true)]);
        assert_eq!(lengths(999), [(999, true, false), (2, false, true), (3, true, true)]);
        assert_eq!(lengths(1000), [(1000, true, false), (2, false, true), (3, true, true)]);
        let four = [(1000, true, false), (1000, false, false), (12, false, true), (3, true, true)];
        assert_eq!(lengths(2010), four);
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            lines in proptest::collection::vec(("[\r\na]{0,6}", 0_usize..2100), 0..6),
            chunk in 1_usize..1100,
        ) {
            let content: String = lines.iter().map(|(text, long)| text.clone() + &"x".repeat(*long) + "\r\n").collect();
            let whole = pieces(content.as_bytes(), content.len().max(1));
            prop_assert_eq!(&pieces(content.as_bytes(), chunk), &whole);
            let octets: Vec<u8> = whole.into_iter().flat_map(|piece| piece.octets.into_owned()).collect();
            prop_assert_eq!(octets, content.into_bytes());
        }
    }
}

//! What structured header fields are made of (RFC 5322 §3.2): atoms, quoted-strings, comments, blanks and specials.

use super::words::{comment, is_blank};

/// A run of a structured field, as it stands. All of them together are the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lexeme<'a> {
    /// `FWS`.
    Blanks(&'a str),
    /// With its parentheses.
    Comment(&'a str),
    /// With its quotation marks.
    Quoted(&'a str),
    /// A domain-literal with its brackets.
    Literal(&'a str),
    /// One of `<>@,;:`.
    Special(&'a str),
    /// Anything else: atoms, dots, and what should be in quotation marks.
    Atom(&'a str),
}

impl<'a> Lexeme<'a> {
    /// As it stands.
    pub(super) const fn text(self) -> &'a str {
        match self {
            Self::Blanks(text)
            | Self::Comment(text)
            | Self::Quoted(text)
            | Self::Literal(text)
            | Self::Special(text)
            | Self::Atom(text) => text,
        }
    }

    /// A quoted-string without its quotation marks; anything else as it stands.
    pub(super) fn within_quotes(self) -> &'a str {
        let text = self.text();
        text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
    }

    /// True for that special.
    pub(super) fn is(self, special: &str) -> bool {
        matches!(self, Self::Special(text) if text == special)
    }

    /// True for what may stand anywhere: `CFWS`.
    pub(super) const fn is_cfws(self) -> bool {
        match self {
            Self::Blanks(_) | Self::Comment(_) => true,
            Self::Quoted(_) | Self::Literal(_) | Self::Special(_) | Self::Atom(_) => false,
        }
    }
}

/// Tells which octets the backslash in front of them quotes (`quoted-pair`, RFC 5322 §3.2.1).
#[derive(Debug, Default)]
pub(super) struct QuotedPairs {
    is_open: bool,
}

impl QuotedPairs {
    /// True where this octet, the next one, is quoted.
    pub(super) const fn quotes(&mut self, octet: u8) -> bool {
        let is_quoted = self.is_open;
        self.is_open = !is_quoted && octet == b'\\';
        is_quoted
    }
}

/// Takes a value apart; `None` where a comment, a quoted-string or a literal has no end.
pub(super) fn lexemes(value: &str) -> Option<Vec<Lexeme<'_>>> {
    let mut lexemes = Vec::new();
    let mut rest = value;
    while let Some(first) = rest.chars().next() {
        let is_special = |character| matches!(character, '<' | '>' | '@' | ',' | ';' | ':');
        let octets = match first {
            '(' => comment_octets(rest)?,
            '"' => enclosed_octets(rest, b'"')?,
            '[' => enclosed_octets(rest, b']')?,
            _ if is_special(first) => 1,
            _ if is_blank(first) => rest.find(|character| !is_blank(character)).unwrap_or(rest.len()),
            _ => {
                let ends =
                    |character| is_blank(character) || is_special(character) || "(\"[".contains(character);
                rest.find(ends).unwrap_or(rest.len())
            }
        };
        let (text, behind) = rest.split_at(octets);
        lexemes.push(match first {
            '(' => Lexeme::Comment(text),
            '"' => Lexeme::Quoted(text),
            '[' => Lexeme::Literal(text),
            _ if is_special(first) => Lexeme::Special(text),
            _ if is_blank(first) => Lexeme::Blanks(text),
            _ => Lexeme::Atom(text),
        });
        rest = behind;
    }
    Some(lexemes)
}

/// Octets of the comment with which `text` begins; counted, so that no nesting is too deep for the stack.
fn comment_octets(text: &str) -> Option<usize> {
    let (mut depth, mut pairs) = (0_usize, QuotedPairs::default());
    let end = text.bytes().position(|octet| {
        match (pairs.quotes(octet), octet) {
            (false, b'(') => depth += 1,
            (false, b')') => depth = depth.saturating_sub(1),
            (_, _) => {}
        }
        depth == 0
    });
    end.map(|end| end + 1)
}

/// Octets up to `end`, which is not the first one and not quoted.
fn enclosed_octets(text: &str, end: u8) -> Option<usize> {
    let mut pairs = QuotedPairs::default();
    let at = text.bytes().skip(1).position(|octet| !pairs.quotes(octet) && octet == end)?;
    // The first one was skipped, and the last one belongs to it.
    Some(at + 2)
}

/// As it stands, but for its comments (RFC 6857 §3.1.3).
pub(super) fn with_comments_downgraded(lexemes: &[Lexeme<'_>]) -> String {
    lexemes.iter().fold(String::new(), |output, lexeme| match lexeme {
        Lexeme::Comment(text) => output + &comment(text),
        Lexeme::Blanks(_) | Lexeme::Quoted(_) | Lexeme::Literal(_) | Lexeme::Special(_) | Lexeme::Atom(_) => {
            output + lexeme.text()
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_field_is_taken_apart_as_it_stands() {
        use Lexeme::{Atom, Blanks, Comment, Literal, Quoted, Special};
        assert_eq!(
            lexemes("\"a \\\" b\" ü.c(d(e\\))f)<g@[1.2]>,").unwrap(),
            [
                Quoted("\"a \\\" b\""),
                Blanks(" "),
                Atom("ü.c"),
                Comment("(d(e\\))f)"),
                Special("<"),
                Atom("g"),
                Special("@"),
                Literal("[1.2]"),
                Special(">"),
                Special(","),
            ]
        );
        for endless in ["(a", "\"a", "[a", "(a\\)", "\"a\\\"", "((a)"] {
            assert_eq!(lexemes(endless), None, "{endless}");
        }
        assert_eq!(lexemes(")]\\").unwrap(), [Atom(")]\\")]);
    }

    proptest! {
        #[test]
        fn all_lexemes_together_are_the_field(value in "[a-cü ,;:<>@()\"\\[\\]\\\\\t]{0,40}") {
            if let Some(lexemes) = lexemes(&value) {
                let together: String = lexemes.iter().map(|lexeme| lexeme.text()).collect();
                prop_assert_eq!(together, value);
            }
        }
    }
}

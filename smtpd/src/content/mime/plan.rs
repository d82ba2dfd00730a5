//! What becomes of each body where nothing but ASCII may leave: found by a first look at the whole message, since the field
//! that says how a body is encoded stands in front of it.

use std::fmt;

use super::base64_lines::octets_encoded;
use super::quoted_printable::is_plain;
use crate::content::Problem;

/// Octets of a line without its CRLF (RFC 5322 §2.1.1).
const LINE_OCTETS_MAX: usize = 998;

/// How a body leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Plain,
    Quoted,
    Base64,
}

impl Form {
    /// What Content-Transfer-Encoding says of it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Plain => "7bit",
            Self::Quoted => "quoted-printable",
            Self::Base64 => "base64",
        }
    }
}

/// The form of each body that may be encoded, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(super) forms: Vec<Form>,
}

/// Why a message cannot be made ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// A header section, of the message or within it: only SMTPUTF8 carries that (RFC 6531 §1.2).
    Header,
    /// Signed parts, which must not be changed (RFC 1847 §2.1).
    Signed,
    /// A body that says that it is encoded and is not, or of a type that must not be (RFC 2045 §6.4).
    Fixed,
    /// Nobody can tell for sure what the message is made of.
    Unclear(Problem),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "its header has characters beyond ASCII in it",
            Self::Signed => "it has signed parts, which must not be changed",
            Self::Fixed => "it has parts that must not be encoded",
            Self::Unclear(_) => "its parts cannot be told apart",
        })
    }
}

/// What has been found so far.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) forms: Vec<Form>,
    pub(super) unfit: Option<Unfit>,
}

impl Survey {
    /// Notes what stands in the way; the first counts.
    pub(super) fn watch(&mut self, octets: &[u8], unfit: Unfit) {
        if self.unfit.is_none() && !octets.is_ascii() {
            self.unfit = Some(unfit);
        }
    }
}

/// What a body is made of.
#[derive(Debug, Default)]
pub(super) struct Tally {
    octets: u64,
    /// Octets that quoted-printable encodes.
    encoded: u64,
    line_octets: usize,
    has_long_line: bool,
    /// There are octets that 7bit has not: beyond ASCII, and NUL (RFC 2045 §2.7).
    has_other: bool,
}

impl Tally {
    /// Takes a part of a line, or all of it.
    pub(super) fn count(&mut self, piece: &[u8]) {
        let text = piece.strip_suffix(b"\r\n");
        let octets = text.unwrap_or(piece);
        let encoded = octets.iter().filter(|octet| !is_plain(**octet)).count();
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.octets = self.octets.saturating_add(number(piece.len()));
        self.encoded = self.encoded.saturating_add(number(encoded));
        self.has_other |= !octets.is_ascii() || octets.contains(&0);
        self.line_octets = self.line_octets.saturating_add(octets.len());
        self.has_long_line |= self.line_octets > LINE_OCTETS_MAX;
        if text.is_some() {
            self.line_octets = 0;
        }
    }

    /// Whichever is shorter; quoted-printable, which people can read, where that is not clear.
    pub(super) fn form(&self) -> Form {
        if !self.has_other && !self.has_long_line {
            return Form::Plain;
        }
        let quoted = self.octets.saturating_add(self.encoded.saturating_mul(2));
        if quoted <= octets_encoded(self.octets) { Form::Quoted } else { Form::Base64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pieces: &[&str]) -> Form {
        let mut tally = Tally::default();
        for piece in pieces {
            tally.count(piece.as_bytes());
        }
        tally.form()
    }

    #[test]
    fn a_body_takes_the_shorter_form_and_none_where_it_needs_none() {
        assert_eq!(form(&["plain = text\t\x1b\r\n"]), Form::Plain);
        assert_eq!(form(&["stra\u{df}e, ein wenig mehr Text als nur dieses eine Wort\r\n"]), Form::Quoted);
        assert_eq!(form(&["\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}\r\n"; 20]), Form::Base64);
        assert_eq!(form(&["a\0b, and quite a lot of other letters around that\r\n"]), Form::Quoted);
    }

    #[test]
    fn a_line_that_is_too_long_is_broken_wherever_it_is_cut() {
        let (most, more) = ("x".repeat(998) + "\r\n", "x".repeat(999) + "\r\n");
        assert_eq!(form(&[&most, &most]), Form::Plain);
        assert_eq!(form(&[&more]), Form::Quoted);
        let (one, other) = more.split_at(500);
        assert_eq!(form(&[one, other]), Form::Quoted);
    }
}

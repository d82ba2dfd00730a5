//! What the header fields of a message hold, found while its content passes by in chunks.

use mailwire::mime::{Section, Token, Walker};

use crate::Repertoire;

/// Most octets of a field that is held to see whether it is UTF-8. One that is longer is taken for it where it is not in
/// ASCII.
const FIELD_OCTETS_MAX: usize = 4096;

/// The header fields of one message, as they pass.
#[derive(Debug)]
pub(crate) struct HeaderFields {
    walker: Walker,
    found: Found,
}

/// Where UTF-8 was found.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    in_header: bool,
    within: bool,
}

impl HeaderFields {
    /// At the beginning of the content.
    pub(crate) fn new() -> Self {
        Self { walker: Walker::new(FIELD_OCTETS_MAX), found: Found::default() }
    }

    /// Looks at what comes next.
    pub(crate) fn update(&mut self, chunk: &[u8]) {
        if !self.walker.is_over() {
            self.walker.walk(chunk, |token| self.found.note(token));
        }
    }

    /// What the whole message holds, behind the fields of `prefix`.
    pub(crate) fn behind(&mut self, prefix: &[u8]) -> Repertoire {
        self.walker.finish(|token| self.found.note(token));
        self.found.in_header |= is_utf8(prefix);
        match self.found {
            Found { within: true, .. } => Repertoire::Utf8Within,
            Found { in_header: true, within: false } => Repertoire::Utf8,
            Found { in_header: false, within: false } => Repertoire::Ascii,
        }
    }
}

impl Found {
    fn note(&mut self, token: Token<'_>) {
        let (section, is_utf8) = match token {
            Token::Field(octets, section) => (section, is_utf8(octets)),
            Token::LongField(octets, section) => (section, !octets.is_ascii()),
            Token::Other(_) => return,
        };
        match section {
            Section::Message => self.in_header |= is_utf8,
            Section::Part | Section::DeliveryStatus => self.within |= is_utf8,
        }
    }
}

/// True for UTF-8 that is more than ASCII.
fn is_utf8(octets: &[u8]) -> bool {
    !octets.is_ascii() && std::str::from_utf8(octets).is_ok()
}

//! What the header fields of a message hold, found while its content passes by in chunks.

use mailwire::mime::{Section, Token, Walker};

use super::message_id;
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

/// Where UTF-8 was found, and the first Message-ID.
#[derive(Debug, Default)]
struct Found {
    in_header: bool,
    within: bool,
    message_id: Option<String>,
}

/// What is to be known of a message by its header fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) repertoire: Repertoire,
    /// See [`message_id`].
    pub(crate) message_id: Option<String>,
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
    pub(crate) fn behind(&mut self, prefix: &[u8]) -> Known {
        self.walker.finish(|token| self.found.note(token));
        let found = std::mem::take(&mut self.found);
        let repertoire = match (found.within, found.in_header || is_utf8(prefix)) {
            (true, _) => Repertoire::Utf8Within,
            (false, true) => Repertoire::Utf8,
            (false, false) => Repertoire::Ascii,
        };
        let in_prefix = || message_id::among(prefix);
        Known { repertoire, message_id: found.message_id.or_else(in_prefix) }
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
            Section::Message => {
                self.in_header |= is_utf8;
                if let (None, Token::Field(octets, _)) = (&self.message_id, token) {
                    self.message_id = message_id::of(octets);
                }
            }
            Section::Part | Section::DeliveryStatus => self.within |= is_utf8,
        }
    }
}

/// True for UTF-8 that is more than ASCII.
fn is_utf8(octets: &[u8]) -> bool {
    !octets.is_ascii() && std::str::from_utf8(octets).is_ok()
}

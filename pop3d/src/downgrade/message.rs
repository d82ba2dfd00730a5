//! A whole message as it passes: header fields in ASCII, wherever they stand (RFC 6857 §4), and all else as it is.

use mailwire::mime::{Section, Token, Walker};

use super::field;

/// Most octets of a field that is held. Of a longer one, each octet outside ASCII becomes a `?`.
const FIELD_OCTETS_MAX: usize = 256 << 10;

/// Downgrades one message. However large it is, what is held of it is a piece of a line and a field.
#[derive(Debug)]
pub struct Downgrader {
    walker: Walker,
    changes: u64,
}

impl Downgrader {
    /// At the beginning of a message.
    #[must_use]
    pub fn new() -> Self {
        Self { walker: Walker::new(FIELD_OCTETS_MAX), changes: 0 }
    }

    /// True where nothing will be changed any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.walker.is_over()
    }

    /// Takes the next octets, and appends what is complete of the downgraded form to `output`.
    pub fn pass(&mut self, octets: &[u8], output: &mut Vec<u8>) {
        self.walker.walk(octets, |token| self.changes += write(token, output));
    }

    /// The message has ended, or its header section has: appends what was held.
    pub fn finish(&mut self, output: &mut Vec<u8>) {
        self.walker.finish(|token| self.changes += write(token, output));
    }

    /// Fields so far that are not what they were.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }
}

impl Default for Downgrader {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes a token, and tells how many fields were changed for that.
fn write(token: Token<'_>, output: &mut Vec<u8>) -> u64 {
    let (octets, downgraded) = match token {
        Token::Field(octets, Section::Message | Section::Part) => (octets, field::downgraded(octets)),
        Token::Field(octets, Section::DeliveryStatus) => (octets, field::of_delivery_status(octets)),
        Token::LongField(octets, Section::Message | Section::Part) => {
            output.extend(octets.iter().map(|octet| if octet.is_ascii() { *octet } else { b'?' }));
            return u64::from(!octets.is_ascii());
        }
        Token::LongField(octets, Section::DeliveryStatus) | Token::Other(octets) => (octets, None),
    };
    output.extend_from_slice(downgraded.as_deref().map_or(octets, str::as_bytes));
    u64::from(downgraded.is_some())
}

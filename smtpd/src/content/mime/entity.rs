//! The header section of one entity (the message, or a part of it) as it passes, and what its body is.

use mailwire::mime::{Levels, MIME_FIELD_OCTETS_MAX, MediaType, MimeField, Parts, Piece, TransferEncoding};

use super::plan::Form;
use crate::content::Problem;

/// RFC 2045 §4.
const VERSION: &[u8] = b"MIME-Version";

/// Where the next line stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In front of the first field.
    Start,
    /// Behind the beginning of a field that passes.
    Passing,
    /// Behind the beginning of a field that is held until it is complete.
    Held(MimeField),
}

/// Which Content-Transfer-Encoding gives way to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rewrites {
    Nothing,
    /// `binary`.
    Binary,
    /// All that are no encoding: `binary`, `8bit`, `7bit`.
    Unencoded,
}

/// Lets a header section pass, but for a Content-Transfer-Encoding that gives way: another takes its place at the end, once
/// all fields are known.
#[derive(Debug)]
pub(super) struct EntityHeader {
    octets_max: u64,
    rewrites: Rewrites,
    octets: u64,
    place: Place,
    held: Vec<u8>,
    media_type: Option<MediaType>,
    encoding: Option<TransferEncoding>,
    /// There is a MIME-Version.
    has_version: bool,
    is_line_open: bool,
}

/// What follows a header section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// What is encoded already, or must never be.
    Fixed,
    /// What may be encoded.
    Discrete,
    /// Parts.
    Multipart(Parts, Vec<u8>),
    /// A message.
    Message,
}

impl EntityHeader {
    /// Of at most so many octets.
    pub(super) const fn new(octets_max: u64, rewrites: Rewrites) -> Self {
        Self {
            octets_max,
            rewrites,
            octets: 0,
            place: Place::Start,
            held: Vec::new(),
            media_type: None,
            encoding: None,
            has_version: false,
            is_line_open: false,
        }
    }

    /// Lets a piece of a line pass, or holds it back.
    pub(super) fn pass(&mut self, piece: &Piece<'_>, output: &mut Vec<u8>) -> Result<(), Problem> {
        let octets = &*piece.octets;
        self.octets = self.octets.saturating_add(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        if self.octets > self.octets_max {
            return Err(Problem::HeaderTooBig);
        }
        if octets.contains(&0) {
            return Err(Problem::NulInHeader);
        }
        if piece.is_first && !(is_folded(octets) && self.has_begun()) {
            self.end_field(output)?;
            self.place = field(octets)?;
            self.has_version |=
                octets.get(..VERSION.len()).is_some_and(|name| name.eq_ignore_ascii_case(VERSION));
        }
        self.is_line_open = !octets.ends_with(b"\r\n");
        match self.place {
            Place::Start | Place::Passing => output.extend_from_slice(octets),
            Place::Held(field) => {
                self.held.extend_from_slice(octets);
                if self.held.len() > MIME_FIELD_OCTETS_MAX {
                    return Err(Problem::Unclear(field));
                }
            }
        }
        Ok(())
    }

    /// The header section has ended: says what its body is.
    pub(super) fn finish(&mut self, levels: &Levels, output: &mut Vec<u8>) -> Result<Body, Problem> {
        self.end_field(output)?;
        let media_type = self.media_type.clone().unwrap_or_else(|| levels.media_type_default());
        Ok(match (media_type, self.encoding.unwrap_or(TransferEncoding::Lines)) {
            (_, TransferEncoding::Encoded) | (MediaType::DeliveryStatus | MediaType::OtherMessage, _) => {
                Body::Fixed
            }
            (MediaType::Multipart(parts, boundary), _) => Body::Multipart(parts, boundary),
            (MediaType::Message | MediaType::GlobalMessage, _) => Body::Message,
            (MediaType::Discrete, _) => Body::Discrete,
        })
    }

    /// Writes what its encoding is from now on, behind all other fields.
    pub(super) fn encode(&mut self, encoding: &str, output: &mut Vec<u8>) {
        self.end_line(output);
        output.extend_from_slice(format!("{}: {encoding}\r\n", MimeField::TransferEncoding).as_bytes());
    }

    /// The same for what leaves as ASCII. A body that becomes encoded says all that readers need for it: RFC 2045 §4 and
    /// §5.2, and RFC 1428 §2 for text of which nobody has said in which characters it is.
    pub(super) fn leave_as(&mut self, form: Form, levels: &Levels, output: &mut Vec<u8>) {
        match (form, self.encoding) {
            (Form::Plain, None | Some(TransferEncoding::Encoded)) => {}
            (Form::Plain, Some(TransferEncoding::Lines | TransferEncoding::Binary)) => {
                self.encode(form.word(), output);
            }
            (Form::Quoted | Form::Base64, _) => {
                self.end_line(output);
                if levels.are_at_message() && !self.has_version {
                    output.extend_from_slice(b"MIME-Version: 1.0\r\n");
                }
                if self.media_type.is_none() {
                    output.extend_from_slice(b"Content-Type: text/plain; charset=unknown-8bit\r\n");
                }
                self.encode(form.word(), output);
            }
        }
    }

    /// Ends the last line of the section, where the content has ended within it.
    fn end_line(&mut self, output: &mut Vec<u8>) {
        if std::mem::take(&mut self.is_line_open) {
            output.extend_from_slice(b"\r\n");
        }
    }

    /// True where the encoding was `binary`.
    pub(super) fn is_binary(&self) -> bool {
        self.encoding == Some(TransferEncoding::Binary)
    }

    const fn has_begun(&self) -> bool {
        match self.place {
            Place::Start => false,
            Place::Passing | Place::Held(_) => true,
        }
    }

    /// The field before has ended.
    fn end_field(&mut self, output: &mut Vec<u8>) -> Result<(), Problem> {
        let Place::Held(field) = self.place else { return Ok(()) };
        let held = std::mem::take(&mut self.held);
        let value = held.splitn(2, |octet| *octet == b':').nth(1).unwrap_or_default();
        let is_new = match field {
            MimeField::ContentType => {
                let media_type = MediaType::read(value).ok_or(Problem::Unclear(field))?;
                self.media_type.replace(media_type).is_none()
            }
            MimeField::TransferEncoding => self.encoding.replace(TransferEncoding::read(value)).is_none(),
        };
        // RFC 2045 §3 has each once; of two, readers take different ones.
        if !is_new {
            return Err(Problem::Unclear(field));
        }
        let gives_way = match (field, self.encoding, self.rewrites) {
            (MimeField::TransferEncoding, Some(TransferEncoding::Binary), rewrites) => {
                rewrites != Rewrites::Nothing
            }
            (MimeField::TransferEncoding, Some(TransferEncoding::Lines), rewrites) => {
                rewrites == Rewrites::Unencoded
            }
            (MimeField::ContentType | MimeField::TransferEncoding, ..) => false,
        };
        if !gives_way {
            output.extend_from_slice(&held);
        }
        Ok(())
    }
}

/// A blank at the beginning of a line carries the field before it on (RFC 5322 §2.2.3).
fn is_folded(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

/// The field that begins with this line: `field-name = 1*ftext`, RFC 5322 §3.6.8; §4.5 lets blanks stand before the
/// colon. Readers disagree where the header ends if there is another line in it.
fn field(line: &[u8]) -> Result<Place, Problem> {
    let colon = line.iter().position(|octet| *octet == b':').ok_or(Problem::NoField)?;
    let name = line.get(..colon).unwrap_or_default().trim_ascii_end();
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        return Err(Problem::NoField);
    }
    Ok(MimeField::named(name).map_or(Place::Passing, Place::Held))
}

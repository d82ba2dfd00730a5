//! The header section of one entity (the message, or a part of it) as it passes, and what its body is.

use mailwire::mime::{Levels, MIME_FIELD_OCTETS_MAX, MediaType, MimeField, Parts, Piece, TransferEncoding};

use crate::content::Problem;

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

/// Lets a header section pass, but for a Content-Transfer-Encoding `binary`: another takes its place at the end, once all
/// fields are known.
#[derive(Debug)]
pub(super) struct EntityHeader {
    octets_max: u64,
    octets: u64,
    place: Place,
    held: Vec<u8>,
    media_type: Option<MediaType>,
    encoding: Option<TransferEncoding>,
    is_line_open: bool,
}

/// What follows a header section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// What passes as it is.
    Lines,
    /// What becomes base64.
    Binary,
    /// Parts.
    Multipart(Parts, Vec<u8>),
    /// A message.
    Message,
}

impl EntityHeader {
    /// Of at most so many octets.
    pub(super) const fn new(octets_max: u64) -> Self {
        Self {
            octets_max,
            octets: 0,
            place: Place::Start,
            held: Vec::new(),
            media_type: None,
            encoding: None,
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

    /// The header section has ended: writes what its encoding is from now on, and says what its body is.
    pub(super) fn finish(&mut self, levels: &Levels, output: &mut Vec<u8>) -> Result<Body, Problem> {
        self.end_field(output)?;
        let media_type = self.media_type.take().unwrap_or_else(|| levels.media_type_default());
        let encoding = self.encoding.unwrap_or(TransferEncoding::Lines);
        let (body, encoding_now) = match (media_type, encoding) {
            (
                MediaType::Multipart(..) | MediaType::Message | MediaType::GlobalMessage,
                TransferEncoding::Encoded,
            )
            | (
                MediaType::DeliveryStatus | MediaType::OtherMessage | MediaType::Discrete,
                TransferEncoding::Lines | TransferEncoding::Encoded,
            ) => (Body::Lines, None),
            (MediaType::Multipart(parts, boundary), encoding) => {
                (Body::Multipart(parts, boundary), composite(encoding))
            }
            (MediaType::Message | MediaType::GlobalMessage, encoding) => (Body::Message, composite(encoding)),
            (MediaType::DeliveryStatus | MediaType::OtherMessage, TransferEncoding::Binary) => {
                (Body::Lines, Some("8bit"))
            }
            (MediaType::Discrete, TransferEncoding::Binary) => (Body::Binary, Some("base64")),
        };
        if let Some(encoding) = encoding_now {
            if levels.are_signed() {
                return Err(Problem::SignedBinary);
            }
            if self.is_line_open {
                output.extend_from_slice(b"\r\n");
            }
            output.extend_from_slice(format!("{}: {encoding}\r\n", MimeField::TransferEncoding).as_bytes());
        }
        Ok(body)
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
        match (field, self.encoding) {
            (MimeField::TransferEncoding, Some(TransferEncoding::Binary)) => {}
            (MimeField::ContentType | MimeField::TransferEncoding, _) => output.extend_from_slice(&held),
        }
        Ok(())
    }
}

/// RFC 2045 §6.4: only `7bit`, `8bit` and `binary` are for what has parts.
const fn composite(encoding: TransferEncoding) -> Option<&'static str> {
    match encoding {
        TransferEncoding::Binary => Some("8bit"),
        TransferEncoding::Lines | TransferEncoding::Encoded => None,
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

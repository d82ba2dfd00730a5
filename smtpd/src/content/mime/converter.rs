//! Content from one end to the other: header sections, bodies and delimiters, in the order in which they come.
//!
//! ```text
//!            empty line, or none where a delimiter comes first
//!   Header ───────────────────────────────────────────────────► Lines, Binary (a leaf) or Lines (in front of parts)
//!     ▲  └─ a message within: its own header ─┐                    │
//!     ├───────────────────────────────────────┘                    │
//!     └──────────────────────── delimiter ◄────────────────────────┤
//!                                              close-delimiter ────┴──► Lines (behind the parts)
//! ```

use mailwire::mime::{Levels, Lines, Piece, TooMany};

use super::base64_lines::Base64Lines;
use super::entity::{Body, EntityHeader};
use crate::content::Problem;

/// Where the next line stands.
#[derive(Debug)]
enum Place {
    /// In the header section of an entity.
    Header(EntityHeader),
    /// Where everything passes.
    Lines,
    /// In a body that becomes base64.
    Binary {
        base64: Base64Lines,
        /// The line before has ended. Its CRLF belongs to a delimiter if there is one now (RFC 2046 §5.1.1).
        is_line_ended: bool,
    },
}

/// Makes binary content into lines.
#[derive(Debug)]
pub(crate) struct Converter {
    header_octets_max: u64,
    lines: Lines,
    levels: Levels,
    place: Place,
    octets: u64,
    parts_converted: u64,
    problem: Option<Problem>,
}

impl Converter {
    /// For one message, in which no header section has more than so many octets.
    pub(crate) fn new(header_octets_max: u64) -> Self {
        Self {
            header_octets_max,
            lines: Lines::default(),
            levels: Levels::default(),
            place: Place::Header(EntityHeader::new(header_octets_max)),
            octets: 0,
            parts_converted: 0,
            problem: None,
        }
    }

    /// Converts what has come, up to where the content cannot be understood.
    pub(crate) fn convert(&mut self, mut content: &[u8], output: &mut Vec<u8>) {
        let before = output.len();
        while self.problem.is_none()
            && let Some(piece) = self.lines.next(&mut content)
        {
            self.problem = self.piece(&piece, output).err();
        }
        self.count(output.len().saturating_sub(before));
    }

    /// The content has ended.
    pub(crate) fn finish(&mut self, output: &mut Vec<u8>) {
        let before = output.len();
        if self.problem.is_none()
            && let Some(piece) = self.lines.last()
        {
            self.problem = self.piece(&piece, output).err();
        }
        if self.problem.is_none() {
            if let Place::Binary { base64, is_line_ended: true } = &mut self.place {
                base64.push(b"\r\n", output);
            }
            self.problem = self.end_entity(output).err();
        }
        self.count(output.len().saturating_sub(before));
    }

    /// Why the content cannot be converted.
    pub(crate) const fn problem(&self) -> Option<Problem> {
        self.problem
    }

    /// Octets so far, as they are now.
    pub(crate) const fn octets(&self) -> u64 {
        self.octets
    }

    /// Entities that were `binary` and are not any more.
    pub(crate) const fn parts_converted(&self) -> u64 {
        self.parts_converted
    }

    fn count(&mut self, octets: usize) {
        self.octets = self.octets.saturating_add(u64::try_from(octets).unwrap_or(u64::MAX));
    }

    fn piece(&mut self, piece: &Piece<'_>, output: &mut Vec<u8>) -> Result<(), Problem> {
        if let Some(delimiter) = piece.line().and_then(|line| self.levels.delimiter(line)) {
            self.end_entity(output)?;
            self.levels.cross(delimiter)?;
            self.place = if delimiter.is_close { Place::Lines } else { self.header() };
            output.extend_from_slice(&piece.octets);
            return Ok(());
        }
        match &mut self.place {
            Place::Header(_) if piece.line() == Some(b"\r\n") => self.begin_body(output),
            Place::Header(header) => header.pass(piece, output),
            Place::Lines => {
                output.extend_from_slice(&piece.octets);
                Ok(())
            }
            Place::Binary { base64, is_line_ended } => {
                if *is_line_ended {
                    base64.push(b"\r\n", output);
                }
                let text = piece.octets.strip_suffix(b"\r\n");
                *is_line_ended = text.is_some();
                base64.push(text.unwrap_or(&piece.octets), output);
                Ok(())
            }
        }
    }

    fn header(&self) -> Place {
        Place::Header(EntityHeader::new(self.header_octets_max))
    }

    /// The empty line behind a header section has come.
    fn begin_body(&mut self, output: &mut Vec<u8>) -> Result<(), Problem> {
        let body = self.end_header(output)?;
        output.extend_from_slice(b"\r\n");
        self.place = match body {
            Body::Lines => Place::Lines,
            Body::Binary => Place::Binary { base64: Base64Lines::default(), is_line_ended: false },
            Body::Multipart(parts, boundary) => {
                self.levels.enter_multipart(parts, boundary)?;
                Place::Lines
            }
            Body::Message => {
                self.levels.enter_message()?;
                self.header()
            }
        };
        Ok(())
    }

    fn end_header(&mut self, output: &mut Vec<u8>) -> Result<Body, Problem> {
        let Place::Header(header) = &mut self.place else { return Ok(Body::Lines) };
        let body = header.finish(&self.levels, output)?;
        self.parts_converted = self.parts_converted.saturating_add(u64::from(header.is_binary()));
        Ok(body)
    }

    /// An entity ends, and the output with it at the end of a line wherever something was converted. A header section
    /// without an empty line behind it has no body.
    fn end_entity(&mut self, output: &mut Vec<u8>) -> Result<(), Problem> {
        match &mut self.place {
            Place::Header(_) => self.end_header(output).map(drop),
            Place::Lines => Ok(()),
            Place::Binary { base64, .. } => {
                base64.finish(output);
                Ok(())
            }
        }
    }
}

impl From<TooMany> for Problem {
    fn from(_: TooMany) -> Self {
        Self::TooManyParts
    }
}

//! Content from one end to the other: header sections, bodies and delimiters, in the order in which they come.
//!
//! ```text
//!            empty line, or none where a delimiter comes first
//!   Header ───────────────────────────────────────────────────► a body, or the lines in front of parts
//!     ▲  └─ a message within: its own header ─┐                    │
//!     ├───────────────────────────────────────┘                    │
//!     └──────────────────────── delimiter ◄────────────────────────┤
//!                                              close-delimiter ────┴──► the lines behind the parts
//! ```

use mailwire::mime::{Levels, Lines, Piece, TooMany};

use super::base64_lines::Base64Lines;
use super::entity::{Body, EntityHeader, Rewrites};
use super::plan::{Form, Survey, Tally, Unfit};
use super::quoted_printable::QuotedPrintable;
use crate::content::Problem;

/// What content is made into.
#[derive(Debug)]
pub(super) enum Aim {
    /// Lines, as they come in.
    Lines,
    /// Nothing: it is looked at.
    Survey(Survey),
    /// ASCII, each body in the next of these forms.
    SevenBit(std::vec::IntoIter<Form>),
}

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
    /// In a body that becomes quoted-printable.
    Quoted(QuotedPrintable),
    /// In a body that is looked at.
    Counted(Tally),
    /// In what must stay as it is.
    Fixed(Unfit),
    /// In front of parts or behind them, which nobody reads (RFC 2046 §5.1.1): what is not ASCII need not be kept.
    Aside,
}

/// Makes binary content into lines.
#[derive(Debug)]
pub(crate) struct Converter {
    aim: Aim,
    header_octets_max: u64,
    lines: Lines,
    levels: Levels,
    place: Place,
    octets: u64,
    parts_converted: u64,
    problem: Option<Problem>,
}

impl Converter {
    /// For one message on its way in, in which no header section has more than so many octets.
    pub(crate) fn new(header_octets_max: u64) -> Self {
        Self::with_aim(Aim::Lines, header_octets_max)
    }

    pub(super) fn with_aim(aim: Aim, header_octets_max: u64) -> Self {
        let rewrites = aim.rewrites(&Levels::default());
        Self {
            aim,
            header_octets_max,
            lines: Lines::default(),
            levels: Levels::default(),
            place: Place::Header(EntityHeader::new(header_octets_max, rewrites)),
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

    /// What was found.
    pub(super) fn into_survey(self) -> Survey {
        match self.aim {
            Aim::Survey(survey) => survey,
            Aim::Lines | Aim::SevenBit(_) => Survey::default(),
        }
    }

    fn count(&mut self, octets: usize) {
        self.octets = self.octets.saturating_add(u64::try_from(octets).unwrap_or(u64::MAX));
    }

    fn piece(&mut self, piece: &Piece<'_>, output: &mut Vec<u8>) -> Result<(), Problem> {
        if let Some(delimiter) = piece.line().and_then(|line| self.levels.delimiter(line)) {
            self.end_entity(output)?;
            self.levels.cross(delimiter)?;
            self.place = if delimiter.is_close { self.aside() } else { self.header() };
            output.extend_from_slice(&piece.octets);
            return Ok(());
        }
        match &mut self.place {
            Place::Header(_) if piece.line() == Some(b"\r\n") => self.begin_body(output),
            Place::Header(header) => {
                if let Aim::Survey(survey) = &mut self.aim {
                    let is_signed = self.levels.are_signed();
                    survey.watch(&piece.octets, if is_signed { Unfit::Signed } else { Unfit::Header });
                }
                header.pass(piece, output)
            }
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
            Place::Quoted(quoted) => {
                quoted.push(&piece.octets, output);
                Ok(())
            }
            Place::Counted(tally) => {
                tally.count(&piece.octets);
                Ok(())
            }
            Place::Fixed(unfit) => {
                if let Aim::Survey(survey) = &mut self.aim {
                    survey.watch(&piece.octets, *unfit);
                }
                output.extend_from_slice(&piece.octets);
                Ok(())
            }
            Place::Aside => {
                output.extend(piece.octets.iter().map(|octet| if octet.is_ascii() { *octet } else { b'?' }));
                Ok(())
            }
        }
    }

    fn header(&self) -> Place {
        Place::Header(EntityHeader::new(self.header_octets_max, self.aim.rewrites(&self.levels)))
    }

    /// In front of parts or behind them.
    fn aside(&self) -> Place {
        match self.aim {
            Aim::Lines => Place::Lines,
            Aim::Survey(_) | Aim::SevenBit(_) if self.levels.are_signed() => Place::Fixed(Unfit::Signed),
            Aim::Survey(_) | Aim::SevenBit(_) => Place::Aside,
        }
    }

    /// The empty line behind a header section has come.
    fn begin_body(&mut self, output: &mut Vec<u8>) -> Result<(), Problem> {
        let (body, place) = self.end_header(output)?;
        output.extend_from_slice(b"\r\n");
        self.place = match body {
            Body::Fixed | Body::Discrete => place,
            Body::Multipart(parts, boundary) => {
                self.levels.enter_multipart(parts, boundary)?;
                self.aside()
            }
            Body::Message => {
                self.levels.enter_message()?;
                self.header()
            }
        };
        Ok(())
    }

    /// Says how the body is encoded from now on, and where its lines stand if it has no parts.
    fn end_header(&mut self, output: &mut Vec<u8>) -> Result<(Body, Place), Problem> {
        let Place::Header(header) = &mut self.place else { return Ok((Body::Fixed, Place::Lines)) };
        let body = header.finish(&self.levels, output)?;
        self.parts_converted = self.parts_converted.saturating_add(u64::from(header.is_binary()));
        let is_signed = self.levels.are_signed();
        let place = match (&mut self.aim, &body) {
            (Aim::Lines, body) => {
                let becomes_base64 = *body == Body::Discrete && header.is_binary();
                if header.is_binary() {
                    if is_signed {
                        return Err(Problem::SignedBinary);
                    }
                    header.encode(if becomes_base64 { Form::Base64.word() } else { "8bit" }, output);
                }
                if becomes_base64 { Place::of(Form::Base64) } else { Place::Lines }
            }
            (Aim::Survey(_) | Aim::SevenBit(_), _) if is_signed => Place::Fixed(Unfit::Signed),
            (Aim::Survey(_), Body::Discrete) => Place::Counted(Tally::default()),
            (Aim::SevenBit(forms), Body::Discrete) => {
                let form = forms.next().unwrap_or(Form::Plain);
                header.leave_as(form, &self.levels, output);
                Place::of(form)
            }
            (Aim::Survey(_) | Aim::SevenBit(_), Body::Fixed | Body::Multipart(..) | Body::Message) => {
                header.leave_as(Form::Plain, &self.levels, output);
                Place::Fixed(Unfit::Fixed)
            }
        };
        Ok((body, place))
    }

    /// An entity ends, and the output with it at the end of a line wherever something was converted. A header section
    /// without an empty line behind it has no body.
    fn end_entity(&mut self, output: &mut Vec<u8>) -> Result<(), Problem> {
        if let Place::Header(_) = &self.place {
            let (_, place) = self.end_header(output)?;
            self.place = place;
        }
        match &mut self.place {
            Place::Header(_) | Place::Lines | Place::Fixed(_) | Place::Aside => {}
            Place::Binary { base64, .. } => base64.finish(output),
            Place::Quoted(quoted) => quoted.finish(output),
            Place::Counted(tally) => {
                if let Aim::Survey(survey) = &mut self.aim {
                    survey.forms.push(tally.form());
                }
            }
        }
        Ok(())
    }
}

impl Aim {
    /// Which fields of an entity give way to others.
    fn rewrites(&self, levels: &Levels) -> Rewrites {
        match self {
            Self::Lines => Rewrites::Binary,
            Self::Survey(_) | Self::SevenBit(_) if levels.are_signed() => Rewrites::Nothing,
            Self::Survey(_) | Self::SevenBit(_) => Rewrites::Unencoded,
        }
    }
}

impl Place {
    fn of(form: Form) -> Self {
        match form {
            Form::Plain => Self::Lines,
            Form::Quoted => Self::Quoted(QuotedPrintable::default()),
            Form::Base64 => Self::Binary { base64: Base64Lines::default(), is_line_ended: false },
        }
    }
}

impl From<TooMany> for Problem {
    fn from(_: TooMany) -> Self {
        Self::TooManyParts
    }
}

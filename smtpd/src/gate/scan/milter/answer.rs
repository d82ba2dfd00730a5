//! What a milter says, out of octets that come in pieces. Whatever it says, what is kept of it has a bound.

use mailwire::smtp::Reply;
use thiserror::Error;

use super::options::number;
use super::reply::reply;

/// Most octets of a packet: a piece of the largest size, and its letter.
const PACKET_OCTETS_MAX: u32 = 65_536;
/// Most octets of a field's name, and of an address.
const NAME_OCTETS_MAX: usize = 100;
const ADDRESS_OCTETS_MAX: usize = 512;
/// Most characters of a reason for quarantine that are kept.
const REASON_CHARACTERS_MAX: usize = 120;
/// Most octets of a line of the header section, without CRLF (RFC 5322 §2.1.1).
const LINE_OCTETS_MAX: usize = 998;

/// Why a milter cannot be understood.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MilterError {
    /// A packet of no octets, or of too many.
    #[error("its packet of {0} octets is empty or too large")]
    Length(u32),
    /// A packet ends before it should.
    #[error("its packet ends too early")]
    Short,
    /// Not a letter of the protocol, or one that has no place here.
    #[error("it says \"{}\", which it may not say there", .0.escape_ascii())]
    Unexpected(u8),
    /// A version that is not spoken here.
    #[error("it speaks version {0} of the protocol")]
    Version(u32),
    /// More than it was offered.
    #[error("it wants to do what it was not offered")]
    NotOffered,
    /// More of something than is taken.
    #[error("it says too much")]
    TooMuch,
    /// Text that is none.
    #[error("it says what is no text")]
    Text,
    /// A reply that refuses nothing.
    #[error("its reply is none that refuses")]
    Reply,
    /// A field that could not stand in a header section.
    #[error("its field is none")]
    Field,
    /// Not an address.
    #[error("its address is none")]
    Address,
}

/// What a milter says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Go on.
    Continue,
    /// It has heard enough, and all is well.
    Accept,
    /// What it was asked about is refused.
    Reject,
    /// The same for now.
    PutOff,
    /// The message is taken, and goes nowhere.
    Discard,
    /// It needs no more of the text.
    Skip,
    /// It is still busy.
    Progress,
    /// The client is to be sent away.
    Shutdown,
    /// What it was asked about is refused in these words.
    Reply(Reply),
    /// Something about the message is to be changed.
    Change(Change),
}

/// What is to be changed about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A field behind all others.
    Add(NewField),
    /// A field in front of the one with this number.
    Insert(u32, NewField),
    /// The field of that name that comes as the one of this number says something else, or goes where that is empty.
    Alter(u32, NewField),
    /// One more recipient.
    AddRecipient(String),
    /// One less.
    RemoveRecipient(String),
    /// Another sender.
    Sender(String),
    /// The next piece of another text.
    Text(Vec<u8>),
    /// The message is to be looked at by somebody, for this reason.
    Quarantine(String),
}

/// A field of a milter, made safe: its lines end with CRLF within it, and are none of another field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewField {
    /// `ftext`, RFC 5322 §2.2.
    pub(super) name: String,
    /// As the milter wrote it, with the blank in front of it where there was one.
    pub(super) value: Vec<u8>,
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub letter: u8,
    /// What it says.
    pub data: &'a [u8],
    /// How many octets it took.
    pub octets: usize,
}

/// The first whole packet in what was received; `None` where more must come.
///
/// # Errors
/// Where it is larger than packets may be.
pub fn packet(received: &[u8]) -> Result<Option<Packet<'_>>, MilterError> {
    let Some((octets, rest)) = number(received) else { return Ok(None) };
    if octets == 0 || octets > PACKET_OCTETS_MAX {
        return Err(MilterError::Length(octets));
    }
    let octets = usize::try_from(octets).map_err(|_| MilterError::Length(octets))?;
    let Some((letter, data)) = rest.get(..octets).and_then(<[u8]>::split_first) else { return Ok(None) };
    Ok(Some(Packet { letter: *letter, data, octets: octets.saturating_add(4) }))
}

impl Answer {
    /// Reads a packet.
    ///
    /// # Errors
    /// Where it is none that a milter may send once all is agreed on.
    pub fn read(letter: u8, data: &[u8]) -> Result<Self, MilterError> {
        Ok(match letter {
            b'c' => Self::Continue,
            b'a' => Self::Accept,
            b'r' => Self::Reject,
            b't' => Self::PutOff,
            b'd' => Self::Discard,
            b's' => Self::Skip,
            b'p' => Self::Progress,
            // The connection to it has failed: for its server that is the same.
            b'4' | b'f' => Self::Shutdown,
            b'y' => Self::Reply(reply(text(data)?)?),
            b'h' => Self::Change(Change::Add(NewField::read(data)?)),
            b'i' => {
                let (index, rest) = number(data).ok_or(MilterError::Short)?;
                Self::Change(Change::Insert(index, NewField::read(rest)?))
            }
            b'm' => {
                let (index, rest) = number(data).ok_or(MilterError::Short)?;
                Self::Change(Change::Alter(index, NewField::read(rest)?))
            }
            b'+' => Self::Change(Change::AddRecipient(address(text(data)?)?)),
            // With parameters behind it, which nobody here needs.
            b'2' => Self::Change(Change::AddRecipient(address(first(data)?)?)),
            b'-' => Self::Change(Change::RemoveRecipient(address(text(data)?)?)),
            b'e' => Self::Change(Change::Sender(address(first(data)?)?)),
            b'b' => Self::Change(Change::Text(data.to_vec())),
            b'q' => Self::Change(Change::Quarantine(reason(text(data)?))),
            letter => return Err(MilterError::Unexpected(letter)),
        })
    }
}

impl Change {
    /// The action that a milter must have agreed on for it.
    pub(super) const fn action(&self) -> u32 {
        match self {
            Self::Add(_) | Self::Insert(..) => 0x1,
            Self::Text(_) => 0x2,
            // With and without parameters.
            Self::AddRecipient(_) => 0x4 | 0x80,
            Self::RemoveRecipient(_) => 0x8,
            Self::Alter(..) => 0x10,
            Self::Quarantine(_) => 0x20,
            Self::Sender(_) => 0x40,
        }
    }

    /// Octets that are kept of it.
    pub(super) fn octets(&self) -> usize {
        match self {
            Self::Add(field) | Self::Insert(_, field) | Self::Alter(_, field) => {
                field.name.len().saturating_add(field.value.len())
            }
            Self::AddRecipient(text)
            | Self::RemoveRecipient(text)
            | Self::Sender(text)
            | Self::Quarantine(text) => text.len(),
            Self::Text(octets) => octets.len(),
        }
    }
}

impl NewField {
    /// `name NUL value NUL`.
    fn read(data: &[u8]) -> Result<Self, MilterError> {
        let name = first(data)?;
        let value = text(data.get(name.len().saturating_add(1)..).ok_or(MilterError::Short)?)?;
        let is_name = (1..=NAME_OCTETS_MAX).contains(&name.len())
            && name.iter().all(|octet| octet.is_ascii_graphic() && *octet != b':');
        let name = str::from_utf8(name).ok().filter(|_| is_name).ok_or(MilterError::Field)?;
        Self::lines(name, value)
    }

    /// The lines behind the first one belong to the same field, so each begins with a blank. Empty ones would end it.
    fn lines(name: &str, value: &[u8]) -> Result<Self, MilterError> {
        let mut folded = Vec::with_capacity(value.len());
        for (number, line) in value.split(|octet| *octet == b'\n').enumerate() {
            let printable: Vec<u8> = line
                .iter()
                .filter(|octet| **octet != b'\r')
                .map(|octet| if octet.is_ascii_control() && *octet != b'\t' { b'?' } else { *octet })
                .collect();
            let is_empty = printable.iter().all(|octet| matches!(octet, b' ' | b'\t'));
            if number > 0 && is_empty {
                continue;
            }
            if number > 0 {
                folded.extend_from_slice(b"\r\n");
                if !matches!(printable.first(), Some(b' ' | b'\t')) {
                    folded.push(b'\t');
                }
            }
            folded.extend_from_slice(&printable);
        }
        let name_octets = name.len().saturating_add(b": ".len());
        let is_short = |(number, line): (usize, &[u8])| {
            let before = if number == 0 { name_octets } else { 0 };
            line.len().saturating_add(before) <= LINE_OCTETS_MAX.saturating_add(1)
        };
        if !folded.split(|octet| *octet == b'\n').enumerate().all(is_short) {
            return Err(MilterError::Field);
        }
        Ok(Self { name: name.to_owned(), value: folded })
    }

    /// True where the field is to go.
    pub(super) fn is_empty(&self) -> bool {
        self.value.is_empty()
    }
}

/// Text that ends with a NUL, and has none before.
fn text(data: &[u8]) -> Result<&[u8], MilterError> {
    match data.split_last() {
        Some((0, text)) if !text.contains(&0) => Ok(text),
        Some(_) => Err(MilterError::Text),
        None => Err(MilterError::Short),
    }
}

/// The first of several such texts.
fn first(data: &[u8]) -> Result<&[u8], MilterError> {
    let end = memchr::memchr(0, data).ok_or(MilterError::Short)?;
    data.get(..end).ok_or(MilterError::Short)
}

fn address(text: &[u8]) -> Result<String, MilterError> {
    let text = str::from_utf8(text).map_err(|_| MilterError::Address)?;
    if text.len() > ADDRESS_OCTETS_MAX { Err(MilterError::Address) } else { Ok(text.trim().to_owned()) }
}

/// Short, and printable.
fn reason(text: &[u8]) -> String {
    let printable = |octet: &u8| {
        if *octet == b' ' || octet.is_ascii_graphic() { char::from(*octet) } else { '?' }
    };
    text.iter().take(REASON_CHARACTERS_MAX).map(printable).collect()
}

#[cfg(test)]
mod tests;

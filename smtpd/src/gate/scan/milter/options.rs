//! What a milter may do and what it wants to be told: it is offered everything that this server can do, and answers with what
//! it makes use of.

use super::MilterError;
use super::macros::Moment;

/// The version of the protocol, and the oldest one that is understood.
pub(super) const VERSION: u32 = 6;
const VERSION_MIN: u32 = 2;
/// The first version with DATA.
const VERSION_DATA: u32 = 4;

/// Everything that milters may do: add fields, replace the text, add and take out recipients, change fields, quarantine, change
/// the sender, add recipients with parameters, and name the macros that they want.
pub(super) const ACTIONS: u32 = 0x1ff;
const SET_MACROS: u32 = 0x100;

/// Steps that a milter does not want to hear of.
const NO_CONNECT: u32 = 0x1;
const NO_HELLO: u32 = 0x2;
const NO_MAIL: u32 = 0x4;
const NO_RCPT: u32 = 0x8;
const NO_BODY: u32 = 0x10;
const NO_HEADER: u32 = 0x20;
const NO_END_OF_HEADER: u32 = 0x40;
const NO_UNKNOWN: u32 = 0x100;
const NO_DATA: u32 = 0x200;
/// It may have heard enough of the text before its end.
const SKIP: u32 = 0x400;
/// Steps that it hears of without an answer.
const SILENT_HEADER: u32 = 0x80;
const SILENT_CONNECT: u32 = 0x1000;
const SILENT_HELLO: u32 = 0x2000;
const SILENT_MAIL: u32 = 0x4000;
const SILENT_RCPT: u32 = 0x8000;
const SILENT_DATA: u32 = 0x1_0000;
const SILENT_UNKNOWN: u32 = 0x2_0000;
const SILENT_END_OF_HEADER: u32 = 0x4_0000;
const SILENT_BODY: u32 = 0x8_0000;
/// Blanks in front of what a field says are kept.
const LEADING_BLANKS: u32 = 0x10_0000;

/// All of these. Not among them: recipients that are refused already (`SMFIP_RCPT_REJ`), and pieces of more than 64 KiB.
pub(super) const STEPS: u32 = NO_CONNECT
    | NO_HELLO
    | NO_MAIL
    | NO_RCPT
    | NO_BODY
    | NO_HEADER
    | NO_END_OF_HEADER
    | NO_UNKNOWN
    | NO_DATA
    | SKIP
    | SILENT_HEADER
    | SILENT_CONNECT
    | SILENT_HELLO
    | SILENT_MAIL
    | SILENT_RCPT
    | SILENT_DATA
    | SILENT_UNKNOWN
    | SILENT_END_OF_HEADER
    | SILENT_BODY
    | LEADING_BLANKS;

/// Most names of macros that a milter may ask for at one step, and most octets of one.
const MACROS_MAX: usize = 32;
const MACRO_OCTETS_MAX: usize = 64;

/// A step that milters are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Connect,
    Hello,
    Mail,
    Rcpt,
    Data,
    Header,
    EndOfHeader,
    Body,
}

/// What is agreed on with one milter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    version: u32,
    actions: u32,
    steps: u32,
    macros: Vec<(Moment, Vec<String>)>,
}

impl Agreed {
    /// Reads what a milter answers to the offer.
    ///
    /// # Errors
    /// Where it is none, or wants what was not offered.
    pub fn read(data: &[u8]) -> Result<Self, MilterError> {
        let (version, rest) = number(data).ok_or(MilterError::Short)?;
        let (actions, rest) = number(rest).ok_or(MilterError::Short)?;
        let (steps, rest) = number(rest).ok_or(MilterError::Short)?;
        if !(VERSION_MIN..=VERSION).contains(&version) {
            return Err(MilterError::Version(version));
        }
        if actions & !ACTIONS != 0 || steps & !STEPS != 0 {
            return Err(MilterError::NotOffered);
        }
        let macros = if actions & SET_MACROS == 0 { Vec::new() } else { macros(rest)? };
        Ok(Self { version, actions, steps, macros })
    }

    /// True where it wants to hear of this.
    pub(super) const fn hears(&self, told: Told) -> bool {
        let flag = match told {
            Told::Connect => NO_CONNECT,
            Told::Hello => NO_HELLO,
            Told::Mail => NO_MAIL,
            Told::Rcpt => NO_RCPT,
            Told::Data if self.version < VERSION_DATA => return false,
            Told::Data => NO_DATA,
            Told::Header => NO_HEADER,
            Told::EndOfHeader => NO_END_OF_HEADER,
            Told::Body => NO_BODY,
        };
        self.steps & flag == 0
    }

    /// True where it answers when it hears of this.
    pub(super) const fn answers(&self, told: Told) -> bool {
        let flag = match told {
            Told::Connect => SILENT_CONNECT,
            Told::Hello => SILENT_HELLO,
            Told::Mail => SILENT_MAIL,
            Told::Rcpt => SILENT_RCPT,
            Told::Data => SILENT_DATA,
            Told::Header => SILENT_HEADER,
            Told::EndOfHeader => SILENT_END_OF_HEADER,
            Told::Body => SILENT_BODY,
        };
        self.steps & flag == 0
    }

    /// True where it may say that it has heard enough of the text.
    pub(super) const fn may_skip(&self) -> bool {
        self.steps & SKIP != 0
    }

    /// True where blanks in front of what a field says belong to it.
    pub(super) const fn keeps_leading_blanks(&self) -> bool {
        self.steps & LEADING_BLANKS != 0
    }

    /// True where it may do this (a bit of [`ACTIONS`]).
    pub(super) const fn may(&self, action: u32) -> bool {
        self.actions & action != 0
    }

    /// The macros that it asks for at such a moment; `None` where it takes what there is.
    pub(super) fn macros(&self, moment: Moment) -> Option<&[String]> {
        self.macros.iter().find(|(asked, _)| *asked == moment).map(|(_, names)| names.as_slice())
    }
}

/// The lists of macros behind the numbers: a moment, names with blanks between them, and a NUL.
fn macros(mut rest: &[u8]) -> Result<Vec<(Moment, Vec<String>)>, MilterError> {
    let mut macros: Vec<(Moment, Vec<String>)> = Vec::new();
    while !rest.is_empty() {
        let (number, behind) = number(rest).ok_or(MilterError::Short)?;
        let end = memchr::memchr(0, behind).ok_or(MilterError::Short)?;
        let (names, behind) = behind.split_at_checked(end).ok_or(MilterError::Short)?;
        rest = behind.get(1..).unwrap_or_default();
        let names = str::from_utf8(names).map_err(|_| MilterError::Text)?;
        let names: Vec<_> = names.split_ascii_whitespace().map(str::to_owned).collect();
        if names.len() > MACROS_MAX || names.iter().any(|name| name.len() > MACRO_OCTETS_MAX) {
            return Err(MilterError::TooMuch);
        }
        // Moments that are not known here never come.
        if let Some(moment) = Moment::numbered(number)
            && !macros.iter().any(|(known, _)| *known == moment)
        {
            macros.push((moment, names));
        }
    }
    Ok(macros)
}

/// A number of 32 bits, and what stands behind it.
pub(super) fn number(octets: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = octets.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(numbers: [u32; 3], more: &[u8]) -> Vec<u8> {
        let mut octets: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        octets.extend_from_slice(more);
        octets
    }

    #[test]
    fn what_a_milter_does_not_want_it_is_not_told() {
        let everything = Agreed::read(&options([6, 0, 0], b"")).unwrap();
        let nothing = Agreed::read(&options([6, 0x1ff, STEPS], b"")).unwrap();
        for (told, no, silent) in [
            (Told::Connect, 0x1, 0x1000),
            (Told::Hello, 0x2, 0x2000),
            (Told::Mail, 0x4, 0x4000),
            (Told::Rcpt, 0x8, 0x8000),
            (Told::Body, 0x10, 0x8_0000),
            (Told::Header, 0x20, 0x80),
            (Told::EndOfHeader, 0x40, 0x4_0000),
            (Told::Data, 0x200, 0x1_0000),
        ] {
            assert!(everything.hears(told) && everything.answers(told), "{told:?}");
            assert!(!nothing.hears(told) && !nothing.answers(told), "{told:?}");
            let only = Agreed::read(&options([6, 0, no], b"")).unwrap();
            assert!(!only.hears(told) && only.answers(told), "{told:?}");
            let only = Agreed::read(&options([6, 0, silent], b"")).unwrap();
            assert!(only.hears(told) && !only.answers(told), "{told:?}");
        }
        assert!(!everything.may_skip() && nothing.may_skip());
        assert!(!everything.keeps_leading_blanks() && nothing.keeps_leading_blanks());
        // Older ones have not heard of DATA.
        assert!(!Agreed::read(&options([3, 0, 0], b"")).unwrap().hears(Told::Data));
    }

    #[test]
    fn only_what_was_offered_can_be_agreed_on() {
        for (wrong, why) in [
            (options([1, 0, 0], b""), MilterError::Version(1)),
            (options([7, 0, 0], b""), MilterError::Version(7)),
            (options([6, 0x200, 0], b""), MilterError::NotOffered),
            // Recipients that are refused already, and larger pieces.
            (options([6, 0, 0x800], b""), MilterError::NotOffered),
            (options([6, 0, 0x1000_0000], b""), MilterError::NotOffered),
            (vec![0; 11], MilterError::Short),
            (options([6, 0x100, 0], b"\0\0\0\x01no end"), MilterError::Short),
            (options([6, 0x100, 0], b"\0\0\0"), MilterError::Short),
            (
                options([6, 0x100, 0], &[b"\0\0\0\x01".as_slice(), &b"j ".repeat(33), b"\0"].concat()),
                MilterError::TooMuch,
            ),
        ] {
            assert_eq!(Agreed::read(&wrong), Err(why));
        }
    }

    #[test]
    fn a_milter_may_name_its_macros() {
        let agreed =
            Agreed::read(&options([6, 0x100, 0], b"\0\0\0\x02i {mail_addr}\0\0\0\0\x63x\0")).unwrap();
        assert_eq!(agreed.macros(Moment::Mail), Some(&["i".to_owned(), "{mail_addr}".to_owned()][..]));
        assert_eq!(agreed.macros(Moment::Rcpt), None);
        // Without the flag nothing is read there.
        assert_eq!(Agreed::read(&options([6, 0, 0], b"\0\0\0\x02i\0")).unwrap().macros(Moment::Mail), None);
    }
}

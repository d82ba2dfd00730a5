//! Goes through a message as it passes, and tells its header fields, wherever they stand, from everything else.
//!
//! ```text
//!            empty line
//!   Header ───────────────► Body, or Fields of a delivery status
//!     ▲  └─ a message within: its own header ─┐    │
//!     ├───────────────────────────────────────┘    │
//!     └──────────────── delimiter ◄────────────────┤
//!                              close-delimiter ────┴──► Body (behind the parts)
//! ```
//!
//! It takes a message as most readers do, whatever is wrong with it. Nothing is followed behind more parts or levels than
//! [`Levels`] takes; all of that is body then.

use super::field::{MIME_FIELD_OCTETS_MAX, MediaType, MimeField, TransferEncoding};
use super::levels::Levels;
use super::lines::{Lines, Piece};

/// A run of a message's octets. All tokens together are the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A field with all lines that it is folded in, or a line in a header section that is none.
    Field(&'a [u8], Section),
    /// A piece of a field that is longer than the walker holds.
    LongField(&'a [u8], Section),
    /// What is no field: empty lines, delimiters and bodies.
    Other(&'a [u8]),
}

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// In the header section of the message.
    Message,
    /// In that of a part, or of a message within it (RFC 2046 §5.1, §5.2.1).
    Part,
    /// In a delivery status (RFC 3464 §2.1).
    DeliveryStatus,
}

/// Where the next line stands.
#[derive(Debug)]
enum Place {
    Header(Section, Entity),
    /// Among the fields of a delivery status.
    Fields,
    Body,
}

/// What a header section has said of its body so far; of two fields, the first.
#[derive(Debug, Default)]
struct Entity {
    media_type: Option<MediaType>,
    encoding: Option<TransferEncoding>,
}

/// Walks through one message.
#[derive(Debug)]
pub struct Walker {
    field_octets_max: usize,
    lines: Lines,
    levels: Levels,
    place: Place,
    /// The field that has begun.
    held: Vec<u8>,
    /// That field is too long, and its pieces pass.
    is_long: bool,
}

impl Walker {
    /// At the beginning of a message, holding fields of at most so many octets.
    #[must_use]
    pub fn new(field_octets_max: usize) -> Self {
        Self {
            field_octets_max,
            lines: Lines::default(),
            levels: Levels::default(),
            place: Place::Header(Section::Message, Entity::default()),
            held: Vec::new(),
            is_long: false,
        }
    }

    /// True where no field can come any more, so that nothing needs to be walked through.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.place, Place::Body) && !self.levels.have_delimiters()
    }

    /// Takes the next octets, and gives what is complete to `each`.
    pub fn walk(&mut self, mut octets: &[u8], mut each: impl FnMut(Token<'_>)) {
        while !self.is_over()
            && let Some(piece) = self.lines.next(&mut octets)
        {
            self.piece(&piece, &mut each);
        }
        if self.is_over() && !octets.is_empty() {
            each(Token::Other(octets));
        }
    }

    /// The message has ended: gives what was held to `each`.
    pub fn finish(&mut self, mut each: impl FnMut(Token<'_>)) {
        if let Some(piece) = self.lines.last() {
            self.piece(&piece, &mut each);
        }
        self.end_field(&mut each);
    }

    fn piece(&mut self, piece: &Piece<'_>, each: &mut impl FnMut(Token<'_>)) {
        if let Some(delimiter) = piece.line().and_then(|line| self.levels.delimiter(line)) {
            self.end_field(each);
            each(Token::Other(&piece.octets));
            self.place = match self.levels.cross(delimiter) {
                Ok(()) if delimiter.is_close => Place::Body,
                Ok(()) => Place::Header(Section::Part, Entity::default()),
                Err(_) => self.stop(),
            };
            return;
        }
        match &self.place {
            Place::Body => each(Token::Other(&piece.octets)),
            Place::Header(..) | Place::Fields if piece.line() == Some(b"\r\n") => {
                self.end_field(each);
                each(Token::Other(&piece.octets));
                self.end_section();
            }
            Place::Header(section, _) => self.pass(piece, *section, each),
            Place::Fields => self.pass(piece, Section::DeliveryStatus, each),
        }
    }

    /// A piece of a line in a header section.
    fn pass(&mut self, piece: &Piece<'_>, section: Section, each: &mut impl FnMut(Token<'_>)) {
        let has_begun = self.is_long || !self.held.is_empty();
        if piece.is_first && !(has_begun && is_folded(&piece.octets)) {
            self.end_field(each);
        }
        if self.is_long {
            return each(Token::LongField(&piece.octets, section));
        }
        self.held.extend_from_slice(&piece.octets);
        if self.held.len() > self.field_octets_max {
            each(Token::LongField(&self.held, section));
            self.held = Vec::new();
            self.is_long = true;
        }
    }

    /// The field before has ended, where there was one.
    fn end_field(&mut self, each: &mut impl FnMut(Token<'_>)) {
        self.is_long = false;
        if self.held.is_empty() {
            return;
        }
        let section = match &mut self.place {
            Place::Header(section, entity) => {
                entity.note(&self.held);
                *section
            }
            Place::Fields | Place::Body => Section::DeliveryStatus,
        };
        each(Token::Field(&self.held, section));
        self.held.clear();
    }

    /// An empty line has come: what follows is what the header section says, or the next group of a delivery status.
    fn end_section(&mut self) {
        let Place::Header(_, entity) = &mut self.place else { return };
        let media_type = entity.media_type.take().unwrap_or_else(|| self.levels.media_type_default());
        // RFC 2045 §6.4 does not let what has parts be encoded. What is encoded all the same has none that show.
        let media_type = match entity.encoding {
            Some(TransferEncoding::Encoded) => MediaType::Discrete,
            Some(TransferEncoding::Lines | TransferEncoding::Binary) | None => media_type,
        };
        self.held = Vec::new();
        let entered = match media_type {
            MediaType::Multipart(parts, boundary) => {
                self.levels.enter_multipart(parts, boundary).map(|()| Place::Body)
            }
            MediaType::Message => {
                self.levels.enter_message().map(|()| Place::Header(Section::Part, Entity::default()))
            }
            MediaType::DeliveryStatus => Ok(Place::Fields),
            // RFC 6532 §3.7: UTF-8 may stand in its header section, whoever reads it.
            MediaType::GlobalMessage | MediaType::OtherMessage | MediaType::Discrete => Ok(Place::Body),
        };
        self.place = entered.unwrap_or_else(|_| self.stop());
    }

    /// Follows nothing any more.
    fn stop(&mut self) -> Place {
        self.levels = Levels::default();
        Place::Body
    }
}

impl Entity {
    /// Reads what a field says of the body.
    fn note(&mut self, field: &[u8]) {
        let Some(colon) = field.iter().position(|octet| *octet == b':') else { return };
        let (name, value) = field.split_at(colon);
        let Some(known) = MimeField::named(name.trim_ascii_end()) else { return };
        if field.len() > MIME_FIELD_OCTETS_MAX {
            return;
        }
        let value = value.get(1..).unwrap_or_default();
        match known {
            MimeField::ContentType => {
                let read = || MediaType::read(value).unwrap_or(MediaType::Discrete);
                self.media_type.get_or_insert_with(read);
            }
            MimeField::TransferEncoding => {
                self.encoding.get_or_insert_with(|| TransferEncoding::read(value));
            }
        }
    }
}

/// A blank at the beginning of a line carries the field before it on (RFC 5322 §2.2.3).
fn is_folded(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{LEVELS_MAX, PARTS_MAX};
    use super::*;

    /// What a walker tells of content in such chunks; runs that are no fields joined.
    fn told(content: &[u8], chunk: usize, field_octets_max: usize) -> Vec<(char, Vec<u8>)> {
        let mut told: Vec<(char, Vec<u8>)> = Vec::new();
        let mut each = |token: Token<'_>| {
            let kind = |section| match section {
                Section::Message => 'm',
                Section::Part => 'p',
                Section::DeliveryStatus => 's',
            };
            let (kind, octets) = match token {
                Token::Field(octets, section) => (kind(section), octets),
                Token::LongField(octets, section) => (kind(section).to_ascii_uppercase(), octets),
                Token::Other(octets) => ('-', octets),
            };
            match told.last_mut() {
                Some((last, all)) if *last == kind && !kind.is_ascii_lowercase() => all.extend(octets),
                Some(_) | None => told.push((kind, octets.to_vec())),
            }
        };
        let mut walker = Walker::new(field_octets_max);
        content.chunks(chunk).for_each(|chunk| walker.walk(chunk, &mut each));
        walker.finish(&mut each);
        told
    }

    /// The fields of a message, each with where it stands.
    fn fields(text: &str) -> Vec<String> {
        let content = text.replace('\n', "\r\n").into_bytes();
        let whole = told(&content, content.len().max(1), 1000);
        let all: Vec<u8> = whole.iter().flat_map(|(_, octets)| octets.clone()).collect();
        assert_eq!(all, content);
        for chunk in 1..content.len().min(50) {
            assert_eq!(told(&content, chunk, 1000), whole, "by {chunk}");
        }
        let fields = whole.into_iter().filter(|(kind, _)| *kind != '-');
        fields
            .map(|(kind, octets)| {
                format!("{kind} {}", String::from_utf8(octets).unwrap().replace("\r\n", "|"))
            })
            .collect()
    }

    #[test]
    fn the_header_section_ends_with_the_first_empty_line() {
        assert_eq!(fields("A: b\nC: d\n e\n\nF: g\n"), ["m A: b|", "m C: d| e|"]);
        assert_eq!(fields("\nA: b\n"), [""; 0]);
        assert_eq!(fields("A: b"), ["m A: b"]);
        assert_eq!(fields(""), [""; 0]);
        assert_eq!(fields(" a\nb\n c\n\nd"), ["m  a|", "m b| c|"]);
    }

    #[test]
    fn parts_and_messages_within_have_fields_of_their_own() {
        assert_eq!(
            fields(
                "Content-Type: multipart/mixed; boundary=a\n\nno: field\n--a\nB: c\n\nno: field\n--a\n\
                 Content-Type: message/rfc822\n\nSubject: in\n\nno: field\n--a--\nno: field\n--a\nno: field\n"
            ),
            [
                "m Content-Type: multipart/mixed; boundary=a|",
                "p B: c|",
                "p Content-Type: message/rfc822|",
                "p Subject: in|",
            ]
        );
        assert_eq!(
            fields(
                "Content-Type: multipart/digest; boundary=a\n\n--a\n\nSubject: in\n\nx\n--a\nA: b\n--a--\n"
            ),
            ["m Content-Type: multipart/digest; boundary=a|", "p Subject: in|", "p A: b|"]
        );
    }

    #[test]
    fn a_delivery_status_is_groups_of_fields() {
        let status = |kind: &str| format!("Content-Type: message/{kind}\n\nA: b\n\nC: d\n e\n\n\nF: g\n");
        for kind in ["delivery-status", "global-delivery-status"] {
            let expected = format!("m Content-Type: message/{kind}|");
            assert_eq!(fields(&status(kind)), [expected.as_str(), "s A: b|", "s C: d| e|", "s F: g|"]);
        }
        assert_eq!(fields(&status("partial")).len(), 1);
    }

    #[test]
    fn what_is_encoded_or_may_hold_utf_8_is_a_body() {
        for header in [
            "Content-Type: message/global",
            "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64",
            "Content-Transfer-Encoding: quoted-printable\nContent-Type: multipart/mixed; boundary=a",
            "Content-Type: message/delivery-status\nContent-Transfer-Encoding: base64",
            "Content-Type: multipart/mixed",
            "Content-Type: text/plain; boundary=a\nContent-Type: multipart/mixed; boundary=a",
        ] {
            let text = format!("{header}\n\nA: b\n--a\nC: d\n");
            assert_eq!(fields(&text).len(), header.lines().count(), "{header}");
        }
    }

    #[test]
    fn a_field_that_is_too_long_comes_in_pieces() {
        let content = |octets: usize| format!("A: {}\r\n b\r\nC: d\r\n\r\n", "x".repeat(octets));
        let kinds = |octets: usize| {
            let content = content(octets);
            let told = told(content.as_bytes(), content.len(), 20);
            assert_eq!(told.iter().map(|(_, octets)| octets.len()).sum::<usize>(), content.len());
            told.into_iter().map(|(kind, _)| kind).collect::<String>()
        };
        assert_eq!(kinds(11), "mm-");
        assert_eq!(kinds(12), "Mm-");
        assert_eq!(kinds(5000), "Mm-");
    }

    #[test]
    fn parts_are_followed_up_to_their_limits() {
        let messages = |count: usize| "Content-Type: message/rfc822\r\n\r\n".repeat(count) + "A: b\r\n\r\n";
        let count = |text: String| {
            let told = told(text.as_bytes(), 4096, 1000);
            told.iter().filter(|(kind, _)| *kind != '-').count()
        };
        assert_eq!(count(messages(LEVELS_MAX)), LEVELS_MAX + 1);
        assert_eq!(count(messages(LEVELS_MAX + 1)), LEVELS_MAX + 1);
        let parts = |count: usize| {
            format!("Content-Type: multipart/mixed; boundary=x\r\n\r\n{}", "--x\r\nA: b\r\n".repeat(count))
        };
        assert_eq!(count(parts(PARTS_MAX)), PARTS_MAX + 1);
        assert_eq!(count(parts(PARTS_MAX + 5)), PARTS_MAX + 1);
    }

    #[test]
    fn where_no_field_can_come_any_more_everything_passes_at_once() {
        let mut walker = Walker::new(1000);
        let mut others = Vec::new();
        let body = [b'x'; 5000];
        walker.walk(b"A: b\r\n\r\n", |_| ());
        assert!(walker.is_over());
        walker.walk(&body, |token| others.push(token == Token::Other(&body)));
        assert_eq!(others, [true]);
    }

    proptest! {
        #[test]
        fn all_tokens_together_are_the_message_in_whatever_chunks(
            text in "(Content-Type: (multipart/(mixed|digest); boundary=(a|ab)|message/(rfc822|delivery-status)|x)\r\n\
                     |Content-Transfer-Encoding: (base64|7bit)\r\n|\r\n|\n|--a(b)?(--)?( )?\r\n|A: ü\r\n|[: ü]|--|\r){0,30}",
            chunk in 1_usize..40,
        ) {
            let content = text.as_bytes();
            let whole = told(content, content.len().max(1), 20);
            let all: Vec<u8> = whole.iter().flat_map(|(_, octets)| octets.clone()).collect();
            prop_assert_eq!(&all, content);
            prop_assert_eq!(told(content, chunk, 20), whole);
        }
    }
}

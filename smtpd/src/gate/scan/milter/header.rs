//! The header section as milters see and change it: the fields that this server puts in front of the message, but for its trace
//! field, and those of the message as it came.
//!
//! What a milter adds stands in front of the message, whatever its place among the fields that it was shown, so that the
//! message as it has been written stays what it is. Only where a milter changes a field of the message itself, or takes one out,
//! is it written anew.

use super::answer::{Change, NewField};

/// Most fields that milters may add to one message.
const ADDED_MAX: usize = 200;

/// Whose a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// This server's trace, which milters neither see nor change.
    Trace,
    /// This server's, or a milter's.
    Ours,
    /// The message's.
    Message,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    origin: Origin,
    /// With its line ends.
    octets: Vec<u8>,
}

/// All fields in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    fields: Vec<Field>,
    /// True where a blank line follows what this server adds, since the message has no header section.
    is_closed: bool,
    /// True where a field of the message is another, or gone.
    is_changed: bool,
    added: usize,
}

impl Header {
    /// What this server puts in front of a message, and the message's own header section without the blank line behind it.
    #[must_use]
    pub fn new(prefix: &[u8], header: &[u8]) -> Self {
        let (prefix, is_closed) = match prefix.strip_suffix(b"\r\n\r\n") {
            Some(_) => (prefix.get(..prefix.len().saturating_sub(2)).unwrap_or(prefix), true),
            None => (prefix, false),
        };
        let ours = fields(prefix).into_iter().map(|octets| {
            let is_trace = octets.get(..9).is_some_and(|name| name.eq_ignore_ascii_case(b"Received:"));
            Field { origin: if is_trace { Origin::Trace } else { Origin::Ours }, octets }
        });
        let theirs = fields(header).into_iter().map(|octets| Field { origin: Origin::Message, octets });
        Self { fields: ours.chain(theirs).collect(), is_closed, is_changed: false, added: 0 }
    }

    /// Names and what stands behind their colons, without the last line end, as milters are shown them.
    pub fn shown(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().filter(|field| field.origin != Origin::Trace).filter_map(Field::parts)
    }

    /// Does what a milter wants done to the header section; other changes are none here. False where it has added too much.
    #[must_use]
    pub fn change(&mut self, change: &Change, leading_blanks: LeadingBlanks) -> bool {
        match change {
            Change::Add(field) => self.insert(self.fields.len(), field, leading_blanks),
            Change::Insert(index, field) => {
                // 0 and 1 are both in front of the first that it sees: Sendmail counts its own trace field.
                let number = usize::try_from(index.saturating_sub(1)).unwrap_or(usize::MAX);
                let shown = |field: &&(usize, &Field)| field.1.origin != Origin::Trace;
                let at = self.fields.iter().enumerate().filter(|field| shown(&field)).nth(number);
                let at = at.map_or(self.fields.len(), |(at, _)| at);
                self.insert(if number == 0 { 0 } else { at }, field, leading_blanks)
            }
            Change::Alter(index, field) => self.alter(*index, field, leading_blanks),
            Change::AddRecipient(_)
            | Change::RemoveRecipient(_)
            | Change::Sender(_)
            | Change::Text(_)
            | Change::Quarantine(_) => true,
        }
    }

    fn insert(&mut self, at: usize, field: &NewField, leading_blanks: LeadingBlanks) -> bool {
        if self.added >= ADDED_MAX {
            return false;
        }
        self.added = self.added.saturating_add(1);
        let octets = line(field, leading_blanks);
        self.fields.insert(at.min(self.fields.len()), Field { origin: Origin::Ours, octets });
        true
    }

    /// One that is not there is added, unless it was to go.
    fn alter(&mut self, index: u32, field: &NewField, leading_blanks: LeadingBlanks) -> bool {
        let number = usize::try_from(index.saturating_sub(1)).unwrap_or(usize::MAX);
        let is_named = |known: &Field| {
            known.origin != Origin::Trace
                && known.parts().is_some_and(|(name, _)| name.eq_ignore_ascii_case(field.name.as_bytes()))
        };
        let found = self.fields.iter().enumerate().filter(|(_, known)| is_named(known)).nth(number);
        match found.map(|(at, known)| (at, known.origin)) {
            None if field.is_empty() => true,
            None => self.insert(self.fields.len(), field, leading_blanks),
            Some((at, origin)) => {
                self.is_changed |= origin == Origin::Message;
                if field.is_empty() {
                    self.fields.remove(at);
                } else if let Some(known) = self.fields.get_mut(at) {
                    known.octets = line(field, leading_blanks);
                }
                true
            }
        }
    }

    /// True where the message must be written anew.
    pub(super) const fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// What stands in front of the message.
    #[must_use]
    pub fn prefix(&self) -> Vec<u8> {
        let end: &[u8] = if self.is_closed { b"\r\n" } else { b"" };
        [self.octets(|origin| origin != Origin::Message).as_slice(), end].concat()
    }

    /// The message's own fields.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        self.octets(|origin| origin == Origin::Message)
    }

    fn octets(&self, of: impl Fn(Origin) -> bool) -> Vec<u8> {
        self.fields.iter().filter(|field| of(field.origin)).flat_map(|field| &field.octets).copied().collect()
    }
}

/// Whether the blanks in front of what a field says were agreed to be the milter's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeadingBlanks {
    /// It writes them.
    Given,
    /// It does not.
    Added,
}

impl Field {
    fn parts(&self) -> Option<(&[u8], &[u8])> {
        let colon = memchr::memchr(b':', &self.octets)?;
        let (name, rest) = self.octets.split_at_checked(colon)?;
        let name = name.trim_ascii_end();
        let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
        let value = rest.get(1..)?;
        is_name.then_some((name, value.strip_suffix(b"\r\n").unwrap_or(value)))
    }
}

fn line(NewField { name, value }: &NewField, leading_blanks: LeadingBlanks) -> Vec<u8> {
    let blank: &[u8] = match leading_blanks {
        LeadingBlanks::Given => b"",
        LeadingBlanks::Added => b" ",
    };
    [name.as_bytes(), b":", blank, value, b"\r\n"].concat()
}

/// A field begins with each line that does not begin with a blank (RFC 5322 §2.2.3).
fn fields(section: &[u8]) -> Vec<Vec<u8>> {
    let mut fields: Vec<Vec<u8>> = Vec::new();
    for line in section.split_inclusive(|octet| *octet == b'\n') {
        match (line.first(), fields.last_mut()) {
            (Some(b' ' | b'\t'), Some(field)) => field.extend_from_slice(line),
            _ => fields.push(line.to_vec()),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::super::answer::Answer;
    use super::*;

    const PREFIX: &[u8] = b"Authentication-Results: mx\r\nReceived: from a\r\n\tby b\r\nDate: now\r\n";
    const MESSAGE: &[u8] = b"Received: from x\r\nSubject: y\r\n z\r\nTo: b\r\nno field\r\nsubject: again\r\n";

    fn header() -> Header {
        Header::new(PREFIX, MESSAGE)
    }

    fn changed(header: &mut Header, packet: &[u8]) {
        let Ok(Answer::Change(change)) = Answer::read(packet[0], &packet[1..]) else { panic!() };
        assert!(header.change(&change, LeadingBlanks::Added));
    }

    fn shown(header: &Header) -> Vec<String> {
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        header.shown().map(|(name, value)| format!("{}:{}", text(name), text(value))).collect()
    }

    #[test]
    fn milters_see_all_fields_but_our_trace() {
        let fields = [
            "Authentication-Results: mx",
            "Date: now",
            "Received: from x",
            "Subject: y\r\n z",
            "To: b",
            "subject: again",
        ];
        assert_eq!(shown(&header()), fields);
        assert_eq!((header().prefix(), header().message()), (PREFIX.to_vec(), MESSAGE.to_vec()));
    }

    #[test]
    fn what_is_added_stands_in_front_of_the_message() {
        for (packet, first) in [
            (&b"i\0\0\0\0X-A\0b\0"[..], "X-A: b"),
            (b"i\0\0\0\x01X-A\0b\0", "X-A: b"),
            (b"i\0\0\0\x02X-A\0b\0", "Authentication-Results: mx"),
            (b"i\xff\xff\xff\xffX-A\0b\0", "Authentication-Results: mx"),
            (b"hX-A\0b\0", "Authentication-Results: mx"),
        ] {
            let mut header = header();
            changed(&mut header, packet);
            assert_eq!(shown(&header)[0], first);
            assert!(header.message() == MESSAGE && !header.is_changed());
            let prefix = String::from_utf8(header.prefix()).unwrap();
            assert!(prefix.contains("X-A: b\r\n") && prefix.len() == PREFIX.len() + 8, "{prefix}");
        }
    }

    #[test]
    fn fields_are_changed_by_name_and_number() {
        let mut header = header();
        changed(&mut header, b"m\0\0\0\x01SUBJECT\0new\0");
        changed(&mut header, b"m\0\0\0\x02Subject\0\0");
        changed(&mut header, b"m\0\0\0\x01Date\0then\0");
        // Ours is not the first.
        changed(&mut header, b"m\0\0\0\x01Received\0\0");
        assert!(header.is_changed());
        assert_eq!(header.message(), b"SUBJECT: new\r\nTo: b\r\nno field\r\n");
        assert!(header.prefix().ends_with(b"Received: from a\r\n\tby b\r\nDate: then\r\n"));
        // What is not there is added, unless it was to go.
        changed(&mut header, b"m\0\0\0\x07To\0x\0");
        changed(&mut header, b"m\0\0\0\x07To\0\0");
        assert!(header.prefix().ends_with(b"To: x\r\n"));
    }

    #[test]
    fn what_is_only_ours_leaves_the_message_as_it_is() {
        let mut header = header();
        changed(&mut header, b"m\0\0\0\x01Authentication-Results\0\0");
        assert!(!header.is_changed() && header.prefix().starts_with(b"Received: from a"));
    }

    #[test]
    fn a_message_without_a_header_section_gets_one() {
        let mut header = Header::new(b"Received: x\r\n\r\n", b"");
        changed(&mut header, b"hX-A\0b\0");
        assert_eq!(header.prefix(), b"Received: x\r\nX-A: b\r\n\r\n");
    }

    #[test]
    fn a_milter_adds_only_so_many_fields() {
        let mut header = header();
        for _ in 0..ADDED_MAX {
            changed(&mut header, b"hX-A\0b\0");
        }
        let Ok(Answer::Change(change)) = Answer::read(b'h', b"X-A\0b\0") else { panic!() };
        assert!(!header.change(&change, LeadingBlanks::Added));
    }
}

//! Dovecot's `dovecot-uidlist`: read for its UIDs and unique-ids, and written so that Dovecot shows ours.

use std::io::{self, Write};

use super::list_error::ListError;

/// The file's name.
pub(crate) const FILE_NAME: &str = "dovecot-uidlist";

/// The list; version 1 is read, version 3 is read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Uidlist {
    pub(crate) uid_validity: u32,
    pub(crate) next_uid: u32,
    /// Further fields of the head, as they are.
    head: Vec<Vec<u8>>,
    /// By UID.
    pub(crate) entries: Vec<Listed>,
}

type ParseLine = fn(&[u8]) -> Option<Listed>;

/// One file in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) uid: u32,
    /// A letter, and what it says.
    fields: Vec<Vec<u8>>,
    /// The file's name up to its flags.
    pub(crate) base: Vec<u8>,
}

impl Uidlist {
    /// An empty list; `mailbox` is its GUID.
    pub(crate) fn new(uid_validity: u32, mailbox: [u8; 16]) -> Self {
        let head = vec![format!("G{:032x}", u128::from_be_bytes(mailbox)).into_bytes()];
        Self { uid_validity, next_uid: 1, head, entries: Vec::new() }
    }

    pub(crate) fn parse(list: &[u8]) -> Result<Self, ListError> {
        let mut lines = (1..).zip(list.split(|octet| *octet == b'\n')).filter(|(_, line)| !line.is_empty());
        let (number, head) = lines.next().ok_or(ListError::Line { number: 1 })?;
        let (parsed, parse_line): (_, ParseLine) = match head {
            [b'1', b' ', rest @ ..] => (head_1(rest), Listed::parse_1),
            [b'3', b' ', rest @ ..] => (head_3(rest), Listed::parse_3),
            [version, b' ', ..] => return Err(ListError::Version(char::from(*version))),
            _ => return Err(ListError::Line { number }),
        };
        let mut list = parsed.ok_or(ListError::Line { number })?;
        for (number, line) in lines {
            let listed = parse_line(line).ok_or(ListError::Line { number })?;
            list.next_uid = list.next_uid.max(listed.uid.saturating_add(1));
            list.entries.push(listed);
        }
        Ok(list)
    }

    /// Adds a file behind all others.
    pub(crate) fn push(&mut self, base: Vec<u8>, unique_id: &str) {
        let mut listed = Listed { uid: self.next_uid, fields: Vec::new(), base };
        listed.show(unique_id);
        self.entries.push(listed);
        self.next_uid = self.next_uid.saturating_add(1);
    }

    pub(crate) fn write(&self, output: &mut impl Write) -> io::Result<()> {
        write!(output, "3 V{} N{}", self.uid_validity, self.next_uid)?;
        write_fields(&self.head, output)?;
        output.write_all(b"\n")?;
        for listed in &self.entries {
            write!(output, "{}", listed.uid)?;
            write_fields(&listed.fields, output)?;
            output.write_all(b" :")?;
            output.write_all(&listed.base)?;
            output.write_all(b"\n")?;
        }
        Ok(())
    }
}

impl Listed {
    /// `uid name`
    fn parse_1(line: &[u8]) -> Option<Self> {
        let (uid, name) = uid(line)?;
        Self::new(uid, Vec::new(), name)
    }

    /// `uid field field :name`
    fn parse_3(line: &[u8]) -> Option<Self> {
        let (uid, mut rest) = uid(line)?;
        let mut fields = Vec::new();
        loop {
            if let Some(name) = rest.strip_prefix(b":") {
                return Self::new(uid, fields, name);
            }
            let (field, behind) = split_at_space(rest)?;
            fields.push(field.to_owned());
            rest = behind;
        }
    }

    fn new(uid: u32, fields: Vec<Vec<u8>>, name: &[u8]) -> Option<Self> {
        let base = base(name);
        (!base.is_empty() && !base.contains(&b'/')).then(|| Self { uid, fields, base: base.to_owned() })
    }

    /// What stands behind `letter`.
    fn field(&self, letter: u8) -> Option<&[u8]> {
        self.fields.iter().find_map(|field| field.strip_prefix(&[letter]))
    }

    /// The unique-id that was kept for the message; an empty one stands for the file's name.
    pub(crate) fn unique_id(&self) -> Option<&[u8]> {
        self.field(b'P').map(|kept| if kept.is_empty() { self.base.as_slice() } else { kept })
    }

    /// Where the message stands in Dovecot's POP3 before those that have no such number, which come by UID.
    pub(crate) fn order(&self) -> Option<u32> {
        self.field(b'O').and_then(number)
    }

    pub(crate) fn guid(&self) -> Option<&[u8]> {
        self.field(b'G')
    }

    /// Has Dovecot show `unique_id`.
    pub(crate) fn show(&mut self, unique_id: &str) {
        self.fields.retain(|field| !field.starts_with(b"P"));
        self.fields.push(format!("P{unique_id}").into_bytes());
    }
}

/// A file's name up to its flags, by which Dovecot and Courier know it.
pub(crate) fn base(name: &[u8]) -> &[u8] {
    name.split(|octet| *octet == b':').next().unwrap_or_default()
}

/// `validity next`
fn head_1(rest: &[u8]) -> Option<Uidlist> {
    let mut numbers = rest.split(|octet| *octet == b' ').map(number);
    let (uid_validity, next_uid) = (numbers.next()??, numbers.next()??);
    Some(Uidlist { uid_validity, next_uid, head: Vec::new(), entries: Vec::new() })
}

/// `Vvalidity Nnext Gguid`, in any order.
fn head_3(rest: &[u8]) -> Option<Uidlist> {
    let (mut uid_validity, mut next_uid, mut head) = (None, None, Vec::new());
    for field in rest.split(|octet| *octet == b' ').filter(|field| !field.is_empty()) {
        match field {
            [b'V', value @ ..] => uid_validity = number(value),
            [b'N', value @ ..] => next_uid = number(value),
            other => head.push(other.to_owned()),
        }
    }
    Some(Uidlist { uid_validity: uid_validity?, next_uid: next_uid?, head, entries: Vec::new() })
}

fn uid(line: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = split_at_space(line)?;
    number(digits).filter(|uid| *uid > 0).map(|uid| (uid, rest))
}

/// What stands before a space, and what behind it and all that follow it.
fn split_at_space(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, behind) = line.split_at_checked(line.iter().position(|octet| *octet == b' ')?)?;
    Some((before, behind.trim_ascii_start()))
}

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn write_fields(fields: &[Vec<u8>], output: &mut impl Write) -> io::Result<()> {
    fields.iter().try_for_each(|field| {
        output.write_all(b" ")?;
        output.write_all(field)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "3 V1699999999 N40 G0123456789abcdef0123456789abcdef\n\
        10 :1700000001.M1P1.host\n\
        11 W30 O5 Pa:b :1700000002.M2P1.host,S=26:2,S\n\
        26 P O4 :1700000003.M3P1.host\n\
        27 G11aa :1700000004 M4\n";

    #[test]
    fn the_fields_of_version_3_are_read() {
        let list = Uidlist::parse(LIST.as_bytes()).unwrap();
        assert_eq!((list.uid_validity, list.next_uid), (1_699_999_999, 40));
        let [plain, kept, named, with_guid] = list.entries.try_into().unwrap();
        assert_eq!((plain.uid, plain.unique_id(), plain.order()), (10, None, None));
        assert_eq!((kept.unique_id(), kept.order()), (Some(b"a:b".as_slice()), Some(5)));
        assert_eq!(kept.base, b"1700000002.M2P1.host,S=26");
        assert_eq!(named.unique_id(), Some(b"1700000003.M3P1.host".as_slice()));
        assert_eq!(
            (with_guid.guid(), with_guid.base.as_slice()),
            (Some(b"11aa".as_slice()), b"1700000004 M4".as_slice())
        );
    }

    #[test]
    fn version_1_has_uids_and_names_only() {
        let list = Uidlist::parse(b"1 1699999999 40\n10 1700000001.M1P1.host:2,S\n").unwrap();
        assert_eq!((list.uid_validity, list.entries[0].uid), (1_699_999_999, 10));
        assert_eq!(list.entries[0].base, b"1700000001.M1P1.host");
    }

    #[test]
    fn what_is_written_is_read_and_what_was_there_is_kept() {
        let mut list = Uidlist::parse(LIST.as_bytes()).unwrap();
        list.push(b"new".to_vec(), "ours");
        list.entries[1].show("other");
        let mut text = Vec::new();
        list.write(&mut text).unwrap();
        assert_eq!(Uidlist::parse(&text).unwrap(), list);
        let text = String::from_utf8(text).unwrap();
        assert!(
            text.starts_with("3 V1699999999 N41 G0123456789abcdef0123456789abcdef\n10 :1700000001."),
            "{text}"
        );
        assert!(text.contains("\n11 W30 O5 Pother :1700000002.M2P1.host,S=26\n"), "{text}");
        assert!(text.ends_with("\n40 Pours :new\n"), "{text}");
    }

    #[test]
    fn a_list_without_a_right_next_uid_does_not_give_one_twice() {
        let list = Uidlist::parse(b"3 V1 N1\n7 :a\n").unwrap();
        assert_eq!(list.next_uid, 8);
    }

    #[test]
    fn a_line_that_is_not_understood_is_named() {
        for (list, number) in [
            ("", 1),
            ("3 V1\n", 1),
            ("3 V1 N2\n1 :a\nx :b\n", 3),
            ("3 V1 N2\n0 :a\n", 2),
            ("3 V1 N2\n1 Pa\n", 2),
            ("1 1 2\n1 a/b\n", 2),
        ] {
            assert_eq!(Uidlist::parse(list.as_bytes()), Err(ListError::Line { number }), "{list}");
        }
        assert_eq!(Uidlist::parse(b"2 1 2\n"), Err(ListError::Version('2')));
    }
}

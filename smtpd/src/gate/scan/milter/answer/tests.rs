//! What milters say, as the tables of the protocol have it, and what they might say.

use super::*;

fn read(octets: &[u8]) -> Result<Answer, MilterError> {
    let (letter, data) = octets.split_first().unwrap();
    Answer::read(*letter, data)
}

fn field(name: &str, value: &[u8]) -> NewField {
    NewField { name: name.to_owned(), value: value.to_vec() }
}

#[test]
fn every_answer_of_the_protocol_is_known() {
    for (octets, expected) in [
        (&b"c"[..], Answer::Continue),
        (b"a", Answer::Accept),
        (b"r", Answer::Reject),
        (b"t", Answer::PutOff),
        (b"d", Answer::Discard),
        (b"s", Answer::Skip),
        (b"p", Answer::Progress),
        (b"4", Answer::Shutdown),
        (b"f", Answer::Shutdown),
        (b"hX-A\0b\0", Answer::Change(Change::Add(field("X-A", b"b")))),
        (b"i\0\0\0\x01X-A\0b\0", Answer::Change(Change::Insert(1, field("X-A", b"b")))),
        (b"m\0\0\0\x02X-A\0\0", Answer::Change(Change::Alter(2, field("X-A", b"")))),
        (b"+<a@b.c>\0", Answer::Change(Change::AddRecipient("<a@b.c>".to_owned()))),
        (b"2<a@b.c>\0NOTIFY=NEVER\0", Answer::Change(Change::AddRecipient("<a@b.c>".to_owned()))),
        (b"2<a@b.c>\0", Answer::Change(Change::AddRecipient("<a@b.c>".to_owned()))),
        (b"-<a@b.c>\0", Answer::Change(Change::RemoveRecipient("<a@b.c>".to_owned()))),
        (b"e<>\0", Answer::Change(Change::Sender("<>".to_owned()))),
        (b"e<a@b.c>\0SIZE=1\0", Answer::Change(Change::Sender("<a@b.c>".to_owned()))),
        (b"bx\r\n\0", Answer::Change(Change::Text(b"x\r\n\0".to_vec()))),
        (b"qtoo odd\0", Answer::Change(Change::Quarantine("too odd".to_owned()))),
    ] {
        assert_eq!(read(octets).as_ref(), Ok(&expected), "{}", octets.escape_ascii());
    }
    assert!(matches!(read(b"y550 5.7.1 no\0"), Ok(Answer::Reply(reply)) if reply.code() == 550));
}

#[test]
fn everything_else_is_broken() {
    for (octets, why) in [
        // The server's own letters, and those that no version has had.
        (&b"O\0\0\0\x06"[..], MilterError::Unexpected(b'O')),
        (b"x", MilterError::Unexpected(b'x')),
        (b"\0", MilterError::Unexpected(0)),
        (b"hX-A\0b", MilterError::Text),
        (b"hX-A", MilterError::Short),
        (b"hX-A\0b\0c\0", MilterError::Text),
        (b"h\0b\0", MilterError::Field),
        (b"hX A\0b\0", MilterError::Field),
        (b"hX:A\0b\0", MilterError::Field),
        (b"hX\r\nA\0b\0", MilterError::Field),
        (b"i\0\0X", MilterError::Short),
        (b"+", MilterError::Short),
        (b"+<a@b.c>", MilterError::Text),
        (b"e", MilterError::Short),
        (b"+\xff\0", MilterError::Address),
        (b"y250 2.0.0 fine\0", MilterError::Reply),
        (b"y", MilterError::Short),
    ] {
        assert_eq!(read(octets), Err(why), "{}", octets.escape_ascii());
    }
    let long = |octets: usize| [b"h".as_slice(), &b"X".repeat(octets), b"\0v\0"].concat();
    assert!(read(&long(NAME_OCTETS_MAX)).is_ok());
    assert_eq!(read(&long(NAME_OCTETS_MAX + 1)), Err(MilterError::Field));
    let long = |octets: usize| [b"+".as_slice(), &b"X".repeat(octets), b"\0"].concat();
    assert!(read(&long(ADDRESS_OCTETS_MAX)).is_ok());
    assert_eq!(read(&long(ADDRESS_OCTETS_MAX + 1)), Err(MilterError::Address));
}

#[test]
fn a_field_stays_one_field() {
    for (value, expected) in [
        (&b"a\n b"[..], &b"a\r\n b"[..]),
        (b"a\r\n\tb", b"a\r\n\tb"),
        (b"a\nBcc: x@y.z", b"a\r\n\tBcc: x@y.z"),
        (b"a\n\n\nb", b"a\r\n\tb"),
        (b"a\n \t\nb\n", b"a\r\n\tb"),
        (b"a\rb\x1bc", b"ab?c"),
        (b" a", b" a"),
    ] {
        let octets = [b"hX-A\0".as_slice(), value, b"\0"].concat();
        let expected = Answer::Change(Change::Add(field("X-A", expected)));
        assert_eq!(read(&octets), Ok(expected), "{}", value.escape_ascii());
    }
    let line = |octets: usize| [b"hX-A\0".as_slice(), &b"x".repeat(octets), b"\0"].concat();
    assert!(read(&line(LINE_OCTETS_MAX - "X-A: ".len())).is_ok());
    assert_eq!(read(&line(LINE_OCTETS_MAX)), Err(MilterError::Field));
}

#[test]
fn packets_come_in_pieces_and_have_a_limit() {
    let octets = b"\0\0\0\x05hX\0v\0\0\0\0\x01c";
    for cut in 0..9 {
        assert_eq!(packet(&octets[..cut]), Ok(None), "{cut}");
    }
    assert_eq!(packet(octets), Ok(Some(Packet { letter: b'h', data: b"X\0v\0", octets: 9 })));
    assert_eq!(packet(&octets[9..]), Ok(Some(Packet { letter: b'c', data: b"", octets: 5 })));
    assert_eq!(packet(b"\0\0\0\0"), Err(MilterError::Length(0)));
    assert_eq!(packet(&65_536_u32.to_be_bytes()), Ok(None));
    // Nothing is waited for that would not be taken.
    assert_eq!(packet(&65_537_u32.to_be_bytes()), Err(MilterError::Length(65_537)));
    assert_eq!(packet(b"HTTP/1.1 400 Bad"), Err(MilterError::Length(u32::from_be_bytes(*b"HTTP"))));
}

#[test]
fn a_reason_is_short_and_printable() {
    let octets = [b"q".as_slice(), &b"x\r\n".repeat(1000), b"\0"].concat();
    let Ok(Answer::Change(Change::Quarantine(reason))) = read(&octets) else { panic!() };
    assert!(reason.len() == REASON_CHARACTERS_MAX && reason.starts_with("x??x"));
}

//! What a milter is told, as octets: a length, a letter for what it is, and the rest.

use std::net::IpAddr;

use super::macros::{Macros, Moment};
use super::options::{ACTIONS, STEPS, VERSION};

/// Most octets of content in one piece.
pub(super) const PIECE_OCTETS_MAX: usize = 65_535;

/// What is offered.
pub(super) fn negotiate() -> Vec<u8> {
    packet(b'O', &[&VERSION.to_be_bytes(), &ACTIONS.to_be_bytes(), &STEPS.to_be_bytes()])
}

/// Values of macros for the command that follows.
pub(super) fn macros(moment: Moment, macros: &Macros) -> Vec<u8> {
    let mut data = vec![moment.command()];
    for (name, value) in macros {
        text(&mut data, name);
        text(&mut data, value);
    }
    packet(b'D', &[&data])
}

/// A client has come from there. It has no name that anybody has looked up.
pub(super) fn connect(address: Option<IpAddr>, port: u16) -> Vec<u8> {
    let mut data = Vec::new();
    if let Some(address) = address.map(|address| address.to_canonical()) {
        text(&mut data, &format!("[{address}]"));
        data.push(if address.is_ipv4() { b'4' } else { b'6' });
        data.extend_from_slice(&port.to_be_bytes());
        text(&mut data, &address.to_string());
    } else {
        text(&mut data, "localhost");
        data.push(b'U');
    }
    packet(b'C', &[&data])
}

/// It calls itself so.
pub(super) fn hello(name: &str) -> Vec<u8> {
    texts(b'H', [name])
}

/// MAIL, with a path in brackets and its parameters.
pub(super) fn mail<'a>(path: &'a str, parameters: impl Iterator<Item = &'a str>) -> Vec<u8> {
    texts(b'M', std::iter::once(path).chain(parameters))
}

/// RCPT.
pub(super) fn rcpt(path: &str) -> Vec<u8> {
    texts(b'R', [path])
}

/// DATA, or the first BDAT.
pub(super) fn data() -> Vec<u8> {
    packet(b'T', &[])
}

/// One header field. Lines end with a line feed alone within it, as Sendmail has them.
pub(super) fn header(name: &[u8], value: &[u8]) -> Vec<u8> {
    packet(b'L', &[name, b"\0", value, b"\0"])
}

/// The header section has come to its end.
pub(super) fn end_of_header() -> Vec<u8> {
    packet(b'N', &[])
}

/// A piece of the text.
pub(super) fn body(piece: &[u8]) -> Vec<u8> {
    packet(b'B', &[piece])
}

/// There is no more text.
pub(super) fn end() -> Vec<u8> {
    packet(b'E', &[])
}

/// The transaction comes to nothing.
pub(super) fn abort() -> Vec<u8> {
    packet(b'A', &[])
}

/// The connection ends.
pub(super) fn quit() -> Vec<u8> {
    packet(b'Q', &[])
}

fn texts<'a>(command: u8, texts: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut data = Vec::new();
    texts.into_iter().for_each(|one| text(&mut data, one));
    packet(command, &[&data])
}

/// A text and its end. Nothing that a client says makes two of one.
fn text(data: &mut Vec<u8>, text: &str) {
    let harmless = |octet: u8| if octet.is_ascii_control() { b'?' } else { octet };
    data.extend(text.bytes().map(harmless));
    data.push(0);
}

fn packet(command: u8, parts: &[&[u8]]) -> Vec<u8> {
    let octets = parts.iter().map(|part| part.len()).sum::<usize>().saturating_add(1);
    // All parts have limits of their own, far below this.
    let octets = u32::try_from(octets).unwrap_or(u32::MAX);
    let mut packet = Vec::from(octets.to_be_bytes());
    packet.push(command);
    for part in parts {
        packet.extend_from_slice(part);
    }
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_those_of_the_protocol() {
        for (packet, expected) in [
            (negotiate(), &b"O\0\0\0\x06\0\0\x01\xff\0\x1f\xf7\xff"[..]),
            (connect(Some("192.0.2.1".parse().unwrap()), 25), b"C[192.0.2.1]\x004\0\x19192.0.2.1\0"),
            (connect(Some("::ffff:192.0.2.1".parse().unwrap()), 25), b"C[192.0.2.1]\x004\0\x19192.0.2.1\0"),
            (connect(Some("2001:db8::1".parse().unwrap()), 258), b"C[2001:db8::1]\x006\x01\x022001:db8::1\0"),
            (connect(None, 0), b"Clocalhost\0U"),
            (hello("mx.a.example"), b"Hmx.a.example\0"),
            (mail("<a@b.c>", ["SIZE=7"].into_iter()), b"M<a@b.c>\0SIZE=7\0"),
            (rcpt("<a@b.c>"), b"R<a@b.c>\0"),
            (data(), b"T"),
            (header(b"Subject", b"x\n y"), b"LSubject\0x\n y\0"),
            (end_of_header(), b"N"),
            (body(b"x\r\n"), b"Bx\r\n"),
            (end(), b"E"),
            (abort(), b"A"),
            (quit(), b"Q"),
            (macros(Moment::Mail, &vec![("i".to_owned(), "id".to_owned())]), b"DMi\0id\0"),
        ] {
            let octets = u32::try_from(expected.len()).unwrap().to_be_bytes();
            let expected = [&octets, expected].concat();
            assert_eq!(packet, expected, "{}", expected.escape_ascii());
        }
    }

    #[test]
    fn nothing_that_a_client_says_makes_two_texts() {
        assert_eq!(hello("a\0b\r\nc"), b"\0\0\0\x08Ha?b??c\0");
    }
}

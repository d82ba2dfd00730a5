//! Messages that are hard to pass on unchanged, and what a server may put in front of them.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::clients;

/// A message and what is special about it.
#[derive(Clone, Debug)]
pub struct Message {
    /// What is special about it.
    pub name: String,
    /// Its octets.
    pub content: Vec<u8>,
}

/// Header section of all the messages made here.
const HEADER: &str = "From: Alice <alice@example.test>\r\nTo: bob@example.test\r\nSubject: test\r\n\
                      Date: Mon, 2 Jan 2006 15:04:05 -0700\r\nMessage-ID: <made@example.test>\r\n";

/// Messages with each of the things that transports have been known to change.
#[must_use]
pub fn awkward() -> Vec<Message> {
    let with_body = |name: &str, body: &[u8]| Message {
        name: name.to_owned(),
        content: [HEADER.as_bytes(), b"\r\n", body].concat(),
    };
    vec![
        with_body("plain text", b"Hello.\r\n"),
        with_body("leading dots", b".\r\n..\r\n...\r\n.hidden\r\nnot.hidden\r\n\r\n.\r\n"),
        with_body("a body of one dot", b".\r\n"),
        with_body("commands", b"QUIT\r\nRSET\r\nFrom the start\r\n>From\r\n"),
        with_body("eight-bit octets", "Grüße, 漢字, \u{1f4e8}\r\n".as_bytes()),
        with_body("octets that are no UTF-8", b"\x80\xff\xfe\xc0\xaf caf\xe9\r\n"),
        with_body("every octet but CR and LF", &every_octet()),
        with_body("NUL in the body", b"\0\r\none\0two\r\n\0\0\0\r\n"),
        with_body("lines of 998 octets", &[[b'x'; 998].as_slice(), b"\r\n"].concat().repeat(3)),
        with_body("a line of a mebibyte", &[vec![b'y'; 1 << 20].as_slice(), b"\r\nend\r\n"].concat()),
        with_body("empty lines", b"\r\n\r\n\r\n"),
        with_body("blanks at the ends of lines", b"one \r\n\ttwo\t\r\n \r\n"),
        with_body("no final line end", b"the end"),
        with_body("no final line end, and a dot", b"the end\r\n."),
        with_body("empty body", b""),
        Message { name: "no empty line".to_owned(), content: HEADER.as_bytes().to_vec() },
        Message { name: "an empty header section".to_owned(), content: b"\r\nonly a body\r\n".to_vec() },
        Message { name: "no header section".to_owned(), content: b"only text\r\n\r\nand more\r\n".to_vec() },
        Message { name: "nothing at all".to_owned(), content: Vec::new() },
        Message {
            name: "eight-bit header".to_owned(),
            content: ["Comments: Grüße\r\n", HEADER, "\r\ntext\r\n"].concat().into_bytes(),
        },
        Message {
            name: "folded header".to_owned(),
            content: ["Comments: one\r\n two\r\n\tthree\r\n", HEADER, "\r\ntext\r\n"].concat().into_bytes(),
        },
    ]
}

/// Every octet in many neighbourhoods; a CR or an LF alone would be refused.
fn every_octet() -> Vec<u8> {
    let mut body = Vec::new();
    for first in 0..=255_u8 {
        for second in [b'.', 0, 0x80, first] {
            if ![first, second].iter().any(|octet| [b'\r', b'\n'].contains(octet)) {
                body.extend_from_slice(&[first, second]);
            }
        }
        body.extend_from_slice(b"\r\n");
    }
    body
}

/// A message with an attachment in base64, of about `octets`.
#[must_use]
pub fn with_attachment(octets: usize) -> Message {
    let mut content = HEADER.as_bytes().to_vec();
    content.extend_from_slice(
        b"MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n\
          Content-Transfer-Encoding: base64\r\n\r\n",
    );
    let mut random = crate::random::Random::new(1);
    while content.len() < octets {
        let line: Vec<u8> = (0..76).map(|_| letter(random.below(64))).collect();
        content.extend_from_slice(&line);
        content.extend_from_slice(b"\r\n");
    }
    Message { name: format!("an attachment of {octets} octets"), content }
}

/// A sign of base64's alphabet, more or less.
fn letter(number: u64) -> u8 {
    u8::try_from(number).map_or(b'A', |number| if number < 26 { b'A' + number } else { b'0' + number % 10 })
}

/// The e-mail test data that comes with Python, with line ends made CRLF; `None` where it is missing.
///
/// # Errors
/// Where it is missing although it must not be, or cannot be read.
pub fn of_python() -> io::Result<Option<Vec<Message>>> {
    let Some(folder) = folder_of_python()? else {
        return Ok(None);
    };
    let mut messages = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            messages.push(Message { name, content: with_crlf(&fs::read(&path)?) });
        }
    }
    messages.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Some(messages))
}

fn folder_of_python() -> io::Result<Option<PathBuf>> {
    const QUESTION: &str =
        "import os, test.test_email as t; print(os.path.join(os.path.dirname(t.__file__), 'data'))";
    if !clients::available("python3")? {
        return Ok(None);
    }
    let said = clients::run("python3", &["-c", QUESTION], b"")?;
    let folder = PathBuf::from(String::from_utf8_lossy(&said.output).trim());
    if said.success && folder.is_dir() {
        return Ok(Some(folder));
    }
    clients::skipped("Python's own tests (Debian: libpython3-testsuite) are not installed")?;
    Ok(None)
}

/// Every line end, of whatever kind, as CRLF.
fn with_crlf(text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len() + text.len() / 32);
    let mut input = text.iter().copied().peekable();
    while let Some(octet) = input.next() {
        match octet {
            b'\r' => {
                input.next_if_eq(&b'\n');
                octets.extend_from_slice(b"\r\n");
            }
            b'\n' => octets.extend_from_slice(b"\r\n"),
            _ => octets.push(octet),
        }
    }
    octets
}

/// The names of the fields that stand before `content` in `retrieved`.
///
/// A line end is added at the end where there is none, since POP3 cannot do without, and an empty line in front where
/// the content begins with text, which would else become part of the last field.
///
/// # Errors
/// Where `content` does not follow unchanged, or something other than one field each of `allowed` stands before it.
pub fn fields_before(retrieved: &[u8], content: &[u8], allowed: &[&str]) -> Result<Vec<String>, String> {
    let mut expected = content.to_vec();
    if !content.is_empty() && !content.ends_with(b"\r\n") {
        expected.extend_from_slice(b"\r\n");
    }
    let front =
        retrieved.strip_suffix(expected.as_slice()).ok_or_else(|| difference(retrieved, &expected))?;
    let front = std::str::from_utf8(front).map_err(|error| error.to_string())?;
    let front = if begins_with_text(content) { front.strip_suffix("\r\n").unwrap_or(front) } else { front };
    let mut names: Vec<String> = Vec::new();
    for line in front.split_inclusive("\r\n").filter(|line| !line.starts_with([' ', '\t'])) {
        let (name, _) = line.split_once(": ").ok_or_else(|| format!("{line:?} stands before the content"))?;
        if names.iter().any(|other| other == name) || !allowed.contains(&name) {
            return Err(format!("{line:?} stands before the content"));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// True where the first line is neither empty nor a field (RFC 5322 §2.2).
fn begins_with_text(content: &[u8]) -> bool {
    let name_octets =
        content.iter().take_while(|octet| (b'!'..=b'~').contains(octet) && **octet != b':').count();
    let after = content.get(name_octets).copied();
    let field = name_octets > 0 && after == Some(b':');
    !field && !content.starts_with(b"\r\n") && !content.is_empty()
}

/// Where two messages begin to differ, counted from their ends.
fn difference(retrieved: &[u8], expected: &[u8]) -> String {
    let same =
        retrieved.iter().rev().zip(expected.iter().rev()).take_while(|(one, other)| one == other).count();
    let part = |octets: &[u8]| {
        let end = octets.len() - same.min(octets.len());
        let shown = octets.get(end.saturating_sub(40)..(end + 40).min(octets.len())).unwrap_or_default();
        crate::text::shown(shown)
    };
    format!(
        "{} octets came back of {}, and they differ {same} octets before the end: got {}, expected {}",
        retrieved.len(),
        expected.len(),
        part(retrieved),
        part(expected)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: [&str; 2] = ["Return-Path", "Received"];

    #[test]
    fn trace_fields_may_stand_before_the_content() {
        let retrieved = b"Return-Path: <a>\r\nReceived: from b\r\n\tby c; d\r\nSubject: x\r\n\r\ny\r\n";
        assert_eq!(fields_before(retrieved, b"Subject: x\r\n\r\ny\r\n", &TRACE).unwrap(), TRACE);
        assert_eq!(fields_before(retrieved, b"Subject: x\r\n\r\ny", &TRACE).unwrap(), TRACE);
    }

    #[test]
    fn an_empty_line_may_stand_before_text() {
        assert_eq!(fields_before(b"Received: a\r\n\r\ntext\r\n", b"text\r\n", &TRACE).unwrap(), ["Received"]);
        fields_before(b"Received: a\r\n\r\nSubject: a\r\n", b"Subject: a\r\n", &TRACE).unwrap_err();
    }

    #[test]
    fn nothing_else_may_differ() {
        for retrieved in [
            b"Received: a\r\nSubject: x\r\n\r\ny".as_slice(),
            b"Received: a\r\nSubject: x\r\n\r\ny\r\n\r\n",
            b"Received: a\r\nReceived: a\r\nSubject: x\r\n\r\ny\r\n",
            b"X-Other: a\r\nSubject: x\r\n\r\ny\r\n",
            b"Received: a\r\n\r\nSubject: x\r\n\r\ny\r\n",
            b"Received: a\r\nSubject: X\r\n\r\ny\r\n",
        ] {
            fields_before(retrieved, b"Subject: x\r\n\r\ny\r\n", &TRACE).unwrap_err();
        }
    }

    #[test]
    fn line_ends_of_any_kind_become_crlf() {
        assert_eq!(with_crlf(b"a\nb\r\nc\rd\n\r"), b"a\r\nb\r\nc\r\nd\r\n\r\n");
    }

    #[test]
    fn no_awkward_message_has_a_bare_line_end() {
        for message in awkward() {
            assert_eq!(with_crlf(&message.content), message.content, "{}", message.name);
        }
    }
}

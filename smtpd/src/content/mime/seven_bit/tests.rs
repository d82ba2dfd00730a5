//! What becomes of hard messages, and whether Python reads the same in them afterwards.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailstack_tests::{clients, messages};

use super::*;
use crate::content::{MimeField, Problem};

/// What becomes of content that comes in such chunks.
fn chopped(content: &[u8], chunk: usize) -> Result<Vec<u8>, Unfit> {
    let mut look = Look::new();
    content.chunks(chunk).for_each(|chunk| look.pass(chunk));
    let mut conversion = SevenBit::new(look.plan()?);
    let mut output = Vec::new();
    content.chunks(chunk).for_each(|chunk| conversion.convert(chunk, &mut output));
    conversion.finish(&mut output);
    Ok(output)
}

/// What becomes of content, whatever its chunks.
fn converted(content: &[u8]) -> Result<Vec<u8>, Unfit> {
    let whole = chopped(content, content.len().max(1));
    for chunk in [1, 2, 3, 7, 64, 999] {
        if content.len() < 50_000 {
            assert_eq!(chopped(content, chunk), whole, "by {chunk}");
        }
    }
    whole
}

fn lines(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

fn becomes(text: &str, expected: &str) {
    let output = converted(&lines(text)).unwrap();
    assert_eq!(String::from_utf8(output).unwrap().replace("\r\n", "\n"), expected, "{text}");
}

#[test]
fn bodies_are_encoded_and_every_field_says_what_is_there() {
    becomes("A: b\n\ntext\n", "A: b\n\ntext\n");
    becomes("Content-Transfer-Encoding: 8bit\n\ntext\n", "Content-Transfer-Encoding: 7bit\n\ntext\n");
    becomes(
        "MIME-Version: 1.0\nContent-Transfer-Encoding: 8bit (x)\nContent-Type: text/plain; charset=utf-8\n\n\
         Ein wenig Text, und eine lange Stra\u{df}e darin \n",
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n\
         Ein wenig Text, und eine lange Stra=C3=9Fe darin=20\n",
    );
    becomes(
        "A: b\n\nEin wenig Text, und eine lange Stra\u{df}e darin\n",
        "A: b\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\n\
         Content-Transfer-Encoding: quoted-printable\n\nEin wenig Text, und eine lange Stra=C3=9Fe darin\n",
    );
    becomes(
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\nContent-Transfer-Encoding: 8bit\n\nvor\u{e4}b\n--o\n\
         Content-Type: image/x\n\n\u{e4}\u{e4}\u{e4}\u{e4}\n--o\nContent-Type: message/rfc822\n\nSubject: in\n\n\
         Ein wenig Text, und eine lange Stra\u{df}e darin\n--o--\n\u{e4}\n",
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\nContent-Transfer-Encoding: 7bit\n\nvor??b\n--o\n\
         Content-Type: image/x\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A4=C3=A4=C3=A4=C3=A4\n--o\n\
         Content-Type: message/rfc822\n\nSubject: in\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\n\
         Ein wenig Text, und eine lange Stra=C3=9Fe darin\n--o--\n??\n",
    );
}

#[test]
fn what_must_not_be_changed_keeps_the_message_from_being_converted() {
    let signed = |inner: &str| {
        format!(
            "Content-Type: multipart/signed; boundary=s\n\n--s\nContent-Type: text/plain\n{inner}\n--s\n\
             Content-Type: application/pgp-signature\n\nx\n--s--\n"
        )
    };
    for (text, expected) in [
        (signed("\n\u{e4}\n"), Unfit::Signed),
        (signed("X: \u{e4}\n\na\n"), Unfit::Signed),
        (format!("A: b\u{e4}\n{}", signed("\na\n")), Unfit::Header),
        ("Subject: \u{e4}\n\ntext\n".to_owned(), Unfit::Header),
        ("Content-Type: message/rfc822\n\nSubject: \u{e4}\n\ntext\n".to_owned(), Unfit::Header),
        (
            "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Disposition: attachment; filename=\u{e4}\n\na\n--o--\n"
                .to_owned(),
            Unfit::Header,
        ),
        ("Content-Transfer-Encoding: base64\n\n\u{e4}\n".to_owned(), Unfit::Fixed),
        ("Content-Type: message/partial; id=x; number=1\n\n\u{e4}\n".to_owned(), Unfit::Fixed),
        (
            "Content-Type: multipart/mixed\n\n\u{e4}\n".to_owned(),
            Unfit::Unclear(Problem::Unclear(MimeField::ContentType)),
        ),
        ("A: b\nno field\n\n\u{e4}\n".to_owned(), Unfit::Unclear(Problem::NoField)),
    ] {
        assert_eq!(converted(&lines(&text)), Err(expected), "{text}");
        assert!(!expected.to_string().is_empty());
    }
    // Beside signed parts, everything else may be.
    let inner = "Content-Transfer-Encoding: 8bit\n\n--a = b  \n";
    let text = format!(
        "Content-Type: multipart/mixed; boundary=o\n\n--o\n{}\n--o\nContent-Type: text/plain\n\n\u{e4}\n--o--\n",
        signed(inner)
    );
    let output = String::from_utf8(converted(&lines(&text)).unwrap()).unwrap();
    assert!(output.contains(&signed(inner).replace('\n', "\r\n")), "{output}");
    assert!(output.contains("\r\n=C3=A4\r\n--o--\r\n"), "{output}");
}

/// Messages in which something is easily got wrong.
fn hard() -> Vec<(&'static str, Vec<u8>)> {
    let long = "x\u{e4} ".repeat(600);
    let deep = format!(
        "{}Content-Type: text/plain; charset=utf-8\n\ntief \u{e4}\n",
        "Content-Type: message/rfc822\n\nSubject: deeper\n".repeat(20)
    );
    let part = |header: &str, body: &str| {
        lines(&format!(
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=C3=A4\"\nContent-Transfer-Encoding: 8bit\n\n\
             \u{e4}\n--=C3=A4\n{header}\n{body}\n--=C3=A4\n\nplain\n--=C3=A4--\n\u{e4}"
        ))
    };
    let text = "Content-Type: text/plain; charset=utf-8\n";
    vec![
        ("Latin-1 without a header", b"A: b\r\n\r\ncaf\xe9\r\n".to_vec()),
        ("a long line", part(text, &long)),
        ("a long line that is ASCII", part(text, &"long ".repeat(500))),
        ("blanks and equals signs", part(text, "\u{e4} = \t \n\t\n a=20\n")),
        ("what looks like delimiters", part(text, "--\u{e4}\n--=C3=A4x\n---\n-- \n--=C3=A4-\n")),
        ("dots and From", part(text, ".\n..\nFrom \u{e4}\n.\u{e4}\n")),
        ("Cyrillic", part(text, &"\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442} ".repeat(200))),
        ("empty lines around", part(text, "\n\n\u{e4}\n\n\n")),
        ("nothing but one", part(text, "\u{e4}")),
        ("an empty part", part(text, "")),
        (
            "a part without a body",
            lines("Content-Type: multipart/mixed; boundary=o\n\n--o\nA: b\n--o\n\n\u{e4}\n--o--\n"),
        ),
        ("a NUL", part("Content-Type: application/x\n", "a\0b\n")),
        (
            "data",
            part(
                "content-type: APPLICATION/x\ncontent-TRANSFER-encoding:\n 8BIT\n",
                &"\u{df}\u{7f}\u{1}".repeat(999),
            ),
        ),
        ("encoded already", part("Content-Transfer-Encoding: base64\n", "w6Q=\n")),
        ("quoted already", part("Content-Transfer-Encoding: Quoted-Printable\n", "=C3=A4 =\n x\n")),
        (
            "a digest",
            lines("Content-Type: multipart/digest; boundary=o\n\n--o\n\nSubject: x\n\n\u{e4}\n--o--\n"),
        ),
        ("a message in a message", lines(&deep)),
        ("no close-delimiter", lines("Content-Type: multipart/mixed; boundary=o\n\n--o\n\n\u{e4}\n")),
        ("no line end at the end", lines("Content-Type: text/plain\n\n\u{e4}\n \u{e4} ")),
        (
            "no line end at the end of data",
            lines(&format!("Content-Type: image/x\n\n{}", "\u{e4}".repeat(500))),
        ),
        (
            "an alternative",
            lines(
                "MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=\"a b\"\n\n--a b\n\
                 Content-Type: text/plain; charset=\"utf-8\"; format=flowed\n\n\u{e4} \n\u{e4}\n\n--a b  \n\
                 Content-Type: multipart/related;\n\tboundary=\"a b c\"; type=\"text/html\"\n\n--a b c\n\
                 Content-Type: text/html; charset=utf-8\n\n<p>\u{e4}</p>\n--a b c\nContent-Type: image/png\n\
                 Content-Transfer-Encoding: base64\nContent-Disposition: inline; filename*=utf-8''%C3%A4\n\niVBORw0KGgo=\n\
                 --a b c--\n\n--a b--\n",
            ),
        ),
    ]
}

#[test]
fn python_reads_the_same_in_what_was_converted() {
    if !clients::available("python3").unwrap() {
        return;
    }
    let mut all: Vec<(String, Vec<u8>)> =
        hard().into_iter().map(|(name, content)| (name.to_owned(), content)).collect();
    let (hard, mut unfit) = (all.len(), 0);
    all.extend(messages::awkward().into_iter().map(|message| (message.name, message.content)));
    let of_python = messages::of_python().unwrap().unwrap_or_default();
    all.extend(of_python.into_iter().map(|message| (message.name, message.content)));
    let mut input = Vec::new();
    for (number, (name, content)) in all.iter().enumerate() {
        match converted(content) {
            Ok(output) => {
                let line = [name.clone(), STANDARD.encode(content), STANDARD.encode(output)];
                input.extend_from_slice(serde_json::to_string(&line).unwrap().as_bytes());
                input.push(b'\n');
            }
            Err(why) if number < hard => panic!("{name}: {why}"),
            Err(_) => unfit += 1,
        }
    }
    assert!(unfit * 2 < all.len(), "{unfit} of {} could not be converted", all.len());
    let script = include_str!("../../../../tests/data/seven_bit.py");
    let said = clients::run("python3", &["-c", script], &input).unwrap().well().unwrap();
    assert_eq!(said.text(), "");
}

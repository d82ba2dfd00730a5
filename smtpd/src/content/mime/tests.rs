//! Whole messages through the converter, in whatever chunks, and read again by somebody else.

use mail_parser::{MessageParser, PartType};
use mailwire::mime::{LEVELS_MAX, PARTS_MAX};
use proptest::prelude::*;

use super::Converter;
use crate::content::{MimeField, Problem};

const HEADER_OCTETS_MAX: u64 = 20_000;

/// What becomes of content that comes in such chunks.
fn chopped(content: &[u8], chunk: usize) -> Result<Vec<u8>, Problem> {
    let mut converter = Converter::new(HEADER_OCTETS_MAX);
    let mut output = Vec::new();
    content.chunks(chunk).for_each(|chunk| converter.convert(chunk, &mut output));
    converter.finish(&mut output);
    assert_eq!(converter.octets(), u64::try_from(output.len()).unwrap());
    converter.problem().map_or(Ok(output), Err)
}

/// What becomes of content, whatever its chunks.
fn converted(content: impl AsRef<[u8]>) -> Result<String, Problem> {
    let content = content.as_ref();
    let whole = chopped(content, content.len().max(1));
    for chunk in 1..content.len().min(80) {
        assert_eq!(chopped(content, chunk), whole, "by {chunk}");
    }
    whole.map(|output| output.escape_ascii().to_string().replace("\\r\\n", "\n"))
}

/// A message of lines, with the line ends that it needs.
fn message(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

fn stays(text: &str) {
    assert_eq!(converted(message(text)).as_deref(), Ok(text));
}

fn becomes(text: &str, expected: &str) {
    assert_eq!(converted(message(text)).as_deref(), Ok(expected), "{text}");
}

fn refused(text: &str) -> Problem {
    converted(message(text)).unwrap_err()
}

#[test]
fn what_is_not_binary_stays_as_it_is() {
    stays("");
    stays("\n");
    stays("A: b\n\ntext\n");
    stays("A: b\nContent-Transfer-Encoding: 8bit\n\nBinary: \n--a\n");
    stays("Content-Transfer-Encoding: base64\nA: b");
    stays("content-type: multipart/mixed; boundary=a\n\npreamble\n--a\n\ntext\n--a--\nepilogue\n--a\n");
    stays("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQTogYg==\n");
}

#[test]
fn a_binary_message_becomes_base64_with_its_last_line_end() {
    becomes(
        "Content-Transfer-Encoding: binary\nContent-Type: text/plain\n\nab\n\nc\n",
        "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nYWINCg0KYw0K\n",
    );
    becomes("content-transfer-encoding:\n BINARY (x)\n\nab", "Content-Transfer-Encoding: base64\n\nYWI=\n");
    becomes("Content-Transfer-Encoding: binary\n\n", "Content-Transfer-Encoding: base64\n\n");
    becomes("A: b\nContent-Transfer-Encoding: binary\n", "A: b\nContent-Transfer-Encoding: base64\n");
    becomes("Content-Transfer-Encoding: binary\nA: b", "A: b\nContent-Transfer-Encoding: base64\n");
}

#[test]
fn the_line_end_before_a_delimiter_belongs_to_it() {
    let part = |body: &str| {
        format!(
            "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Transfer-Encoding: binary\n{body}--x--\n"
        )
    };
    let encoded = |body: &str| {
        format!(
            "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Transfer-Encoding: base64\n{body}--x--\n"
        )
    };
    for (body, expected) in [
        ("", ""),
        ("\n", "\n"),
        ("\n\n", "\n"),
        ("\n\n\n", "\nDQo=\n"),
        ("\na\n", "\nYQ==\n"),
        ("\na\n\n", "\nYQ0K\n"),
        ("\n--xa\n", "\nLS14YQ==\n"),
        ("\na --x\n", "\nYSAtLXg=\n"),
    ] {
        becomes(&part(body), &encoded(expected));
    }
}

#[test]
fn what_has_parts_is_8bit_and_its_parts_are_looked_at() {
    becomes(
        "Content-Transfer-Encoding: binary\nContent-Type: multipart/mixed; boundary=o\n\n--o\n\
         Content-Type: message/rfc822\nContent-Transfer-Encoding: binary\n\nSubject: in\n\
         Content-Type: multipart/mixed; boundary=i\n\n--i\nContent-Transfer-Encoding: binary\n\na\n--i\n\ntext\n--o\n\
         Content-Transfer-Encoding: binary\n\nb\n--o--\n",
        "Content-Type: multipart/mixed; boundary=o\nContent-Transfer-Encoding: 8bit\n\n--o\n\
         Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: in\n\
         Content-Type: multipart/mixed; boundary=i\n\n--i\nContent-Transfer-Encoding: base64\n\nYQ==\n--i\n\ntext\n--o\n\
         Content-Transfer-Encoding: base64\n\nYg==\n--o--\n",
    );
    becomes(
        "Content-Type: multipart/digest; boundary=o\n\n--o\n\nContent-Transfer-Encoding: binary\n\na",
        "Content-Type: multipart/digest; boundary=o\n\n--o\n\nContent-Transfer-Encoding: base64\n\nYQ==\n",
    );
    becomes(
        "Content-Type: message/delivery-status\nContent-Transfer-Encoding: binary\n\nReporting-MTA: x\n",
        "Content-Type: message/delivery-status\nContent-Transfer-Encoding: 8bit\n\nReporting-MTA: x\n",
    );
}

#[test]
fn signed_parts_pass_untouched_and_binary_ones_are_refused() {
    let signed = |outer: &str, inner: &str| {
        format!(
            "Content-Type: multipart/signed; boundary=s\nContent-Transfer-Encoding: {outer}\n\n--s\n\
             Content-Type: multipart/mixed; boundary=m\n\n--m\nContent-Transfer-Encoding: {inner}\n\na\n--m--\n\n--s\n\
             Content-Type: application/pgp-signature\n\nx\n--s--\n"
        )
    };
    stays(&signed("7bit", "quoted-printable"));
    assert_eq!(refused(&signed("binary", "binary")), Problem::SignedBinary);
    // The field of the multipart itself is not signed.
    let outer = converted(message(&signed("binary", "7bit"))).unwrap();
    assert!(outer.contains("boundary=s\nContent-Transfer-Encoding: 8bit\n\n--s\n"), "{outer}");
    // What comes after it is not, either.
    let behind = "--o\nContent-Transfer-Encoding: binary\n\na\n--o--\n";
    let both =
        format!("Content-Type: multipart/mixed; boundary=o\n\n--o\n{}\n{behind}", signed("7bit", "7bit"));
    assert!(
        converted(message(&both))
            .unwrap()
            .ends_with("\n--o\nContent-Transfer-Encoding: base64\n\nYQ==\n--o--\n")
    );
}

#[test]
fn a_header_that_cannot_be_understood_is_refused_wherever_it_stands() {
    for (header, expected) in [
        ("hello\n\n", Problem::NoField),
        ("A: b\nhello\n\n", Problem::NoField),
        (" A: b\n\n", Problem::NoField),
        (": b\n\n", Problem::NoField),
        ("A b: c\n\n", Problem::NoField),
        ("A: b\0\n\n", Problem::NulInHeader),
        ("Content-Type: text/plain\nContent-Type: text/plain\n\n", Problem::Unclear(MimeField::ContentType)),
        ("Content-Type: multipart/mixed\n\n", Problem::Unclear(MimeField::ContentType)),
        (
            "Content-Transfer-Encoding: binary\nContent-Transfer-Encoding: 7bit\n\n",
            Problem::Unclear(MimeField::TransferEncoding),
        ),
    ] {
        assert_eq!(refused(header), expected, "{header:?}");
        let part = format!("Content-Type: multipart/mixed; boundary=x\n\n--x\n{header}a\n--x--\n");
        assert_eq!(refused(&part), expected, "{header:?}");
        let nested = format!("Content-Type: message/rfc822\n\n{header}a\n");
        assert_eq!(refused(&nested), expected, "{header:?}");
    }
}

#[test]
fn header_sections_and_fields_are_limited_at_their_edge() {
    let field =
        |octets: usize| format!("Content-Type:{}\n\n", "x".repeat(octets - "Content-Type:\r\n".len()));
    assert!(converted(message(&field(8192))).is_ok());
    assert_eq!(refused(&field(8193)), Problem::Unclear(MimeField::ContentType));
    let header = |octets: usize| format!("A:{}\n", "x".repeat(octets - "A:\r\n".len()));
    let nested =
        |octets: usize| format!("Content-Type: message/rfc822\n\n{}\n{}", header(octets), "y".repeat(30_000));
    assert!(converted(message(&nested(20_000))).is_ok());
    assert_eq!(refused(&nested(20_001)), Problem::HeaderTooBig);
}

#[test]
fn parts_are_limited_in_number_and_depth() {
    let messages = |count: usize| "Content-Type: message/rfc822\n\n".repeat(count) + "A: b\n\n";
    assert!(converted(message(&messages(LEVELS_MAX))).is_ok());
    assert_eq!(refused(&messages(LEVELS_MAX + 1)), Problem::TooManyParts);
    let parts =
        |count: usize| format!("Content-Type: multipart/mixed; boundary=x\n\n{}", "--x\n".repeat(count));
    let whole = |text: &str| chopped(&message(text), 4096).map(drop);
    assert_eq!(whole(&parts(PARTS_MAX)), Ok(()));
    assert_eq!(whole(&parts(PARTS_MAX + 1)), Err(Problem::TooManyParts));
}

#[test]
fn nothing_more_is_held_than_a_line_and_a_field() {
    let mut converter = Converter::new(HEADER_OCTETS_MAX);
    let mut output = Vec::new();
    converter.convert(b"Content-Transfer-Encoding: binary\r\n\r\n", &mut output);
    let (mut given, chunk) = (0, [b'x'; 4096]);
    for _ in 0..100 {
        converter.convert(&chunk, &mut output);
        given += chunk.len();
        assert!(output.len() > given - 2000, "{given} octets were given, and {} came out", output.len());
    }
}

/// A part of a message, and the octets of the leaves in it.
#[derive(Clone, Debug)]
struct Part {
    octets: Vec<u8>,
    leaves: Vec<Vec<u8>>,
}

fn leaf() -> impl Strategy<Value = Part> {
    let body = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'b')], 0..40),
        (900_usize..2200).prop_map(|octets| vec![b'z'; octets]),
    ];
    (body, any::<bool>(), any::<bool>()).prop_map(|(body, is_binary, comes_first)| {
        // What is not binary is lines, so it is made such.
        let body = if is_binary {
            body
        } else {
            String::from_utf8_lossy(&body).replace(['\r', '\n'], "\r\n").into()
        };
        let encoding = if is_binary { "binary" } else { "8bit" };
        let encoding = format!("Content-Transfer-Encoding: {encoding}\r\n");
        let media_type = "Content-Type: application/octet-stream\r\n";
        let (first, second) =
            if comes_first { (encoding.as_str(), media_type) } else { (media_type, encoding.as_str()) };
        let octets = [first.as_bytes(), second.as_bytes(), b"\r\n", &body].concat();
        Part { octets, leaves: vec![body] }
    })
}

fn multipart((parts, number, is_binary): (Vec<Part>, u32, bool)) -> Part {
    let boundary = format!("=_bound{number}");
    let encoding = if is_binary { "Content-Transfer-Encoding: Binary\r\n" } else { "" };
    let mut octets =
        format!("{encoding}Content-Type: multipart/mixed;\r\n boundary=\"{boundary}\"\r\n").into_bytes();
    let mut leaves = Vec::new();
    for part in parts {
        octets.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
        octets.extend_from_slice(&part.octets);
        leaves.extend(part.leaves);
    }
    octets.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Part { octets, leaves }
}

fn part() -> impl Strategy<Value = Part> {
    leaf().prop_recursive(4, 12, 4, |part| {
        (proptest::collection::vec(part, 1..4), any::<u32>(), any::<bool>()).prop_map(multipart)
    })
}

/// True where no leaf has a line in it that looks like a delimiter, which whoever sends it makes sure of.
fn is_sound(part: &Part) -> bool {
    !part
        .leaves
        .iter()
        .any(|leaf| [b"\r\n".as_slice(), leaf].concat().windows(10).any(|window| window == b"\r\n--=_bound"))
}

/// The octets of all leaves, as mail-parser decodes them.
fn leaves(content: &[u8]) -> Vec<Vec<u8>> {
    let message = MessageParser::new().parse(content).unwrap();
    let leaves = message.parts.iter().filter_map(|part| match &part.body {
        PartType::Multipart(_) => None,
        PartType::Binary(octets) | PartType::InlineBinary(octets) => Some(octets.to_vec()),
        PartType::Text(text) | PartType::Html(text) => Some(text.as_bytes().to_vec()),
        PartType::Message(_) => panic!("there is none"),
    });
    leaves.collect()
}

proptest! {
    #[test]
    fn somebody_else_reads_the_same_leaves_and_chunks_make_no_difference(part in part(), chunk in 1_usize..1500) {
        prop_assume!(is_sound(&part));
        let output = chopped(&part.octets, part.octets.len()).unwrap();
        prop_assert_eq!(&chopped(&part.octets, chunk).unwrap(), &output);
        prop_assert_eq!(leaves(&output), part.leaves);
        let text: String = output.iter().copied().map(char::from).collect();
        prop_assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{}", text);
        // Once more changes nothing: there is nothing binary left.
        prop_assert_eq!(&chopped(&output, chunk).unwrap(), &output);
    }

    #[test]
    fn any_octets_at_all_give_the_same_in_whatever_chunks(
        octets in "(Content-Type: (multipart/(mixed|signed|digest); boundary=(a|ab)|message/rfc822|x)\r\n\
                   |Content-Transfer-Encoding: (binary|7bit)\r\n|\r\n|\n|--a(b)?(--)?( )?\r\n|--|x|\r){0,30}",
        chunk in 1_usize..40,
    ) {
        let whole = chopped(octets.as_bytes(), octets.len().max(1));
        prop_assert_eq!(chopped(octets.as_bytes(), chunk), whole);
    }
}

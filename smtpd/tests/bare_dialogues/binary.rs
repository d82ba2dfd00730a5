//! Binary content (RFC 3030 §3): what is stored of it, and what its limits are.

use mailstore::Body;
use smtpd::session::Kind;
use smtpd::{BareLineEnds, Config};

use crate::accounts::Accounts;
use crate::messages::Message;
use crate::session::{BareSession, LOGIN, greeted, reception, submission};

const TO_BOB: &str = "MAIL FROM:<alice@example.test> BODY=BINARYMIME\r\nRCPT TO:<bob@example.test>\r\n";
const BINARY: &str = "Content-Transfer-Encoding: binary\r\n";

/// The reply to `content`, in one chunk.
fn reply(session: &mut BareSession, content: &[u8]) -> String {
    assert_eq!(session.codes(TO_BOB), [250, 250]);
    session.ask([format!("BDAT {} LAST\r\n", content.len()).as_bytes(), content].concat())
}

/// What is stored of `content`.
fn stored(session: &mut BareSession, content: &[u8]) -> Message {
    let reply = reply(session, content);
    assert!(reply.starts_with("250 "), "{reply}");
    session.messages.committed().pop().unwrap()
}

#[test]
fn binary_content_is_stored_as_base64_and_its_trace_tells_so() {
    let content = [b"A: b\r\n", BINARY.as_bytes(), b"\r\n\x00\n\xff\r"].concat();
    let message = stored(&mut reception(), &content);
    assert_eq!(message.content, b"A: b\r\nContent-Transfer-Encoding: base64\r\n\r\nAAr/DQ==\r\n");
    let detail = format!("from 127.0.0.1 with {} octets, 1 parts converted from binary", content.len());
    assert_eq!(message.delivery.trace.detail, detail);
    assert_eq!(message.delivery.terms.body, Some(Body::EightBit));
}

#[test]
fn content_without_a_binary_part_is_stored_as_it_is() {
    let content = b"A: b\r\nContent-Transfer-Encoding: 8bit\r\n\r\ntext \xff\r\n";
    let message = stored(&mut reception(), content);
    assert_eq!(message.content, content);
    assert_eq!(message.delivery.trace.detail, format!("from 127.0.0.1 with {} octets", content.len()));
}

#[test]
fn what_is_taken_out_of_lines_is_taken_out_of_binary_content() {
    let results = "Authentication-Results: mail.example.test; spf=pass\r\n";
    let content = format!("{results}Bcc: carol@example.test\r\n{BINARY}\r\nBcc: x");
    let message = stored(&mut submission(), content.as_bytes());
    assert_eq!(message.content, b"Content-Transfer-Encoding: base64\r\n\r\nQmNjOiB4\r\n");
    let prefix = String::from_utf8(message.delivery.prefix).unwrap();
    assert!(prefix.contains("\r\nFrom: <alice@example.test>\r\nDate: "), "{prefix}");
}

#[test]
fn the_size_counts_as_received_and_as_stored() {
    let content = |octets: usize| format!("{BINARY}\r\n{}", "x".repeat(octets));
    let config = Config { content_octets_max: 1000, ..Config::default() };
    let mut session = greeted(Kind::Reception, &config, Accounts::new());
    // 37 octets of header, 12 lines of 78 octets from 57 each, and one from 15.
    assert_eq!(stored(&mut session, content(12 * 57 + 15).as_bytes()).content.len(), 995);
    let over = reply(&mut session, content(12 * 57 + 19).as_bytes());
    assert!(over.starts_with("552 5.3.4 ") && over.contains("base64"), "{over}");
    let over = reply(&mut session, content(1000).as_bytes());
    assert!(over.starts_with("552 5.3.4 ") && !over.contains("base64"), "{over}");
    assert_eq!(session.messages.committed().len(), 1);
}

#[test]
fn the_quota_counts_what_is_stored() {
    let to_dora = TO_BOB.replace("bob", "dora");
    for (octets, code) in [(6500, 250), (8000, 552)] {
        let mut session = reception();
        let content = format!("{BINARY}\r\n{}", "x".repeat(octets));
        let sent = format!("{to_dora}BDAT {} LAST\r\n{content}", content.len());
        assert_eq!(session.codes(sent), [250, 250, code], "{octets}");
    }
}

#[test]
fn line_ends_beside_binary_parts_are_never_repaired() {
    let config = Config { bare_line_ends: BareLineEnds::RepairLoopback, ..Config::default() };
    let mut session = greeted(Kind::Submission, &config, Accounts::new());
    assert_eq!(session.codes(LOGIN), [235]);
    assert!(reply(&mut session, b"A: b\n\ntext").starts_with("554 5.6.0 "));
    let kept = stored(&mut session, format!("{BINARY}\r\n\n").as_bytes()).content;
    assert_eq!(kept, b"Content-Transfer-Encoding: base64\r\n\r\nCg==\r\n");
}

#[test]
fn binary_content_of_any_length_is_written_in_pieces() {
    let mut session = reception();
    let content = format!("{BINARY}\r\n{}", "x".repeat(1 << 20));
    assert_eq!(session.codes(format!("{TO_BOB}BDAT {} LAST\r\n", content.len())), [250, 250]);
    for piece in content.as_bytes().chunks(4096) {
        session.ask(piece);
    }
    let [message] = session.messages.committed().try_into().unwrap_or_else(|_| panic!("not one message"));
    assert!(message.content.len() > 4 * content.len() / 3);
    assert!(message.write_octets_max < 50_000, "{} octets at once", message.write_octets_max);
}

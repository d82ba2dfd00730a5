//! Messages come back octet for octet, with the trace fields in front of them and nothing else.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::messages::{self, Message, fields_before};
use mailstack_tests::pop3::Pop3;
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::Smtp;
use mailstack_tests::stream::Stream;

/// What reception puts in front.
const TRACE: [&str; 2] = ["Return-Path", "Received"];
/// What submission may put in front.
const SUBMITTED: [&str; 5] = ["Return-Path", "Received", "From", "Date", "Message-ID"];
/// A chunk that no line or buffer has the size of.
const CHUNK_OCTETS: usize = 4099;

/// Sends by DATA where that can carry the content (RFC 5321 §4.1.1.4: it ends in CRLF), and by BDAT otherwise.
fn send_by_data(smtp: &mut Smtp, content: &[u8]) {
    if content.is_empty() || content.ends_with(b"\r\n") {
        smtp.data(content).unwrap().positive().unwrap();
    } else {
        send_by_chunks(smtp, content);
    }
}

fn send_by_chunks(smtp: &mut Smtp, content: &[u8]) {
    smtp.chunks(content, CHUNK_OCTETS).unwrap().positive().unwrap();
}

/// Fetches everything that `account` has, and compares it with what was sent in this order.
fn check(server: &Server, account: &str, sent: &[Message], allowed: &[&str]) {
    let mut maildrop = server.utf8_maildrop(account).unwrap();
    let sizes = maildrop.listed("LIST").unwrap();
    assert_eq!(sizes.len(), sent.len());
    for ((message, number), size) in sent.iter().zip(1..).zip(sizes) {
        let retrieved = maildrop.retrieve(number).unwrap();
        let fields = fields_before(&retrieved, &message.content, allowed)
            .map_err(|problem| format!("{}: {problem}", message.name))
            .unwrap();
        assert!(fields.starts_with(&TRACE.map(str::to_owned)), "{}: {fields:?}", message.name);
        assert_eq!(size, retrieved.len().to_string(), "{}: LIST and RETR disagree", message.name);
    }
    maildrop.quit().unwrap();
}

#[test]
fn awkward_messages_come_back_as_they_were_sent() {
    let server = Server::usual().unwrap();
    let messages = messages::awkward();
    let mut smtp = server.reception().unwrap();
    for message in &messages {
        smtp.envelope("dave@example.org", &["bob@example.test"]).unwrap();
        send_by_data(&mut smtp, &message.content);
        smtp.envelope("dave@example.org", &["carol@example.test"]).unwrap();
        send_by_chunks(&mut smtp, &message.content);
    }
    check(&server, "bob", &messages, &TRACE);
    check(&server, "carol", &messages, &TRACE);
}

#[test]
fn awkward_messages_come_back_as_they_were_submitted() {
    let server = Server::usual().unwrap();
    let messages = messages::awkward();
    let mut smtp = server.submission("alice").unwrap();
    for message in &messages {
        smtp.envelope("alice@example.test", &["bob@example.test"]).unwrap();
        send_by_data(&mut smtp, &message.content);
        smtp.envelope("alice@example.test", &["carol@example.test"]).unwrap();
        send_by_chunks(&mut smtp, &message.content);
    }
    check(&server, "bob", &messages, &SUBMITTED);
    check(&server, "carol", &messages, &SUBMITTED);
}

#[test]
fn messages_of_pythons_tests_come_back_as_they_were_received() {
    let Some(messages) = messages::of_python().unwrap() else { return };
    assert!(messages.len() > 40, "only {} messages were found", messages.len());
    let server = Server::usual().unwrap();
    let mut smtp = server.reception().unwrap();
    for message in &messages {
        smtp.envelope("dave@example.org", &["bob@example.test", "carol@example.test"]).unwrap();
        send_by_chunks(&mut smtp, &message.content);
    }
    check(&server, "bob", &messages, &TRACE);
    check(&server, "carol", &messages, &TRACE);
}

#[test]
fn an_attachment_of_25_mebibytes_comes_back_as_it_was_submitted() {
    let server = Server::usual().unwrap();
    let message = messages::with_attachment(25 << 20);
    let mut smtp = server.submission("alice").unwrap();
    smtp.envelope("alice@example.test", &["bob@example.test"]).unwrap();
    send_by_data(&mut smtp, &message.content);
    check(&server, "bob", &[message], &SUBMITTED);
}

#[test]
fn the_top_of_a_message_is_its_beginning() {
    let server = Server::usual().unwrap();
    let messages = messages::awkward();
    let mut smtp = server.reception().unwrap();
    for message in &messages {
        smtp.envelope("dave@example.org", &["bob@example.test"]).unwrap();
        send_by_chunks(&mut smtp, &message.content);
    }
    let mut maildrop = server.maildrop("bob").unwrap();
    for (message, number) in messages.iter().zip(1..) {
        let whole = maildrop.retrieve(number).unwrap();
        assert!(maildrop.top(number, 99_999_999).unwrap() == whole, "{}", message.name);
        let lines: Vec<&[u8]> = whole.split_inclusive(|&octet| octet == b'\n').collect();
        let header_lines = lines.iter().position(|line| line == b"\r\n").map_or(lines.len(), |at| at + 1);
        for body_lines in [0, 1, 2] {
            let expected = lines[..(header_lines + body_lines).min(lines.len())].concat();
            assert!(maildrop.top(number, body_lines).unwrap() == expected, "{}: {body_lines}", message.name);
        }
    }
}

#[test]
fn submission_fills_in_from_date_and_message_id_and_reception_does_not() {
    let server = Server::usual().unwrap();
    let content = b"Subject: bare\r\n\r\ntext\r\n";
    let mut smtp = server.submission("alice").unwrap();
    smtp.envelope("alice@example.test", &["bob@example.test"]).unwrap();
    send_by_data(&mut smtp, content);
    let mut smtp = server.reception().unwrap();
    smtp.envelope("alice@example.test", &["carol@example.test"]).unwrap();
    send_by_data(&mut smtp, content);

    let submitted = server.maildrop("bob").unwrap().retrieve(1).unwrap();
    let mut fields = fields_before(&submitted, content, &SUBMITTED).unwrap();
    fields.sort();
    assert_eq!(fields, ["Date", "From", "Message-ID", "Received", "Return-Path"]);
    let received = server.maildrop("carol").unwrap().retrieve(1).unwrap();
    assert_eq!(fields_before(&received, content, &TRACE).unwrap(), TRACE);
}

#[test]
fn what_nobody_may_see_or_claim_is_taken_out() {
    let server = Server::usual().unwrap();
    let results = "Authentication-Results: MAIL.example.test (x); auth=pass\r\n";
    let kept = "From: alice@example.test\r\nSubject: x\r\n\r\ny\r\n";
    let content = format!("Bcc: carol@example.test,\r\n\tdave@example.org\r\n{results}{kept}");
    for (mut smtp, expected) in [
        (server.submission("alice").unwrap(), kept.to_owned()),
        (server.reception().unwrap(), content.replace(results, "")),
    ] {
        smtp.envelope("alice@example.test", &["bob@example.test"]).unwrap();
        send_by_data(&mut smtp, content.as_bytes());
        let mut maildrop = server.maildrop("bob").unwrap();
        let retrieved = maildrop.retrieve(1).unwrap();
        fields_before(&retrieved, expected.as_bytes(), &SUBMITTED).unwrap();
        maildrop.delete(1).unwrap();
        maildrop.quit().unwrap();
    }
}

#[test]
fn trace_fields_say_who_brought_the_message_and_how() {
    let server = Server::usual().unwrap();
    let mut smtp = server.submission("alice").unwrap();
    smtp.envelope("alice@example.test", &["bob+lists@example.test"]).unwrap();
    send_by_data(&mut smtp, b"Subject: x\r\n\r\ny\r\n");
    let mut smtp = server.reception().unwrap();
    smtp.envelope("", &["bob@example.test"]).unwrap();
    send_by_data(&mut smtp, b"Subject: x\r\n\r\ny\r\n");

    let mut maildrop = server.maildrop("bob").unwrap();
    let submitted = String::from_utf8(maildrop.retrieve(1).unwrap()).unwrap();
    assert!(submitted.starts_with("Return-Path: <alice@example.test>\r\n"), "{submitted}");
    assert!(submitted.contains("\r\nReceived: from client.example.test "), "{submitted}");
    assert!(submitted.contains("by mail.example.test"), "{submitted}");
    // RFC 3848: TLS and login.
    assert!(submitted.contains("with ESMTPSA"), "{submitted}");
    let received = String::from_utf8(maildrop.retrieve(2).unwrap()).unwrap();
    assert!(received.starts_with("Return-Path: <>\r\n"), "{received}");
    assert!(received.contains("with ESMTP\r\n") || received.contains("with ESMTP "), "{received}");
}

#[test]
fn two_equal_messages_have_two_unique_ids_which_a_restart_keeps() {
    let configuration = Configuration::default();
    let mut server = Server::start(&configuration).unwrap();
    let mut smtp = server.reception().unwrap();
    for _ in 0..3 {
        smtp.envelope("dave@example.org", &["bob@example.test"]).unwrap();
        send_by_data(&mut smtp, b"Subject: same\r\n\r\nsame\r\n");
    }
    drop(smtp);
    let before = server.maildrop("bob").unwrap().listed("UIDL").unwrap();
    let mut different = before.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 3, "{before:?}");
    // RFC 1939 §7.
    assert!(
        before
            .iter()
            .all(|id| (1..=70).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_graphic()))
    );

    server.terminate().unwrap();
    assert!(server.ended().unwrap().success());
    server.run(&configuration).unwrap();
    assert_eq!(server.maildrop("bob").unwrap().listed("UIDL").unwrap(), before);
}

#[test]
fn mail_that_arrives_during_a_session_is_for_the_next() {
    let server = Server::usual().unwrap();
    let mut smtp = server.reception().unwrap();
    smtp.envelope("dave@example.org", &["bob@example.test"]).unwrap();
    send_by_data(&mut smtp, b"Subject: one\r\n\r\n");
    let mut maildrop = server.maildrop("bob").unwrap();
    smtp.envelope("dave@example.org", &["bob@example.test"]).unwrap();
    send_by_data(&mut smtp, b"Subject: two\r\n\r\n");
    for command in ["NOOP", "RSET"] {
        maildrop.ask(command).unwrap();
        assert_eq!(maildrop.count().unwrap(), 1);
        assert_eq!(maildrop.listed("LIST").unwrap().len(), 1);
        assert_eq!(maildrop.listed("UIDL").unwrap().len(), 1);
        for refused in ["LIST 2", "UIDL 2", "RETR 2", "TOP 2 0", "DELE 2"] {
            assert!(maildrop.ask(refused).unwrap_err().to_string().starts_with("-ERR "), "{refused}");
        }
    }
    maildrop.delete(1).unwrap();
    maildrop.quit().unwrap();
    let left = server.maildrop("bob").unwrap().retrieve(1).unwrap();
    assert!(left.ends_with(b"Subject: two\r\n\r\n"));
}

#[test]
fn every_recipient_gets_a_copy_and_a_name_given_twice_gets_one() {
    let server = Server::usual().unwrap();
    let recipients = [
        "bob@example.test",
        "bob@example.test",
        "bob+other@EXAMPLE.test",
        "carol@example.test",
        "postmaster",
    ];
    let mut smtp = server.reception().unwrap();
    smtp.envelope("dave@example.org", &recipients).unwrap();
    send_by_data(&mut smtp, b"Subject: all\r\n\r\n");
    for account in ["alice", "carol", "bob"] {
        assert_eq!(server.maildrop(account).unwrap().count().unwrap(), 1, "{account}");
    }
}

#[test]
fn passwords_may_hold_whatever_people_type() {
    let long = "x".repeat(200);
    let passwords =
        ["two words", " blanks around ", "quo\"te's", "Grüße 漢字", "a\\b", "100%", long.as_str()];
    let configuration = Configuration::default();
    let mut server = Server::start(&configuration).unwrap();
    server.terminate().unwrap();
    assert!(server.ended().unwrap().success());
    for (password, number) in passwords.iter().zip(1..) {
        server
            .mailstack(&["account", "add", &format!("user{number}@example.test")], &format!("{password}\n"))
            .unwrap();
    }
    server.run(&configuration).unwrap();
    for (password, number) in passwords.iter().zip(1..) {
        let login = format!("user{number}@example.test");
        let stream = Stream::tls(server.addresses().unwrap().pop3s, server.trust()).unwrap();
        Pop3::new(stream).unwrap().login(&login, password).unwrap();
        let mut smtp = Smtp::clear(server.addresses().unwrap().submission, server.trust()).unwrap();
        smtp.start_tls().unwrap();
        smtp.login(&login, password).unwrap();
        smtp.quit().unwrap();
    }
}

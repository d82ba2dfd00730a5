//! What the store is given: content as it was meant, and the fields in front of it.

use mailstore::MaildropId;
use smtpd::Config;
use smtpd::session::Kind;

use crate::accounts::Accounts;
use crate::messages::Message;
use crate::session::{BareSession, greeted, reception, submission};

const TO_BOB: &str = "MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\n";

/// The one message that `session` committed when `content` was sent by DATA.
fn sent(mut session: BareSession, content: &str) -> Message {
    assert_eq!(session.codes(format!("{TO_BOB}DATA\r\n")), [250, 250, 354]);
    assert_eq!(session.codes(format!("{content}.\r\n")), [250]);
    the_only(&session)
}

fn the_only(session: &BareSession) -> Message {
    let [message] = session.messages.committed().try_into().unwrap_or_else(|_| panic!("not one message"));
    message
}

fn prefix(message: &Message) -> &str {
    std::str::from_utf8(&message.delivery.prefix).unwrap()
}

#[test]
fn content_is_stored_as_it_was_meant() {
    let message = sent(submission(), "A: b\r\n\r\n..\r\n..dot\r\n\0 \u{fc}\r\n");
    assert_eq!(message.content, "A: b\r\n\r\n.\r\n.dot\r\n\0 \u{fc}\r\n".as_bytes());
}

#[test]
fn chunks_are_stored_as_they_came() {
    let mut session = submission();
    let codes = session.codes(format!("{TO_BOB}BDAT 10\r\nA: b\r\n\r\n.\rBDAT 5 LAST\r\n\n.\r\n."));
    assert_eq!(codes, [250, 250, 250, 250]);
    assert_eq!(the_only(&session).content, b"A: b\r\n\r\n.\r\n.\r\n.");
}

#[test]
fn reception_adds_nothing_but_trace() {
    let message = sent(reception(), "Subject: x\r\n\r\n");
    assert_eq!(message.delivery.delivery_prefix, b"Return-Path: <alice@example.test>\r\n");
    assert_eq!(
        prefix(&message),
        "Received: from client.example.org ([127.0.0.1])\r\n\
         \tby mail.example.test (mailstack) with ESMTPS\r\n\
         \t(TLS1.3 TLS13_AES_256_GCM_SHA384)\r\n\
         \tid bare.1\r\n\
         \tfor <bob@example.test>;\r\n\
         \tFri, 21 Nov 2025 22:27:00 +0000\r\n"
    );
    assert_eq!(message.delivery.trace.event, "received");
    assert_eq!(message.delivery.maildrops, [MaildropId(2)]);
}

#[test]
fn submission_adds_date_and_message_id_where_they_are_missing() {
    let without = sent(submission(), "Subject: x\r\n\r\n");
    assert!(prefix(&without).contains(" with ESMTPSA\r\n"));
    assert!(prefix(&without).ends_with(
        "Date: Fri, 21 Nov 2025 22:27:00 +0000\r\nMessage-ID: <1763764020.bare.1@mail.example.test>\r\n"
    ));
    let with = sent(submission(), "date: x\r\nMESSAGE-ID: <a@b>\r\n\r\n");
    assert!(!prefix(&with).contains("Date:") && !prefix(&with).contains("Message-ID:"));
    assert_eq!(with.delivery.trace.event, "submitted");
}

#[test]
fn text_without_a_header_section_stays_text() {
    for session in [submission(), reception()] {
        assert!(prefix(&sent(session, "hello\r\n")).ends_with("\r\n\r\n"));
    }
    for header in ["A: b\r\n", "\r\nbody\r\n", ""] {
        assert!(!prefix(&sent(submission(), header)).ends_with("\r\n\r\n"), "{header:?}");
    }
}

#[test]
fn two_recipients_with_one_maildrop_get_one_message() {
    let mut session = reception();
    let envelope = "MAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<Postmaster>\r\n\
                    RCPT TO:<ALICE+list@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n";
    assert_eq!(session.codes(envelope), [250, 250, 250, 250, 250, 354]);
    assert_eq!(session.codes("\r\n.\r\n"), [250]);
    let message = the_only(&session);
    assert_eq!(message.delivery.maildrops, [MaildropId(1), MaildropId(2)]);
    assert_eq!(message.delivery.delivery_prefix, b"Return-Path: <>\r\n");
    assert!(!prefix(&message).contains("for <"), "recipients are told of each other");
}

#[test]
fn our_own_address_stands_for_the_primary_domain() {
    let mut session = reception();
    let replies = session.codes("MAIL FROM:<>\r\nRCPT TO:<bob@[127.0.0.1]>\r\nRCPT TO:<bob@[192.0.2.1]>\r\n");
    assert_eq!(replies, [250, 250, 550]);
}

#[test]
fn large_content_goes_to_the_store_in_small_pieces() {
    let line = "0123456789".repeat(100) + "\r\n";
    let message = sent(reception(), &line.repeat(1000));
    assert_eq!(message.content.len(), 1_002_000);
    // The bare session is handed all of it at once; a connection reads at most some KiB.
    assert!(message.write_octets_max >= 32 << 10);
}

#[test]
fn each_message_of_a_session_has_an_identity_of_its_own() {
    let mut session = reception();
    for _ in 0..2 {
        assert_eq!(session.codes(format!("{TO_BOB}DATA\r\n")), [250, 250, 354]);
        assert_eq!(session.codes("\r\n.\r\n"), [250]);
    }
    let committed = session.messages.committed();
    assert!(prefix(&committed[0]).contains("id bare.1\r\n"));
    assert!(prefix(&committed[1]).contains("id bare.2\r\n"));
}

#[test]
fn helo_is_told_in_the_trace() {
    let mut session = greeted(Kind::Reception, &Config::default(), Accounts::new());
    assert_eq!(session.codes("HELO other.example.org\r\n"), [250]);
    let message = sent(session, "\r\n");
    assert!(prefix(&message).contains("from other.example.org ("));
    assert!(prefix(&message).contains(" with SMTP\r\n"));
}

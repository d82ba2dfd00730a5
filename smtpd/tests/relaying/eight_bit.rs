//! 8-bit content goes to servers without 8BITMIME as ASCII (RFC 6152 §3), or back where that cannot be.

use mailstore::{Body, Terms};

use crate::world::{Mail, World};
use mailstack_tests::peer::{Message, Peer, Script};

const UMLAUT: &str = "Subject: hello\r\nFrom: <alice@example.test>\r\nContent-Type: text/plain; charset=utf-8\r\n\
     Content-Transfer-Encoding: 8bit\r\nMIME-Version: 1.0\r\n\r\nStra\u{df}e und Haus\r\n";
const QUOTED: &str = "Subject: hello\r\nFrom: <alice@example.test>\r\nContent-Type: text/plain; charset=utf-8\r\n\
     MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nStra=C3=9Fe und Haus\r\n";

/// What a server with these extensions gets of a message, and what its sender hears.
async fn relayed(ehlo: &str, content: &str, terms: Terms, key: Option<&str>) -> (Vec<Message>, Vec<String>) {
    let peer = Peer::new(Script::default().says("EHLO", &[ehlo])).await;
    let world = World::new(&[("b.test", &peer)], "retry_seconds = 1000").await;
    if let Some(selector) = key {
        world.sign_with(selector);
    }
    world.send(Mail { terms, content, ..Mail::to(&["one@b.test"]) }).await;
    world.is_done().await;
    let heard = (peer.messages(), world.reports().await);
    world.end().await;
    heard
}

fn eight_bit() -> Terms {
    Terms { body: Some(Body::EightBit), ..Terms::default() }
}

#[tokio::test]
async fn a_server_without_8bitmime_gets_ascii_and_its_size() {
    let (messages, reports) = relayed("250-peer.test\r\n250 SIZE 1000", UMLAUT, eight_bit(), None).await;
    let [message] = messages.try_into().unwrap();
    assert_eq!(message.content, format!("Received: here\r\n{QUOTED}"));
    assert_eq!(message.mail, format!("MAIL FROM:<alice@example.test> SIZE={}", message.content.len()));
    assert_eq!(reports, [] as [&str; 0]);
    // What is too large now is so before it is sent.
    let ehlo = format!("250-peer.test\r\n250 SIZE {}", message.content.len() - 1);
    let (messages, reports) = relayed(&ehlo, UMLAUT, eight_bit(), None).await;
    assert!(messages.is_empty() && reports[0].contains("Status: 5.3.4\r\n"), "{reports:?}");
    // Others get it as it is.
    let (messages, _) = relayed("250-peer.test\r\n250 8BITMIME", UMLAUT, eight_bit(), None).await;
    let [message] = messages.try_into().unwrap();
    assert_eq!(message.content, format!("Received: here\r\n{UMLAUT}"));
    assert_eq!(message.mail, "MAIL FROM:<alice@example.test> BODY=8BITMIME");
}

/// RFC 6376 §5.3: what is signed is what is sent.
#[tokio::test]
async fn what_was_converted_is_signed_as_it_leaves() {
    let (messages, _) = relayed("250 peer.test", UMLAUT, eight_bit(), Some("one")).await;
    let [message] = messages.try_into().unwrap();
    let (signature, content) = message.content.split_once("Received: here\r\n").unwrap();
    assert_eq!(content, QUOTED);
    // The same body, sent as it is by whoever writes it so, has the same hash.
    let terms = Terms { body: Some(Body::SevenBit), ..Terms::default() };
    let (messages, _) = relayed("250 peer.test", QUOTED, terms, Some("one")).await;
    let [message] = messages.try_into().unwrap();
    let hash = |text: &str| {
        let (_, rest) = text.split_once("bh=").unwrap();
        rest.split(';').next().unwrap().replace(['\r', '\n', '\t', ' '], "")
    };
    assert_eq!(hash(signature), hash(&message.content));
}

#[tokio::test]
async fn what_cannot_be_converted_goes_back_with_the_reason() {
    for (content, status, reason) in [
        ("Subject: \u{e4}\r\n\r\ntext\r\n", "5.6.3", "its header has characters beyond ASCII in it"),
        (
            "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\n\u{e4}\r\n--s--\r\n",
            "5.6.3",
            "it has signed parts, which must not be changed",
        ),
    ] {
        let (messages, reports) = relayed("250 peer.test", content, eight_bit(), None).await;
        assert!(messages.is_empty());
        let [report] = reports.try_into().unwrap();
        let unfolded = report.replace("\r\n    ", " ");
        assert!(report.contains(&format!("Status: {status}\r\n")) && unfolded.contains(reason), "{report}");
    }
}

/// RFC 6533 §4: what is about an address in UTF-8 is in UTF-8 itself.
#[tokio::test]
async fn a_report_about_an_international_address_is_international() {
    let script = Script::default()
        .says("EHLO", &["250-peer.test\r\n250-8BITMIME\r\n250 SMTPUTF8"])
        .says("RCPT", &["550 5.1.1 no such user"]);
    let peer = Peer::new(script).await;
    let world = World::new(&[("b.test", &peer)], "").await;
    let terms = Terms { is_utf8: true, ..eight_bit() };
    world.send(Mail { terms, ..Mail::to(&["\u{e4}@b.test"]) }).await;
    world.is_done().await;
    let [report] = world.reports().await.try_into().unwrap();
    for expected in [
        "report-type=global-delivery-status;",
        "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n",
        "Final-Recipient: utf-8; \u{e4}@b.test\r\nAction: failed\r\nStatus: 5.1.1\r\n",
        "Content-Type: message/global\r\n",
    ] {
        assert!(report.contains(expected), "{expected} is not in\n{report}");
    }
    world.end().await;
}

/// RFC 6531 §3.1: what nobody needs it for goes without SMTPUTF8, though it was handed in with it.
#[tokio::test]
async fn international_mail_that_is_not_goes_to_servers_without_smtputf8() {
    let terms = Terms { is_utf8: true, ..eight_bit() };
    for (ehlo, expected) in [("250-peer.test\r\n250 8BITMIME", UMLAUT), ("250 peer.test", QUOTED)] {
        let (messages, reports) = relayed(ehlo, UMLAUT, terms.clone(), None).await;
        let [message] = messages.try_into().unwrap();
        assert_eq!(message.content, format!("Received: here\r\n{expected}"));
        assert_eq!(reports, [] as [&str; 0]);
    }
    let header = "Subject: \u{e4}\r\n\r\ntext\r\n";
    let (messages, reports) = relayed("250-peer.test\r\n250 8BITMIME", header, terms.clone(), None).await;
    assert!(messages.is_empty() && reports[0].contains("Status: 5.6.7\r\n"), "{reports:?}");
    let (messages, _) = relayed("250-peer.test\r\n250-8BITMIME\r\n250 SMTPUTF8", header, terms, None).await;
    assert!(messages[0].mail.contains(" SMTPUTF8") && messages[0].content.ends_with(header));
}

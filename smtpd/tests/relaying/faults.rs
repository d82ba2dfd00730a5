//! Whatever another server does wrong, and wherever: the mail arrives once it does right, its sender hears nothing of the
//! trouble, and where it may have arrived twice the log says so.

use mailstore::{Body, Terms};

use crate::log::Log;
use crate::world::{Mail, World};
use mailstack_tests::peer::{Does, Peer, Script};

/// What a server is asked, but for what TLS and a login are about.
const POINTS: [&str; 6] = ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "end"];
/// Seconds are short, so that servers that hang are given up soon.
const IMPATIENT: &str = "reply_seconds = 1\nend_seconds = 1\nhandshake_seconds = 1\nsession_idle_seconds = 0";

/// At each point `does`, once, and then all is well: `reason` is why the message was put off.
async fn passes(does: Does, reason: &str, points: &[&'static str]) {
    let log = Log::begin();
    let mut peers = Vec::new();
    for point in points {
        let script = Script::default().does(point, &[does.clone(), Does::Usual]);
        peers.push((format!("{}.test", point.to_lowercase()), Peer::new(script).await));
    }
    let by_domain: Vec<_> = peers.iter().map(|(domain, peer)| (domain.as_str(), peer)).collect();
    let world = World::new(&by_domain, IMPATIENT).await;
    for (domain, _) in &peers {
        let recipients = ["one", "two"].map(|name| format!("{name}@{domain}"));
        world.send(Mail::to(&recipients.each_ref().map(String::as_str))).await;
    }
    world.is_done().await;
    let is_reply = matches!(&does, Does::Says(reply) if reply.starts_with('4'));
    for ((domain, peer), point) in peers.iter().zip(points) {
        // What looks like a yes may have been one.
        let is_taken = *point == "end" && matches!(&does, Does::Says(reply) if reply.starts_with('2'));
        assert_eq!(peer.messages().len(), if is_taken { 2 } else { 1 }, "{point}");
        assert_eq!(peer.messages().first().unwrap().recipients.len(), 2, "{point}");
        // The one window: sent to its end, and nobody knows what became of it.
        let is_doubtful = *point == "end" && !is_reply;
        assert_eq!(peer.count("end"), if *point == "end" { 2 } else { 1 }, "{point}");
        let doubts = log
            .lines(&["nobody knows whether the message was taken: ", &format!(":{}", peer.address.port())]);
        assert_eq!(doubts.len(), usize::from(is_doubtful), "{point}: {doubts:?}");
        let deferred = log.lines(&["deferred", domain, reason]);
        assert_eq!(deferred.len(), 2, "{point}: {:?}", log.lines(&["deferred", domain]));
        assert_eq!(log.lines(&["relayed", domain]).len(), 2, "{point}");
    }
    assert_eq!(world.reports().await, [] as [&str; 0]);
    world.end().await;
}

fn says(reply: &str) -> Does {
    Does::Says(reply.to_owned())
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_for_the_time_being() {
    passes(Does::Hangs, "within 1s", &POINTS).await;
}

#[tokio::test]
async fn a_server_that_drops_the_connection_is_tried_again() {
    passes(Does::Closes, "the connection broke", &POINTS).await;
}

#[tokio::test]
async fn a_server_that_says_goodbye_is_tried_again() {
    passes(says("421 4.3.2 not now"), "not now", &POINTS).await;
}

#[tokio::test]
async fn a_server_that_puts_off_is_tried_again() {
    // Of two recipients one would be put off alone: main.rs has that.
    passes(says("451 4.3.0 later"), "later", &["greeting", "EHLO", "MAIL", "DATA", "end"]).await;
}

#[tokio::test]
async fn a_reply_that_breaks_off_is_none() {
    passes(Does::Sends(b"250 2.0".to_vec()), "within 1s", &POINTS).await;
}

#[tokio::test]
async fn a_line_that_is_too_long_is_no_reply() {
    let long = format!("250 {}", "x".repeat(20_000));
    passes(says(&long), "a reply has a line of more than 8192 octets", &POINTS).await;
}

#[tokio::test]
async fn a_line_without_end_is_no_reply() {
    passes(Does::Repeats(&[b'2'; 1000]), "within 1s", &POINTS).await;
}

#[tokio::test]
async fn a_reply_without_end_is_none() {
    passes(Does::Repeats(b"250-and so on\r\n"), "reply is longer than 65536 octets", &POINTS).await;
}

#[tokio::test]
async fn what_has_no_code_is_no_reply() {
    for said in ["", "25", "250_ok", "650 ok", "250-one\r\n251 two", "\0\u{1}\u{80}\u{ff}"] {
        passes(says(said), "which is not an SMTP reply", &POINTS).await;
    }
}

/// Replies that answer what was not asked, or before it was.
#[tokio::test]
async fn a_server_that_is_out_of_step_gets_no_message() {
    for (point, said, reason) in [
        ("EHLO", "250-peer.test\r\n250 8BITMIME\r\n250 2.1.0 ok\r\n250 2.1.5 ok", "250 2.0.0 ok"),
        ("MAIL", "354 go on", "354 go on"),
        ("RCPT", "354 go on", "354 go on"),
        ("DATA", "250 2.0.0 ok", "250 2.0.0 ok"),
        ("DATA", "354 go on\r\n250 2.0.0 taken", "out of step"),
    ] {
        let log = Log::begin();
        let peer = Peer::new(Script::default().does(point, &[says(said), Does::Usual])).await;
        let world = World::new(&[("b.test", &peer)], IMPATIENT).await;
        world.send(Mail::to(&["one@b.test"])).await;
        world.is_done().await;
        assert_eq!(peer.messages().len(), 1, "{point}");
        let deferred = log.lines(&["deferred", "one@b.test"]);
        assert!(matches!(deferred.as_slice(), [line] if line.contains(reason)), "{point}: {deferred:?}");
        assert_eq!(log.lines(&["nobody knows whether"]), [] as [&str; 0], "{point}");
        world.end().await;
    }
}

/// What a server refuses before the message has come to its end is believed, and nothing else.
#[tokio::test]
async fn a_verdict_that_comes_too_early_is_a_verdict_where_it_is_no() {
    let peer = Peer::new(Script::default().says("DATA", &["354 go on\r\n552 5.3.4 too big for me"])).await;
    let world = World::new(&[("b.test", &peer)], IMPATIENT).await;
    world.send(Mail::to(&["one@b.test"])).await;
    world.is_done().await;
    assert_eq!(peer.count("end"), 0);
    let [report] = world.reports().await.try_into().unwrap();
    assert!(report.contains("Status: 5.3.4\r\n") && report.contains("too big for me"), "{report}");
    world.end().await;
}

/// RFC 5321 §3.8: some servers end a session that has sent enough with 421 to MAIL.
#[tokio::test]
async fn a_server_that_is_tired_of_a_session_gets_the_mail_over_another_one_at_once() {
    let script = Script::default().does("MAIL", &[Does::Usual, says("421 4.7.0 enough"), Does::Usual]);
    let peer = Peer::new(script).await;
    let world = World::new(&[("b.test", &peer)], "destination_sessions_max = 1\nretry_seconds = 1000").await;
    for _ in 0..2 {
        world.send(Mail::to(&["one@b.test"])).await;
    }
    world.is_done().await;
    assert_eq!((peer.messages().len(), peer.connections()), (2, 2));
    world.end().await;
}

/// A refusal for good, and to whom: the report says what the server said, and nothing is tried again.
#[tokio::test]
async fn what_a_server_refuses_for_good_goes_back_at_once() {
    for (point, reply, status) in [
        ("greeting", "554 5.3.2 no mail here", "5.3.2"),
        ("EHLO", "521 5.3.2 no mail here", "5.3.2"),
        ("MAIL", "550 5.7.1 not from you", "5.7.1"),
        ("RCPT", "550 5.1.1 no such user", "5.1.1"),
        ("DATA", "554 5.5.0 no valid recipients", "5.5.0"),
        ("end", "554 5.6.0 not like this", "5.6.0"),
    ] {
        // A server without EHLO may have HELO (RFC 5321 §3.2).
        let script = Script::default().says(point, &[reply]).says("HELO", &[reply]);
        let peer = Peer::new(script).await;
        let world = World::new(&[("b.test", &peer)], "retry_seconds = 1000").await;
        world.send(Mail::to(&["one@b.test", "two@b.test"])).await;
        world.is_done().await;
        assert_eq!((peer.messages().len(), peer.connections()), (0, 1), "{point}");
        let [report] = world.reports().await.try_into().unwrap();
        for name in ["one", "two"] {
            let expected =
                format!("Final-Recipient: rfc822; {name}@b.test\r\nAction: failed\r\nStatus: {status}\r\n");
            assert!(report.contains(&expected), "{point}: {expected} is not in\n{report}");
        }
        assert!(report.contains(&format!("Diagnostic-Code: smtp; {reply}")), "{point}: {report}");
        world.end().await;
    }
}

/// Each recipient has its own reply, and its own end.
#[tokio::test]
async fn recipients_of_one_transaction_end_each_in_its_own_way() {
    let replies =
        ["250 2.1.5 ok", "550 5.1.1 no such user", "451 4.2.1 later", "552 5.2.2 too many", "250 ok"];
    let peer = Peer::new(Script::default().says("RCPT", &replies)).await;
    let world = World::new(&[("b.test", &peer)], "").await;
    world.send(Mail::to(&["taken@b.test", "none@b.test", "late@b.test", "full@b.test"])).await;
    world.is_done().await;
    // The one too many at once (RFC 5321 §4.5.3.1.10), the one that was put off later.
    let recipients: Vec<_> = peer.messages().into_iter().map(|message| message.recipients).collect();
    assert_eq!(
        recipients,
        [["RCPT TO:<taken@b.test>"], ["RCPT TO:<full@b.test>"], ["RCPT TO:<late@b.test>"]]
    );
    let [report] = world.reports().await.try_into().unwrap();
    assert!(report.contains("rfc822; none@b.test\r\nAction: failed\r\n"), "{report}");
    assert_eq!(report.matches("Final-Recipient").count(), 1, "{report}");
    world.end().await;
}

/// What the message needs and the server has not: RFC 6152 §3, RFC 6531 §3.1, RFC 1870 §6.1.
#[tokio::test]
async fn a_server_that_lacks_what_a_message_needs_does_not_get_it() {
    for (ehlo, body, recipient, status) in [
        // Its recipient cannot be written otherwise.
        ("250-peer.test\r\n250 8BITMIME", Body::EightBit, "\u{e4}@b.test", "5.6.7"),
        ("250-peer.test\r\n250-8BITMIME\r\n250 SIZE 20", Body::SevenBit, "one@b.test", "5.3.4"),
    ] {
        let peer = Peer::new(Script::default().says("EHLO", &[ehlo])).await;
        let world = World::new(&[("b.test", &peer)], "retry_seconds = 1000").await;
        let terms = Terms { body: Some(body), is_utf8: !recipient.is_ascii(), ..Terms::default() };
        world.send(Mail { terms, ..Mail::to(&[recipient]) }).await;
        world.is_done().await;
        assert_eq!((peer.messages().len(), peer.count("MAIL")), (0, 0), "{status}");
        let [report] = world.reports().await.try_into().unwrap();
        assert!(report.contains(&format!("Status: {status}\r\n")), "{report}");
        world.end().await;
    }
}

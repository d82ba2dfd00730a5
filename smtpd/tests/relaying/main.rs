//! Mail leaves for other servers, whatever these say or do, and its sender hears what became of it.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod answered;
mod bounced;
mod by_dns;
mod eight_bit;
mod faults;
mod lists;
mod log;
mod secured;
mod storms;
mod world;

use mailstore::{Notify, Quota, RecipientTerms, Returns, Terms};

use mailstack_tests::peer::{Does, Peer, Script};
use world::{CONTENT, Mail, World, wait_for};

#[tokio::test]
async fn all_recipients_of_a_destination_go_in_one_transaction() {
    let peer = Peer::new(Script::default()).await;
    let world = World::new(&[("b.test", &peer)], "").await;
    world.send(Mail::to(&["one@b.test", "two@b.test"])).await;
    world.is_done().await;
    let [message] = peer.messages().try_into().unwrap();
    assert_eq!(message.mail, "MAIL FROM:<alice@example.test>");
    assert_eq!(message.recipients, ["RCPT TO:<one@b.test>", "RCPT TO:<two@b.test>"]);
    // What only final delivery adds stays here, and dots are stuffed.
    let content = CONTENT.replace("\r\n.dot", "\r\n..dot");
    assert_eq!(message.content, format!("Received: here\r\n{content}"));
    assert_eq!(world.reports().await, [] as [&str; 0]);
    world.end().await;
}

#[tokio::test]
async fn what_leaves_is_signed_with_the_key_that_its_author_has_at_that_time() {
    let script = Script::default().says("EHLO", &["250-peer.test\r\n250 SIZE 1000000"]);
    let peer = Peer::new(script).await;
    let world = World::new(&[("b.test", &peer)], "").await;
    for (selector, messages) in [("one", 1), ("two", 2)] {
        world.sign_with(selector);
        world.send(Mail::to(&["one@b.test"])).await;
        world.is_done().await;
        assert_eq!(peer.messages().len(), messages);
        let message = peer.messages().pop().unwrap();
        let begin = format!("DKIM-Signature: v=1; a=ed25519-sha256; s={selector}; d=example.test; ");
        assert!(message.content.starts_with(&begin), "{}", message.content);
        let content = message.content.replace("\r\n..", "\r\n.");
        assert!(content.ends_with(&format!(";\r\nReceived: here\r\n{CONTENT}")), "{content}");
        // RFC 1870 §6.1: of all that is sent.
        assert_eq!(message.mail, format!("MAIL FROM:<alice@example.test> SIZE={}", content.len()));
    }
    world.end().await;
}

#[tokio::test]
async fn a_session_serves_one_message_after_the_other() {
    let peer = Peer::new(Script::default()).await;
    let world = World::new(&[("b.test", &peer)], "destination_sessions_max = 1").await;
    for _ in 0..5 {
        world.send(Mail::to(&["one@b.test"])).await;
    }
    world.is_done().await;
    assert_eq!((peer.messages().len(), peer.connections()), (5, 1));
    world.end().await;
}

#[tokio::test]
async fn a_message_is_not_torn_apart_by_sessions_that_wait_for_work() {
    let peer = Peer::new(Script::default()).await;
    let world = World::new(&[("b.test", &peer)], "").await;
    for _ in 0..50 {
        world.send(Mail::to(&["one@b.test", "two@b.test", "three@b.test"])).await;
    }
    world.is_done().await;
    assert_eq!(peer.messages().len(), 50);
    world.end().await;
}

#[tokio::test]
async fn a_session_ends_after_as_many_messages_as_the_server_takes() {
    let script = Script::default().says("EHLO", &["250-peer.test\r\n250 LIMITS MAILMAX=2 RCPTMAX=1"]);
    let peer = Peer::new(script).await;
    let world = World::new(&[("b.test", &peer)], "destination_sessions_max = 1").await;
    for _ in 0..3 {
        world.send(Mail::to(&["one@b.test", "two@b.test"])).await;
    }
    world.is_done().await;
    assert!(peer.messages().iter().all(|message| message.recipients.len() == 1));
    assert_eq!(peer.messages().len(), 6);
    assert!(peer.connections() >= 2);
    world.end().await;
}

#[tokio::test]
async fn a_recipient_that_is_refused_is_reported_and_the_others_get_the_message() {
    let script = Script::default().says("RCPT", &["550 5.1.1 no such user", "250 ok"]);
    let peer = Peer::new(script).await;
    let world = World::new(&[("b.test", &peer)], "").await;
    world.send(Mail::to(&["nobody@b.test", "two@b.test"])).await;
    world.is_done().await;
    assert_eq!(peer.messages().len(), 1);
    let [report] = world.reports().await.try_into().unwrap();
    for expected in [
        "Return-Path: <>\r\n",
        "To: <alice@example.test>\r\n",
        "Subject: Not delivered: your message to nobody@b.test\r\n",
        "Auto-Submitted: auto-replied\r\n",
        "report-type=delivery-status;",
        "There is no such address there.",
        "no such user",
        "Reporting-MTA: dns; mail.example.test\r\n",
        "Final-Recipient: rfc822; nobody@b.test\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; 127.0.0.1\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n",
        "Content-Type: message/rfc822\r\n",
        CONTENT,
    ] {
        assert!(report.contains(expected), "{expected} is not in\n{report}");
    }
    assert!(!report.contains("two@b.test\r\nAction"), "{report}");
    world.end().await;
}

#[tokio::test]
async fn what_is_put_off_is_tried_again() {
    let script =
        Script::default().says("EHLO", &["250 peer.test"]).says("MAIL", &["451 4.7.1 greylisted", "250 ok"]);
    let peer = Peer::new(script).await;
    let world = World::new(&[("b.test", &peer)], "").await;
    world.send(Mail::to(&["one@b.test"])).await;
    world.is_done().await;
    assert_eq!((peer.messages().len(), peer.count("MAIL")), (1, 2));
    assert_eq!(world.reports().await, [] as [&str; 0]);
    world.end().await;
}

#[tokio::test]
async fn a_server_that_takes_few_recipients_at_once_gets_the_others_at_once() {
    let script = Script::default().says("RCPT", &["250 ok", "452 4.5.3 too many", "250 ok"]);
    let peer = Peer::new(script).await;
    let world = World::new(&[("b.test", &peer)], "retry_seconds = 1000").await;
    world.send(Mail::to(&["one@b.test", "two@b.test"])).await;
    world.is_done().await;
    assert_eq!((peer.messages().len(), peer.connections()), (2, 1));
    world.end().await;
}

#[tokio::test]
async fn what_nobody_takes_in_time_goes_back() {
    let script = Script::default().says("RCPT", &["451 4.2.0 later"]);
    let peer = Peer::new(script).await;
    let world = World::new(&[("b.test", &peer)], "").await;
    let terms =
        Terms { returns: Some(Returns::Headers), envelope_id: Some("mine".to_owned()), ..Terms::default() };
    world.send(Mail { expires_in: 2, terms, ..Mail::to(&["one@b.test"]) }).await;
    world.is_done().await;
    let [report] = world.reports().await.try_into().unwrap();
    for expected in [
        "Status: 5.4.7\r\n",
        "Action: failed\r\n",
        "Diagnostic-Code: smtp; 451 4.2.0 later\r\n",
        "We have tried until its time was over.",
        "Original-Envelope-Id: mine\r\n",
        "Content-Type: text/rfc822-headers\r\n",
        "Subject: hello\r\n",
    ] {
        assert!(report.contains(expected), "{expected} is not in\n{report}");
    }
    assert!(!report.contains("text\r\n.dot"), "{report}");
    world.end().await;
}

#[tokio::test]
async fn a_delay_is_told_once() {
    let script = Script::default().says("RCPT", &["451 4.2.0 later"]);
    let peer = Peer::new(script).await;
    let world = World::new(&[("b.test", &peer)], "warn_seconds = 1\nretry_seconds_max = 1").await;
    world.send(Mail::to(&["one@b.test"])).await;
    wait_for("some attempts", async || (peer.count("RCPT") >= 4).then_some(())).await;
    let [report] = world.reports().await.try_into().unwrap();
    for expected in
        ["Subject: Delayed: ", "Action: delayed\r\n", "Will-Retry-Until: ", "You need not send it again"]
    {
        assert!(report.contains(expected), "{expected} is not in\n{report}");
    }
    world.end().await;
}

#[tokio::test]
async fn nobody_hears_of_what_is_not_to_be_reported() {
    let script = Script::default().says("RCPT", &["550 5.1.1 no"]);
    let peer = Peer::new(script).await;
    let world = World::new(&[("b.test", &peer)], "").await;
    world.send(Mail { is_null: true, ..Mail::to(&["one@b.test"]) }).await;
    let mut mail = Mail::to(&["one@b.test"]);
    mail.recipient_terms.notify = Some(Notify::Never);
    world.send(mail).await;
    world.is_done().await;
    assert_eq!(peer.count("RCPT"), 2);
    assert_eq!(world.reports().await, [] as [&str; 0]);
    world.end().await;
}

#[tokio::test]
async fn a_delivery_is_told_where_the_next_server_cannot_tell_of_it() {
    let success = Some(Notify::On { success: true, failure: false, delay: false });
    for (ehlo, reports, rcpt) in [
        ("250 peer.test", 1, "RCPT TO:<one@b.test>"),
        ("250-peer.test\r\n250 DSN", 0, "RCPT TO:<one@b.test> NOTIFY=SUCCESS"),
    ] {
        let peer = Peer::new(Script::default().says("EHLO", &[ehlo])).await;
        let world = World::new(&[("b.test", &peer)], "").await;
        let mut mail = Mail::to(&["one@b.test"]);
        mail.recipient_terms.notify = success;
        world.send(mail).await;
        world.is_done().await;
        assert_eq!(peer.messages().first().unwrap().recipients, [rcpt]);
        let found = world.reports().await;
        assert_eq!(found.len(), reports, "{found:?}");
        assert!(found.iter().all(|report| report.contains("Action: relayed\r\n")));
        world.end().await;
    }
}

/// What owes a report of a delivery here goes nowhere but into that report.
#[tokio::test]
async fn a_delivery_here_is_told_even_where_that_has_to_wait() {
    let world = World::new(&[], "").await;
    let notify = Some(Notify::On { success: true, failure: false, delay: false });
    let recipient_terms = RecipientTerms { notify, original: None }.delivered();
    // There is no room for a report now.
    let (administration, alice) = (&world.store.administration, &world.alice.address);
    administration.set_quota(alice, Some(Quota { messages: 1, octets: 1 })).await.unwrap();
    world.send(Mail { recipient_terms, ..Mail::to(&["bob@example.test", "carol@example.test"]) }).await;
    wait_for("an attempt", async || {
        let results = world.results().await;
        results.iter().all(|(attempts, _)| *attempts > 0).then_some(())
    })
    .await;
    administration.set_quota(alice, None).await.unwrap();
    world.is_done().await;
    let [report] = world.reports().await.try_into().unwrap();
    assert_eq!(report.matches("Action: delivered\r\nStatus: 2.1.5\r\n").count(), 2, "{report}");
    world.end().await;
}

#[tokio::test]
async fn a_destination_that_hangs_holds_up_nobody_else() {
    for command in ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "end"] {
        let dead = Peer::new(Script::default().does(command, &[Does::Hangs])).await;
        let alive = Peer::new(Script::default()).await;
        let world = World::new(&[("dead.test", &dead), ("b.test", &alive)], "reply_seconds = 1000").await;
        world.send(Mail::to(&["one@dead.test"])).await;
        wait_for("the hanging connection", async || (dead.connections() > 0).then_some(())).await;
        world.send(Mail::to(&["one@b.test"])).await;
        wait_for("the other message", async || (!alive.messages().is_empty()).then_some(())).await;
        drop(dead);
        drop(world);
    }
}

#[tokio::test]
async fn a_farewell_anywhere_puts_everything_off() {
    for command in ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "end"] {
        let peer = Peer::new(Script::default().says(command, &["421 4.3.2 not now"])).await;
        let world = World::new(&[("b.test", &peer)], "retry_seconds = 1000").await;
        world.send(Mail::to(&["one@b.test", "two@b.test"])).await;
        wait_for("the entries put off", async || {
            let results = world.results().await;
            results.iter().all(|(attempts, said)| *attempts == 1 && said.contains("not now")).then_some(())
        })
        .await;
        assert_eq!(peer.connections(), 1, "{command}");
        world.end().await;
    }
}

#[tokio::test]
async fn where_nobody_listens_the_other_mail_is_put_off_without_an_attempt() {
    let peer = Peer::new(Script::default()).await;
    let world = World::new(&[("b.test", &peer)], "retry_seconds = 1000\ndestination_sessions_max = 1").await;
    drop(peer);
    for _ in 0..3 {
        world.send(Mail::to(&["one@b.test"])).await;
    }
    let results = wait_for("all put off", async || {
        let results = world.results().await;
        (results.len() == 3 && results.iter().all(|(attempts, _)| *attempts == 1)).then_some(results)
    })
    .await;
    assert!(results.iter().all(|(_, said)| said.contains("connecting failed")), "{results:?}");
    assert!(results.iter().any(|(_, said)| said.contains("not tried")), "{results:?}");
    world.end().await;
}

//! Senders are answered by accounts that are away: once, by whichever process comes to it, and as the rules say by then.

use mailstore::{Note, RecipientTerms, RuleFile, TracedAs};
use mailwire::address::Mailbox;
use mailwire::clock;
use smtpd::filing::rules::Vacation;

use crate::world::{Mail, World};
use mailstack_tests::peer::{Peer, Script};

const AWAY: &str = "always vacation \"I am away.\nAsk Bob.\"";
const BOB: &str = "bob@b.test";

fn terms(world: &World) -> RecipientTerms {
    let text = "I am away.\nAsk Bob.".to_owned();
    let addresses = Vec::new();
    let vacation = Vacation { text, subject: None, days: 7, from: None, until: None, addresses };
    RecipientTerms::answer(&world.alice.address, &vacation.handle())
}

/// Alice gets a message from Bob, for which she owes an answer.
async fn owe(world: &World) {
    world.send(Mail { recipient_terms: terms(world), ..Mail::to(&[BOB]) }).await;
    world.is_done().await;
}

async fn set_rules(world: &World, rules: Option<&str>) {
    let rules = rules.map(|text| RuleFile::new(text).unwrap());
    world.store.rule_files.set_rule_file(&world.alice.address, rules).await.unwrap();
}

/// What the newest message that Bob had to do with says of its last attempt.
async fn said(world: &World) -> String {
    let bob = TracedAs::Address(Mailbox::parse(BOB).unwrap());
    let newest = world.store.traces.traced(&bob, None, 1).await.unwrap();
    let trace = world.store.traces.trace(*newest.first().unwrap()).await.unwrap().unwrap();
    let (_, attempt) = trace.recipients.first().unwrap().attempts.last().unwrap();
    attempt.said.clone()
}

/// As if `seconds` had passed since the last answer.
async fn let_pass(world: &World, seconds: u64) {
    let now = clock::unix_seconds();
    let known = world.store.recollections.recollections("vacation", "", now).await.unwrap();
    let earlier = |note: Note| Note { until: note.until - seconds, ..note };
    world.store.recollections.remember(known.into_iter().map(earlier).collect()).await.unwrap();
}

#[tokio::test]
async fn a_sender_is_answered_once_in_some_days_from_nobody_and_signed() {
    let peer = Peer::new(Script::default()).await;
    let world = World::new(&[("b.test", &peer)], "").await;
    world.sign_with("one");
    set_rules(&world, Some(AWAY)).await;
    owe(&world).await;
    let [message] = peer.messages().try_into().unwrap();
    // RFC 3834 §3.3, §3.1, §3.1.5 and §5.
    assert_eq!(message.mail.split(' ').take(2).collect::<Vec<_>>(), ["MAIL", "FROM:<>"]);
    assert_eq!(message.recipients, ["RCPT TO:<bob@b.test>"]);
    assert!(message.content.starts_with("DKIM-Signature: v=1; a=ed25519-sha256; s=one; d=example.test"));
    for part in [
        "\r\nFrom: <alice@example.test>\r\nTo: <bob@b.test>\r\nDate: ",
        "\r\nSubject: Auto: hello\r\n",
        "\r\nAuto-Submitted: auto-replied\r\n",
        "\r\n\r\nI am away.\r\nAsk Bob.\r\n",
    ] {
        assert!(message.content.contains(part), "{part} in {}", message.content);
    }

    let day = 24 * 60 * 60;
    owe(&world).await;
    let why = said(&world).await;
    assert!(why.starts_with("not answered: the last answer to it was on "), "{why}");
    let_pass(&world, 7 * day - 60).await;
    owe(&world).await;
    assert_eq!(peer.messages().len(), 1);
    let_pass(&world, 60).await;
    owe(&world).await;
    assert_eq!(peer.messages().len(), 2);
    world.end().await;
}

#[tokio::test]
async fn what_has_been_ended_or_says_something_else_is_not_sent_any_more() {
    let peer = Peer::new(Script::default()).await;
    let world = World::new(&[("b.test", &peer)], "").await;
    for rules in [
        None,
        Some("always keep"),
        Some("always vacation \"I am back.\""),
        Some("always vacation \"I am away.\nAsk Bob.\" until 2001-01-01"),
        Some("not a rule"),
    ] {
        set_rules(&world, rules).await;
        owe(&world).await;
        assert_eq!(said(&world).await, "not answered: the vacation is over", "{rules:?}");
    }
    assert_eq!(peer.connections(), 0);
    world.end().await;
}

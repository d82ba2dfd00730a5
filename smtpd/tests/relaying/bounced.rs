//! What the postmaster ends goes back, while the relay runs.

use std::sync::Arc;

use mailstore::{Notify, QueueFilter, QueueOutcome, QueueState, RecipientTerms, Returns, Terms, Then};
use mailwire::clock;
use mailwire::daemon::config::Server;
use smtpd::relay::{Bounced, Bouncer, RelayConfig, Silence};

use crate::world::{Mail, World, wait_for};
use mailstack_tests::peer::{Peer, Script};

fn bouncer(world: &World) -> Bouncer {
    let server =
        Server { hostname: "mail.example.test".to_owned(), domains: vec!["example.test".to_owned()] };
    Bouncer::new(&RelayConfig::default(), &server, &world.store).unwrap()
}

/// What became of everything that is in the queue, in its order.
async fn bounce(world: &World, reason: Option<&str>) -> Vec<Bounced> {
    let all = world.store.queue.list(&QueueFilter::default(), None, 100).await.unwrap();
    let mut bounced = bouncer(world).bounce(all, reason).await.unwrap();
    bounced.sort_by_key(|(id, _)| *id);
    bounced.into_iter().map(|(_, bounced)| bounced).collect()
}

#[tokio::test]
async fn what_waits_goes_back_with_what_the_postmaster_and_the_last_attempt_said() {
    let peer = Peer::new(Script::default().says("RCPT", &["451 4.2.0 come again"])).await;
    let world = World::new(&[("b.test", &peer)], "retry_seconds = 1000").await;
    let terms =
        Terms { returns: Some(Returns::Headers), envelope_id: Some("mine".to_owned()), ..Terms::default() };
    world.send(Mail { terms, ..Mail::to(&["one@b.test", "two@b.test"]) }).await;
    wait_for("an attempt", async || {
        let results = world.results().await;
        results.iter().all(|(attempts, _)| *attempts == 1).then_some(())
    })
    .await;
    let bounced = bounce(&world, Some("b.test has moved, ask for the new address")).await;
    assert_eq!(bounced, [Bounced::Told, Bounced::Told]);
    assert_eq!(world.results().await, []);
    let [report] = world.reports().await.try_into().unwrap();
    for expected in [
        "Return-Path: <>\r\n",
        "Original-Envelope-Id: mine\r\n",
        "Final-Recipient: rfc822; two@b.test\r\nAction: failed\r\nStatus: 5.0.0\r\nLast-Attempt-Date: ",
        "What happened: the postmaster has ended it: b.test has moved, ask for\r\n    the new address.\r\n",
        "What the last attempt had met: 451 4.2.0 come again\r\n",
        "Content-Type: text/rfc822-headers\r\n",
    ] {
        assert!(report.contains(expected), "{expected} is not in\n{report}");
    }
    assert!(!report.contains("The other server"), "{report}");
    assert_eq!(peer.count("RCPT"), 2, "nothing is tried any more");
    world.end().await;
}

#[tokio::test]
async fn nobody_is_told_who_must_not_be_or_does_not_want_to() {
    let peer = Peer::new(Script::default().says("RCPT", &["451 4.2.0 later"])).await;
    let world = World::new(&[("b.test", &peer)], "retry_seconds = 1000").await;
    world.send(Mail { is_null: true, ..Mail::to(&["one@b.test"]) }).await;
    let recipient_terms = RecipientTerms { notify: Some(Notify::Never), original: None };
    world.send(Mail { recipient_terms, ..Mail::to(&["one@b.test"]) }).await;
    wait_for("an attempt", async || {
        let results = world.results().await;
        (results.len() == 2 && results.iter().all(|(attempts, _)| *attempts == 1)).then_some(())
    })
    .await;
    let bounced = bounce(&world, None).await;
    assert_eq!(bounced, [Bounced::Silent(Silence::Nobody), Bounced::Silent(Silence::Unwanted)]);
    assert_eq!(world.results().await, []);
    assert_eq!(world.reports().await, [] as [&str; 0]);
    world.end().await;
}

#[tokio::test]
async fn what_is_being_sent_is_left_alone_and_what_has_gone_is_not_reported() {
    let world = World::new(&[], "").await;
    let all = || {
        let queue = Arc::clone(&world.store.queue);
        async move { queue.list(&QueueFilter::default(), None, 100).await.unwrap() }
    };
    world.send(Mail { due_in: 500, ..Mail::to(&["one@b.test", "two@b.test", "three@b.test"]) }).await;
    let ids: Vec<_> = all().await.iter().map(|entry| entry.id).collect();
    world.store.queue.hold(&ids[..1], QueueState::Held).await.unwrap();
    let entries = all().await;
    // The first one goes meanwhile, the second one comes into somebody's hands.
    let removed = QueueOutcome { id: ids[0], attempt: None, then: Then::Removed };
    world.store.queue.settle(vec![removed]).await.unwrap();
    world.store.queue.lease(&ids[1..2], clock::unix_seconds() + 1000).await.unwrap();
    let mut bounced = bouncer(&world).bounce(entries, None).await.unwrap();
    bounced.sort_by_key(|(id, _)| *id);
    assert_eq!(bounced, [(ids[0], Bounced::Gone), (ids[1], Bounced::Busy), (ids[2], Bounced::Told)]);
    let [report] = world.reports().await.try_into().unwrap();
    assert!(report.contains("three@b.test\r\nAction: failed") && !report.contains("one@b.test"), "{report}");
    world.end().await;
}

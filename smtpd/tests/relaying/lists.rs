//! Messages with very many recipients go in as few transactions as there can be.

use std::collections::BTreeSet;

use crate::world::{Mail, World};
use mailstack_tests::peer::{Peer, Script};

fn recipients(count: usize, domains: &[&str]) -> Vec<String> {
    let numbered = domains.iter().cycle().take(count).enumerate();
    numbered.map(|(number, domain)| format!("r{number}@{domain}")).collect()
}

/// Every recipient that `peer` has got, of which none may come twice.
fn got(peer: &Peer) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for recipient in peer.messages().into_iter().flat_map(|message| message.recipients) {
        assert!(all.insert(recipient.clone()), "{recipient} got it twice");
    }
    all
}

#[tokio::test]
async fn twelve_hundred_recipients_of_a_domain_are_twelve_transactions_of_one_session() {
    let peer = Peer::new(Script::default().says("EHLO", &["250-peer.test\r\n250 PIPELINING"])).await;
    let world = World::new(&[("b.test", &peer)], "").await;
    let all = recipients(1200, &["b.test"]);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    world.send(Mail::to(&all)).await;
    world.is_done().await;
    assert_eq!(got(&peer).len(), 1200);
    assert_eq!((peer.count("DATA"), peer.connections()), (12, 1));
    world.end().await;
}

/// RFC 9422 §4: what the server says; and pages of the queue end anywhere among other mail.
#[tokio::test]
async fn what_the_server_takes_at_once_counts_and_pages_of_the_queue_do_not() {
    let limited = ["250-peer.test\r\n250 LIMITS RCPTMAX=40"];
    let (few, usual) =
        (Peer::new(Script::default().says("EHLO", &limited)).await, Peer::new(Script::default()).await);
    let world =
        World::new(&[("few.test", &few), ("usual.test", &usual)], "destination_sessions_max = 1").await;
    for number in 0..37 {
        world.send(Mail::to(&[format!("other{number}@usual.test").as_str()])).await;
    }
    let all = recipients(1200, &["few.test", "usual.test", "usual.test"]);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    world.send(Mail::to(&all)).await;
    world.is_done().await;
    assert_eq!((got(&few).len(), got(&usual).len()), (400, 837));
    assert_eq!((few.count("DATA"), usual.count("DATA")), (10, 8 + 37));
    world.end().await;
}

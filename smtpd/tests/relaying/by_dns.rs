//! Where DNS leads: to the first exchanger that answers, and nowhere where there is none.

use mailstack_tests::name_server::{NameServer, Zone};
use mailstack_tests::peer::{Peer, Script};
use tempfile::TempDir;

use crate::world::{Mail, World, wait_for};

/// A relay that asks a name server of its own, and finds exchangers at `port`.
async fn world(zone: &str, port: u16) -> (World, NameServer, TempDir) {
    let names = NameServer::start(&[Zone::unsigned("there.test", zone)]).unwrap();
    let folder = TempDir::new().unwrap();
    let table = names.table(folder.path()).unwrap();
    let dns = table.strip_prefix("[dns]").unwrap();
    let world = World::asking(&format!("retry_seconds = 1000\nport = {port}"), dns).await;
    (world, names, folder)
}

#[tokio::test]
async fn an_exchanger_that_is_not_there_is_passed_over_within_one_attempt() {
    let second = Peer::at("127.0.0.3:0").await;
    let zone = "@ MX 10 first\n@ MX 20 second\nfirst A 127.0.0.2\nsecond A 127.0.0.3";
    let (world, _names, _folder) = world(zone, second.address.port()).await;
    world.send(Mail::to(&["one@there.test"])).await;
    world.is_done().await;
    assert_eq!(second.messages().len(), 1);
    world.end().await;
}

#[tokio::test]
async fn an_exchanger_that_is_busy_is_passed_over_and_the_preferred_one_is_asked_first() {
    for command in ["greeting", "EHLO"] {
        let (first, second) = Peer::two(Script::default().says(command, &["450 busy"])).await;
        let port = first.address.port();
        let zone = "@ MX 10 first\n@ MX 20 second\nfirst A 127.0.0.2\nsecond A 127.0.0.3";
        let (world, _names, _folder) = world(zone, port).await;
        world.send(Mail::to(&["one@there.test"])).await;
        world.is_done().await;
        assert_eq!((first.connections(), second.messages().len()), (1, 1), "{command}");
        world.end().await;
    }
}

#[tokio::test]
async fn an_address_that_is_not_there_is_passed_over_too() {
    let peer = Peer::at("127.0.0.3:0").await;
    let (world, _names, _folder) = world("@ A 127.0.0.2\n@ A 127.0.0.3", peer.address.port()).await;
    world.send(Mail::to(&["one@there.test"])).await;
    world.is_done().await;
    assert_eq!(peer.messages().len(), 1);
    world.end().await;
}

#[tokio::test]
async fn where_mail_cannot_go_its_sender_hears_so_at_once() {
    let (world, _names, _folder) = world("null MX 0 .\nnothing TXT none", 9).await;
    for (domain, status, words) in [
        ("null.there.test", "5.1.10", "takes no mail at all"),
        ("missing.there.test", "5.1.2", "There is no such domain"),
        ("nothing.there.test", "5.4.4", "could not be found out"),
    ] {
        let recipient = format!("one@{domain}");
        world.send(Mail::to(&[&recipient])).await;
        world.is_done().await;
        let report = world.reports().await.pop().unwrap();
        for expected in [&format!("Status: {status}\r\n"), words, &recipient] {
            assert!(report.contains(expected), "{expected} is not in\n{report}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn where_ipv6_is_not_answered_ipv4_is_used_and_the_other_way_round() {
    for (zone, own) in
        [("@ AAAA ::1\n@ A 127.0.0.3", "127.0.0.3:0"), ("@ A 127.0.0.3\n@ AAAA ::1", "[::1]:0")]
    {
        let peer = Peer::at(own).await;
        let (world, _names, _folder) = world(zone, peer.address.port()).await;
        world.send(Mail::to(&["one@there.test"])).await;
        world.is_done().await;
        assert_eq!(peer.messages().len(), 1, "{own}");
        world.end().await;
    }
}

#[tokio::test]
async fn exchangers_of_equal_preference_share_the_mail() {
    let (first, second) = Peer::two(Script::default()).await;
    let zone = "@ MX 10 first\n@ MX 10 second\nfirst A 127.0.0.2\nsecond A 127.0.0.3";
    let (world, _names, _folder) = world(zone, first.address.port()).await;
    let mut sent = 0;
    // Whichever comes first by chance; each of them does within a thousand.
    while first.messages().is_empty() || second.messages().is_empty() {
        assert!(sent < 1000, "one of them never has its turn");
        world.send(Mail::to(&["one@there.test"])).await;
        world.is_done().await;
        sent += 1;
    }
    assert_eq!(first.messages().len() + second.messages().len(), sent);
    world.end().await;
}

#[tokio::test]
async fn mail_that_would_come_back_here_goes_back_to_its_sender() {
    let (world, _names, _folder) = world("@ MX 10 mail.example.test.", 9).await;
    world.send(Mail::to(&["one@there.test"])).await;
    world.is_done().await;
    let report = world.reports().await.pop().unwrap();
    assert!(report.contains("Status: 5.4.6\r\n") && report.contains("would go in circles"), "{report}");
    world.end().await;
}

#[tokio::test]
async fn while_dns_does_not_answer_mail_waits() {
    let (world, names, _folder) = world("@ A 127.0.0.2", 9).await;
    names.fail("there.test", "MX", mailstack_tests::name_server::Fault::ServerFailure);
    world.send(Mail::to(&["one@there.test"])).await;
    let results = wait_for("the attempt", async || {
        let results = world.results().await;
        results.iter().all(|(attempts, _)| *attempts > 0).then_some(results)
    })
    .await;
    assert!(results.iter().all(|(_, said)| said.contains("DNS did not answer")), "{results:?}");
    world.end().await;
}

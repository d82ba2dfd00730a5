//! A server that takes few sessions at a time, says goodbye to all others, or says nothing at all: it gets its mail, as it
//! can take it, and nobody else waits for it.

use std::time::Duration;

use tokio::net::TcpSocket;

use crate::log::Log;
use crate::world::{Mail, World, wait_for};
use mailstack_tests::peer::{Does, Peer, Script};

#[tokio::test]
async fn a_storm_of_farewells_passes_and_mail_for_others_is_not_held_up() {
    let farewells: Vec<Does> =
        (0..10).map(|_| Does::Says("421 4.3.2 too busy".to_owned())).chain([Does::Usual]).collect();
    let stormy = Peer::new(Script::default().does("greeting", &farewells)).await;
    let calm = Peer::new(Script::default()).await;
    let world = World::new(&[("stormy.test", &stormy), ("calm.test", &calm)], "retry_seconds_max = 1").await;
    for number in 0..30 {
        world.send(Mail::to(&[&format!("{number}@stormy.test")])).await;
        world.send(Mail::to(&[&format!("{number}@calm.test")])).await;
    }
    wait_for("the other mail", async || (calm.messages().len() == 30).then_some(())).await;
    world.is_done().await;
    assert_eq!((stormy.messages().len(), calm.messages().len()), (30, 30));
    // Each of them was told once to each of a few connections, not to one for each message.
    assert!(stormy.connections() < 30, "{}", stormy.connections());
    assert_eq!(world.reports().await, [] as [&str; 0]);
    world.end().await;
}

#[tokio::test]
async fn a_server_that_does_not_take_connections_is_given_up_for_the_time_being() {
    // Whoever is not accepted fills the backlog, and further ones get no answer at all.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut fillers = Vec::new();
    for _ in 0..2 {
        fillers.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    let calm = Peer::new(Script::default()).await;
    let log = Log::begin();
    let route = |domain, port: u16| {
        format!(
            "[[routes]]\ndomains = [\"{domain}\"]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"never\"\n"
        )
    };
    let (deaf, other) = (route("deaf.test", address.port()), route("calm.test", calm.address.port()));
    let relaying = |seconds| {
        format!(
            "retry_seconds = 1000\nconnect_seconds = {seconds}\nhandshake_seconds = {seconds}\n{deaf}{other}"
        )
    };
    let world = World::asking(&relaying(1), "name_servers = [\"127.0.0.1:9\"]").await;
    world.send(Mail::to(&["one@deaf.test"])).await;
    world.send(Mail::to(&["one@calm.test"])).await;
    wait_for("the attempt", async || {
        log.lines(&["deferred", "deaf.test", "4.4.1", "connecting failed"]).pop()
    })
    .await;
    wait_for("the other message", async || (!calm.messages().is_empty()).then_some(())).await;
    world.end().await;

    // Nor does the end of this one wait for it.
    let world = World::asking(&relaying(100_000), "name_servers = [\"127.0.0.1:9\"]").await;
    world.send(Mail::to(&["one@deaf.test"])).await;
    world.send(Mail::to(&["one@calm.test"])).await;
    wait_for("the other message", async || (calm.messages().len() == 2).then_some(())).await;
    tokio::time::timeout(Duration::from_mins(1), world.end()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_hangs_or_drops_at_the_end_of_a_session_has_the_mail() {
    for does in [Does::Hangs, Does::Closes, Does::Says("554 no".to_owned())] {
        let log = Log::begin();
        let peer = Peer::new(Script::default().does("QUIT", std::slice::from_ref(&does))).await;
        let world = World::new(&[("b.test", &peer)], "session_idle_seconds = 0").await;
        world.send(Mail::to(&["one@b.test"])).await;
        world.is_done().await;
        wait_for("the end of the session", async || (peer.count("QUIT") == 1).then_some(())).await;
        assert_eq!((peer.messages().len(), peer.count("end")), (1, 1), "{does:?}");
        assert_eq!(log.lines(&["relayed"]).len(), 1);
        world.end().await;
    }
}

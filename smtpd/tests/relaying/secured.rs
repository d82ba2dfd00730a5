//! STARTTLS that is taken away, breaks or hangs, and logins that fail: mail goes in clear where nobody has asked for more,
//! and waits where somebody has.

use std::path::Path;

use mailstack_tests::certificate::Certificate;
use mailstack_tests::peer::{Does, Peer, Script};
use tempfile::TempDir;

use crate::log::Log;
use crate::world::{Mail, World};

const EHLO: &str = "250-peer.test\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n250 8BITMIME";

/// A world whose mail for `b.test` goes to a server with this script, by a route with these lines.
async fn world(script: Script, route: &str) -> (World, Peer) {
    let peer = Peer::new(script).await;
    let port = peer.address.port();
    let relay = format!(
        "retry_seconds = 1\nreply_seconds = 2\nhandshake_seconds = 2\nend_seconds = 2\n[[routes]]\nhost = \"127.0.0.1\"\n\
         port = {port}\n{route}"
    );
    (World::asking(&relay, "name_servers = [\"127.0.0.1:9\"]").await, peer)
}

/// A route that takes no other server for this one.
fn verified(folder: &Path) -> String {
    format!("tls = \"required\"\nca_file = \"{}/authority.pem\"\n", folder.display())
}

fn files() -> (TempDir, Certificate) {
    let folder = TempDir::new().unwrap();
    let certificate = Certificate::make(folder.path()).unwrap();
    (folder, certificate)
}

/// Ways in which TLS fails, to what, and what the log calls it.
fn failures() -> Vec<(&'static str, Does, &'static str)> {
    vec![
        ("tls", Does::Closes, "TLS could not be had"),
        ("tls", Does::Hangs, "TLS could not be had"),
        ("tls", Does::Sends(b"250 this is no TLS\r\n".to_vec()), "TLS could not be had"),
        // CVE-2011-0411, the other way round.
        ("STARTTLS", Does::Says("220 go on\r\n250 injected".to_owned()), "TLS could not be had"),
        ("STARTTLS", Does::Says("454 4.7.0 not now".to_owned()), "not now"),
        ("STARTTLS", Does::Says("502 5.5.1 what is that".to_owned()), "what is that"),
        ("EHLO", Does::Says("250 peer.test".to_owned()), "does not offer STARTTLS"),
    ]
}

#[tokio::test]
async fn where_nobody_asked_for_tls_mail_goes_in_clear_when_it_fails() {
    let (_folder, certificate) = files();
    for (point, does, _) in failures() {
        let log = Log::begin();
        let script = Script::default()
            .says("EHLO", &[EHLO])
            .with_tls(&certificate)
            .does(point, std::slice::from_ref(&does));
        let (world, peer) = world(script, "tls = \"opportunistic\"\n").await;
        world.send(Mail::to(&["one@b.test"])).await;
        world.is_done().await;
        assert_eq!(peer.messages().len(), 1, "{point} {does:?}");
        assert_eq!(log.lines(&["relayed", "(in clear)"]).len(), 1, "{point} {does:?}");
        assert_eq!(log.lines(&["deferred"]), [] as [&str; 0], "{point} {does:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn where_tls_is_required_mail_waits_until_it_works() {
    let (folder, certificate) = files();
    for (point, does, reason) in failures() {
        let log = Log::begin();
        let well = if point == "EHLO" { Does::Says(EHLO.to_owned()) } else { Does::Usual };
        let script = Script::default().says("EHLO", &[EHLO]).with_tls(&certificate);
        let (world, peer) = world(script.does(point, &[does.clone(), well]), &verified(folder.path())).await;
        world.send(Mail::to(&["one@b.test"])).await;
        world.is_done().await;
        assert_eq!((peer.messages().len(), peer.count("MAIL")), (1, 1), "{point} {does:?}");
        assert_eq!(log.lines(&["relayed", "verified)"]).len(), 1, "{point} {does:?}");
        let deferred = log.lines(&["deferred"]);
        assert!(
            matches!(deferred.as_slice(), [line] if line.contains(reason)),
            "{point} {does:?}: {deferred:?}"
        );
        assert_eq!(world.reports().await, [] as [&str; 0]);
        world.end().await;
    }
}

#[tokio::test]
async fn another_servers_certificate_is_none_where_it_must_be_right() {
    let (folder, _) = files();
    let (_other, certificate) = files();
    let script = Script::default().says("EHLO", &[EHLO]).with_tls(&certificate);
    let (world, peer) = world(script, &verified(folder.path())).await;
    let log = Log::begin();
    world.send(Mail::to(&["one@b.test"])).await;
    crate::world::wait_for("the attempt", async || log.lines(&["deferred", "4.7.5", "certificate"]).pop())
        .await;
    assert_eq!((peer.messages().len(), peer.count("MAIL")), (0, 0));
    world.end().await;
}

#[tokio::test]
async fn a_login_that_fails_is_tried_again_since_its_operator_mends_it() {
    let (folder, certificate) = files();
    std::fs::write(folder.path().join("password"), "secret\n").unwrap();
    let login = format!("login = \"me\"\npassword_file = \"{}/password\"\n", folder.path().display());
    for (does, reason) in [
        (Does::Hangs, "within 2s"),
        (Does::Closes, "the connection broke"),
        (Does::Says("421 4.3.2 not now".to_owned()), "not now"),
        (Does::Says("454 4.7.0 not now".to_owned()), "not now"),
        (Does::Says("535 5.7.8 wrong".to_owned()), "535 5.7.8 wrong"),
        (Does::Says("250 ok".to_owned()), "250 ok"),
    ] {
        let log = Log::begin();
        let script = Script::default().says("EHLO", &[EHLO]).with_tls(&certificate);
        let script = script.does("AUTH", &[does.clone(), Does::Usual]);
        let (world, peer) = world(script, &(verified(folder.path()) + &login)).await;
        world.send(Mail::to(&["one@b.test"])).await;
        world.is_done().await;
        assert_eq!((peer.messages().len(), peer.count("AUTH"), peer.count("MAIL")), (1, 2, 1), "{does:?}");
        let deferred = log.lines(&["deferred"]);
        assert!(matches!(deferred.as_slice(), [line] if line.contains(reason)), "{does:?}: {deferred:?}");
        assert_eq!(log.lines(&["secret"]), [] as [&str; 0]);
        assert_eq!(world.reports().await, [] as [&str; 0]);
        world.end().await;
    }
}

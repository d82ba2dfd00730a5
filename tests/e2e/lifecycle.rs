//! Starting, stopping and starting again.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use mailstack_tests::deadline::timed;
use mailstack_tests::player::{Peer as _, Received};
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::stream::Stream;

const CONTENT: &[u8] = b"Subject: kept\r\n\r\ntext\r\n";

#[test]
fn mail_is_still_there_after_a_restart() {
    let configuration = Configuration::default();
    let mut server = Server::start(&configuration).unwrap();
    let mut smtp = server.submission("alice").unwrap();
    for _ in 0..3 {
        smtp.envelope("alice@example.test", &["bob@example.test"]).unwrap();
        smtp.data(CONTENT).unwrap().positive().unwrap();
    }
    smtp.quit().unwrap();
    let mut maildrop = server.maildrop("bob").unwrap();
    let first = maildrop.retrieve(1).unwrap();
    maildrop.delete(2).unwrap();
    maildrop.quit().unwrap();

    server.terminate().unwrap();
    assert!(server.ended().unwrap().success());
    server.run(&configuration).unwrap();
    let mut maildrop = server.maildrop("bob").unwrap();
    assert_eq!(maildrop.count().unwrap(), 2);
    assert_eq!(maildrop.retrieve(1).unwrap(), first);
}

#[test]
fn a_message_under_way_is_finished_before_the_server_stops() {
    let configuration = Configuration::default();
    let mut server = Server::start(&configuration).unwrap();
    let mut smtp = server.submission("alice").unwrap();
    smtp.envelope("alice@example.test", &["bob@example.test"]).unwrap();
    smtp.ask("DATA").unwrap().positive().unwrap();
    smtp.say(b"Subject: in time\r\n\r\n").unwrap();
    // Once idle sessions are sent away, the drain has begun.
    let mut idle = Stream::clear(server.addresses().unwrap().reception, server.trust()).unwrap();
    idle.line().unwrap();
    server.terminate().unwrap();
    let farewell = String::from_utf8(idle.line().unwrap()).unwrap();
    assert!(farewell.starts_with("421 4.3.2 "), "{farewell}");
    assert_eq!(idle.receive_line().unwrap(), Received::Closed);

    smtp.say(b"text\r\n.\r\n").unwrap();
    smtp.reply().unwrap().positive().unwrap();
    drop(smtp);
    assert!(server.ended().unwrap().success());
    server.run(&configuration).unwrap();
    assert!(
        server.maildrop("bob").unwrap().retrieve(1).unwrap().ends_with(b"Subject: in time\r\n\r\ntext\r\n")
    );
}

#[test]
fn a_client_that_never_finishes_does_not_hold_the_server_up() {
    let mut server = Server::usual().unwrap();
    let mut smtp = server.submission("alice").unwrap();
    smtp.envelope("alice@example.test", &["bob@example.test"]).unwrap();
    smtp.ask("DATA").unwrap().positive().unwrap();
    let mut maildrop = server.maildrop("bob").unwrap();
    maildrop.count().unwrap();
    server.terminate().unwrap();
    let (status, took) = timed(|| server.ended());
    assert!(status.unwrap().success());
    // The drain's own limit is a few seconds; the rest is patience with a busy machine.
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[test]
fn what_a_session_has_marked_stays_when_the_server_stops() {
    let configuration = Configuration::default();
    let mut server = Server::start(&configuration).unwrap();
    let mut smtp = server.reception().unwrap();
    smtp.envelope("dave@example.org", &["bob@example.test"]).unwrap();
    smtp.data(CONTENT).unwrap().positive().unwrap();
    smtp.quit().unwrap();
    let mut maildrop = server.maildrop("bob").unwrap();
    maildrop.delete(1).unwrap();
    server.terminate().unwrap();
    assert!(server.ended().unwrap().success());
    drop(maildrop);
    server.run(&configuration).unwrap();
    assert_eq!(server.maildrop("bob").unwrap().count().unwrap(), 1);
}

#[test]
fn nobody_else_can_read_what_the_store_writes() {
    let server = Server::usual().unwrap();
    let mut smtp = server.reception().unwrap();
    smtp.envelope("dave@example.org", &["bob@example.test"]).unwrap();
    smtp.data(CONTENT).unwrap().positive().unwrap();
    let mut files = 0;
    each_file(&server.folder().join("store"), &mut |path, mode| {
        files += 1;
        assert_eq!(mode & 0o077, 0, "{} can be read by others: {mode:o}", path.display());
    });
    assert!(files > 1);
}

fn each_file(path: &Path, look: &mut impl FnMut(&Path, u32)) {
    let metadata = fs::symlink_metadata(path).unwrap();
    look(path, metadata.mode());
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            each_file(&entry.unwrap().path(), look);
        }
    }
}

#[test]
fn neither_passwords_nor_content_are_logged() {
    let server = Server::usual().unwrap();
    let mut smtp = server.submission("alice").unwrap();
    smtp.envelope("alice@example.test", &["bob@example.test"]).unwrap();
    smtp.data(b"Subject: a secret subject\r\n\r\na secret text\r\n").unwrap().positive().unwrap();
    smtp.quit().unwrap();
    let mut smtp = server.reception().unwrap();
    smtp.ask("MAIL FROM:<\x1b[31mred\x07@example.org>").unwrap();
    smtp.quit().unwrap();
    server.maildrop("bob").unwrap().quit().unwrap();
    let log = server.log();
    assert!(log.contains("accepted"), "{log}");
    for secret in ["pw-alice", "pw-bob", "AGFsaWNl", "secret"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    assert!(log.bytes().all(|octet| octet == b'\n' || (b' '..=b'~').contains(&octet)), "{log:?}");
}

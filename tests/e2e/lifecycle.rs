//! Starting, stopping and starting again.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use mailstack_tests::deadline::{timed, wait_for};
use mailstack_tests::numbered::{content, number_of};
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

/// A sender hears of each message what became of it: it is there once, or it is not there and may be sent again.
#[test]
fn under_load_every_sender_is_told_before_the_server_stops() {
    let configuration = Configuration::default();
    let mut server = Server::start(&configuration).unwrap();
    let (numbers, accepted) = (AtomicU64::new(0), Mutex::new(BTreeSet::new()));
    thread::scope(|scope| {
        for sender in 0..6 {
            let (server, numbers, accepted) = (&server, &numbers, &accepted);
            scope.spawn(move || send_until_the_end(server, sender, numbers, accepted).unwrap_err());
        }
        wait_for("messages", || Ok((accepted.lock().unwrap().len() > 50).then_some(()))).unwrap();
        server.terminate().unwrap();
    });
    assert!(server.ended().unwrap().success());
    server.run(&configuration).unwrap();
    let mut maildrop = server.maildrop("bob").unwrap();
    let found: Vec<u64> = (1..=maildrop.count().unwrap())
        .map(|number| number_of(&maildrop.retrieve(number).unwrap()).unwrap())
        .collect();
    let once: BTreeSet<u64> = found.iter().copied().collect();
    assert_eq!(found.len(), once.len(), "a message is there twice");
    assert_eq!(once, accepted.into_inner().unwrap());
}

/// Sends messages one after the other. Only between them may the server end the session.
fn send_until_the_end(
    server: &Server,
    sender: u64,
    numbers: &AtomicU64,
    accepted: &Mutex<BTreeSet<u64>>,
) -> io::Result<()> {
    let mut smtp = if sender.is_multiple_of(2) { server.submission("alice")? } else { server.reception()? };
    loop {
        smtp.envelope("alice@example.test", &["bob@example.test"])?;
        smtp.ask("DATA")?.positive()?;
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        smtp.say(&[&content(number)[..], b".\r\n"].concat()).unwrap();
        let reply = smtp.reply().unwrap();
        if reply.code == 250 {
            accepted.lock().unwrap().insert(number);
        } else {
            assert_eq!(reply.code / 100, 4, "{reply:?}");
        }
    }
}

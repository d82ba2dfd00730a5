//! Clients that fall silent, stop reading or vanish: their maildrop is free in time, with all that they had marked.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::deadline::wait_for;
use mailstack_tests::pop3::Pop3;
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::stream::Stream;

/// Who stops reading in the midst of a large message.
const READERS: [&str; 8] = ["one", "two", "three", "four", "five", "six", "seven", "eight"];
/// Far more than all buffers between server and client hold.
const LINES: usize = 500_000;
/// What such a reader may cost: a piece of the message as it lies in the store, as it is sent, and within TLS.
const READER_OCTETS_MAX: u64 = 300 << 10;

fn server(pop3: &'static str) -> Server {
    Server::start(&Configuration { pop3, accounts: READERS.to_vec(), ..Configuration::default() }).unwrap()
}

/// A message of about 40 MiB for each of `accounts`.
fn deliver_large(server: &Server, accounts: &[&str]) {
    let recipients: Vec<String> = accounts.iter().map(|account| format!("{account}@example.test")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let mut smtp = server.reception().unwrap();
    smtp.envelope("dave@example.org", &recipients).unwrap();
    smtp.ask("DATA").unwrap().positive().unwrap();
    smtp.say(b"Subject: large\r\n\r\n").unwrap();
    let lines =
        "A line of text that has about eighty octets, since most of them are like that.\r\n".repeat(1000);
    for _ in 0..LINES / 1000 {
        smtp.say(lines.as_bytes()).unwrap();
    }
    smtp.say(b".\r\n").unwrap();
    smtp.reply().unwrap().positive().unwrap();
}

fn deliver(server: &Server, account: &str) {
    let mut smtp = server.reception().unwrap();
    smtp.envelope("dave@example.org", &[&format!("{account}@example.test")]).unwrap();
    smtp.data(b"Subject: small\r\n\r\ntext\r\n").unwrap().positive().unwrap();
}

/// RFC 1939 §3: the timer's end is no QUIT, so nothing is removed.
#[test]
fn a_client_that_falls_silent_is_let_go_and_deletes_nothing() {
    let server = server("idle_seconds = 2");
    deliver(&server, "alice");
    for within_tls in [false, true] {
        let stream = Stream::clear(server.addresses().unwrap().pop3, server.trust()).unwrap();
        let mut silent = Pop3::new(stream).unwrap();
        if within_tls {
            silent.start_tls().unwrap();
        }
        silent.login("alice@example.test", "pw-alice").unwrap();
        silent.delete(1).unwrap();
        silent.closed().unwrap();
        assert_eq!(server.maildrop("alice").unwrap().count().unwrap(), 1);
    }
}

/// RFC 1939 §4, RFC 2449 §8.1.2: whoever has the maildrop keeps it, deliveries go on, and a reset frees it.
#[test]
fn a_client_that_stops_reading_costs_one_buffer() {
    let server = server("");
    deliver_large(&server, &READERS);
    // A first login takes the memory that makes guessing expensive.
    for reader in READERS {
        server.maildrop(reader).unwrap().quit().unwrap();
    }
    server.forget_memory_peak().unwrap();
    let before = server.memory_octets_peak().unwrap();
    let mut stuck = Vec::new();
    for reader in READERS {
        let mut maildrop = server.maildrop(reader).unwrap();
        maildrop.ask("RETR 1").unwrap();
        stuck.push(maildrop);
    }
    for reader in READERS {
        let refusal = server.maildrop(reader).err().unwrap().to_string();
        assert!(refusal.starts_with("-ERR [IN-USE] "), "{refusal}");
        deliver(&server, reader);
    }
    let grown = server.memory_octets_peak().unwrap() - before;
    assert!(grown < READERS.len() as u64 * READER_OCTETS_MAX, "{grown} octets for {} readers", READERS.len());
    // With octets unread, this resets the connections.
    drop(stuck);
    for reader in READERS {
        assert_eq!(server.maildrop(reader).unwrap().count().unwrap(), 2);
    }
}

#[test]
fn a_client_that_stops_reading_loses_its_maildrop_in_time() {
    let server = server("write_seconds = 1");
    deliver_large(&server, &["one"]);
    let mut stuck = server.maildrop("one").unwrap();
    stuck.ask("RETR 1").unwrap();
    let mut maildrop = wait_for("the maildrop", || Ok(server.maildrop("one").ok())).unwrap();
    assert_eq!(maildrop.count().unwrap(), 1);
    assert!(server.log().contains("sending to the peer failed"), "the log says why it ended");
    assert!(stuck.closed().is_err(), "the message was cut off");
}

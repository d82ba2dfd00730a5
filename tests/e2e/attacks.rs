//! Attacks on memory and patience: whatever floods, claims or stalls, memory stays flat and an honest client is served.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;

use mailstack_tests::deadline::wait_for;
use mailstack_tests::player::Peer as _;
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::Smtp;
use mailstack_tests::stream::Stream;

const MIB: u64 = 1 << 20;
/// By how much memory may grow whatever is sent: far less than any attack here would need that were held.
const GROWTH_OCTETS_MAX: u64 = 8 * MIB;
/// What a connection may cost that does nothing, or has claimed much.
const CONNECTION_OCTETS_MAX: u64 = 16 << 10;
/// What a flood sends, far more than what may grow.
const FLOOD_OCTETS: u64 = 64 * MIB;

/// A server that has served somebody, so that what it keeps for everybody is there.
fn server(smtp: &'static str, pop3: &'static str) -> Server {
    let server = Server::start(&Configuration { smtp, pop3, ..Configuration::default() }).unwrap();
    serves(&server);
    server
}

/// A message goes all the way.
fn serves(server: &Server) {
    let mut smtp = server.submission("alice").unwrap();
    smtp.envelope("alice@example.test", &["carol@example.test"]).unwrap();
    smtp.data(b"Subject: honest\r\n\r\ntext\r\n").unwrap().positive().unwrap();
    let mut maildrop = server.maildrop("carol").unwrap();
    assert!(maildrop.retrieve(1).unwrap().ends_with(b"\r\n\r\ntext\r\n"));
    maildrop.delete(1).unwrap();
    maildrop.quit().unwrap();
}

/// How much more memory the server has had after `attack` than before.
fn growth(server: &Server, attack: impl FnOnce()) -> u64 {
    server.forget_memory_peak().unwrap();
    let before = server.memory_octets_peak().unwrap();
    attack();
    server.memory_octets_peak().unwrap() - before
}

fn assert_flat(server: &Server, what: &str, attack: impl FnOnce()) {
    let grown = growth(server, attack);
    assert!(grown < GROWTH_OCTETS_MAX, "{what}: memory has grown by {grown} octets");
}

/// Sends `block` again and again until the server has had enough.
fn flood_until_closed(mut socket: &TcpStream, block: &[u8]) {
    wait_for("the server to let go", || Ok(socket.write_all(block).is_err().then_some(()))).unwrap();
}

fn socket(address: SocketAddr, first: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.write_all(first.as_bytes()).unwrap();
    socket
}

#[test]
fn an_honest_client_is_served_while_thousands_hold_connections() {
    let server = server("", "");
    let addresses = server.addresses().unwrap();
    let mut held = Vec::new();
    let grown = growth(&server, || {
        for number in 0..2000_u16 {
            let source = Ipv4Addr::new(127, 9, 0, u8::try_from(number % 16 + 1).unwrap());
            let (address, said) = match number % 4 {
                0 => (addresses.reception, ""),
                1 => (addresses.submission, "EHLO half-a-l"),
                2 => (addresses.submissions, "\x16\x03\x01"),
                _ => (addresses.pop3, "US"),
            };
            let mut stream = Stream::clear_from(source, address, server.trust()).unwrap();
            if address != addresses.submissions {
                stream.line().unwrap();
            }
            stream.send(said.as_bytes()).unwrap();
            held.push(stream);
        }
    });
    serves(&server);
    assert!(grown < 2000 * CONNECTION_OCTETS_MAX, "{grown} octets for 2000 connections");
}

#[test]
fn a_line_without_end_is_ended_and_never_held() {
    let server = server("command_seconds = 1", "command_seconds = 1");
    let addresses = server.addresses().unwrap();
    for (address, first) in [
        (addresses.reception, ""),
        (addresses.reception, "EHLO x\r\nMAIL FROM:<a@example.org>\r\n"),
        (addresses.submission, "EHLO x\r\nAUTH PLAIN\r\n"),
        (addresses.lmtp, "LHLO x\r\n"),
        (addresses.pop3, ""),
        (addresses.pop3, "AUTH PLAIN\r\n"),
    ] {
        assert_flat(&server, first, || {
            flood_until_closed(&socket(address, first), &vec![b'x'; 1 << 20]);
        });
    }
    let broken_off = server.log().matches("nothing, or too little, came from the peer within 1s").count();
    assert_eq!(broken_off, 6, "each is told in the log");
    serves(&server);
}

/// A header section that is far too big, in pieces of about a mebibyte.
fn flooded(smtp: &mut Smtp, piece: &str) {
    let piece = piece.repeat(usize::try_from(MIB).unwrap() / piece.len());
    smtp.envelope("alice@example.test", &["bob@example.test"]).unwrap();
    smtp.ask("DATA").unwrap().positive().unwrap();
    smtp.say(b"Subject: flood\r\n").unwrap();
    for _ in 0..FLOOD_OCTETS / MIB {
        smtp.say(piece.as_bytes()).unwrap();
    }
    smtp.say(b"\r\n\r\n.\r\n").unwrap();
    let reply = smtp.reply().unwrap();
    assert_eq!(reply.code, 552, "{reply:?}");
}

#[test]
fn a_flood_of_header_fields_is_refused_and_never_held() {
    let server = server("", "");
    let mut smtp = Smtp::clear(server.addresses().unwrap().submission, server.trust()).unwrap();
    smtp.login("alice@example.test", "pw-alice").unwrap();
    for piece in ["X-Flood: yes\r\n", " folded\r\n", "no line end"] {
        assert_flat(&server, piece, || flooded(&mut smtp, piece));
    }
    assert_eq!(server.maildrop("bob").unwrap().count().unwrap(), 0);
}

#[test]
fn a_message_that_is_taken_goes_to_the_disk_and_not_into_memory() {
    let configuration =
        Configuration { store_keys: "draft_memory_octets_max = 1048576", ..Configuration::default() };
    let server = Server::start(&configuration).unwrap();
    serves(&server);
    let piece = "a line of text that says nothing at all\r\n".repeat(25_000);
    assert_flat(&server, "content", || {
        let mut smtp = server.reception().unwrap();
        smtp.envelope("dave@example.org", &["bob@example.test"]).unwrap();
        smtp.ask("DATA").unwrap().positive().unwrap();
        smtp.say(b"Subject: long\r\n\r\n").unwrap();
        for _ in 0..45 {
            smtp.say(piece.as_bytes()).unwrap();
        }
        smtp.say(b".\r\n").unwrap();
        smtp.reply().unwrap().positive().unwrap();
    });
    let mut maildrop = server.maildrop("bob").unwrap();
    assert_flat(&server, "retrieval", || {
        assert!(maildrop.retrieve(1).unwrap().len() > 45 * piece.len());
    });
}

#[test]
fn a_million_recipients_are_put_off_and_in_the_end_the_client_is_let_go() {
    let server = server("", "");
    let mut codes = Vec::new();
    assert_flat(&server, "recipients", || {
        let socket = socket(server.addresses().unwrap().reception, "EHLO x\r\nMAIL FROM:<>\r\n");
        let sending = socket.try_clone().unwrap();
        let mut smtp = Smtp::before_greeting(Stream::of(socket, server.trust()).unwrap());
        let block = "RCPT TO:<bob@example.test>\r\n".repeat(1000);
        let sender =
            thread::spawn(move || (0..1000).any(|_| (&sending).write_all(block.as_bytes()).is_err()));
        while let Ok(reply) = smtp.reply() {
            codes.push(reply.code);
        }
        drop(smtp);
        assert!(sender.join().unwrap(), "a million recipients were read");
    });
    let expected = [vec![220, 250, 250], vec![250; 1000], vec![452; 1000], vec![421]].concat();
    assert_eq!(codes, expected);
}

/// What may be claimed is claimed by many at once, and only a few octets come.
#[test]
fn what_is_claimed_is_not_allocated() {
    let server = server("", "");
    let begin = "EHLO x\r\nMAIL FROM:<> SIZE=52428800\r\nRCPT TO:<bob@example.test>\r\n";
    let disk_before = disk_octets(&server.folder().join("store"));
    let mut held = Vec::new();
    let grown = growth(&server, || {
        for _ in 0..200 {
            let address = server.addresses().unwrap().reception;
            let first = format!("{begin}BDAT 10\r\n12345678\r\nBDAT 52428790 LAST\r\nxyz");
            let stream = Stream::of(socket(address, &first), server.trust()).unwrap();
            let mut smtp = Smtp::before_greeting(stream);
            for code in [220, 250, 250, 250, 250] {
                assert_eq!(smtp.reply().unwrap().code, code);
            }
            held.push(smtp);
        }
    });
    assert!(grown < 200 * CONNECTION_OCTETS_MAX, "{grown} octets for 200 claims");
    assert!(disk_octets(&server.folder().join("store")) - disk_before < 200 * CONNECTION_OCTETS_MAX);
    drop(held);
    serves(&server);
}

/// What a folder takes on the disk.
fn disk_octets(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let octets = entries.map(|entry| match fs::symlink_metadata(entry.path()) {
        Ok(metadata) if metadata.is_dir() => disk_octets(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        // The store removes what it needs no more.
        Err(_) => 0,
    });
    octets.sum()
}

/// No number of octets is too odd: what cannot be read as one ends the session, for nobody knows what follows.
#[test]
fn a_chunk_of_an_impossible_size_ends_the_session() {
    let server = server("", "");
    let begin = "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\n";
    for (claim, code) in [
        ("18446744073709551615", 552),
        ("18446744073709551616", 501),
        ("9223372036854775808", 552),
        ("104857601", 552),
        ("-1", 501),
        ("+1", 501),
        ("0x10", 501),
        ("1e3", 501),
        ("", 501),
    ] {
        for last in ["", " LAST"] {
            let text = format!("{begin}BDAT {claim}{last}\r\nNOOP\r\nNOOP\r\n");
            let socket = socket(server.addresses().unwrap().reception, &text);
            let mut smtp = Smtp::before_greeting(Stream::of(socket, server.trust()).unwrap());
            let mut codes = Vec::new();
            while let Ok(reply) = smtp.reply() {
                codes.push(reply.code);
            }
            assert_eq!(codes, [220, 250, 250, 250, code], "BDAT {claim}{last}");
        }
    }
}

/// Commands are read only as fast as replies leave, and who takes none is let go.
#[test]
fn who_takes_no_replies_gets_no_more_commands_read() {
    let server = server(
        "commands_max = 4294967295\nwrite_seconds = 1",
        "commands_max = 4294967295\nwrite_seconds = 1",
    );
    let addresses = server.addresses().unwrap();
    for (address, command) in
        [(addresses.reception, "EHLO x\r\n"), (addresses.reception, "HELP\r\n"), (addresses.pop3, "CAPA\r\n")]
    {
        let block = command.repeat(10_000);
        let mut blocks = 0_u64;
        assert_flat(&server, command, || {
            let mut socket = socket(address, "");
            while socket.write_all(block.as_bytes()).is_ok() {
                blocks += 1;
                assert!(
                    blocks * u64::try_from(block.len()).unwrap() < FLOOD_OCTETS,
                    "{command} is read for ever"
                );
            }
        });
    }
    serves(&server);
}

//! What nobody should send: the session answers or closes, keeps little, and stays right for the next one.

use mailwire::pop3::AUTH_LINE_OCTETS_MAX;
use pop3d::Config;
use pop3d::session::{Login, Offer, Stls};

use crate::memory::Memory;
use crate::peer::Peer;

/// Dialogues of one run.
const DIALOGUES: u64 = 4_000;
/// Pieces of what a client may say, to be joined at random.
const FRAGMENTS: [&[u8]; 40] = [
    b"USER ",
    b"PASS ",
    b"AUTH ",
    b"PLAIN",
    b"LOGIN ",
    b" =",
    b"*",
    b"APOP a b",
    b"STAT",
    b"LIST ",
    b"RETR ",
    b"DELE ",
    b"TOP ",
    b"UIDL ",
    b"NOOP ",
    b"RSET",
    b"CAPA",
    b"STLS",
    b"UTF8 USER",
    b"LANG ",
    b"QUIT",
    b"1",
    b"2",
    b"0",
    b"-1",
    b"007",
    b" 4294967296",
    b" 18446744073709551617",
    b" 99999999999999999999999999999",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b"\xff\xfe",
    b"alice@example.test",
    b"pw-alice",
    b"AGFsaWNlQGV4YW1wbGUudGVzdABwdy1hbGljZQ==",
    b"================",
];

/// A sequence that looks random and is the same in each run (xorshift64*).
struct Sequence(u64);

impl Sequence {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).unwrap() % below
    }
}

fn noise(sequence: &mut Sequence) -> Vec<u8> {
    let mut octets = Vec::new();
    if sequence.next(2) == 0 {
        octets.extend_from_slice(b"USER alice@example.test\r\nPASS pw-alice\r\n");
    }
    for _ in 0..sequence.next(60) {
        match sequence.next(12) {
            0 => octets.extend((0..sequence.next(40)).map(|_| u8::try_from(sequence.next(256)).unwrap())),
            1 => octets.resize(octets.len() + sequence.next(600), b'x'),
            _ => octets.extend_from_slice(FRAGMENTS[sequence.next(FRAGMENTS.len())]),
        }
    }
    octets
}

fn memory() -> Memory {
    let memory = Memory::default();
    memory.deliver("alice", b"Subject: one\r\n\r\n.\r\nend\r\n");
    memory.deliver("alice", b"no body");
    memory
}

#[test]
fn whatever_is_sent_is_answered_line_by_line_or_ends_the_connection() {
    let mut sequence = Sequence(0x9E37_79B9_7F4A_7C15);
    for _ in 0..DIALOGUES {
        let octets = noise(&mut sequence);
        let offer = Offer {
            login: if sequence.next(8) == 0 { Login::NeedsTls } else { Login::Allowed },
            stls: if sequence.next(2) == 0 { Stls::Offered } else { Stls::Unavailable },
        };
        let mut peer = Peer::new(&memory(), offer);
        peer.take_said();
        let mut rest = octets.as_slice();
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at((sequence.next(50) + 1).min(rest.len()));
            peer.send(piece);
            rest = behind;
        }
        let said = peer.take_said();
        assert!(said.is_empty() || said.ends_with(b"\r\n"), "{}", said.escape_ascii());
        for line in said.split_inclusive(|octet| *octet == b'\n') {
            assert!(line.len() <= 512, "{}", line.escape_ascii());
        }
    }
}

#[test]
fn a_line_without_end_is_not_kept() {
    let mut peer = Peer::new(&memory(), Offer::TLS);
    peer.take_said();
    for _ in 0..1_000 {
        peer.send(&[b'x'; 4096]);
        assert!(peer.unread_octets() <= AUTH_LINE_OCTETS_MAX + 4096);
    }
    assert!(peer.take_said().len() <= 512);
    peer.send(b"\r\nCAPA\r\n");
    let said = peer.take_said();
    assert!(said.starts_with(b"-ERR ") && said.ends_with(b"\r\n.\r\n"), "{}", said.escape_ascii());
}

#[test]
fn a_flood_of_wrong_commands_is_answered_and_then_cut() {
    let mut peer = Peer::new(&memory(), Offer::TLS);
    peer.take_said();
    peer.send(&b"WHAT\r\n".repeat(1_000));
    let said = String::from_utf8(peer.take_said()).unwrap();
    assert_eq!(said.lines().count(), usize::try_from(Config::default().errors_max).unwrap());
    assert!(said.lines().all(|line| line.starts_with("-ERR ")));
    assert!(peer.is_closed());
}

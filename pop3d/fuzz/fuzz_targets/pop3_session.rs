//! Whole POP3 sessions of any octets: the same replies and deletions however they are chopped, and the maildrop free again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3d::session::{Login, Offer, Stls};

use crate::memory::Memory;
use crate::peer::Peer;

#[allow(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/bare/memory.rs"]
mod memory;
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/bare/peer.rs"]
mod peer;

/// Stands in the input where the client makes its TLS handshake.
const HANDSHAKE: &[u8] = b"\xf0TLS\xf1";

/// What was said, what is left in the maildrop, and whether the connection is closed.
#[derive(Debug, PartialEq)]
struct Outcome {
    said: Vec<u8>,
    left: usize,
    is_closed: bool,
}

fn memory() -> Memory {
    let memory = Memory::default();
    memory.deliver("alice", b"Subject: one\r\n\r\n.\r\n..\r\nend\r\n");
    memory.deliver("alice", b"Subject: two\r\n\r\na\r\n.b");
    memory.deliver("alice", "Subject: dr\u{fc}i\r\n\r\n\u{fc}\r\n".as_bytes());
    memory
}

fn offer(flags: u8) -> Offer {
    Offer {
        login: if flags & 1 == 0 { Login::Allowed } else { Login::NeedsTls },
        stls: if flags & 2 == 0 { Stls::Offered } else { Stls::Unavailable },
    }
}

fn outcome(flags: u8, octets: &[u8], chunk_octets: usize) -> Outcome {
    let memory = memory();
    let mut peer = Peer::new(&memory, offer(flags));
    let mut rest = octets;
    loop {
        let handshake = rest.windows(HANDSHAKE.len()).position(|window| window == HANDSHAKE);
        let (before, behind) = rest.split_at(handshake.unwrap_or(rest.len()));
        before.chunks(chunk_octets).for_each(|chunk| peer.send(chunk));
        let Some(behind) = behind.get(HANDSHAKE.len()..) else { break };
        peer.start_tls();
        rest = behind;
    }
    let (said, is_closed) = (peer.take_said(), peer.is_closed());
    peer.hang_up();
    assert!(!memory.is_leased("alice"), "the end of a session gives its maildrop back");
    Outcome { said, left: memory.messages("alice").len(), is_closed }
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (flags, size, octets) = (input.0, usize::from(input.1 % 17) + 1, input.2);
    let whole = outcome(flags, octets, octets.len().max(1));
    for line in whole.said.split_inclusive(|octet| *octet == b'\n') {
        // RFC 2449 §4.
        assert!(line.len() <= 512 && line.ends_with(b"\r\n"), "{}", line.escape_ascii());
    }
    assert!(whole.left == 3 || whole.is_closed, "only QUIT deletes");
    assert_eq!(outcome(flags, octets, size), whole);
});

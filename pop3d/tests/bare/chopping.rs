//! The same octets give the same replies, however the network cuts them.

use pop3d::session::{Login, Offer, Stls};
use proptest::prelude::*;

use crate::memory::{Memory, Trouble};
use crate::peer::Peer;

const OFFER: Offer = Offer { login: Login::Allowed, stls: Stls::Unavailable };

/// Lines that mean something in one state or another.
const LINES: [&str; 30] = [
    "CAPA",
    "USER alice@example.test",
    "USER bob@example.test",
    "PASS pw-alice",
    "PASS pw alice ",
    "AUTH",
    "AUTH PLAIN",
    "AUTH LOGIN",
    "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABwdy1hbGljZQ==",
    "AGFsaWNlQGV4YW1wbGUudGVzdABwdy1hbGljZQ==",
    "YWxpY2VAZXhhbXBsZS50ZXN0",
    "cHctYWxpY2U=",
    "*",
    "STAT",
    "LIST",
    "LIST 2",
    "UIDL",
    "UIDL 9",
    "RETR 1",
    "RETR 2",
    "TOP 1 0",
    "TOP 2 1",
    "TOP 2 99999999",
    "DELE 1",
    "DELE 2",
    "RSET",
    "NOOP",
    "STLS",
    "QUIT",
    "",
];

fn memory() -> Memory {
    let memory = Memory::default();
    memory.deliver("alice", b"Subject: one\r\n\r\n.\r\n..\r\nend\r\n");
    memory.deliver("alice", b"Subject: two\r\n\r\na\r\n.b\r\n");
    memory
}

/// A session with a few commands of each state, so that much of it is reached.
fn script() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        9 => prop::sample::select(&LINES[..]).prop_map(|line| line.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..300),
    ];
    let login = prop::bool::ANY;
    (login, prop::collection::vec(line, 0..25)).prop_map(|(login, lines)| {
        let mut script = Vec::new();
        if login {
            script.extend_from_slice(b"USER alice@example.test\r\nPASS pw-alice\r\n");
        }
        for line in lines {
            script.extend_from_slice(&line);
            script.extend_from_slice(b"\r\n");
        }
        script
    })
}

/// What the server says to `script` sent in pieces of these sizes, and what it leaves in the maildrop.
fn played(script: &[u8], mut sizes: impl Iterator<Item = usize>) -> (Vec<u8>, bool, usize) {
    let memory = memory();
    let mut peer = Peer::new(&memory, OFFER);
    let mut rest = script;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(sizes.next().unwrap_or(1).clamp(1, rest.len()));
        peer.send(piece);
        rest = behind;
    }
    let said = peer.take_said();
    let closed = peer.is_closed();
    peer.hang_up();
    assert!(!memory.is_leased("alice"), "the end of a session gives its maildrop back");
    (said, closed, memory.messages("alice").len())
}

proptest! {
    #[test]
    fn the_same_octets_chopped_anywhere_give_the_same_replies(
        script in script(),
        sizes in prop::collection::vec(1_usize..40, 1..20),
    ) {
        let whole = played(&script, std::iter::once(usize::MAX));
        prop_assert_eq!(&played(&script, sizes.into_iter().cycle()), &whole);
        prop_assert_eq!(&played(&script, std::iter::repeat(1)), &whole);
    }

    #[test]
    fn only_quit_deletes(script in script()) {
        let (_, closed, left) = played(&script, std::iter::once(usize::MAX));
        if left < 2 {
            prop_assert!(closed);
            prop_assert!(script.windows(5).any(|octets| octets.eq_ignore_ascii_case(b"QUIT\r")));
            prop_assert!(script.windows(5).any(|octets| octets.eq_ignore_ascii_case(b"DELE ")));
        }
    }
}

/// What the server says to `commands` of one who has logged in as alice.
fn after_login(memory: &Memory, commands: &[u8]) -> (String, bool) {
    let mut peer = Peer::new(memory, OFFER);
    peer.send(b"USER alice@example.test\r\nPASS pw-alice\r\n");
    peer.take_said();
    peer.send(commands);
    (String::from_utf8(peer.take_said()).unwrap(), peer.is_closed())
}

#[test]
fn a_pipelined_session_is_answered_in_order() {
    let memory = memory();
    let (said, closed) = after_login(&memory, b"RETR 1\r\nDELE 1\r\nRETR 2\r\nDELE 2\r\nQUIT\r\n");
    let replies: Vec<&str> = said.lines().filter(|line| line.starts_with(['+', '-'])).collect();
    assert_eq!(replies.len(), 5, "{said}");
    assert!(replies[0].starts_with("+OK 28 ") && replies[2].starts_with("+OK 23 "), "{said}");
    assert!(said.ends_with("+OK Goodbye, 2 messages deleted\r\n"), "{said}");
    assert!(closed && memory.messages("alice").is_empty());
}

#[test]
fn deletions_that_fail_are_refused_and_undone() {
    let memory = memory();
    memory.trouble(Trouble::Expunging);
    let (said, closed) = after_login(&memory, b"DELE 1\r\nQUIT\r\n");
    assert!(said.lines().last().unwrap().starts_with("-ERR [SYS/TEMP] "), "{said}");
    assert!(closed);
    assert_eq!(memory.messages("alice").len(), 2);
}

#[test]
fn a_message_that_cannot_be_read_is_refused_and_the_session_goes_on() {
    let memory = memory();
    memory.trouble(Trouble::ReadingFrom(0));
    let (said, closed) = after_login(&memory, b"RETR 1\r\nTOP 1 0\r\nSTAT\r\n");
    let replies: Vec<&str> = said.lines().collect();
    assert!(
        replies[0].starts_with("-ERR [SYS/TEMP] ") && replies[1].starts_with("-ERR [SYS/TEMP] "),
        "{said}"
    );
    assert_eq!(replies[2], "+OK 2 51");
    assert!(!closed);
}

#[test]
fn a_message_whose_rest_cannot_be_read_ends_the_connection_without_a_final_dot() {
    let memory = Memory::default();
    memory.deliver("alice", &b"a: b\r\n".repeat(20_000));
    memory.trouble(Trouble::ReadingFrom(1));
    let (said, closed) = after_login(&memory, b"RETR 1\r\nSTAT\r\n");
    assert!(said.starts_with("+OK 120000 octets\r\na: b\r\n"));
    assert!(!said.ends_with("\r\n.\r\n"));
    assert!(closed);
}

#[test]
fn a_store_in_trouble_is_no_reason_to_doubt_the_password() {
    for trouble in [Trouble::Directory, Trouble::Leases] {
        let memory = memory();
        memory.trouble(trouble);
        let mut peer = Peer::new(&memory, OFFER);
        peer.take_said();
        for _ in 0..20 {
            peer.send(b"USER alice@example.test\r\n");
            peer.take_said();
            peer.send(b"PASS pw-alice\r\n");
            assert!(peer.take_said().starts_with(b"-ERR [SYS/TEMP] "));
        }
        assert!(!peer.is_closed());
    }
}

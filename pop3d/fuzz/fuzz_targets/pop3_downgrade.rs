//! Messages of any octets in the form for clients without UTF8: the same in whatever chunks, in ASCII where it must be, of
//! the size that LIST says, and once is enough.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3d::downgrade::Downgrader;
use pop3d::session::Offer;

use crate::memory::Memory;
use crate::peer::Peer;

#[allow(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/bare/memory.rs"]
mod memory;
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/bare/peer.rs"]
mod peer;

/// The downgraded form of content that comes in such chunks.
fn downgraded(content: &[u8], chunk_octets: usize) -> Vec<u8> {
    let (mut downgrader, mut output) = (Downgrader::new(), Vec::new());
    content.chunks(chunk_octets).for_each(|chunk| downgrader.pass(chunk, &mut output));
    downgrader.finish(&mut output);
    output
}

/// Up to the first empty line.
fn header_section(content: &[u8]) -> &[u8] {
    match content.windows(4).position(|octets| octets == b"\r\n\r\n") {
        _ if content.starts_with(b"\r\n") => &[],
        Some(at) => &content[..at],
        None => content,
    }
}

/// True where the content may have parts, or be read as a report.
fn may_have_a_type(content: &[u8]) -> bool {
    content.to_ascii_lowercase().windows(12).any(|octets| octets == b"content-type")
}

/// What a session says to a command, and what it sends behind that.
fn said(peer: &mut Peer, command: &str) -> (String, Vec<u8>) {
    peer.send(format!("{command}\r\n").as_bytes());
    let said = peer.take_said();
    let at = said.windows(2).position(|octets| octets == b"\r\n").map_or(said.len(), |at| at + 2);
    (String::from_utf8_lossy(&said[..at]).into_owned(), said[at..].to_vec())
}

/// A message as a client reads it.
fn unstuffed(mut octets: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    octets = octets.strip_suffix(b".\r\n").expect("a message ends with a dot");
    while let Some(end) = octets.windows(2).position(|octets| octets == b"\r\n") {
        let (line, rest) = octets.split_at(end + 2);
        content.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        octets = rest;
    }
    assert!(octets.is_empty(), "a message ends with a line end");
    content
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, content) = (usize::from(input.0 % 23) + 1, input.1);
    let whole = downgraded(content, content.len().max(1));
    assert_eq!(downgraded(content, size), whole);
    // A Content-Type that cannot be taken apart becomes text, and in that may be read what was not before.
    if !may_have_a_type(content) {
        assert_eq!(downgraded(&whole, size), whole);
    }
    if str::from_utf8(header_section(content)).is_ok() {
        assert!(header_section(&whole).is_ascii(), "{}", header_section(&whole).escape_ascii());
    }
    if content.is_empty() {
        return;
    }

    // A store ends each message with a line end.
    let ends = if content.ends_with(b"\r\n") { b"".as_slice() } else { b"\r\n" };
    let content = [content, ends].concat();
    let memory = Memory::default();
    memory.deliver("alice", &content);
    let mut peer = Peer::new(&memory, Offer::TLS);
    peer.send(b"USER alice@example.test\r\nPASS pw-alice\r\n");
    peer.take_said();
    let (scan, _) = said(&mut peer, "LIST 1");
    let (_, retrieved) = said(&mut peer, "RETR 1");
    let retrieved = unstuffed(&retrieved);
    assert_eq!(retrieved, downgraded(&content, content.len()));
    assert_eq!(scan, format!("+OK 1 {}\r\n", retrieved.len()));
    let (_, top) = said(&mut peer, &format!("TOP 1 {}", size - 1));
    assert!(retrieved.starts_with(&unstuffed(&top)), "a top is the beginning of the message");
});

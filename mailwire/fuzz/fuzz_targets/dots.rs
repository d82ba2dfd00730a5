//! Content framed by dots: stuffing and unstuffing is the identity, chunks make no difference, only CRLF.CRLF ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwire::dot::{Stuffer, Unstuffer};

/// The content in `framed`, how many octets it took, and whether its end was seen.
fn unstuffed(framed: &[u8], size: usize) -> (Vec<u8>, usize, bool) {
    let (mut unstuffer, mut content, mut consumed) = (Unstuffer::new(), Vec::new(), 0);
    for chunk in framed.chunks(size) {
        let done = unstuffer.unstuff(chunk, &mut content);
        consumed += done.consumed;
        if done.ended {
            return (content, consumed, true);
        }
        assert_eq!(done.consumed, chunk.len());
    }
    (content, consumed, false)
}

fn stuffed(content: &[u8], size: usize) -> Vec<u8> {
    let (mut stuffer, mut framed) = (Stuffer::new(), Vec::new());
    content.chunks(size).for_each(|chunk| stuffer.stuff(chunk, &mut framed));
    stuffer.finish(&mut framed);
    framed
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, octets) = (usize::from(input.0 % 13) + 1, input.1);
    let whole = octets.len().max(1);

    let framed = stuffed(octets, whole);
    assert_eq!(stuffed(octets, size), framed);
    let ended = if octets.is_empty() || octets.ends_with(b"\r\n") { b"".as_slice() } else { b"\r\n" };
    let content = [octets, ended].concat();
    assert_eq!(unstuffed(&framed, size), (content, framed.len(), true));

    let found = unstuffed(octets, whole);
    assert_eq!(unstuffed(octets, size), found);
    let end = octets.windows(5).position(|window| window == b"\r\n.\r\n").map(|at| at + 5);
    let end = if octets.starts_with(b".\r\n") { Some(3) } else { end };
    assert_eq!(found.2.then_some(found.1), end);
});

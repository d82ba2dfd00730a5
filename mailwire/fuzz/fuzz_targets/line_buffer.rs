//! Lines out of octets: only CRLF ends one, chunks make no difference, and no line is kept beyond its limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwire::line::{Line, LineBuffer};

fn lines(octets: &[u8], size: usize, octets_max: usize) -> (Vec<Line>, Vec<u8>) {
    let (mut buffer, mut lines) = (LineBuffer::new(), Vec::new());
    for chunk in octets.chunks(size) {
        buffer.extend(chunk);
        while let Some(line) = buffer.next_line(octets_max) {
            lines.push(line);
        }
        assert!(buffer.unread().len() <= octets_max + 1);
    }
    let left = buffer.unread().to_vec();
    (lines, left)
}

/// What RFC 5321 §2.3.8 says, written as simply as can be.
fn split(octets: &[u8], octets_max: usize) -> Vec<Line> {
    let (mut found, mut rest) = (Vec::new(), octets);
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let line = &rest[..end];
        found.push(if line.len() > octets_max { Line::TooLong } else { Line::Complete(line.to_vec()) });
        rest = &rest[end + 2..];
    }
    found
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (size, octets_max, octets) = (usize::from(input.0 % 17) + 1, usize::from(input.1), input.2);
    let whole = lines(octets, octets.len().max(1), octets_max);
    assert_eq!(whole.0, split(octets, octets_max));
    assert_eq!(lines(octets, size, octets_max), whole);
});

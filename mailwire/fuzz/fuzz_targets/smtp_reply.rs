//! Any lines are an SMTP reply or none, and what was understood of a reply is the same after it was written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwire::smtp::{Extension, Reply, ReplyReader};

fn read<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Reply> {
    let mut reader = ReplyReader::default();
    for line in lines {
        match reader.line(line) {
            Ok(None) => {}
            Ok(Some(reply)) => return Some(reply),
            Err(_) => return None,
        }
    }
    None
}

fuzz_target!(|octets: &[u8]| {
    let Some(reply) = read(octets.split(|octet| *octet == b'\n')) else { return };
    for line in reply.lines() {
        let _ = Extension::parse(line);
    }
    let mut written = Vec::new();
    reply.encode(&mut written);
    assert!(
        written.ends_with(b"\r\n") && written.split(|octet| *octet == b'\n').all(|line| line.len() <= 511)
    );
    let lines = written.split_inclusive(|octet| *octet == b'\n').map(|line| &line[..line.len() - 2]);
    let again = read(lines).expect("a reply");
    assert_eq!(again.code(), reply.code());
    assert_eq!(again.lines().count(), reply.lines().count());
    let short = reply.lines().all(|line| line.len() < 400);
    assert!(!short || again == reply, "{reply:?} is read as {again:?}");
});

//! Any octets as a header of the PROXY protocol: read to its end and no octet further, and the same however it comes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwire::proxy::{BINARY_OCTETS_MAX, Origin, Progress, ProxyError, TEXT_OCTETS_MAX, parse};

/// Reads as a connection does: never more than is wanted. Returns what it read, and how much that took.
fn read(octets: &[u8], piece_octets_max: usize) -> Option<(Result<Origin, ProxyError>, usize)> {
    let mut taken = 0;
    loop {
        match parse(&octets[..taken]) {
            Ok(Progress::Complete(origin)) => return Some((Ok(origin), taken)),
            Err(error) => return Some((Err(error), taken)),
            Ok(Progress::Wants(more)) => {
                assert!(more > 0, "a reader that wants nothing never ends");
                let left = octets.len() - taken;
                if left == 0 {
                    return None;
                }
                taken += more.min(piece_octets_max).min(left);
            }
        }
        assert!(taken <= BINARY_OCTETS_MAX.max(TEXT_OCTETS_MAX), "{taken} octets of a header");
    }
}

fuzz_target!(|octets: &[u8]| {
    // What is no header may be found out sooner, or later, where less is read at a time.
    let accepted =
        |read: Option<(Result<Origin, ProxyError>, usize)>| read.filter(|(origin, _)| origin.is_ok());
    let whole = accepted(read(octets, usize::MAX));
    for piece_octets_max in [1, 3] {
        assert_eq!(accepted(read(octets, piece_octets_max)), whole);
    }
    if let Some((Ok(Origin::Client { source, destination }), taken)) = whole {
        assert_eq!(source.is_ipv4(), destination.is_ipv4());
        // Nothing behind the header changes it.
        assert_eq!(read(&[&octets[..taken], b"EHLO x\r\n"].concat(), usize::MAX), whole);
    }
});

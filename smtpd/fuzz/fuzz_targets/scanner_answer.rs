//! Whatever a scanner answers: it is an answer or none however it comes in pieces, and what is kept of it is short and safe.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smtpd::gate::scan::{Added, End, ScannerConfig, Word, answer, decide};

/// Octets of everything that may be kept of one answer.
const KEPT_OCTETS_MAX: usize = 20 * 1000;

fuzz_target!(|octets: &[u8]| {
    let config = ScannerConfig::new("127.0.0.1:11333".parse().unwrap());
    let whole = answer(octets, End::Closed);
    for cut in 0..octets.len() {
        // What is an answer before everything has come is the same one afterwards.
        if let Ok(Some(early)) = answer(&octets[..cut], End::Open) {
            assert_eq!(whole.as_ref().unwrap().as_ref(), Some(&early));
        }
    }
    let Ok(Some(answer)) = whole else { return };
    let decision = decide(&config, &Word::Said(answer));
    assert!(decision.row.len() <= 250 && !decision.row.chars().any(char::is_control));
    let lines: String = decision.fields.iter().map(Added::line).collect();
    assert!(lines.len() <= KEPT_OCTETS_MAX);
    for line in lines.split_terminator("\r\n") {
        assert!(!line.chars().any(char::is_control) && line.len() < 998);
        assert!(line.to_ascii_lowercase().starts_with("x-") || line.to_ascii_lowercase().starts_with("arc-"));
    }
});

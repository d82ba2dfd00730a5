//! Whatever a milter answers: its packets are the same however they come in pieces, what is kept of them is short and safe, and
//! a header section stays one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smtpd::gate::scan::ScannerConfig;
use smtpd::gate::scan::milter::{
    Agreed, Answer, Change, Header, LeadingBlanks, MilterWord, Packet, Stage, decide_milter, packet,
};

const PREFIX: &[u8] = b"Received: from a\r\n\tby b\r\nDate: now\r\n";
const MESSAGE: &[u8] = b"Received: from x\r\nSubject: y\r\n z\r\nTo: b\r\nsubject: again\r\n";

/// The packets, and whether what follows them is none.
fn packets(octets: &[u8], cut: usize) -> (Vec<(u8, Vec<u8>)>, bool) {
    let (mut packets, mut received) = (Vec::new(), Vec::new());
    for piece in [&octets[..cut], &octets[cut..]] {
        received.extend_from_slice(piece);
        loop {
            match packet(&received) {
                Ok(Some(Packet { letter, data, octets })) => {
                    packets.push((letter, data.to_vec()));
                    received.drain(..octets);
                }
                Ok(None) => break,
                Err(_) => return (packets, true),
            }
        }
    }
    (packets, false)
}

fn check_section(section: &[u8]) {
    assert!(section.ends_with(b"\r\n") || section.is_empty());
    let text = section.split(|octet| *octet == b'\n');
    for line in text {
        assert!(line.is_empty() || line.ends_with(b"\r"));
        // No line ends the section, or stands for nothing.
        let line = line.strip_suffix(b"\r").unwrap_or_default();
        assert!(!line.contains(&b'\r') && !line.contains(&0) && line.len() <= 998 + "\t".len());
    }
    assert!(!section.windows(4).any(|octets| octets == b"\r\n\r\n"));
}

fuzz_target!(|octets: &[u8]| {
    let config = ScannerConfig::new("127.0.0.1:8891".parse().unwrap());
    let _ = Agreed::read(octets);
    let whole = packets(octets, octets.len());
    for cut in 0..octets.len().min(64) {
        assert_eq!(packets(octets, cut), whole);
    }
    for blanks in [LeadingBlanks::Given, LeadingBlanks::Added] {
        let mut header = Header::new(PREFIX, MESSAGE);
        for (letter, data) in &whole.0 {
            match Answer::read(*letter, data) {
                Ok(Answer::Reply(reply)) => {
                    let mut said = Vec::new();
                    reply.encode(&mut said);
                    assert!(matches!(reply.code() / 100, 4 | 5));
                    assert!(said.len() <= 33 * 512 && said.is_ascii() && said.ends_with(b"\r\n"));
                    let row =
                        decide_milter(&config, &MilterWord::Refused { at: Stage::End, reply: Some(reply) })
                            .row;
                    assert!(row.len() <= 250 && !row.chars().any(char::is_control));
                }
                Ok(Answer::Change(change)) => {
                    if let Change::Quarantine(reason) = &change {
                        assert!(reason.len() <= 120 && !reason.chars().any(char::is_control));
                    }
                    let _ = header.change(&change, blanks);
                }
                Ok(_) | Err(_) => {}
            }
        }
        check_section(&header.prefix());
        check_section(&header.message());
        assert!(header.prefix().windows(10).any(|octets| octets == b"Received: "));
        assert!(header.shown().all(|(name, _)| !name.is_empty()));
    }
});

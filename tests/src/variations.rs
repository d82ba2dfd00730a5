//! The same dialogue as another client would have it: what is said goes in other groups and pieces, the replies stay.

use crate::dialogue::Step;

/// Commands that a client must not send anything behind without having heard the reply (RFC 2920 §3.1, RFC 3207 §4,
/// RFC 4954 §4, RFC 2449 §6.6, RFC 2595 §4, RFC 5034 §4). NOOP and others that RFC 2920 names for the client's own sake
/// are not among them.
const LAST_IN_GROUP: [&[u8]; 5] = [b"DATA", b"QUIT", b"STARTTLS", b"STLS", b"AUTH"];
/// A write of more octets than this repeats itself, so it is cut near its ends only.
const LONG_OCTETS: usize = 1000;
/// How near.
const NEAR_OCTETS: usize = 80;

/// The steps with everything in one write that may be in one group: what the client says next moves in front of the
/// replies that the script waits for.
pub(crate) fn pipelined(steps: &[(usize, Step)]) -> Vec<(usize, Step)> {
    let mut grouped: Vec<(usize, Step)> = Vec::with_capacity(steps.len());
    // Where the group stands that may still grow.
    let mut open: Option<usize> = None;
    for (line, step) in steps {
        match step {
            Step::Send { connection, octets } => {
                let group = open.and_then(|at| grouped.get_mut(at)).map(|(_, step)| step);
                if let Some(Step::Send { connection: same, octets: group }) = group
                    && same == connection
                {
                    group.extend_from_slice(octets);
                } else {
                    open = Some(grouped.len());
                    grouped.push((*line, step.clone()));
                }
                if ends_a_group(octets) {
                    open = None;
                }
            }
            Step::Expect { .. } | Step::Skip { .. } => grouped.push((*line, step.clone())),
            Step::StartTls { .. } | Step::Close { .. } | Step::Closed { .. } => {
                open = None;
                grouped.push((*line, step.clone()));
            }
        }
    }
    grouped
}

/// True where the last line said is one of [`LAST_IN_GROUP`].
fn ends_a_group(octets: &[u8]) -> bool {
    let lines = octets.strip_suffix(b"\r\n").unwrap_or(octets);
    let last = lines.rsplit(|octet| *octet == b'\n').next().unwrap_or_default();
    let verb = last.split(|octet| *octet == b' ').next().unwrap_or_default().trim_ascii();
    LAST_IN_GROUP.iter().any(|command| verb.eq_ignore_ascii_case(command))
}

/// Where what the client says can be cut in two: behind each octet, counted over all that it says.
pub(crate) fn cuts(steps: &[(usize, Step)]) -> Vec<usize> {
    let mut cuts = Vec::new();
    let mut before = 0;
    for (_, step) in steps {
        if let Step::Send { octets, .. } = step {
            let is_near = |at: usize| at.min(octets.len() - at) <= NEAR_OCTETS;
            let places = (1..octets.len()).filter(|&at| octets.len() <= LONG_OCTETS || is_near(at));
            cuts.extend(places.map(|at| before + at));
            before += octets.len();
        }
    }
    cuts
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::dialogue::{Dialogue, Protocol};

    fn steps(script: &str) -> Vec<(usize, Step)> {
        let text = format!("@ port: reception\n{script}");
        Dialogue::parse(Path::new("a-test.txt"), Protocol::Smtp, &text).unwrap().steps
    }

    /// What is said in each write.
    fn writes(steps: &[(usize, Step)]) -> Vec<(u8, String)> {
        let said = |step: &Step| {
            if let Step::Send { connection, octets } = step {
                Some((*connection, String::from_utf8(octets.clone()).unwrap()))
            } else {
                None
            }
        };
        steps.iter().filter_map(|(_, step)| said(step)).collect()
    }

    fn grouped(script: &str) -> Vec<String> {
        writes(&pipelined(&steps(script))).into_iter().map(|(_, said)| said).collect()
    }

    #[test]
    fn what_may_be_sent_without_waiting_is_sent_at_once() {
        let script = "C: MAIL\nS: 250 x\nC: RCPT\nS: 250 y\nC: data\nS: 354 z\nC: text\nC: .\nS: 250 a\nC: QUIT\nS: 221 b\n";
        assert_eq!(grouped(script), ["MAIL\r\nRCPT\r\ndata\r\n", "text\r\n.\r\nQUIT\r\n"]);
        let order: Vec<bool> =
            pipelined(&steps(script)).iter().map(|(_, step)| matches!(step, Step::Send { .. })).collect();
        assert_eq!(order, [true, false, false, false, true, false, false]);
    }

    #[test]
    fn nothing_moves_in_front_of_tls_or_a_login_or_the_other_connection() {
        assert_eq!(grouped("C: STARTTLS\nS: 220 x\nC! tls\nC: NOOP\n"), ["STARTTLS\r\n", "NOOP\r\n"]);
        assert_eq!(grouped("C: AUTH PLAIN\nS: 334 x\nC: abc\nS: 235 x\nC: NOOP\n").len(), 2);
        assert_eq!(grouped("C: a\nS: 250 x\nC2: b\nS2: 250 x\nC: c\nS: 250 x\n").len(), 3);
        assert_eq!(grouped("C: a\nS: 250 x\nS! closed\nC2: b\n").len(), 2);
    }

    #[test]
    fn every_place_between_two_octets_of_a_write_is_a_cut() {
        assert_eq!(cuts(&steps("C- abc\nS: x\nC: d\n")), [1, 2, 4, 5]);
        assert_eq!(cuts(&steps("C- \\(1000*x)\n")).len(), 999);
        assert_eq!(cuts(&steps("C- \\(1001*x)\n")).len(), 160);
    }
}

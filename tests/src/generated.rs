//! Messages made from their numbers: every shape that dots, empty lines, long lines and ends have, from nothing to megabytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::random::Random;

/// Where servers and their libraries like to cut what they read.
const EDGE_OCTETS: usize = 1 << 16;
/// How far around an edge lines are short, so that each of their octets may lie on it whatever stands before the content.
const NEAR_EDGE_OCTETS: usize = 700;
/// The longest line without its CRLF (RFC 5322 §2.1.1).
const LINE_OCTETS: usize = 998;

/// A message as its sender has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Generated {
    /// Lines that end in CRLF, but for the last one perhaps, without a NUL.
    Text(Vec<u8>),
    /// Any octets as the content of an attachment, for BODY=BINARYMIME (RFC 3030 §3).
    Binary(Vec<u8>),
}

impl Generated {
    /// The message of a number, which is the same each time: of a thousand in a row one has megabytes, five go beyond
    /// 64 KiB, twenty have some lines of 998 octets, ten are binary, and the rest is small.
    #[must_use]
    pub fn of(number: u64) -> Self {
        let mut random = Random::new(number);
        match number % 1000 {
            0 => Self::Text(large(&mut random, 1 << 20, 2 << 20)),
            1..=5 => Self::Text(large(&mut random, EDGE_OCTETS - 1000, 2 * EDGE_OCTETS)),
            6..=25 => Self::Text(with_long_lines(&mut random)),
            26..=35 => {
                let octets = random.below(3000);
                Self::Binary((0..octets).map(|_| octet(&mut random)).collect())
            }
            _ => Self::Text(small(&mut random)),
        }
    }

    /// The octets that are handed to the server.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        match self {
            Self::Text(content) => content.clone(),
            Self::Binary(attachment) => [binary_header("binary").as_bytes(), attachment].concat(),
        }
    }
}

/// The header section of a binary message, with the encoding in which its content stands.
#[must_use]
pub fn binary_header(encoding: &str) -> String {
    format!(
        "MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    )
}

/// What base64 in lines stands for; nothing where it is none.
#[must_use]
pub fn decoded(lines: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = lines.iter().copied().filter(|octet| !b"\r\n".contains(octet)).collect();
    STANDARD.decode(digits).ok()
}

/// Any octet.
fn octet(random: &mut Random) -> u8 {
    u8::try_from(random.below(256)).unwrap_or_default()
}

/// Any octet that text may have: no NUL, and CR and LF only where lines end.
fn text_octet(random: &mut Random) -> u8 {
    match octet(random) {
        0 | b'\r' | b'\n' => b'.',
        octet => octet,
    }
}

/// A short line without its end.
fn line(random: &mut Random) -> Vec<u8> {
    match random.below(10) {
        0 | 1 => Vec::new(),
        2 => b".".to_vec(),
        3 => b"..".to_vec(),
        4 => b". ".to_vec(),
        5 => b"-ERR\tQUIT ".to_vec(),
        6 => [b"...".as_slice(), &(0..random.below(9)).map(|_| text_octet(random)).collect::<Vec<_>>()]
            .concat(),
        7 => (0..random.below(80)).map(|_| text_octet(random)).collect(),
        _ => vec![b'x'; usize::try_from(random.below(76)).unwrap_or_default()],
    }
}

/// Lines of a body, each with its end.
fn lines(random: &mut Random, most: u64) -> Vec<u8> {
    (0..random.below(most)).flat_map(|_| [line(random), b"\r\n".to_vec()].concat()).collect()
}

/// A field, folded perhaps, or one that begins with a dot.
fn field(random: &mut Random) -> Vec<u8> {
    let name: &[u8] = if random.below(4) == 0 { b".X-Dot: " } else { b"X-Field: " };
    let fold: &[u8] = if random.below(4) == 0 { b"\r\n ." } else { b"" };
    let value: Vec<u8> = (0..random.below(30)).map(|_| text_octet(random)).collect();
    [name, &value, fold, b"\r\n"].concat()
}

fn header(random: &mut Random) -> Vec<u8> {
    (0..random.below(4)).flat_map(|_| field(random)).collect()
}

/// What a body may end with.
fn end(random: &mut Random) -> &'static [u8] {
    match random.below(8) {
        0 => b"no line end",
        1 => b".",
        2 => b"..",
        3 => b"\r\n\r\n\r\n",
        4 => b".\r\n",
        _ => b"",
    }
}

fn small(random: &mut Random) -> Vec<u8> {
    match random.below(20) {
        0 => Vec::new(),
        1 => vec![text_octet(random)],
        2 => header(random),
        3 => [header(random).as_slice(), b"\r\n"].concat(),
        4 => [lines(random, 4).as_slice(), end(random)].concat(),
        _ => [header(random).as_slice(), b"\r\n", &lines(random, 12), end(random)].concat(),
    }
}

fn long_line(random: &mut Random) -> Vec<u8> {
    let first = if random.below(2) == 0 { b'.' } else { b'y' };
    let mut line = vec![text_octet(random); LINE_OCTETS];
    line.splice(..1, [first]);
    line
}

fn with_long_lines(random: &mut Random) -> Vec<u8> {
    let mut content = [header(random).as_slice(), b"\r\n"].concat();
    for _ in 0..random.below(12) {
        let line = if random.below(2) == 0 { long_line(random) } else { line(random) };
        content.extend_from_slice(&line);
        content.extend_from_slice(b"\r\n");
    }
    [content.as_slice(), end(random)].concat()
}

/// At least `octets_min` and at most about `octets_max` octets: long lines, and short ones around the edges.
fn large(random: &mut Random, octets_min: usize, octets_max: usize) -> Vec<u8> {
    let octets =
        octets_min + usize::try_from(random.below((octets_max - octets_min) as u64)).unwrap_or_default();
    let mut content = b"Subject: large\r\n\r\n".to_vec();
    while content.len() < octets {
        let ahead = (content.len() + LINE_OCTETS + NEAR_EDGE_OCTETS) % EDGE_OCTETS;
        let line = if ahead < LINE_OCTETS + 2 * NEAR_EDGE_OCTETS { line(random) } else { long_line(random) };
        content.extend_from_slice(&line);
        content.extend_from_slice(b"\r\n");
    }
    [content.as_slice(), end(random)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// True for content of a shape.
    type Shape = fn(&[u8]) -> bool;

    /// What is generated has the shapes for which it is generated.
    #[test]
    fn every_shape_is_among_a_few_thousand() {
        let contents: Vec<Vec<u8>> = (0..3000).map(|number| Generated::of(number).content()).collect();
        let shapes: [(&str, Shape); 9] = [
            ("nothing", <[u8]>::is_empty),
            ("one octet", |content| content.len() == 1),
            ("a header section alone", |content| content.starts_with(b"X-") && !has(content, b"\r\n\r\n")),
            ("an empty body", |content| content.starts_with(b"X-") && content.ends_with(b"\r\n\r\n")),
            ("a lone dot", |content| has(content, b"\r\n.\r\n")),
            ("a dot at the end", |content| content.ends_with(b"\r\n.")),
            ("no line end", |content| content.ends_with(b"no line end")),
            ("a long line", |content| content.split(|octet| *octet == b'\n').any(|line| line.len() == 999)),
            ("megabytes", |content| content.len() > 1 << 20),
        ];
        for (name, shape) in shapes {
            assert!(contents.iter().any(|content| shape(content)), "none has {name}");
        }
        assert!(contents.iter().filter(|content| content.len() < 1000).count() > 2500, "most are small");
    }

    #[test]
    fn text_has_no_nul_and_no_bare_line_end_and_no_line_is_too_long() {
        for number in 0..1000 {
            let Generated::Text(content) = Generated::of(number) else { continue };
            assert!(!content.contains(&0), "{number}");
            for line in content.split(|octet| *octet == b'\n') {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                assert!(!line.contains(&b'\r') && line.len() <= LINE_OCTETS + 11, "{number}");
            }
        }
    }

    fn has(content: &[u8], part: &[u8]) -> bool {
        content.windows(part.len()).any(|octets| octets == part)
    }
}

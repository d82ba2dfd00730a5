//! The reply that a milter wants its server to give.

use mailwire::smtp::{Reply, ReplyReader};

use super::MilterError;
use crate::replies;

/// Most lines of one.
const LINES_MAX: usize = 32;
/// Most octets of a line.
const LINE_OCTETS_MAX: usize = 450;

/// Reads one: `550 5.7.1 text`, or several lines of that form with a hyphen behind the code of all but the last. It is printable
/// ASCII then, of class 4 or 5, with an enhanced code of that class.
pub(super) fn reply(text: &[u8]) -> Result<Reply, MilterError> {
    let text: Vec<u8> = text.iter().map(|octet| if octet.is_ascii() { *octet } else { b'?' }).collect();
    // libmilter has every percent sign twice, since Sendmail takes the text for a format.
    let text = String::from_utf8(text).map_err(|_| MilterError::Text)?.replace("%%", "%");
    let text = text.strip_suffix("\r\n").unwrap_or(&text);
    let mut reader = ReplyReader::default();
    let mut lines = text.split("\r\n").take(LINES_MAX.saturating_add(1)).enumerate();
    let whole = loop {
        let Some((number, line)) = lines.next() else { return Err(MilterError::Reply) };
        if number >= LINES_MAX {
            return Err(MilterError::TooMuch);
        }
        let line = line.get(..LINE_OCTETS_MAX).unwrap_or(line);
        if let Some(reply) = reader.line(line.as_bytes()).map_err(|_| MilterError::Reply)? {
            break reply;
        }
    };
    match (whole.code() / 100, lines.next()) {
        (4 | 5, None) => Ok(replies::of_milter(&whole)),
        _ => Err(MilterError::Reply),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str) -> Result<String, MilterError> {
        let mut octets = Vec::new();
        reply(text.as_bytes())?.encode(&mut octets);
        Ok(String::from_utf8(octets).unwrap())
    }

    #[test]
    fn a_reply_keeps_its_words() {
        for (text, expected) in [
            ("550 5.7.1 not here", "550 5.7.1 not here\r\n"),
            ("451 4.7.1 later", "451 4.7.1 later\r\n"),
            ("550 without a code of that kind", "550 5.7.1 without a code of that kind\r\n"),
            ("550 4.7.1 of another class", "550 5.7.1 4.7.1 of another class\r\n"),
            ("554", "554 5.7.1 \r\n"),
            ("550 5.7.1 100%% \u{e4}", "550 5.7.1 100% ??\r\n"),
            ("550 5.7.1 a\tb\u{1b}[1m", "550 5.7.1 a?b?[1m\r\n"),
            ("550-5.7.1 one\r\n550 5.7.1 two\r\n", "550-5.7.1 one\r\n550 5.7.1 two\r\n"),
        ] {
            assert_eq!(encoded(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_refusal_is_no_reply() {
        for text in [
            "",
            "250 2.0.0 fine",
            "354 go on",
            "hello",
            "550-5.7.1 no end",
            "550 a\r\n550 b",
            "999 x",
            "550-a\r\n551 b",
        ] {
            assert_eq!(encoded(text), Err(MilterError::Reply), "{text}");
        }
        let many = |lines: usize| format!("{}550 5.7.1 x", "550-5.7.1 x\r\n".repeat(lines));
        assert!(encoded(&many(LINES_MAX - 1)).is_ok());
        assert_eq!(encoded(&many(LINES_MAX)), Err(MilterError::TooMuch));
        assert!(encoded(&format!("550 5.7.1 {}", "x".repeat(60_000))).unwrap().len() <= 512);
    }
}

//! What a server says (RFC 5321 §4.2), written and read.

use std::borrow::Cow;
use std::fmt;
use std::io::Write;

use thiserror::Error;

use super::Enhanced;
use crate::escape::without_controls;

/// Most octets of a reply line without CRLF that we send (RFC 5321 §4.5.3.1.5).
pub const REPLY_LINE_OCTETS_MAX: usize = 512 - 2;
/// Most octets in front of a reply line's text: `550-5.123.123 `.
const CODES_OCTETS_MAX: usize = 14;
/// Room for the replies to a usual group of commands (RFC 2920), taken at once.
const GROUP_OCTETS: usize = 256;
/// Most octets of a whole reply that a client of ours takes.
pub const REPLY_OCTETS_MAX: usize = 65_536;

/// A reply of one or more lines, all with the same code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<Enhanced>,
    lines: Vec<Cow<'static, str>>,
}

/// What a server said is not a reply.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ReplyError {
    /// A line that does not start with three digits and a separator, or changes the code within one reply.
    #[error("the server said \"{0}\", which is not an SMTP reply")]
    Syntax(String),
    /// More lines or octets than a client has to take.
    #[error("the server's reply is longer than {0} octets")]
    TooLong(usize),
}

impl Reply {
    /// One line with an enhanced code (RFC 2034 §3).
    #[must_use]
    pub fn new(code: u16, enhanced: Enhanced, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, enhanced: Some(enhanced), lines: vec![text.into()] }
    }

    /// Without an enhanced code: the greeting, EHLO's and HELO's answers, and 3yz (RFC 2034 §4).
    #[must_use]
    pub fn plain(code: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, enhanced: None, lines: vec![text.into()] }
    }

    /// The same reply with one more line.
    #[must_use]
    pub fn and(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.lines.push(text.into());
        self
    }

    /// The three digits.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced code, where there is one.
    #[must_use]
    pub const fn enhanced(&self) -> Option<Enhanced> {
        self.enhanced
    }

    /// The texts of the lines, without codes.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(AsRef::as_ref)
    }

    /// True for 2yz.
    #[must_use]
    pub const fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// Appends the reply to `output`; CR, LF and octets a terminal would obey are made harmless, long lines cut.
    pub fn encode(&self, output: &mut Vec<u8>) {
        let last = self.lines.len().saturating_sub(1);
        for (index, text) in self.lines.iter().enumerate() {
            // RFC 5321 §4.2.1: every line but the last has a hyphen behind the code.
            let separator = if index < last { '-' } else { ' ' };
            let text = without_controls(text);
            let octets = CODES_OCTETS_MAX.saturating_add(text.len()).saturating_add(b"\r\n".len());
            output.reserve(if output.is_empty() { octets.max(GROUP_OCTETS) } else { octets });
            let before = output.len();
            // A vector takes whatever is written to it.
            let _ = write!(output, "{:03}{separator}", self.code);
            // RFC 2034 §4: the enhanced code stands on each line of the reply.
            if let Some(enhanced) = self.enhanced {
                let _ = write!(output, "{enhanced} ");
            }
            let octets_left = before.saturating_add(REPLY_LINE_OCTETS_MAX).saturating_sub(output.len());
            let text = text.get(..text.floor_char_boundary(octets_left)).unwrap_or_default();
            output.extend_from_slice(text.as_bytes());
            output.extend_from_slice(b"\r\n");
        }
    }

    /// A reply as it was read: its enhanced code is the one that all lines have in common.
    fn read(code: u16, texts: Vec<String>) -> Self {
        let enhanced = texts
            .first()
            .and_then(|text| Enhanced::split(text))
            .map(|(enhanced, _)| enhanced)
            .filter(|enhanced| u16::from(enhanced.0) == code / 100)
            .filter(|common| {
                texts
                    .iter()
                    .all(|text| Enhanced::split(text).is_some_and(|(enhanced, _)| enhanced == *common))
            });
        let lines = texts
            .into_iter()
            .map(|text| match (enhanced, Enhanced::split(&text)) {
                (Some(_), Some((_, rest))) => Cow::Owned(rest.to_owned()),
                (None, _) | (_, None) => Cow::Owned(text),
            })
            .collect();
        Self { code, enhanced, lines }
    }
}

impl fmt::Display for Reply {
    /// On one line, as for a log or a user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        self.lines().try_for_each(|line| write!(f, " {}", without_controls(line)))
    }
}

/// Puts the lines of a reply together, for the client's side.
#[derive(Debug, Default)]
pub struct ReplyReader {
    code: Option<u16>,
    texts: Vec<String>,
    octets: usize,
}

impl ReplyReader {
    /// Takes one line without CRLF; gives the reply when this line was its last. Control characters become `?`.
    ///
    /// # Errors
    /// Where the line is no reply or the reply grows too long.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyError> {
        let text = String::from_utf8_lossy(line);
        let text = without_controls(&text);
        let syntax = || ReplyError::Syntax(text.clone().into_owned());
        let (code, rest) = reply_code(&text).ok_or_else(syntax)?;
        if self.code.is_some_and(|first| first != code) {
            return Err(syntax());
        }
        self.octets = self.octets.saturating_add(line.len()).saturating_add(b"\r\n".len());
        if self.octets > REPLY_OCTETS_MAX {
            return Err(ReplyError::TooLong(REPLY_OCTETS_MAX));
        }
        self.code = Some(code);
        // A bare code without a separator is a last line too (RFC 5321 §4.2).
        let (more, text) = match rest.split_at_checked(1) {
            Some(("-", text)) => (true, text),
            Some((" ", text)) => (false, text),
            None => (false, ""),
            Some(_) => return Err(syntax()),
        };
        self.texts.push(text.to_owned());
        if more {
            return Ok(None);
        }
        let whole = std::mem::take(self);
        Ok(Some(Reply::read(code, whole.texts)))
    }
}

/// `Reply-code = %x32-35 %x30-35 %x30-39`, RFC 5321 §4.2; any second digit is taken.
fn reply_code(line: &str) -> Option<(u16, &str)> {
    let (digits, rest) = line.split_at_checked(3)?;
    let code = digits.bytes().all(|octet| octet.is_ascii_digit()).then(|| digits.parse().ok())??;
    (200..600).contains(&code).then_some((code, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(reply: &Reply) -> String {
        let mut output = Vec::new();
        reply.encode(&mut output);
        String::from_utf8(output).unwrap()
    }

    fn read(text: &str) -> Result<Option<Reply>, ReplyError> {
        let mut reader = ReplyReader::default();
        let mut last = Ok(None);
        for line in text.split_terminator("\r\n") {
            last = reader.line(line.as_bytes());
        }
        last
    }

    #[test]
    fn each_line_has_the_code_and_the_enhanced_code() {
        let reply = Reply::new(550, Enhanced(5, 1, 1), "first").and("second");
        assert_eq!(encoded(&reply), "550-5.1.1 first\r\n550 5.1.1 second\r\n");
        assert_eq!(encoded(&Reply::plain(354, "go")), "354 go\r\n");
    }

    #[test]
    fn a_reply_is_shown_on_one_line() {
        let reply = Reply::new(550, Enhanced(5, 1, 1), "no\n").and("such");
        assert_eq!(reply.to_string(), "550 5.1.1 no? such");
    }

    #[test]
    fn a_line_end_in_the_text_starts_no_second_line() {
        assert_eq!(encoded(&Reply::plain(250, "a\r\n250 b\u{1b}")), "250 a??250 b?\r\n");
    }

    #[test]
    fn a_line_is_cut_at_512_octets_and_not_inside_a_character() {
        let line = encoded(&Reply::plain(250, "a".repeat(506)));
        assert_eq!(line.len(), 512);
        assert_eq!(encoded(&Reply::plain(250, "a".repeat(507))).len(), 512);
        let line = encoded(&Reply::plain(250, format!("{}ü", "a".repeat(505))));
        assert_eq!(line.len(), 511);
    }

    #[test]
    fn a_reply_must_be_one_code_throughout() {
        assert!(matches!(read("250-a\r\n251 b\r\n"), Err(ReplyError::Syntax(_))));
        for line in ["", "25", "25x a", "250=a", "150 a", "600 a", "+OK", "HTTP/1.1 400", "２５0 a"] {
            assert!(
                matches!(ReplyReader::default().line(line.as_bytes()), Err(ReplyError::Syntax(_))),
                "{line}"
            );
        }
    }

    #[test]
    fn a_code_alone_is_a_reply() {
        assert_eq!(read("250\r\n"), Ok(Some(Reply::plain(250, ""))));
    }

    #[test]
    fn a_reply_without_end_is_given_up() {
        let mut reader = ReplyReader::default();
        let line = format!("250-{}", "x".repeat(505));
        let mut lines = 0;
        while reader.line(line.as_bytes()).is_ok() {
            lines += 1;
        }
        assert_eq!(lines, REPLY_OCTETS_MAX / 511);
    }

    #[test]
    fn an_enhanced_code_of_another_class_is_text() {
        let reply = read("250 5.1.1 odd\r\n").unwrap().unwrap();
        assert_eq!(reply.enhanced(), None);
        assert_eq!(reply.lines().collect::<Vec<_>>(), ["5.1.1 odd"]);
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_handed_on() {
        let reply = ReplyReader::default().line(b"550 \x1b]0;x\x07\xff").unwrap().unwrap();
        assert_eq!(reply.lines().collect::<Vec<_>>(), ["?]0;x?\u{fffd}"]);
    }

    proptest! {
        #[test]
        fn a_reply_reads_back_as_it_was_written(
            code in 200_u16..600,
            enhanced in proptest::option::of((0_u16..1000, 0_u16..1000)),
            texts in proptest::collection::vec("[a-zäß][ -~äß]{0,60}", 1..5),
        ) {
            let class = u8::try_from(code / 100).unwrap();
            let enhanced = enhanced.filter(|_| class != 3).map(|(subject, detail)| Enhanced(class, subject, detail));
            let lines = texts.into_iter().map(Cow::Owned).collect();
            let reply = Reply { code, enhanced, lines };
            prop_assert_eq!(read(&encoded(&reply)), Ok(Some(reply)));
        }
    }
}

//! What a server says (RFC 1939 §3, response codes of RFC 2449 §8 and RFC 3206).

use std::borrow::Cow;

use super::REPLY_LINE_OCTETS_MAX;
use crate::escape::without_controls;

/// Room for the usual line, taken at once.
const USUAL_LINE_OCTETS: usize = 128;

/// `+OK` or `-ERR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `+OK`.
    Ok,
    /// `-ERR`.
    Err,
}

/// What stands in brackets right after `-ERR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseCode {
    /// `[AUTH]`: wrong credentials and nothing else (RFC 3206 §5).
    Auth,
    /// `[SYS/TEMP]`: ours, and trying again may help (RFC 3206 §4).
    SysTemp,
    /// `[SYS/PERM]`: ours, and a human has to act (RFC 3206 §4).
    SysPerm,
    /// `[IN-USE]`: another session has the maildrop (RFC 2449 §8.1.2).
    InUse,
    /// `[LOGIN-DELAY]` (RFC 2449 §8.1.1).
    LoginDelay,
    /// `[UTF8]` (RFC 6856 §5).
    Utf8,
}

/// A single line, or the first line of a multi-line response; what follows it is written by the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    status: Status,
    code: Option<ResponseCode>,
    text: Cow<'static, str>,
}

impl Reply {
    /// `+OK text`.
    #[must_use]
    pub fn ok(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::Ok, code: None, text: text.into() }
    }

    /// `-ERR text`.
    #[must_use]
    pub fn err(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::Err, code: None, text: text.into() }
    }

    /// `-ERR [CODE] text`.
    #[must_use]
    pub fn err_with(code: ResponseCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::Err, code: Some(code), text: text.into() }
    }

    /// `+OK` or `-ERR`.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The response code, where there is one.
    #[must_use]
    pub const fn code(&self) -> Option<ResponseCode> {
        self.code
    }

    /// The text after status and code.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Appends the line with its CRLF to `output`, at most 512 octets, without control characters.
    pub fn encode(&self, output: &mut Vec<u8>) {
        output.reserve(USUAL_LINE_OCTETS);
        let begin = output.len();
        output.extend_from_slice(match self.status {
            Status::Ok => b"+OK",
            Status::Err => b"-ERR",
        });
        if let Some(code) = self.code {
            output.extend_from_slice([" [", code.name(), "]"].concat().as_bytes());
        }
        if !self.text.is_empty() {
            output.push(b' ');
            let text = without_controls(&self.text);
            let room = (begin + REPLY_LINE_OCTETS_MAX).saturating_sub(output.len());
            output.extend_from_slice(text.split_at(text.floor_char_boundary(room)).0.as_bytes());
        }
        output.extend_from_slice(b"\r\n");
    }

    /// Reads one line without its CRLF; `None` where it is no POP3 reply. Control characters become `?`.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line = String::from_utf8_lossy(line);
        let line = without_controls(&line);
        let (status, text) = line.split_once(' ').unwrap_or((&line, ""));
        let owned = |text: &str| Cow::Owned(text.to_owned());
        match status {
            "+OK" => Some(Self { status: Status::Ok, code: None, text: owned(text) }),
            "-ERR" => {
                let (code, text) =
                    ResponseCode::split(text).map_or((None, text), |(code, text)| (Some(code), text));
                Some(Self { status: Status::Err, code, text: owned(text) })
            }
            _ => None,
        }
    }
}

impl ResponseCode {
    const ALL: [Self; 6] =
        [Self::Auth, Self::SysTemp, Self::SysPerm, Self::InUse, Self::LoginDelay, Self::Utf8];

    const fn name(self) -> &'static str {
        match self {
            Self::Auth => "AUTH",
            Self::SysTemp => "SYS/TEMP",
            Self::SysPerm => "SYS/PERM",
            Self::InUse => "IN-USE",
            Self::LoginDelay => "LOGIN-DELAY",
            Self::Utf8 => "UTF8",
        }
    }

    /// `resp-code = "[" resp-level *("/" resp-level) "]"`, RFC 2449 §8, at the front of a text, in any case.
    fn split(text: &str) -> Option<(Self, &str)> {
        let (name, rest) = text.strip_prefix('[')?.split_once(']')?;
        let code = Self::ALL.into_iter().find(|code| code.name().eq_ignore_ascii_case(name))?;
        Some((code, rest.strip_prefix(' ').unwrap_or(rest)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn encoded(reply: &Reply) -> String {
        let mut output = Vec::new();
        reply.encode(&mut output);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn a_code_stands_right_behind_the_status() {
        let reply = Reply::err_with(ResponseCode::SysTemp, "try again");
        assert_eq!(encoded(&reply), "-ERR [SYS/TEMP] try again\r\n");
        assert_eq!(encoded(&Reply::ok("")), "+OK\r\n");
    }

    #[test]
    fn a_line_end_in_the_text_starts_no_second_line() {
        assert_eq!(encoded(&Reply::ok("a\r\n+OK b")), "+OK a??+OK b\r\n");
    }

    #[test]
    fn a_line_has_at_most_512_octets() {
        assert_eq!(encoded(&Reply::ok("a".repeat(506))).len(), 512);
        assert_eq!(encoded(&Reply::ok("a".repeat(507))).len(), 512);
        assert_eq!(encoded(&Reply::ok(format!("{}ü", "a".repeat(505)))).len(), 511);
    }

    #[test]
    fn other_lines_are_no_reply() {
        for line in ["", "+", "+ ", "+ok x", "+OKAY", "-ERRx", "250 ok", "* OK"] {
            assert_eq!(Reply::parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_code_that_is_not_known_stays_in_the_text() {
        let reply = Reply::parse(b"-ERR [X-ODD] no").unwrap();
        assert_eq!((reply.code(), reply.text()), (None, "[X-ODD] no"));
    }

    proptest! {
        #[test]
        fn a_reply_reads_back_as_it_was_written(
            code in option::of(proptest::sample::select(ResponseCode::ALL.as_slice())),
            text in "([a-zä][ -~ä]{0,60})?",
        ) {
            let err = Reply { status: Status::Err, code, text: Cow::Owned(text.clone()) };
            prop_assert_eq!(Reply::parse(encoded(&err).trim_end_matches("\r\n").as_bytes()), Some(err));
            let ok = Reply::ok(text);
            prop_assert_eq!(Reply::parse(encoded(&ok).trim_end_matches("\r\n").as_bytes()), Some(ok));
        }
    }
}

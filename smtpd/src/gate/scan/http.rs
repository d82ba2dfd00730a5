//! The frame of an answer by HTTP (RFC 9112): its status and its body, out of octets that come in pieces.

use std::str;

use thiserror::Error;

/// Most octets of an answer's header section.
pub(super) const HEAD_OCTETS_MAX: usize = 16 << 10;
/// Most octets of its body.
pub(super) const BODY_OCTETS_MAX: usize = 256 << 10;

/// Why something is no answer.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HttpError {
    /// Not even its first line is.
    #[error("its answer is not HTTP")]
    Form,
    /// It says something else than 200.
    #[error("it answers with the status {0}")]
    Status(u16),
    /// Its head or its body is longer than is read.
    #[error("its answer is too long")]
    TooLong,
    /// It says another length than it has.
    #[error("its answer breaks off")]
    Cut,
}

/// Whether everything has come that will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// More may come.
    Open,
    /// The other side has closed.
    Closed,
}

/// The body of an answer, once it is there.
///
/// # Errors
/// See [`HttpError`].
pub(super) fn body(received: &[u8], end: End) -> Result<Option<&[u8]>, HttpError> {
    let Some(head_octets) = memchr::memmem::find(received, b"\r\n\r\n") else {
        return match end {
            _ if received.len() > HEAD_OCTETS_MAX => Err(HttpError::TooLong),
            End::Open => Ok(None),
            End::Closed => Err(HttpError::Cut),
        };
    };
    let (head, rest) = received.split_at_checked(head_octets).ok_or(HttpError::Form)?;
    if head.len() > HEAD_OCTETS_MAX {
        return Err(HttpError::TooLong);
    }
    let head = str::from_utf8(head).map_err(|_| HttpError::Form)?;
    let body = rest.get(4..).unwrap_or_default();
    let status = status(head).ok_or(HttpError::Form)?;
    if status != 200 {
        return Err(HttpError::Status(status));
    }
    let length = content_length(head)?;
    if body.len().max(length.unwrap_or(0)) > BODY_OCTETS_MAX {
        return Err(HttpError::TooLong);
    }
    match (length, end) {
        (Some(length), _) if body.len() >= length => Ok(body.get(..length)),
        (Some(_), End::Closed) => Err(HttpError::Cut),
        // RFC 9112 §6.3: without a length, the end of the connection is the end.
        (None, End::Closed) => Ok(Some(body)),
        (Some(_) | None, End::Open) => Ok(None),
    }
}

/// `HTTP/1.1 200 OK`, RFC 9112 §4.
fn status(head: &str) -> Option<u16> {
    let line = head.lines().next()?;
    let (version, rest) = line.split_once(' ')?;
    let code = rest.get(..3).filter(|code| code.bytes().all(|octet| octet.is_ascii_digit()))?;
    code.parse().ok().filter(|_| version.starts_with("HTTP/1."))
}

/// RFC 9112 §6.2. An answer in chunks is refused: whoever asks for a connection of one question gets none.
fn content_length(head: &str) -> Result<Option<usize>, HttpError> {
    let mut length = None;
    for line in head.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else { return Err(HttpError::Form) };
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(HttpError::Form);
        }
        if name.eq_ignore_ascii_case("content-length") {
            let value: usize = value.trim().parse().map_err(|_| HttpError::Form)?;
            if length.is_some_and(|known| known != value) {
                return Err(HttpError::Form);
            }
            length = Some(value);
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 2\r\n\r\n{}";

    #[test]
    fn an_answer_is_there_once_all_of_it_has_come() {
        for octets in 0..ANSWER.len() {
            assert_eq!(body(&ANSWER[..octets], End::Open), Ok(None), "{octets}");
            assert_eq!(body(&ANSWER[..octets], End::Closed), Err(HttpError::Cut), "{octets}");
        }
        assert_eq!(body(ANSWER, End::Open), Ok(Some(&b"{}"[..])));
        assert_eq!(body(&[ANSWER, b"more"].concat(), End::Open), Ok(Some(&b"{}"[..])));
        let without = b"HTTP/1.0 200 OK\r\nA: b\r\n\r\nabc";
        assert_eq!(body(without, End::Open), Ok(None));
        assert_eq!(body(without, End::Closed), Ok(Some(&b"abc"[..])));
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        for (octets, error) in [
            (&b"220 mail ESMTP\r\n\r\n"[..], HttpError::Form),
            (b"HTTP/1.1 500 Oh\r\n\r\n", HttpError::Status(500)),
            (b"HTTP/1.1 20x\r\n\r\n", HttpError::Form),
            (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", HttpError::Form),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", HttpError::Form),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", HttpError::Form),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 262145\r\n\r\n", HttpError::TooLong),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HttpError::Form),
            (b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", HttpError::Form),
            (b"HTTP/1.1 200 OK\r\nA: \xff\r\n\r\n", HttpError::Form),
        ] {
            assert_eq!(body(octets, End::Open), Err(error), "{octets:?}");
        }
        assert_eq!(body(&vec![b'x'; HEAD_OCTETS_MAX], End::Open), Ok(None));
        assert_eq!(body(&vec![b'x'; HEAD_OCTETS_MAX + 1], End::Open), Err(HttpError::TooLong));
    }
}

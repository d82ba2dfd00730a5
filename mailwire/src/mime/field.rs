//! The two fields that say what a body is: Content-Type (RFC 2045 §5) and Content-Transfer-Encoding (RFC 2045 §6).

use std::fmt;

use mail_parser::parsers::MessageStream;
use mail_parser::{ContentType, HeaderValue};

/// Most octets of a field that is read for what a body is.
pub const MIME_FIELD_OCTETS_MAX: usize = 8192;
/// Most octets of a boundary (RFC 2046 §5.1.1).
const BOUNDARY_OCTETS_MAX: usize = 70;

/// A field that says what a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MimeField {
    /// RFC 2045 §5.
    ContentType,
    /// RFC 2045 §6.
    TransferEncoding,
}

/// What a body is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// Parts with delimiters between them (RFC 2046 §5.1).
    Multipart(Parts, Vec<u8>),
    /// Another message with its own header section (RFC 2046 §5.2.1).
    Message,
    /// The same, and there may be UTF-8 in its header section (RFC 6532 §3.7).
    GlobalMessage,
    /// Groups of fields that say what became of a message (RFC 3464 §2.1, RFC 6533 §3).
    DeliveryStatus,
    /// One of the other types `message`, which must not be encoded either (RFC 2045 §6.4).
    OtherMessage,
    /// Nothing that has a structure here.
    Discrete,
}

/// What holds for the parts of a multipart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// Nothing special.
    Mixed,
    /// They are messages unless they say otherwise (RFC 2046 §5.1.5).
    Digest,
    /// They must not be changed in any way (RFC 1847 §2.1).
    Signed,
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferEncoding {
    /// Not at all, and it is lines: `7bit`, `8bit`.
    Lines,
    /// Not at all, and it is any octets.
    Binary,
    /// By `base64`, `quoted-printable` or something else.
    Encoded,
}

impl MimeField {
    /// The field of this name.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        [Self::ContentType, Self::TransferEncoding]
            .into_iter()
            .find(|field| name.eq_ignore_ascii_case(field.to_string().as_bytes()))
    }
}

impl fmt::Display for MimeField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ContentType => "Content-Type",
            Self::TransferEncoding => "Content-Transfer-Encoding",
        })
    }
}

impl MediaType {
    /// Reads a value of Content-Type; `None` for a multipart whose delimiters nobody could tell for sure. A value that
    /// cannot be read is as good as none (RFC 2045 §5.2).
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        // Without its line end a value is none to the parser.
        let value = [value, b"\r\n"].concat();
        let HeaderValue::ContentType(content_type) = MessageStream::new(&value).parse_content_type() else {
            return Some(Self::Discrete);
        };
        let subtype = content_type.subtype().unwrap_or_default().to_ascii_lowercase();
        match (content_type.ctype().to_ascii_lowercase().as_str(), subtype.as_str()) {
            ("multipart", subtype) => {
                let parts = match subtype {
                    "digest" => Parts::Digest,
                    "signed" => Parts::Signed,
                    _ => Parts::Mixed,
                };
                boundary(&content_type).map(|boundary| Self::Multipart(parts, boundary))
            }
            ("message", "rfc822" | "news") => Some(Self::Message),
            ("message", "global") => Some(Self::GlobalMessage),
            ("message", "delivery-status" | "global-delivery-status") => Some(Self::DeliveryStatus),
            ("message", _) => Some(Self::OtherMessage),
            _ => Some(Self::Discrete),
        }
    }
}

/// `boundary := 0*69<bchars> bcharsnospace`, RFC 2046 §5.1.1, with all of printable ASCII for `bchars`, since programs use
/// it, and given once.
fn boundary(content_type: &ContentType<'_>) -> Option<Vec<u8>> {
    let attributes = content_type.attributes().unwrap_or_default().iter();
    let mut boundaries = attributes.filter(|attribute| attribute.name.eq_ignore_ascii_case("boundary"));
    let boundary = boundaries.next().filter(|_| boundaries.next().is_none())?.value.as_bytes();
    let is_sound = (1..=BOUNDARY_OCTETS_MAX).contains(&boundary.len())
        && boundary.iter().all(|octet| octet.is_ascii_graphic() || *octet == b' ')
        && !boundary.ends_with(b" ");
    is_sound.then(|| boundary.to_vec())
}

impl TransferEncoding {
    /// Reads a value of Content-Transfer-Encoding: `mechanism`, RFC 2045 §6.1, in any case, with comments around it.
    #[must_use]
    pub fn read(value: &[u8]) -> Self {
        let value = behind_comments(value);
        let is_token = |octet: &u8| octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(octet);
        let end = value.iter().position(|octet| !is_token(octet)).unwrap_or(value.len());
        match value.get(..end).unwrap_or_default().to_ascii_lowercase().as_slice() {
            // RFC 2045 §6.1: what is not said is 7bit.
            b"7bit" | b"8bit" | b"" => Self::Lines,
            b"binary" => Self::Binary,
            _ => Self::Encoded,
        }
    }
}

/// What stands behind blanks and comments (`CFWS`, RFC 5322 §3.2.2).
fn behind_comments(value: &[u8]) -> &[u8] {
    let (mut depth, mut is_quoted) = (0_usize, false);
    let at = value.iter().position(|octet| {
        let was_quoted = std::mem::take(&mut is_quoted);
        match octet {
            _ if was_quoted => {}
            b'\\' if depth > 0 => is_quoted = true,
            b'(' => depth += 1,
            b')' if depth > 0 => depth -= 1,
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => return depth == 0,
        }
        false
    });
    at.and_then(|at| value.get(at..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn multipart(value: &str) -> Option<(Parts, String)> {
        match MediaType::read(value.as_bytes()) {
            Some(MediaType::Multipart(parts, boundary)) => {
                Some((parts, String::from_utf8(boundary).unwrap()))
            }
            None => None,
            Some(other) => panic!("{value:?} is {other:?}"),
        }
    }

    #[test]
    fn the_boundary_is_read_in_every_form() {
        for (value, expected) in [
            (" multipart/mixed; boundary=abc\r\n", "abc"),
            ("multipart/mixed;boundary=abc", "abc"),
            (" Multipart/MIXED\r\n\t;BOUNDARY=\"=_a?b\"\r\n", "=_a?b"),
            (" multipart/mixed; charset=x; boundary=\"a b\\\"c\"; d=e\r\n", "a b\"c"),
            (" multipart/mixed (boundary=x); (y) boundary=abc (z)\r\n", "abc"),
            (" multipart/mixed; x=\"; boundary=y\"; boundary=abc\r\n", "abc"),
            (" multipart/mixed; boundary*0=ab; boundary*1=\"c d\"\r\n", "abc d"),
            (" multipart/mixed; boundary*1=c; boundary*0=ab\r\n", "abc"),
            (" multipart/mixed; boundary*=us-ascii'en'a%20b\r\n", "a b"),
            (" multipart/mixed; boundary*0*=us-ascii''a%20; boundary*1=b\r\n", "a b"),
        ] {
            assert_eq!(multipart(value), Some((Parts::Mixed, expected.to_owned())), "{value:?}");
        }
        assert_eq!(multipart("multipart/digest; boundary=a"), Some((Parts::Digest, "a".to_owned())));
        assert_eq!(multipart("multipart/Signed; boundary=a"), Some((Parts::Signed, "a".to_owned())));
    }

    #[test]
    fn a_boundary_that_is_missing_or_doubtful_is_none() {
        for value in [
            "multipart",
            "multipart/mixed",
            "multipart/mixed; boundary",
            "multipart/mixed; boundary=",
            "multipart/mixed; boundary=\"\"",
            "multipart/mixed; boundary=a; boundary=a",
            "multipart/mixed; boundary=a; boundary*0=a",
            "multipart/mixed; boundary=\"a \"",
            "multipart/mixed; boundary=\"caf\u{e9}\"",
            "multipart/mixed; boundary*=us-ascii''a%0d%0ab",
        ] {
            assert_eq!(multipart(value), None, "{value:?}");
        }
        let of = |octets| format!("multipart/mixed; boundary={}", "b".repeat(octets));
        assert!(multipart(&of(70)).is_some());
        assert!(multipart(&of(71)).is_none());
    }

    #[test]
    fn messages_are_told_from_everything_else() {
        for (value, expected) in [
            ("message/rfc822", MediaType::Message),
            ("MESSAGE/Global; x=y", MediaType::GlobalMessage),
            ("message/delivery-status", MediaType::DeliveryStatus),
            ("message/global-delivery-status", MediaType::DeliveryStatus),
            ("message/partial; id=x", MediaType::OtherMessage),
            ("text/plain; boundary=x", MediaType::Discrete),
            ("application/pkcs7-mime", MediaType::Discrete),
            ("", MediaType::Discrete),
            (";;;", MediaType::Discrete),
        ] {
            assert_eq!(MediaType::read(value.as_bytes()), Some(expected), "{value:?}");
        }
    }

    #[test]
    fn an_encoding_is_read_in_any_case_and_between_comments() {
        for (value, expected) in [
            (" binary\r\n", TransferEncoding::Binary),
            ("BINARY", TransferEncoding::Binary),
            (" (7bit (x) \\) y)\r\n\tBinary(z)\r\n", TransferEncoding::Binary),
            (" binary;\r\n", TransferEncoding::Binary),
            (" 7bit\r\n", TransferEncoding::Lines),
            (" 8BIT \r\n", TransferEncoding::Lines),
            (" \r\n", TransferEncoding::Lines),
            (" (binary\r\n", TransferEncoding::Lines),
            (" base64\r\n", TransferEncoding::Encoded),
            (" quoted-printable\r\n", TransferEncoding::Encoded),
            (" x-binary\r\n", TransferEncoding::Encoded),
        ] {
            assert_eq!(TransferEncoding::read(value.as_bytes()), expected, "{value:?}");
        }
    }
}

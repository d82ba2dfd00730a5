//! Which method is for which header field (RFC 6857 §3.2).

use mailwire::header::field;

use super::address::{addresses, phrase};
use super::lexemes::{lexemes, with_comments_downgraded};
use super::parameters::parameters;
use super::received::received;
use super::typed_address::typed_address;
use super::words::{Words, unstructured};

/// Most octets of a field that is taken apart. A longer one is text to us, which needs less memory.
const STRUCTURED_OCTETS_MAX: usize = 64 << 10;

/// How a field is downgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// §3.2.1.
    Addresses,
    /// §3.2.2.
    Comments,
    /// §3.2.3.
    MessageIds,
    /// §3.2.4.
    Received,
    /// §3.2.5.
    Parameters,
    /// §3.2.7.
    Phrases,
    /// §3.1.9.
    TypedAddress,
    /// §3.2.6 and §3.2.8.
    Unstructured,
}

impl Method {
    fn of(name: &str) -> Self {
        match name.trim_ascii_end().to_ascii_lowercase().as_str() {
            "from"
            | "sender"
            | "to"
            | "cc"
            | "bcc"
            | "reply-to"
            | "resent-from"
            | "resent-sender"
            | "resent-to"
            | "resent-cc"
            | "resent-bcc"
            | "resent-reply-to"
            | "return-path"
            | "disposition-notification-to" => Self::Addresses,
            "date"
            | "resent-date"
            | "mime-version"
            | "content-id"
            | "content-transfer-encoding"
            | "content-language"
            | "accept-language"
            | "auto-submitted" => Self::Comments,
            "message-id" | "resent-message-id" | "in-reply-to" | "references" => Self::MessageIds,
            "received" => Self::Received,
            "content-type" | "content-disposition" => Self::Parameters,
            "keywords" => Self::Phrases,
            "original-recipient" | "final-recipient" => Self::TypedAddress,
            _ => Self::Unstructured,
        }
    }
}

/// A field in ASCII with its CRLF; `None` where it stays as it is.
pub(super) fn downgraded(octets: &[u8]) -> Option<String> {
    let text = to_be_downgraded(octets)?;
    let Some((name, value)) = name_and_value(&text) else { return Some(unstructured(&text) + "\r\n") };
    if text.len() > STRUCTURED_OCTETS_MAX {
        return Some(written(name, &unstructured(value)));
    }
    let known = match Method::of(name) {
        Method::Addresses => addresses(value),
        Method::Comments => comments(value),
        Method::MessageIds => {
            return Some(
                comments(value).map_or_else(|| encapsulated(name, value), |value| written(name, &value)),
            );
        }
        Method::Received => received(value),
        Method::Parameters => parameters(value),
        Method::Phrases => phrases(value),
        Method::TypedAddress => return Some(typed(name, value)),
        Method::Unstructured => None,
    };
    // What is none of what the field should hold is text.
    let value = known.filter(|value| value.is_ascii()).unwrap_or_else(|| unstructured(value));
    Some(written(name, &value))
}

/// The same for a field of a delivery status (RFC 6857 §4.2), of which only addresses are changed.
pub(super) fn of_delivery_status(octets: &[u8]) -> Option<String> {
    let text = to_be_downgraded(octets)?;
    let (name, value) = name_and_value(&text)?;
    match Method::of(name) {
        Method::TypedAddress => Some(typed(name, value)),
        Method::Addresses
        | Method::Comments
        | Method::MessageIds
        | Method::Received
        | Method::Parameters
        | Method::Phrases
        | Method::Unstructured => None,
    }
}

/// A field with UTF-8 in it that is more than ASCII, unfolded (RFC 5322 §2.2.3).
fn to_be_downgraded(octets: &[u8]) -> Option<String> {
    if octets.is_ascii() {
        return None;
    }
    let text = std::str::from_utf8(octets).ok()?;
    Some(text.strip_suffix("\r\n").unwrap_or(text).replace("\r\n", ""))
}

/// `None` for a line that is no field: `field-name = 1*ftext`, RFC 5322 §3.6.8; §4.5 lets blanks stand before the colon.
fn name_and_value(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once(':')?;
    let is_name = !name.is_empty() && name.trim_ascii_end().bytes().all(|octet| octet.is_ascii_graphic());
    (is_name && !name.starts_with([' ', '\t'])).then_some((name, value))
}

fn written(name: &str, value: &str) -> String {
    field(name, value.strip_prefix(' ').unwrap_or(value))
}

/// RFC 6857 §3.2.2; `None` where there is more than comments outside ASCII.
fn comments(value: &str) -> Option<String> {
    Some(with_comments_downgraded(&lexemes(value)?)).filter(|value| value.is_ascii())
}

/// RFC 6857 §3.2.7.
fn phrases(value: &str) -> Option<String> {
    let lexemes = lexemes(value)?;
    let phrases = lexemes.split(|lexeme| lexeme.is(",")).map(|lexemes| {
        let mut words = Words::new();
        let blanks = phrase(lexemes, &mut words);
        words.finish() + blanks
    });
    Some(phrases.collect::<Vec<_>>().join(","))
}

/// RFC 6857 §3.1.9.
fn typed(name: &str, value: &str) -> String {
    typed_address(value).map_or_else(|| encapsulated(name, value), |value| written(name, &value))
}

/// RFC 6857 §3.1.10: another field takes its place.
fn encapsulated(name: &str, value: &str) -> String {
    written(&format!("Downgraded-{name}"), &unstructured(value))
}

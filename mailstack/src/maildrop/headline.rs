//! Who wrote a message, and what about, out of its header section.

use mail_parser::{Addr, MessageParser};
use mailwire::escape::without_controls;

/// Octets of a header section that are looked at.
pub(crate) const HEADER_OCTETS_MAX: usize = 64 << 10;
/// Characters of one field that are shown.
const FIELD_CHARACTERS_MAX: usize = 100;

/// From and Subject, decoded, with two blanks between them; `-` where there is none.
pub(crate) fn headline(header_section: &[u8]) -> String {
    let message = MessageParser::new().parse_headers(header_section);
    let message = message.as_ref();
    let from = message.and_then(|message| message.from()?.first()).map_or_else(String::new, address);
    let subject = message.and_then(|message| message.subject()).unwrap_or_default();
    format!("{}  {}", shown(&from), shown(subject))
}

fn address(address: &Addr) -> String {
    match (address.name(), address.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (None, Some(text)) | (Some(text), None) => text.to_owned(),
        (None, None) => String::new(),
    }
}

/// Cut, on one line with single blanks, and so that no terminal obeys it.
fn shown(field: &str) -> String {
    let words: Vec<&str> = field.split_whitespace().collect();
    let cut: String = words.join(" ").chars().take(FIELD_CHARACTERS_MAX).collect();
    if cut.is_empty() { "-".to_owned() } else { without_controls(&cut).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_and_stay_on_their_line() {
        let header = b"Subject: =?utf-8?Q?gr=C3=BC=C3=9Fe=1B[2J=0A?= a\tb\r\n c\r\nFrom: =?utf-8?B?SsO2cmc=?= <j@a.example>, x@b.example\r\n\r\n";
        assert_eq!(headline(header), "Jörg <j@a.example>  grüße?[2J a b c");
    }

    #[test]
    fn what_is_missing_is_a_dash() {
        for header in [&b""[..], b"\r\n", b"\xff\xfe\0\r\n\r\n", b"From:\r\nSubject: \r\n\r\n"] {
            assert_eq!(headline(header), "-  -", "{header:?}");
        }
    }

    #[test]
    fn a_long_field_is_cut() {
        let header = format!("Subject: {}\r\n\r\n", "x".repeat(5000));
        assert_eq!(headline(header.as_bytes()).len(), "-  ".len() + FIELD_CHARACTERS_MAX);
    }
}

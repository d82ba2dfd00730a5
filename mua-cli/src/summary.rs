//! One line about a message: who wrote it, what about, when.

use mail_parser::MessageParser;

/// Octets of a header section that are looked at.
pub(crate) const HEADER_OCTETS_MAX: usize = 64 << 10;
/// Characters of one field that are shown.
const FIELD_CHARACTERS_MAX: usize = 120;

/// From, Subject and Date, separated by tabs; what is missing is empty.
pub(crate) fn summary(header_section: &[u8]) -> String {
    let Some(message) = MessageParser::new().parse_headers(header_section) else { return "\t\t".to_owned() };
    let from = message.from().and_then(|from| from.first()).map_or_else(String::new, |address| {
        match (address.name(), address.address()) {
            (Some(name), Some(address)) => format!("{name} <{address}>"),
            (None, Some(text)) | (Some(text), None) => text.to_owned(),
            (None, None) => String::new(),
        }
    });
    let subject = message.subject().unwrap_or_default();
    let date = message.date().map_or_else(String::new, mail_parser::DateTime::to_rfc3339);
    [shown(&from), shown(subject), shown(&date)].join("\t")
}

/// Cut, and without the tabs that separate the fields.
fn shown(field: &str) -> String {
    let plain = |c: char| if c.is_whitespace() { ' ' } else { c };
    field.chars().take(FIELD_CHARACTERS_MAX).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_decoded_fields() {
        let header = b"From: =?utf-8?B?SsO2cmc=?= <j@a.example>\r\nSubject: a\tb\r\n c\r\nDate: Tue, 21 Jul 2026 10:00:00 +0200\r\n\r\n";
        assert_eq!(summary(header), "Jörg <j@a.example>\ta b c\t2026-07-21T10:00:00+02:00");
    }

    #[test]
    fn what_is_no_header_section_gives_empty_fields() {
        assert_eq!(summary(b""), "\t\t");
        assert_eq!(summary(b"\xff\xfe\0\r\n\r\n"), "\t\t");
        assert_eq!(
            summary(format!("Subject: {}\r\n\r\n", "x".repeat(5000)).as_bytes()).len(),
            2 + FIELD_CHARACTERS_MAX
        );
    }
}

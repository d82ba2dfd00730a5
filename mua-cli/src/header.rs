//! Values of header fields: names, texts and file names, encoded so that every reader shows them right.

use mailwire::address::Mailbox;
use mailwire::header::{ENCODED_WORD_OCTETS_MAX, encoded_words, extended_parameter};
use thiserror::Error;

/// Octets of a file name that stands in quotes: with its field's name it fits one line and is never folded inside.
const QUOTED_FILE_NAME_OCTETS_MAX: usize = 30;

/// A name and an address, as in From and To.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// What is shown, where there is a name.
    pub(crate) name: Option<String>,
    /// Where it goes.
    pub(crate) mailbox: Mailbox,
}

/// What is wrong with text for a header field.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum HeaderError {
    #[error("a line end or another control character cannot stand in an address, a subject or a file name")]
    Control,
    #[error(transparent)]
    Address(#[from] mailwire::address::AddressError),
}

impl Address {
    /// Reads `alice@example.org` or `Alice Example <alice@example.org>`.
    pub(crate) fn parse(text: &str) -> Result<Self, HeaderError> {
        without_controls(text)?;
        let text = text.trim();
        let Some((name, mailbox)) = text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) else {
            return Ok(Self { name: None, mailbox: Mailbox::parse(text)? });
        };
        let name = unquoted(name.trim());
        Ok(Self {
            name: Some(name).filter(|name| !name.is_empty()),
            mailbox: Mailbox::parse(mailbox.trim())?,
        })
    }

    /// Reads addresses separated by commas, which may also stand in a quoted name.
    pub(crate) fn parse_list(text: &str) -> Result<Vec<Self>, HeaderError> {
        let mut quoted = false;
        let mut escaped = false;
        let parts = text.split(|c: char| {
            let separates = c == ',' && !quoted;
            quoted ^= c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            separates
        });
        parts.map(Self::parse).collect()
    }

    /// `mailbox = name-addr / addr-spec`, RFC 5322 §3.4.
    pub(crate) fn header(&self) -> String {
        match &self.name {
            None => self.mailbox.to_string(),
            Some(name) => format!("{} <{}>", phrase(name), self.mailbox),
        }
    }
}

/// Addresses as one field's value.
pub(crate) fn list(addresses: &[Address]) -> String {
    addresses.iter().map(Address::header).collect::<Vec<_>>().join(", ")
}

/// Refuses what could end a header field and start another one.
pub(crate) fn without_controls(text: &str) -> Result<(), HeaderError> {
    if text.chars().any(char::is_control) { Err(HeaderError::Control) } else { Ok(()) }
}

/// `quoted-string` of RFC 5322 §3.2.4 without its quotes; other text as it is.
fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return text.to_owned();
    };
    let mut name = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        name.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    name
}

/// `phrase`, RFC 5322 §3.2.5: atoms, a quoted-string, or encoded-words (RFC 2047 §5).
fn phrase(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~ ".contains(c);
    if !name.is_ascii() || name.contains("=?") {
        return encoded_words(name);
    }
    if name.chars().all(plain) && !name.contains("  ") {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `unstructured`, RFC 5322 §3.2.5, for a subject.
pub(crate) fn unstructured(text: &str) -> String {
    let long_word = text.split(' ').any(|word| word.len() > ENCODED_WORD_OCTETS_MAX);
    if !text.is_ascii() || text.contains("=?") || long_word || text.starts_with(' ') || text.ends_with(' ') {
        return encoded_words(text);
    }
    text.to_owned()
}

/// `attachment` with its file name (RFC 2183 §2), in RFC 2231's form where it is long or not plain ASCII.
pub(crate) fn attachment_disposition(file_name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+ ".contains(c);
    if file_name.len() <= QUOTED_FILE_NAME_OCTETS_MAX && file_name.chars().all(plain) {
        return format!("attachment; filename=\"{file_name}\"");
    }
    format!("attachment; {}", extended_parameter("filename", file_name))
}

#[cfg(test)]
mod tests {
    use mail_parser::{MessageParser, MimeHeaders};

    use super::*;

    fn header_of(address: &str) -> String {
        Address::parse(address).unwrap().header()
    }

    /// What a reader that is not ours makes of a field.
    fn shown(field: &str, value: &str) -> mail_parser::Message<'static> {
        MessageParser::new().parse(&format!("{field}: {value}\r\n\r\n")).unwrap().into_owned()
    }

    #[test]
    fn names_are_written_as_their_characters_need_it() {
        assert_eq!(header_of("a@b.example"), "a@b.example");
        assert_eq!(header_of("<a@b.example>"), "a@b.example");
        assert_eq!(header_of("Alice Example <a@b.example>"), "Alice Example <a@b.example>");
        assert_eq!(header_of("\"Example, Alice\" <a@b.example>"), "\"Example, Alice\" <a@b.example>");
        assert_eq!(header_of("A. \"B\" C <a@b.example>"), "\"A. \\\"B\\\" C\" <a@b.example>");
        assert_eq!(header_of("Jörg <j@b.example>"), "=?utf-8?B?SsO2cmc=?= <j@b.example>");
    }

    #[test]
    fn another_reader_finds_the_name_that_was_given() {
        for name in [
            "Jörg Müller",
            "Example, \"Alice\" \\ Co",
            "=?utf-8?Q?x?=",
            "日本語の長い名前".repeat(8).as_str(),
        ] {
            let given =
                Address { name: Some(name.to_owned()), mailbox: Mailbox::parse("a@b.example").unwrap() };
            let message = shown("From", &given.header());
            let from = message.from().unwrap().first().unwrap();
            assert_eq!(from.name(), Some(name));
            assert_eq!(from.address(), Some("a@b.example"));
        }
    }

    #[test]
    fn a_list_is_split_at_commas_outside_quotes() {
        let list = Address::parse_list("a@b.example, \"B, \\\", C\" <c@d.example>").unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(list[1].name.as_deref(), Some("B, \", C"));
        assert!(Address::parse_list("a@b.example,").is_err());
    }

    #[test]
    fn no_value_can_start_another_header_field() {
        for text in [
            "a@b.example\r\nBcc: x@y.example",
            "A\nB <a@b.example>",
            "A\u{85} <a@b.example>",
            "\0 <a@b.example>",
        ] {
            assert_eq!(Address::parse(text), Err(HeaderError::Control), "{text:?}");
        }
        assert_eq!(without_controls("x\ry"), Err(HeaderError::Control));
    }

    #[test]
    fn subjects_are_encoded_where_needed_and_read_back() {
        assert_eq!(unstructured("Plain, with: signs?"), "Plain, with: signs?");
        for subject in ["Grüße", "=?utf-8?Q?a?=", &"x".repeat(200), &"日本".repeat(60), " a "] {
            let value = unstructured(subject);
            assert!(value.split(' ').all(|word| word.len() <= ENCODED_WORD_OCTETS_MAX));
            assert_eq!(shown("Subject", &value).subject(), Some(subject));
        }
    }

    #[test]
    fn file_names_are_read_back() {
        for name in [
            "report 1.pdf",
            "grüße.txt",
            "a\"b;c.txt",
            &format!("{}.txt", "日本語".repeat(30)),
            &"x".repeat(200),
        ] {
            let message = shown("Content-Disposition", &attachment_disposition(name));
            assert_eq!(message.attachment_name(), Some(name));
        }
    }
}

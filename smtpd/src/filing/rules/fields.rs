//! The header section, field by field, decoded where somebody asks for it.

use mail_parser::HeaderValue;
use mail_parser::parsers::MessageStream;
use mailwire::address::Mailbox;

use super::pattern::{Effort, TooMuchWork};

/// What decoding an octet costs, in looks at one.
const DECODING: usize = 8;
/// Characters of a name that are shown.
const NAME_CHARACTERS_MAX: usize = 60;

/// One field: its name, and its body with its line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    name: &'a [u8],
    body: &'a [u8],
}

/// The fields of a header section, in their order; lines that are no fields are passed over.
pub(super) fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = header;
    std::iter::from_fn(move || {
        loop {
            let (field, behind) = unfolded(rest)?;
            rest = behind;
            let colon = field.iter().position(|octet| *octet == b':');
            if let Some((name, body)) = colon.and_then(|colon| field.split_at_checked(colon)) {
                let body = body.get(1..).unwrap_or_default();
                return Some(Field { name: name.trim_ascii_end(), body });
            }
        }
    })
}

/// True where a field of this name has this value.
pub(in super::super) fn has_field(header: &[u8], name: &str, value: &str) -> bool {
    fields(header).any(|field| field.is_called(name) && field.body.trim_ascii() == value.as_bytes())
}

/// What the first field of this name says, as it was written.
pub(in super::super) fn value<'a>(header: &'a [u8], name: &str) -> Option<&'a [u8]> {
    fields(header).find(|field| field.is_called(name)).map(|field| field.body.trim_ascii())
}

/// The first line with those that go on with it (RFC 5322 §2.2.3), and what is behind them; `None` at the empty line.
fn unfolded(header: &[u8]) -> Option<(&[u8], &[u8])> {
    if header.is_empty() || header.starts_with(b"\r\n") {
        return None;
    }
    let mut end = 0;
    loop {
        let rest = header.get(end..).unwrap_or_default();
        end += memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        if !matches!(header.get(end), Some(b' ' | b'\t')) {
            return header.split_at_checked(end);
        }
    }
}

impl Field<'_> {
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// True where its name begins so, in whatever case.
    pub(super) fn begins_with(&self, beginning: &str) -> bool {
        let found = self.name.get(..beginning.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(beginning.as_bytes()))
    }

    /// Its name, as far as it can be shown.
    pub(super) fn shown_name(&self) -> String {
        let shown = self.name.iter().filter(|octet| octet.is_ascii_graphic()).take(NAME_CHARACTERS_MAX);
        shown.map(|octet| char::from(*octet)).collect()
    }

    /// What stands in it between blanks, commas, semicolons and parentheses, in lower case.
    pub(super) fn words(&self) -> impl Iterator<Item = Vec<u8>> {
        let is_between = |octet: &u8| octet.is_ascii_whitespace() || b",;()".contains(octet);
        let words = self.body.split(is_between).filter(|word| !word.is_empty());
        words.map(<[u8]>::to_ascii_lowercase)
    }

    /// The text that a reader sees: unfolded, with encoded-words decoded (RFC 2047).
    pub(super) fn text(&self, effort: &mut Effort) -> Result<String, TooMuchWork> {
        effort.take(self.body.len().saturating_mul(DECODING))?;
        let body = self.ended();
        let decoded = MessageStream::new(&body).parse_unstructured();
        Ok(if let HeaderValue::Text(text) = decoded { text.into_owned() } else { String::new() })
    }

    /// The addresses in it.
    pub(super) fn mailboxes(&self, effort: &mut Effort) -> Result<Vec<Mailbox>, TooMuchWork> {
        effort.take(self.body.len().saturating_mul(DECODING))?;
        let body = self.ended();
        let HeaderValue::Address(addresses) = MessageStream::new(&body).parse_address() else {
            return Ok(Vec::new());
        };
        let texts = addresses.iter().filter_map(mail_parser::Addr::address);
        Ok(texts.filter_map(|text| Mailbox::parse(text).ok()).collect())
    }

    /// The decoder wants to see where a field ends.
    fn ended(&self) -> Vec<u8> {
        [self.body, b"\r\n"].concat()
    }
}

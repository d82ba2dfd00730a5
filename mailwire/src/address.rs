//! Mailboxes, domains and paths (RFC 5321 §4.1.2, §4.1.3; RFC 6531 §3.3 adds UTF-8).

mod domain;
mod encoded_word;
pub(crate) mod grammar;
mod originator;
mod subaddress;

use std::fmt::{self, Write};

use nom::Finish;
use nom::Parser;
use nom::combinator::all_consuming;
use nom::error::ErrorKind;
use thiserror::Error;

pub use domain::Domain;
pub use originator::{ORIGINATOR_OCTETS_MAX, OriginatorError};

/// Most octets of a local part (RFC 5321 §4.5.3.1.1).
pub const LOCAL_PART_OCTETS_MAX: usize = 64;
/// Most octets of a domain (RFC 5321 §4.5.3.1.2).
pub const DOMAIN_OCTETS_MAX: usize = 255;
/// Most octets of a path, angle brackets included (RFC 5321 §4.5.3.1.3).
pub const PATH_OCTETS_MAX: usize = 256;
/// Room for a usual address literal.
const ADDRESS_LITERAL_OCTETS: usize = "[255.255.255.255]".len();

/// The part of a mailbox before the `@`, without quotes and quoted pairs (RFC 5321 §2.3.11).
///
/// Two spellings of one local part (`"a"` and `a`) are equal; case is kept and significant here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LocalPart(String);

/// `Mailbox = Local-part "@" ( Domain / address-literal )`, RFC 5321 §4.1.2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mailbox {
    local_part: LocalPart,
    domain: Domain,
}

/// `Reverse-path = Path / "<>"`, RFC 5321 §4.1.2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`: reports must not be answered with reports (RFC 5321 §4.5.5).
    Null,
    /// Where reports about the message go.
    Mailbox(Mailbox),
}

/// `Forward-path = Path`, or the bare `<Postmaster>` of RFC 5321 §4.1.1.3.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// `<Postmaster>` without a domain, in any case.
    Postmaster,
    /// One recipient.
    Mailbox(Mailbox),
}

/// What is wrong with an address that was given as text.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    /// The text does not follow the grammar.
    #[error("\"{0}\" is not an address of the form name@domain")]
    Syntax(String),
    /// A part is longer than RFC 5321 §4.5.3.1 allows.
    #[error("\"{0}\" is too long for an address")]
    TooLong(String),
}

impl LocalPart {
    /// The local part as it is meant, without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Mailbox {
    /// Parses `name@domain` (no angle brackets, no source route); UTF-8 is taken (RFC 6531 §3.3).
    ///
    /// # Errors
    /// Where the text is not a mailbox or is too long.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let parsed = all_consuming(grammar::mailbox).parse(text).finish();
        parsed.map(|(_, mailbox)| mailbox).map_err(|error| AddressError::new(text, error.code))
    }

    /// The part before the `@`.
    #[must_use]
    pub const fn local_part(&self) -> &LocalPart {
        &self.local_part
    }

    /// The part after the `@`.
    #[must_use]
    pub const fn domain(&self) -> &Domain {
        &self.domain
    }

    /// True where sending it needs SMTPUTF8 (RFC 6531 §3.4).
    #[must_use]
    pub fn needs_smtputf8(&self) -> bool {
        let ascii_domain = match &self.domain {
            Domain::Name(name) => name.is_ascii(),
            Domain::Address(_) => true,
        };
        !(ascii_domain && self.local_part.as_str().is_ascii())
    }

    /// As it is displayed, with room taken for it at once.
    #[must_use]
    pub fn text(&self) -> String {
        let domain_octets = match &self.domain {
            Domain::Name(name) => name.len(),
            Domain::Address(_) => ADDRESS_LITERAL_OCTETS,
        };
        let octets = self.local_part.0.len().saturating_add(domain_octets).saturating_add("@\"\"".len());
        let mut text = String::with_capacity(octets);
        // A string takes whatever is written to it.
        let _ = write!(text, "{self}");
        text
    }

    /// One text for all spellings that reach the same maildrop here: the whole mailbox in lower case.
    #[must_use]
    pub fn key(&self) -> String {
        let mut key = self.text();
        if key.is_ascii() {
            key.make_ascii_lowercase();
            return key;
        }
        key.to_lowercase()
    }

    /// The key of the same mailbox with its domain spelled otherwise, see [`Domain::other_spelling`].
    #[must_use]
    pub fn other_key(&self) -> Option<String> {
        let domain = self.domain.other_spelling()?;
        Some(Self { local_part: self.local_part.clone(), domain }.key())
    }

    /// One text for all spellings of its domain as well.
    #[must_use]
    pub fn key_in_a_labels(&self) -> String {
        let domain = self.domain.in_a_labels().into_owned();
        Self { local_part: self.local_part.clone(), domain }.key()
    }
}

impl AddressError {
    /// The text goes into a message to a user, so it is cut and its control characters are escaped.
    fn new(text: &str, code: ErrorKind) -> Self {
        let shown = text.chars().take(PATH_OCTETS_MAX).flat_map(char::escape_debug).collect();
        if code == ErrorKind::TooLarge { Self::TooLong(shown) } else { Self::Syntax(shown) }
    }
}

impl fmt::Display for LocalPart {
    /// Quoted where the grammar needs it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.split('.').all(|atom| !atom.is_empty() && atom.chars().all(grammar::is_atext)) {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for character in self.0.chars() {
            if matches!(character, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{character}")?;
        }
        f.write_str("\"")
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local_part, self.domain)
    }
}

impl ReversePath {
    /// The mailbox as it is displayed, without angle brackets; empty for `<>`.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Mailbox(mailbox) => mailbox.text(),
        }
    }
}

impl fmt::Display for ReversePath {
    /// With angle brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

impl fmt::Display for ForwardPath {
    /// With angle brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("<Postmaster>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_mailbox_of_each_form_reads_back_as_it_is_written() {
        for text in [
            "a@example.org",
            "a.b+c@example.org",
            "!#$%&'*+-/=?^_`{|}~@localhost",
            "\"a b\"@example.org",
            "\"a\\\"\\\\b\"@example.org",
            "\"\"@example.org",
            "\".a\"@example.org",
            "a@[192.0.2.1]",
            "a@[IPv6:2001:db8::1]",
            "пример@пример.рф",
            "a@xn--e1afmkfd.xn--p1ai",
            "a@1.2.3.4",
        ] {
            assert_eq!(mailbox(text).to_string(), text);
        }
    }

    #[test]
    fn spellings_of_one_mailbox_are_equal() {
        assert_eq!(mailbox("\"a\"@EXAMPLE.org"), mailbox("a@example.org"));
        assert_eq!(mailbox("\"\\a\"@example.org"), mailbox("a@example.org"));
        assert_eq!(mailbox("a@[ipv6:2001:DB8:0::1]"), mailbox("a@[IPv6:2001:db8::1]"));
        assert_ne!(mailbox("A@example.org"), mailbox("a@example.org"));
        assert_eq!(mailbox("A@example.org").key(), mailbox("a@example.org").key());
    }

    #[test]
    fn what_is_no_mailbox_is_refused() {
        for text in [
            "",
            "a",
            "@",
            "a@",
            "@b",
            "a@b@c",
            "a b@c",
            ".a@b",
            "a.@b",
            "a..b@c",
            "a@.b",
            "a@b.",
            "a@b..c",
            "a@-b",
            "a@b-",
            "a@b_c",
            "a@b c",
            "<a@b>",
            "a@b>",
            "\"a@b",
            "\"a\"b@c",
            "\"\\\"@b",
            "a@[1.2.3]",
            "a@[1.2.3.256]",
            "a@[1.2.3.4",
            "a@[2001:db8::1]",
            "a@[IPv6:1]",
            "a@[IPv6:fe80::1%eth0]",
            "a@[x]",
            "a\0@b",
            "\"a\r\n\"@b",
            "\"a\tb\"@c",
            "a@b\0",
            "a@b\r\n",
            "a\u{85}@b",
            "a@b\u{3002}c",
            "a@b\u{a0}c",
            "@x,@y:a@b",
            "a@b%c",
            "a@(comment)b",
        ] {
            assert!(matches!(Mailbox::parse(text), Err(AddressError::Syntax(_))), "{text:?}");
        }
    }

    #[test]
    fn the_parts_are_limited_as_rfc_5321_says() {
        let too_long = |text: &str| matches!(Mailbox::parse(text), Err(AddressError::TooLong(_)));
        assert!(Mailbox::parse(&format!("{}@b", "a".repeat(64))).is_ok());
        assert!(too_long(&format!("{}@b", "a".repeat(65))));
        assert!(too_long(&format!("\"{}\"@b", "a".repeat(63))));
        let domain =
            |octets: usize| "abcdefghi.".repeat(26).chars().take(octets - 1).chain(['x']).collect::<String>();
        assert!(Mailbox::parse(&format!("a@{}", domain(252))).is_ok());
        assert!(too_long(&format!("a@{}", domain(253))));
        assert!(Domain::parse(&domain(255)).is_ok());
        assert!(matches!(Domain::parse(&domain(256)), Err(AddressError::TooLong(_))));
        assert!(Domain::parse(&"a".repeat(63)).is_ok());
        assert!(matches!(Domain::parse(&"a".repeat(64)), Err(AddressError::TooLong(_))));
    }

    #[test]
    fn a_domain_is_limited_in_the_form_in_which_it_is_kept() {
        // U+023E gets an octet longer in lower case; the sign of the Kelvin becomes a `k`.
        let longer = format!("{}.{}", "\u{23e}".repeat(59), "a.".repeat(67)) + "bc";
        assert_eq!(longer.len(), 256 - 1);
        assert!(matches!(Domain::parse(&longer), Err(AddressError::TooLong(_))));
        let fits = format!("{}.{}", "\u{23e}".repeat(50), "a.".repeat(51)) + "bc";
        assert_eq!(Domain::parse(&fits).unwrap().to_string().len(), 255);
        let shorter: String = fits.chars().skip(1).collect();
        assert!(Mailbox::parse(&format!("m@{shorter}")).is_ok());
        assert!(matches!(Mailbox::parse(&format!("m@{fits}")), Err(AddressError::TooLong(_))));
        assert!(Domain::parse(&"\u{212a}".repeat(63)).is_ok());
        assert!(matches!(Domain::parse(&"\u{212a}".repeat(64)), Err(AddressError::TooLong(_))));
    }

    #[test]
    fn an_error_shows_the_text_without_controls_and_cut() {
        let text = format!("\u{1b}[1m{}", "x".repeat(5000));
        let shown = Mailbox::parse(&text).unwrap_err().to_string();
        assert!(shown.len() < 400 && !shown.contains('\u{1b}'), "{shown}");
    }

    #[test]
    fn smtputf8_is_needed_where_either_part_is_not_ascii() {
        assert!(mailbox("ä@example.org").needs_smtputf8());
        assert!(mailbox("a@ä.example").needs_smtputf8());
        assert!(!mailbox("a@[192.0.2.1]").needs_smtputf8());
    }

    proptest! {
        #[test]
        fn any_local_part_reads_back_however_it_must_be_quoted(meaning in "[ -~äж]{0,30}") {
            let domain = Domain::Name("example.org".to_owned());
            let mailbox = Mailbox { local_part: LocalPart(meaning), domain };
            prop_assert_eq!(Mailbox::parse(&mailbox.to_string()), Ok(mailbox));
        }

        #[test]
        fn what_parses_reads_back_from_what_it_displays(text in "[a-zA-Z.\"\\\\@\\[\\]ä:6 -]{0,30}") {
            if let Ok(mailbox) = Mailbox::parse(&text) {
                prop_assert_eq!(Mailbox::parse(&mailbox.to_string()), Ok(mailbox));
            }
        }
    }
}

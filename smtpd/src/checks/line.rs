//! One result of a check, and the Authentication-Results field with all of them (RFC 8601 §2.2).
//!
//! Much of what stands there was chosen by the peer. Nothing of it gets there but as a token or within quotes, in one line,
//! and not longer than it may be.

use std::fmt;

/// Characters of one value; what is longer is cut.
const VALUE_CHARACTERS_MAX: usize = 255;

/// `resinfo`: a method with its result, a reason, and what the result is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    method: &'static str,
    result: &'static str,
    reason: Option<String>,
    properties: Vec<(&'static str, String)>,
}

impl Line {
    pub(super) const fn new(method: &'static str, result: &'static str) -> Self {
        Self { method, result, reason: None, properties: Vec::new() }
    }

    /// With a reason, if there is one.
    pub(super) fn because(mut self, reason: Option<String>) -> Self {
        self.reason = reason;
        self
    }

    /// With a property (`ptype "." property`) and its value.
    pub(super) fn with(mut self, property: &'static str, value: impl Into<String>) -> Self {
        self.properties.push((property, value.into()));
        self
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.method, self.result)?;
        if let Some(reason) = &self.reason {
            write!(f, " reason={}", quoted(reason))?;
        }
        for (property, text) in &self.properties {
            write!(f, " {property}={}", value(text))?;
        }
        Ok(())
    }
}

/// The whole field, with its line end.
pub(crate) fn field(authserv_id: &str, lines: &[Line]) -> String {
    let mut field = format!("Authentication-Results: {}", value(authserv_id));
    if lines.is_empty() {
        field.push_str("; none");
    }
    for line in lines {
        field.push_str(";\r\n\t");
        field.push_str(&line.to_string());
    }
    field.push_str("\r\n");
    field
}

/// `pvalue = value / [ [ local-part ] "@" ] domain-name`; what is neither a token nor an address of plain atoms is quoted.
fn value(text: &str) -> String {
    let is_plain = text.split_once('@').map_or_else(
        || is_token(text),
        |(local_part, domain)| (local_part.is_empty() || is_dot_atom(local_part)) && is_dot_atom(domain),
    );
    if is_plain && text.len() <= VALUE_CHARACTERS_MAX { text.to_owned() } else { quoted(text) }
}

/// `token`, RFC 2045 §5.1.
fn is_token(text: &str) -> bool {
    let is_token = |octet: u8| octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&octet);
    !text.is_empty() && text.bytes().all(is_token)
}

/// `dot-atom-text`, RFC 5322 §3.2.3, without what a reader could take for the end of a token.
fn is_dot_atom(text: &str) -> bool {
    let is_atom = |atom: &str| {
        let is_atext = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-^_`{|}~".contains(&octet);
        !atom.is_empty() && atom.bytes().all(is_atext)
    };
    text.split('.').all(is_atom)
}

/// `quoted-string`, RFC 5322 §3.2.4, with UTF-8 where it must be (RFC 8601 §2.5). Control characters become question marks.
fn quoted(text: &str) -> String {
    let mut output = String::from("\"");
    for character in text.chars().take(VALUE_CHARACTERS_MAX) {
        match character {
            '"' | '\\' => output.extend(['\\', character]),
            _ if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') => output.push('?'),
            _ => output.push(character),
        }
    }
    output.push('"');
    output
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_field_has_a_line_for_each_result() {
        let lines = [
            Line::new("iprev", "pass").with("policy.iprev", "192.0.2.1"),
            Line::new("spf", "fail")
                .because(Some("it is so".to_owned()))
                .with("smtp.mailfrom", "a@b.example"),
        ];
        assert_eq!(
            field("mail.example.test", &lines),
            "Authentication-Results: mail.example.test;\r\n\tiprev=pass policy.iprev=192.0.2.1;\r\n\t\
             spf=fail reason=\"it is so\" smtp.mailfrom=a@b.example\r\n"
        );
        assert_eq!(field("a", &[]), "Authentication-Results: a; none\r\n");
    }

    #[test]
    fn what_is_no_token_is_quoted() {
        for (text, expected) in [
            ("a.example", "a.example"),
            ("a+b@c.example", "a+b@c.example"),
            ("@c.example", "@c.example"),
            ("a b@c.example", "\"a b@c.example\""),
            ("\"a\"@c.example", "\"\\\"a\\\"@c.example\""),
            ("a;spf=pass", "\"a;spf=pass\""),
            ("a(b)@c.example", "\"a(b)@c.example\""),
            ("2001:db8::1", "\"2001:db8::1\""),
            ("[192.0.2.1]", "\"[192.0.2.1]\""),
            ("a\r\nX: y", "\"a??X: y\""),
            ("a\\", "\"a\\\\\""),
            ("ä@ö.example", "\"ä@ö.example\""),
            ("", "\"\""),
            ("a@b@c", "\"a@b@c\""),
            ("a..b@c", "\"a..b@c\""),
        ] {
            assert_eq!(value(text), expected, "{text:?}");
        }
    }

    proptest! {
        /// Whatever a peer names, there is one field with one result, which ends where we end it.
        #[test]
        fn nothing_breaks_the_field(text in "\\PC*|[\\x00-\\xff]{0,400}") {
            let line = Line::new("spf", "none").because(Some(text.clone())).with("smtp.mailfrom", text);
            let field = field("mail.example.test", &[line]);
            prop_assert_eq!(field.matches('\n').count(), 2);
            prop_assert!(field.ends_with("\r\n"));
            prop_assert!(field.lines().all(|line| line.chars().count() < 998));
            let mut outside = String::new();
            let (mut is_quoted, mut characters) = (false, field.chars());
            while let Some(character) = characters.next() {
                match character {
                    '"' => is_quoted = !is_quoted,
                    '\\' if is_quoted => _ = characters.next(),
                    _ if is_quoted => {}
                    _ => outside.push(character),
                }
            }
            prop_assert!(!is_quoted);
            prop_assert_eq!(outside.matches(';').count(), 1);
            prop_assert_eq!(outside.matches('=').count(), 3);
        }
    }
}

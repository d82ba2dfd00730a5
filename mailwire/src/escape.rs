//! Text from outside, made safe to stand in a log line, on a terminal, or in a line of a protocol.

use std::borrow::Cow;

/// `octets` with everything outside 0x20-0x7e, and the backslash, written as an escape (`\n`, `\x1b`, `\\`).
#[must_use]
pub fn escaped(octets: &[u8]) -> String {
    octets.escape_ascii().to_string()
}

/// `text` with each control character (C0, DEL and C1) replaced by `?`: it stays one line, and no terminal obeys it.
#[must_use]
pub fn without_controls(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(text.chars().map(|c| if c.is_control() { '?' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_leaves_only_printable_ascii() {
        assert_eq!(escaped(b"a\r\n\x1b[1m\xff\\"), "a\\r\\n\\x1b[1m\\xff\\\\");
    }

    #[test]
    fn controls_are_replaced_and_other_text_is_kept() {
        assert_eq!(without_controls("a\r\nb\u{9b}c\u{7f}"), "a??b?c?");
        assert!(matches!(without_controls("grüße"), Cow::Borrowed("grüße")));
    }
}

//! The header fields that a scanner wants added, made safe: few, short, of names that mean nothing to this server.

/// Most fields of one scanner.
pub(super) const FIELDS_MAX: usize = 20;
/// Most octets of a field's name, and of what it says.
const NAME_OCTETS_MAX: usize = 64;
const VALUE_OCTETS_MAX: usize = 800;
/// How names begin that a scanner may use. All others stand for something that readers or this server rely on.
const BEGINNINGS: [&str; 2] = ["x-", "arc-"];

/// One field to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    name: String,
    value: String,
}

impl Added {
    /// A field, where it may be added: what it says becomes one line of printable characters.
    #[must_use]
    pub fn new(name: &str, value: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        // `ftext`, RFC 5322 §2.2.
        let is_name = name.len() <= NAME_OCTETS_MAX
            && name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':')
            && BEGINNINGS
                .iter()
                .any(|beginning| lower.starts_with(beginning) && lower.len() > beginning.len());
        if !is_name {
            return None;
        }
        let words: Vec<&str> = value.split(|letter: char| letter.is_control() || letter == ' ').collect();
        let mut value = words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ");
        value.truncate(value.floor_char_boundary(VALUE_OCTETS_MAX));
        Some(Self { name: name.to_owned(), value })
    }

    /// As it stands in a header section.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{}: {}\r\n", self.name, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_one_line() {
        let field = Added::new("X-Spam-Status", "Yes,\r\n\tscore=7\r\nBcc: a@b.c\0 end ").unwrap();
        assert_eq!(field.line(), "X-Spam-Status: Yes, score=7 Bcc: a@b.c end\r\n");
        let long = Added::new("X-A", &"\u{e4}".repeat(1000)).unwrap();
        assert!(long.line().len() <= VALUE_OCTETS_MAX + 7);
    }

    #[test]
    fn names_that_mean_something_are_not_taken() {
        for name in
            ["From", "Received", "Return-Path", "Authentication-Results", "X-", "X A", "X-A:", "", "X-\u{e4}"]
        {
            assert_eq!(Added::new(name, "x"), None, "{name}");
        }
        assert_eq!(Added::new(&format!("X-{}", "a".repeat(62)), "x").unwrap().line().len(), 64 + 5);
        assert_eq!(Added::new(&format!("X-{}", "a".repeat(63)), "x"), None);
    }
}

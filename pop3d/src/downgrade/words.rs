//! Words with encoded-words among them (RFC 2047): text (RFC 6857 §3.1.1), phrases (§3.1.2, §3.1.5) and comments (§3.1.3).

use mailwire::header::encoded_words;

use super::lexemes::QuotedPairs;

/// What came last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// What is shown as it stands, or nothing.
    Plain,
    /// An encoded-word that was there before.
    Encoded,
    /// Text that is to be encoded, and may go on.
    Text,
}

/// Writes words one behind the other, those with characters outside ASCII as encoded-words.
///
/// Readers drop the blanks between two encoded-words (RFC 2047 §6.2), so what stands between them is encoded with them.
#[derive(Debug)]
pub(super) struct Words {
    output: String,
    last: Last,
    /// What is to be encoded.
    text: String,
}

impl Words {
    /// None yet.
    pub(super) const fn new() -> Self {
        Self { output: String::new(), last: Last::Plain, text: String::new() }
    }

    /// A word behind `blanks`, as it stands.
    pub(super) fn push(&mut self, blanks: &str, word: &str) {
        if !word.is_ascii() {
            return self.push_text(blanks, word);
        }
        let is_encoded = is_encoded_word(word);
        match (self.last, is_encoded) {
            (Last::Text, true) => {
                self.text.push_str(blanks);
                self.encode();
                self.output.push(' ');
            }
            (Last::Text, false) => {
                self.encode();
                self.output.push_str(blanks);
            }
            (Last::Plain | Last::Encoded, _) => self.output.push_str(blanks),
        }
        self.output.push_str(word);
        self.last = if is_encoded { Last::Encoded } else { Last::Plain };
    }

    /// Text behind `blanks` that is to be encoded.
    pub(super) fn push_text(&mut self, blanks: &str, text: &str) {
        match self.last {
            Last::Plain => self.output.push_str(blanks),
            Last::Encoded => {
                self.output.push(' ');
                self.text.push_str(blanks);
            }
            Last::Text => self.text.push_str(blanks),
        }
        self.text.push_str(text);
        self.last = Last::Text;
    }

    /// All of them.
    pub(super) fn finish(mut self) -> String {
        self.encode();
        self.output
    }

    fn encode(&mut self) {
        self.output.push_str(&encoded_words(&self.text));
        self.text.clear();
    }
}

/// `encoded-word`, RFC 2047 §2, as far as readers look.
fn is_encoded_word(word: &str) -> bool {
    word.len() > "=????=".len() && word.starts_with("=?") && word.ends_with("?=")
}

/// `FWS`, RFC 5322 §3.2.2, and what of it an old message may have left.
pub(super) const fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

/// Words of `text` with the blanks before each; blanks at the end are a word of their own, an empty one.
fn split(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let begin = rest.find(|character| !is_blank(character)).unwrap_or(rest.len());
        let (blanks, behind) = rest.split_at(begin);
        let (word, behind) = behind.split_at(behind.find(is_blank).unwrap_or(behind.len()));
        rest = behind;
        Some((blanks, word))
    })
}

/// RFC 6857 §3.1.1.
pub(super) fn unstructured(text: &str) -> String {
    let mut words = Words::new();
    split(text).for_each(|(blanks, word)| words.push(blanks, word));
    words.finish()
}

/// RFC 6857 §3.1.3: a comment with its parentheses, and comments within it.
pub(super) fn comment(comment: &str) -> String {
    let mut output = String::new();
    let mut rest = comment;
    while let Some(at) = parenthesis(rest) {
        let (text, behind) = rest.split_at(at);
        output.push_str(&ctext(text));
        let (parenthesis, behind) = behind.split_at(1.min(behind.len()));
        output.push_str(parenthesis);
        rest = behind;
    }
    output + &ctext(rest)
}

/// Where the next parenthesis is that is not quoted.
fn parenthesis(text: &str) -> Option<usize> {
    let mut pairs = QuotedPairs::default();
    text.bytes().position(|octet| !pairs.quotes(octet) && matches!(octet, b'(' | b')'))
}

/// The text of a comment between parentheses.
fn ctext(text: &str) -> String {
    let mut words = Words::new();
    for (blanks, word) in split(text) {
        if word.is_ascii() {
            words.push(blanks, word);
        } else {
            words.push_text(blanks, &unquoted(word));
        }
    }
    words.finish()
}

/// Text without the backslashes of its quoted-pairs (RFC 5322 §3.2.1).
pub(super) fn unquoted(text: &str) -> String {
    let mut unquoted = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        unquoted.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    unquoted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encoded-words as their text in braces.
    fn shown(output: &str) -> String {
        let words = output.split(' ').map(|word| {
            let Some((before, encoded)) = word.split_once("=?utf-8?B?") else { return word.to_owned() };
            let (encoded, behind) = encoded.split_once("?=").unwrap();
            let decoded = mailwire::sasl::decode(encoded.as_bytes()).unwrap();
            format!("{before}{{{}}}{behind}", String::from_utf8(decoded).unwrap())
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_outside_ascii_are_encoded_with_the_blanks_between_them() {
        for (text, expected) in [
            ("ü", "{ü}"),
            ("a ü b", "a {ü} b"),
            ("a  ü \t ö\tb ", "a  {ü \t ö}\tb "),
            (" ü ", " {ü} "),
            ("=?utf-8?Q?a?= ü", "=?utf-8?Q?a?= { ü}"),
            ("ü  =?utf-8?Q?a?= b", "{ü  } =?utf-8?Q?a?= b"),
            ("ü =?utf-8?Q?a?= ü", "{ü } =?utf-8?Q?a?= { ü}"),
            ("ü =?x ü", "{ü} =?x {ü}"),
            ("", ""),
        ] {
            assert_eq!(shown(&unstructured(text)), expected, "{text:?}");
        }
    }

    #[test]
    fn comments_keep_their_parentheses() {
        for (text, expected) in [
            ("(ü)", "({ü})"),
            ("(a ü (ö) b)", "(a {ü} ({ö}) b)"),
            ("(a\\)ü \\) b)", "({a)ü} \\) b)"),
            ("(a\\\\) (ü)", "(a\\\\) ({ü})"),
            ("(ü", "({ü}"),
        ] {
            assert_eq!(shown(&comment(text)), expected, "{text:?}");
        }
    }
}

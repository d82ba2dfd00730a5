//! Values of header fields in ASCII, as every reader takes them: encoded-words, parameters of any characters, folding.

use crate::sasl;

/// Most octets of an encoded-word (RFC 2047 §2).
pub const ENCODED_WORD_OCTETS_MAX: usize = 75;
/// Octets of an encoded-word, so that the first one mostly fits behind its field's name.
const ENCODED_WORD_OCTETS: usize = 64;
/// Most octets of a line that is folded, where it has a blank to fold at: those of one with an encoded-word in it (RFC 2047
/// §2), which are fewer than of others (RFC 5322 §2.1.1).
const LINE_OCTETS_MAX: usize = 76;
/// Octets of a piece of a parameter, so that a line stays short (RFC 2231 §3).
const PARAMETER_PIECE_OCTETS_MAX: usize = 50;

/// `encoded-word *(SPACE encoded-word)`, RFC 2047 §2: UTF-8 in base64, no character split between two words.
#[must_use]
pub fn encoded_words(text: &str) -> String {
    // Of each word, 12 octets are its frame; base64 makes 4 octets of 3.
    let octets_max = (ENCODED_WORD_OCTETS - "=?utf-8?B?".len() - "?=".len()) / 4 * 3;
    let mut words: Vec<String> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (most, after) = rest.split_at(rest.floor_char_boundary(octets_max));
        // Some readers show the blank between two encoded-words, where it does the least harm behind another one.
        let blank = most.rfind(' ').filter(|_| !after.is_empty()).map_or(most.len(), |blank| blank + 1);
        let (piece, after) = rest.split_at(blank);
        words.push(format!("=?utf-8?B?{}?=", sasl::encode(piece.as_bytes())));
        rest = after;
    }
    words.join(" ")
}

/// A parameter of any characters (RFC 2231 §4.1) without a language, in several pieces where it is long.
#[must_use]
pub fn extended_parameter(name: &str, value: &str) -> String {
    // Each character whole in one piece, for readers that decode piece by piece.
    let mut pieces = vec!["utf-8''".to_owned()];
    for character in value.chars() {
        let encoded = percent_encoded(character);
        match pieces.last_mut() {
            Some(piece) if piece.len() + encoded.len() <= PARAMETER_PIECE_OCTETS_MAX => {
                piece.push_str(&encoded);
            }
            Some(_) | None => pieces.push(encoded),
        }
    }
    if let [only] = pieces.as_slice() {
        return format!("{name}*={only}");
    }
    let pieces = pieces.iter().enumerate().map(|(index, piece)| format!("{name}*{index}*={piece}"));
    pieces.collect::<Vec<_>>().join("; ")
}

/// A whole header field with its CRLF, folded at blanks (RFC 5322 §2.2.3).
#[must_use]
pub fn field(name: &str, value: &str) -> String {
    let mut text = format!("{name}:");
    let mut line_octets = text.len();
    for word in value.split(' ') {
        let is_too_long = line_octets + 1 + word.len() > LINE_OCTETS_MAX;
        // A word that fits on no line stays where it is.
        let fits_on_the_next = word.len() < LINE_OCTETS_MAX;
        if is_too_long && !word.is_empty() && (fits_on_the_next || line_octets > name.len() + 1) {
            text.push_str("\r\n");
            line_octets = 0;
        }
        text.push(' ');
        text.push_str(word);
        line_octets += 1 + word.len();
    }
    text + "\r\n"
}

/// `ext-octet`s or an `attribute-char`, RFC 2231 §7.
fn percent_encoded(character: char) -> String {
    if character.is_ascii_alphanumeric() || "._-".contains(character) {
        return character.to_string();
    }
    character
        .encode_utf8(&mut [0; 4])
        .bytes()
        .fold(String::new(), |text, octet| text + &format!("%{octet:02X}"))
}

#[cfg(test)]
mod tests {
    use mail_parser::{MessageParser, MimeHeaders};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_fields_are_folded_and_read_back() {
        let text = "some words and  more of them, ".repeat(12).trim().to_owned();
        let folded = field("Subject", &text);
        assert!(
            folded
                .split_terminator("\r\n")
                .all(|line| line.len() <= LINE_OCTETS_MAX && !line.trim().is_empty())
        );
        assert_eq!(folded.replace("\r\n", ""), format!("Subject: {text}"));
    }

    proptest! {
        #[test]
        fn another_reader_finds_the_words_that_were_encoded(text in "([!-~äé€語😀][ -~äé€語😀]{0,80}[!-~äé€語😀])") {
            let words = encoded_words(&text);
            prop_assert!(words.is_ascii() && words.split(' ').all(|word| word.len() <= ENCODED_WORD_OCTETS_MAX));
            let message = field("Subject", &words) + "\r\n";
            prop_assert!(message.lines().all(|line| line.len() <= LINE_OCTETS_MAX));
            let message = MessageParser::new().parse(&message).unwrap();
            prop_assert_eq!(message.subject(), Some(text.as_str()));
        }

        #[test]
        fn another_reader_finds_the_parameter_that_was_given(value in "[ -~äé€語😀]{1,90}") {
            let parameter = extended_parameter("filename", &value);
            prop_assert!(parameter.is_ascii() && parameter.split("; ").all(|piece| piece.len() < 76));
            let message = field("Content-Disposition", &format!("attachment; {parameter}")) + "\r\n";
            let message = MessageParser::new().parse(&message).unwrap();
            prop_assert_eq!(message.attachment_name(), Some(value.as_str()));
        }
    }
}

//! Encoded-words (RFC 2047 §2) in the name beside an address: what they show to a reader who decodes them first and looks
//! for addresses afterwards.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Base64 as readers decode it: with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// How a charset holds ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charset {
    /// Each octet below 0x80 is the ASCII one.
    Superset,
    /// As above, but the octet behind one of 0x81 and more belongs to it.
    Pairs,
    /// As [`Charset::Pairs`], but 0xa0 to 0xdf stand alone.
    ShiftJis,
    /// ASCII between escape sequences (RFC 1468).
    Iso2022,
    /// ASCII is written with other octets.
    Opaque,
}

/// True where an encoded-word, decoded, holds `@`, `<`, `>` or a control, or cannot be decoded for certain.
pub(super) fn any_hides_an_address(text: &str) -> bool {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("=?") {
        rest = match word(after) {
            Some((word, _)) if hides_an_address(&word) => return true,
            Some((_, behind)) => behind,
            None => after,
        };
    }
    false
}

/// The three parts of an encoded-word.
struct Word<'a> {
    charset: &'a str,
    encoding: &'a str,
    encoded: &'a str,
}

/// `encoded-word = "=?" charset "?" encoding "?" encoded-text "?="`, RFC 2047 §2, from behind the first `=?`; blanks in
/// the text are no hindrance to some readers.
fn word(text: &str) -> Option<(Word<'_>, &str)> {
    let (charset, rest) = text.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (encoded, behind) = rest.split_once("?=")?;
    let is_known = matches!(encoding, "q" | "Q" | "b" | "B");
    (is_known && charset.bytes().all(|octet| octet.is_ascii_graphic()))
        .then_some((Word { charset, encoding, encoded }, behind))
}

fn hides_an_address(word: &Word<'_>) -> bool {
    // RFC 2231 §5: a language may follow the charset.
    let charset = charset(word.charset.split('*').next().unwrap_or_default());
    let decoded = if word.encoding.eq_ignore_ascii_case("q") {
        Ok(quoted_printable(word.encoded.as_bytes()))
    } else {
        LENIENT.decode(word.encoded.replace([' ', '\t', '\r', '\n'], ""))
    };
    // With a `?` in the text, readers disagree where the word begins or ends.
    let is_certain = charset != Charset::Opaque && !word.encoded.contains('?');
    decoded.map_or(true, |decoded| !is_certain || ascii(charset, &decoded).any(is_suspicious))
}

fn is_suspicious(octet: u8) -> bool {
    matches!(octet, b'@' | b'<' | b'>') || (octet.is_ascii_control() && octet != b'\t')
}

fn charset(name: &str) -> Charset {
    let name = name.to_ascii_lowercase();
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if begins(&["utf-7", "utf7", "unicode", "utf-16", "utf16", "utf-32", "utf32", "ucs", "iso-10646", "hz"]) {
        Charset::Opaque
    } else if begins(&["iso-2022"]) {
        Charset::Iso2022
    } else if begins(&["shift", "sjis", "x-sjis", "ms_kanji", "windows-31j", "cp932"]) {
        Charset::ShiftJis
    } else if begins(&["gb", "big5", "ks_c", "cp936", "cp949", "cp950", "windows-949", "uhc"]) {
        Charset::Pairs
    } else {
        Charset::Superset
    }
}

/// The octets that are ASCII to who knows the charset.
fn ascii(charset: Charset, octets: &[u8]) -> impl Iterator<Item = u8> {
    let mut octets = octets.iter().copied().peekable();
    let mut is_escaped = false;
    std::iter::from_fn(move || {
        loop {
            let octet = octets.next()?;
            match charset {
                Charset::Iso2022 if octet == 0x1b => {
                    // `ESC (` leads to a single-octet set, `ESC $` to one of pairs.
                    is_escaped = octets.next()? == b'$';
                    octets.next();
                }
                Charset::Iso2022 if is_escaped => {}
                Charset::ShiftJis if matches!(octet, 0x81..=0x9f | 0xe0..=0xfc) => {
                    octets.next();
                }
                Charset::Pairs if octet > 0x80 => {
                    octets.next();
                }
                Charset::Superset
                | Charset::Pairs
                | Charset::ShiftJis
                | Charset::Iso2022
                | Charset::Opaque => {
                    if octet.is_ascii() {
                        return Some(octet);
                    }
                }
            }
        }
    })
}

/// The Q encoding, RFC 2047 §4.2; what is no octet in hexadecimal stands for itself.
fn quoted_printable(encoded: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [octet, after @ ..] = rest {
        let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let hexadecimal = match after {
            [high, low, ..] if *octet == b'=' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match (hexadecimal, octet) {
            (Some((high, low)), _) => {
                decoded.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
            }
            (None, b'_') => {
                decoded.push(b' ');
                rest = after;
            }
            (None, octet) => {
                decoded.push(*octet);
                rest = after;
            }
        }
    }
    decoded
}

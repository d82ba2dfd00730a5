//! Parameter values that may hold any character: xtext (RFC 3461 §4) and its form for UTF-8 (RFC 6533 §3).

use nom::bytes::complete::{tag, take_while_m_n, take_while1};
use nom::character::complete::satisfy;
use nom::combinator::{all_consuming, map, map_opt};
use nom::multi::fold_many0;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser, branch::alt};

/// `xtext = *( xchar / hexchar )`, RFC 3461 §4; the text it stands for, where that is UTF-8 without controls.
pub(super) fn decode(value: &str) -> Option<String> {
    let octets = fold_many0(alt((xchar, hexchar)), Vec::new, |mut octets: Vec<u8>, octet| {
        octets.push(octet);
        octets
    });
    let (_, octets) = all_consuming(octets).parse(value).ok()?;
    without_controls(String::from_utf8(octets).ok()?)
}

/// `xchar = any ASCII CHAR between "!" (33) and "~" (126) inclusive, except for "+" and "="`, RFC 3461 §4.
fn xchar(input: &str) -> IResult<&str, u8> {
    map_opt(satisfy(is_xchar), |character| u8::try_from(character).ok()).parse(input)
}

fn is_xchar(character: char) -> bool {
    matches!(character, '!'..='~') && !matches!(character, '+' | '=')
}

/// `hexchar = ASCII "+" immediately followed by two upper case hexadecimal digits`, RFC 3461 §4.
fn hexchar(input: &str) -> IResult<&str, u8> {
    let digits = take_while_m_n(2, 2, |c: char| c.is_ascii_digit() || matches!(c, 'A'..='F'));
    map_opt(preceded(tag("+"), digits), |digits: &str| u8::from_str_radix(digits, 16).ok()).parse(input)
}

/// `text` as xtext.
pub(super) fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |value, octet| {
        let character = char::from(octet);
        if is_xchar(character) {
            value + character.encode_utf8(&mut [0; 4])
        } else {
            value + &format!("+{octet:02X}")
        }
    })
}

/// `utf-8-addr-xtext / utf-8-addr-unitext = 1*(QUCHAR / EmbeddedUnicodeChar)`, RFC 6533 §3.
pub(super) fn decode_utf8_address(value: &str) -> Option<String> {
    let text = fold_many0(
        alt((map(take_while1(is_quchar), str::to_owned), map(embedded_unicode_char, String::from))),
        String::new,
        |text, part| text + &part,
    );
    let (_, text) = all_consuming(text).parse(value).ok()?;
    without_controls(text).filter(|text| !text.is_empty())
}

/// `QUCHAR = %x21-2a / %x2c-3c / %x3e-5b / %x5d-7e / UTF8-2 / UTF8-3 / UTF8-4`, RFC 6533 §3.
fn is_quchar(character: char) -> bool {
    (is_xchar(character) && character != '\\') || !character.is_ascii()
}

/// `EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"`, RFC 6533 §3.
fn embedded_unicode_char(input: &str) -> IResult<&str, char> {
    let digits = take_while_m_n(2, 6, |c: char| c.is_ascii_hexdigit());
    map_opt(delimited(tag("\\x{"), digits, tag("}")), |digits: &str| {
        char::from_u32(u32::from_str_radix(digits, 16).ok()?)
    })
    .parse(input)
}

/// An address of the type `utf-8`, in whichever of its forms, as `utf-8-addr-xtext` (RFC 6533 §3), which is in ASCII.
#[must_use]
pub fn utf8_addr_xtext(address: &str) -> String {
    decode_utf8_address(address)
        .map_or_else(|| encode_utf8_address(address), |address| encode_utf8_address(&address))
}

/// `text` as `utf-8-addr-xtext`, which needs no SMTPUTF8.
pub(super) fn encode_utf8_address(text: &str) -> String {
    text.chars().fold(String::new(), |mut value, character| {
        if character.is_ascii() && is_quchar(character) {
            value.push(character);
            value
        } else {
            value + &format!("\\x{{{:02X}}}", u32::from(character))
        }
    })
}

/// No value may bring a line end or a NUL into a report or a log.
fn without_controls(text: String) -> Option<String> {
    (!text.chars().any(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn xtext_is_decoded_and_wrong_forms_are_refused() {
        assert_eq!(decode("QQ314159+2B+3D+20x").as_deref(), Some("QQ314159+= x"));
        for wrong in ["+", "+2", "+2b", "a=b", "a b", "+0D+0A", "+00", "+FF", "ä"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn utf8_addresses_are_decoded_in_both_forms() {
        let address = Some("д+a@example.org".to_owned());
        assert_eq!(decode_utf8_address("\\x{434}\\x{2B}a@example.org"), address);
        assert_eq!(decode_utf8_address("д\\x{2B}a@example.org"), address);
        for wrong in ["", "a+b", "a\\b", "\\x{D800}", "\\x{110000}", "\\x{0A}", "\\x{}"] {
            assert_eq!(decode_utf8_address(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_address_of_any_form_has_one_in_ascii() {
        for (address, expected) in [
            ("д@example.org", "\\x{434}@example.org"),
            ("д\\x{2B}a@example.org", "\\x{434}\\x{2B}a@example.org"),
            ("д+a@example.org", "\\x{434}\\x{2B}a@example.org"),
            ("a@example.org", "a@example.org"),
        ] {
            assert_eq!(utf8_addr_xtext(address), expected);
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text in "[ -~äд€]{1,40}") {
            prop_assert_eq!(decode(&encode(&text)), Some(text.clone()));
            prop_assert_eq!(decode_utf8_address(&encode_utf8_address(&text)), Some(text));
        }
    }
}

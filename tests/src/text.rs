//! The escapes of a script's lines.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One octet of a line; an escaped one never means anything but itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Symbol {
    pub(crate) octet: u8,
    pub(crate) escaped: bool,
}

/// Reads `\r \n \t \0 \\ \xNN`, `\b(text)` for base64 and `\(N*text)` for repetition; everything else is itself.
pub(crate) fn symbols(text: &str) -> Result<Vec<Symbol>, String> {
    let mut input = text.bytes().peekable();
    let symbols = read(&mut input, Nesting::Outside)?;
    Ok(symbols)
}

/// The octets of `text`, where nothing but escapes is special.
pub(crate) fn octets(text: &str) -> Result<Vec<u8>, String> {
    Ok(plain(&symbols(text)?))
}

/// The octets of `symbols`.
pub(crate) fn plain(symbols: &[Symbol]) -> Vec<u8> {
    symbols.iter().map(|symbol| symbol.octet).collect()
}

/// `octets` in a form for people: printable ones as they are, others as `\xNN`.
pub(crate) fn shown(octets: &[u8]) -> String {
    let mut text = String::new();
    for &octet in octets {
        match octet {
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b'\\' => text.push_str("\\\\"),
            0x20..=0x7e => text.push(char::from(octet)),
            _ => {
                let _ = write!(text, "\\x{octet:02x}");
            }
        }
    }
    text
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Nesting {
    Outside,
    Parentheses,
}

type Input<'a> = std::iter::Peekable<std::str::Bytes<'a>>;

fn read(input: &mut Input, nesting: Nesting) -> Result<Vec<Symbol>, String> {
    let mut symbols = Vec::new();
    while let Some(octet) = input.next() {
        match octet {
            b')' if nesting == Nesting::Parentheses => return Ok(symbols),
            b'\\' => escape(input, &mut symbols)?,
            _ => symbols.push(Symbol { octet, escaped: false }),
        }
    }
    match nesting {
        Nesting::Outside => Ok(symbols),
        Nesting::Parentheses => Err("a parenthesis is not closed".to_owned()),
    }
}

fn escape(input: &mut Input, symbols: &mut Vec<Symbol>) -> Result<(), String> {
    let mut one = |octet| symbols.push(Symbol { octet, escaped: true });
    match input.next() {
        Some(b'r') => one(b'\r'),
        Some(b'n') => one(b'\n'),
        Some(b't') => one(b'\t'),
        Some(b'0') => one(0),
        Some(b'x') => one(hexadecimal(input)?),
        Some(b'b') => {
            if input.next() != Some(b'(') {
                return Err("\\b needs parentheses".to_owned());
            }
            let inside = plain(&read(input, Nesting::Parentheses)?);
            STANDARD.encode(inside).bytes().for_each(one);
        }
        Some(b'(') => {
            let times = times(input)?;
            let inside = read(input, Nesting::Parentheses)?;
            for _ in 0..times {
                symbols.extend_from_slice(&inside);
            }
        }
        Some(octet) if !octet.is_ascii_alphanumeric() => one(octet),
        Some(octet) => return Err(format!("no escape is written \\{}", char::from(octet))),
        None => return Err("a backslash ends the line".to_owned()),
    }
    Ok(())
}

fn hexadecimal(input: &mut Input) -> Result<u8, String> {
    let mut value = 0;
    for _ in 0..2 {
        let digit = input.next().and_then(|octet| char::from(octet).to_digit(16));
        let digit = digit.and_then(|digit| u8::try_from(digit).ok());
        value = value * 16 + digit.ok_or_else(|| "\\x needs two hexadecimal digits".to_owned())?;
    }
    Ok(value)
}

fn times(input: &mut Input) -> Result<usize, String> {
    let mut digits = String::new();
    for octet in input.by_ref() {
        if octet == b'*' {
            return digits.parse().map_err(|_| format!("{digits} is not a number of repetitions"));
        }
        digits.push(char::from(octet));
    }
    Err("a repetition is written \\(N*text)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_name_octets() {
        assert_eq!(octets(r"a\r\n\0\\\x80\t\*é").unwrap(), b"a\r\n\0\\\x80\t*\xc3\xa9");
    }

    #[test]
    fn base64_may_hold_escapes_of_its_own() {
        assert_eq!(octets(r"AUTH PLAIN \b(\0a\0b)").unwrap(), b"AUTH PLAIN AGEAYg==");
    }

    #[test]
    fn a_repetition_repeats_its_text() {
        assert_eq!(octets(r"<\(3*ab\))>").unwrap(), b"<ab)ab)ab)>");
    }

    #[test]
    fn wrong_escapes_are_refused() {
        for text in [r"\", r"\q", r"\x4", r"\b", r"\(3*a", r"\(a*b)", r"\(3"] {
            octets(text).unwrap_err();
        }
    }

    #[test]
    fn what_is_shown_can_be_written_in_a_script() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(octets(&shown(&all)).unwrap(), all);
    }
}

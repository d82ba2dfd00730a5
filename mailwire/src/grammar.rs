//! What the grammars of SMTP and POP3 have in common.

use nom::bytes::complete::{take_while_m_n, take_while1};
use nom::combinator::{all_consuming, map};
use nom::error::Error;
use nom::{IResult, Parser};

/// Arguments that must be there, in UTF-8 (RFC 6531 §3.3, RFC 6856 §2), without NUL, CR, LF or other controls.
pub(crate) fn text(arguments: Option<&[u8]>) -> Option<&str> {
    let text = std::str::from_utf8(arguments?).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then_some(text)
}

/// Text that one grammar rule takes as a whole.
pub(crate) fn whole<'a, O>(
    text: &'a str,
    rule: impl Parser<&'a str, Output = O, Error = Error<&'a str>>,
) -> Option<O> {
    all_consuming(rule).parse(text).ok().map(|(_, output)| output)
}

/// `sasl-mech = 1*20mech-char`, RFC 4422 §3.1; lower case is taken, since keywords are in any case.
pub(crate) fn sasl_mech(input: &str) -> IResult<&str, String> {
    let mech_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    map(take_while_m_n(1, 20, mech_char), str::to_ascii_uppercase).parse(input)
}

/// `initial-response = base64 / "="`, RFC 4954 §8, RFC 5034 §6; whether it is base64 is for the exchange to say.
pub(crate) fn initial_response(input: &str) -> IResult<&str, &str> {
    take_while1(|c: char| c.is_ascii_graphic()).parse(input)
}

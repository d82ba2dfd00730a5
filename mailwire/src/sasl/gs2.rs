//! The header that SCRAM and OAUTHBEARER share (RFC 5801 §4, in the form of RFC 5802 §7).

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::char;
use nom::combinator::{map, map_opt, opt, value};
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

/// What the client says of binding the exchange to the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BindingFlag<'a> {
    /// `n`: it cannot.
    Unsupported,
    /// `y`: it could, and thinks that the server cannot.
    NotOffered,
    /// `p=name`: it does.
    Used(&'a str),
}

/// The header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gs2Header<'a> {
    pub(super) flag: BindingFlag<'a>,
    /// For whom the client wants to act, where it says so.
    pub(super) authorization_identity: Option<String>,
}

/// `gs2-header = gs2-cbind-flag "," [ authzid ] ","`, RFC 5802 §7.
pub(super) fn gs2_header(input: &str) -> IResult<&str, Gs2Header<'_>> {
    let authzid = opt(preceded(tag("a="), saslname));
    let parts = (terminated(gs2_cbind_flag, char(',')), terminated(authzid, char(',')));
    map(parts, |(flag, authorization_identity)| Gs2Header { flag, authorization_identity }).parse(input)
}

/// `gs2-cbind-flag = ("p=" cb-name) / "n" / "y"`, RFC 5802 §7.
fn gs2_cbind_flag(input: &str) -> IResult<&str, BindingFlag<'_>> {
    alt((
        map(preceded(tag("p="), cb_name), BindingFlag::Used),
        value(BindingFlag::Unsupported, char('n')),
        value(BindingFlag::NotOffered, char('y')),
    ))
    .parse(input)
}

/// `cb-name = 1*(ALPHA / DIGIT / "." / "-")`, RFC 5802 §7.
fn cb_name(input: &str) -> IResult<&str, &str> {
    take_while1(|c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-').parse(input)
}

/// `saslname = 1*(value-safe-char / "=2C" / "=3D")`, RFC 5802 §7.
pub(super) fn saslname(input: &str) -> IResult<&str, String> {
    map_opt(take_while1(|c: char| c != ',' && c != '\0'), unescaped).parse(input)
}

/// RFC 5802 §5.1: `=2C` is a comma, `=3D` an equals sign, and no other `=` may stand there.
fn unescaped(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (sign, rest) = part
            .strip_prefix("2C")
            .map(|rest| (',', rest))
            .or_else(|| part.strip_prefix("3D").map(|rest| ('=', rest)))?;
        plain.push(sign);
        plain.push_str(rest);
    }
    Some(plain)
}

/// A name as it is sent.
pub(super) fn escaped(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(text: &str) -> Option<(BindingFlag<'_>, Option<String>)> {
        let (rest, header) = gs2_header(text).ok()?;
        rest.is_empty().then_some((header.flag, header.authorization_identity))
    }

    #[test]
    fn a_header_says_whether_and_how_the_exchange_is_bound() {
        assert_eq!(header("n,,"), Some((BindingFlag::Unsupported, None)));
        assert_eq!(header("y,,"), Some((BindingFlag::NotOffered, None)));
        assert_eq!(header("p=tls-exporter,,"), Some((BindingFlag::Used("tls-exporter"), None)));
        assert_eq!(header("n,a=b=2Cc=3D,"), Some((BindingFlag::Unsupported, Some("b,c=".to_owned()))));
        for wrong in
            ["", "n", "n,", "x,,", "p=,,", "p=a b,,", "n,b,", "n,a=,", "n,a==2c,", "n,a=b=,", "N,,", "F,n,,"]
        {
            assert_eq!(header(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_name_comes_out_as_it_went_in(name in "[^\0]{1,30}") {
            let sent = escaped(&name);
            prop_assert!(!sent.contains(','));
            prop_assert_eq!(saslname(&sent), Ok(("", name)));
        }
    }
}

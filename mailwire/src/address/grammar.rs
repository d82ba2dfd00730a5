//! The grammar of mailboxes, domains and paths in nom, on text that is known to be UTF-8 (RFC 6531 §3.3).

use std::net::IpAddr;

use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, tag_no_case, take_while1};
use nom::character::complete::{char, satisfy};
use nom::combinator::{map, map_res, opt, recognize, value, verify};
use nom::error::{Error, ErrorKind};
use nom::multi::{fold_many0, separated_list1};
use nom::sequence::{delimited, preceded, separated_pair, terminated};
use nom::{IResult, Parser};

use super::{
    DOMAIN_OCTETS_MAX, Domain, ForwardPath, LOCAL_PART_OCTETS_MAX, LocalPart, Mailbox, PATH_OCTETS_MAX,
    ReversePath,
};

/// Most octets of a label (RFC 1035 §2.3.4). A U-label is measured as an A-label there, which is not known here.
const LABEL_OCTETS_MAX: usize = 63;

/// `atext` of RFC 5322 §3.2.3, with `UTF8-non-ascii` (RFC 6531 §3.3).
pub(super) fn is_atext(character: char) -> bool {
    matches!(character,
        'a'..='z' | 'A'..='Z' | '0'..='9'
        | '!' | '#' | '$' | '%' | '&' | '\'' | '*' | '+' | '-' | '/' | '=' | '?' | '^' | '_' | '`' | '{' | '|' | '}' | '~')
        || is_utf8_non_ascii(character)
}

/// `UTF8-non-ascii`, RFC 6531 §3.3, without the C1 controls, which no address needs.
pub(super) fn is_utf8_non_ascii(character: char) -> bool {
    !character.is_ascii() && !character.is_control()
}

/// Fails for good where more than `octets_max` octets are used, so that one can tell too long from wrong.
fn within<'a, O>(
    octets_max: usize,
    mut parser: impl Parser<&'a str, Output = O, Error = Error<&'a str>>,
) -> impl FnMut(&'a str) -> IResult<&'a str, O> {
    move |input| {
        let (rest, output) = parser.parse(input)?;
        if input.len() - rest.len() > octets_max {
            return Err(nom::Err::Failure(Error::new(input, ErrorKind::TooLarge)));
        }
        Ok((rest, output))
    }
}

/// `Reverse-path = Path / "<>"`, RFC 5321 §4.1.2.
pub(crate) fn reverse_path(input: &str) -> IResult<&str, ReversePath> {
    alt((value(ReversePath::Null, tag("<>")), map(path, ReversePath::Mailbox))).parse(input)
}

/// `"<Postmaster>" / Forward-path`, RFC 5321 §4.1.1.3; `postmaster` in any case (§4.5.1).
pub(crate) fn forward_path(input: &str) -> IResult<&str, ForwardPath> {
    alt((value(ForwardPath::Postmaster, tag_no_case("<postmaster>")), map(path, ForwardPath::Mailbox)))
        .parse(input)
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`, RFC 5321 §4.1.2; the source route is ignored (RFC 5321 §3.6.1, §F.2).
fn path(input: &str) -> IResult<&str, Mailbox> {
    delimited(char('<'), preceded(opt(terminated(a_d_l, char(':'))), mailbox), char('>')).parse(input)
}

/// `A-d-l = At-domain *( "," At-domain )`, `At-domain = "@" Domain`, RFC 5321 §4.1.2.
fn a_d_l(input: &str) -> IResult<&str, &str> {
    recognize(separated_list1(char(','), preceded(char('@'), domain))).parse(input)
}

/// `Mailbox = Local-part "@" ( Domain / address-literal )`, RFC 5321 §4.1.2.
pub(crate) fn mailbox(input: &str) -> IResult<&str, Mailbox> {
    let parts = separated_pair(local_part, char('@'), domain_or_address_literal);
    let mailbox = map(parts, |(local_part, domain)| Mailbox { local_part, domain });
    // RFC 5321 §4.5.3.1.3: the limit of a path counts its brackets.
    let octets_max = PATH_OCTETS_MAX - "<>".len();
    let (rest, mailbox) = within(octets_max, mailbox)(input)?;
    // In lower case the domain may be longer than it came.
    if mailbox.needs_smtputf8() && mailbox.text().len() > octets_max {
        return Err(nom::Err::Failure(Error::new(input, ErrorKind::TooLarge)));
    }
    Ok((rest, mailbox))
}

/// `Local-part = Dot-string / Quoted-string`, RFC 5321 §4.1.2.
fn local_part(input: &str) -> IResult<&str, LocalPart> {
    let forms = alt((map(dot_string, str::to_owned), quoted_string));
    within(LOCAL_PART_OCTETS_MAX, map(forms, LocalPart))(input)
}

/// `Dot-string = Atom *("." Atom)`, RFC 5321 §4.1.2.
fn dot_string(input: &str) -> IResult<&str, &str> {
    recognize(separated_list1(char('.'), atom)).parse(input)
}

/// `Atom = 1*atext`, RFC 5321 §4.1.2.
fn atom(input: &str) -> IResult<&str, &str> {
    take_while1(is_atext).parse(input)
}

/// `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`, RFC 5321 §4.1.2; gives what it means.
fn quoted_string(input: &str) -> IResult<&str, String> {
    let content = fold_many0(qcontent_smtp, String::new, |mut text, character| {
        text.push(character);
        text
    });
    delimited(char('"'), content, char('"')).parse(input)
}

/// `QcontentSMTP = qtextSMTP / quoted-pairSMTP`, RFC 5321 §4.1.2.
fn qcontent_smtp(input: &str) -> IResult<&str, char> {
    alt((satisfy(is_qtext_smtp), quoted_pair_smtp)).parse(input)
}

/// `qtextSMTP = %d32-33 / %d35-91 / %d93-126`, RFC 5321 §4.1.2, with `UTF8-non-ascii` (RFC 6531 §3.3).
fn is_qtext_smtp(character: char) -> bool {
    matches!(character, ' '..='!' | '#'..='[' | ']'..='~') || is_utf8_non_ascii(character)
}

/// `quoted-pairSMTP = %d92 %d32-126`, RFC 5321 §4.1.2.
fn quoted_pair_smtp(input: &str) -> IResult<&str, char> {
    preceded(char('\\'), satisfy(|character| matches!(character, ' '..='~'))).parse(input)
}

/// `( Domain / address-literal )`, RFC 5321 §4.1.1.1.
pub(crate) fn domain_or_address_literal(input: &str) -> IResult<&str, Domain> {
    alt((map(domain, Domain::Name), map(address_literal, Domain::Address))).parse(input)
}

/// `Domain = sub-domain *("." sub-domain)`, RFC 5321 §4.1.2, in lower case. Its length counts in this form, in which it is
/// kept and sent: some letters get longer, and some become ASCII.
fn domain(input: &str) -> IResult<&str, String> {
    let (rest, name) = recognize(separated_list1(char('.'), sub_domain)).parse(input)?;
    let name = name.to_lowercase();
    let is_too_long = |label: &str| label.is_ascii() && label.len() > LABEL_OCTETS_MAX;
    if name.len() > DOMAIN_OCTETS_MAX || name.split('.').any(is_too_long) {
        return Err(nom::Err::Failure(Error::new(input, ErrorKind::TooLarge)));
    }
    Ok((rest, name))
}

/// `sub-domain = Let-dig [Ldh-str]`, RFC 5321 §4.1.2, or `U-label` (RFC 6531 §3.3).
fn sub_domain(input: &str) -> IResult<&str, &str> {
    verify(take_while1(is_label), |label: &str| !label.starts_with('-') && !label.ends_with('-')).parse(input)
}

/// `Let-dig / "-"`, or a character that may stand in a U-label: no blank, and none of the dots of RFC 3490 §3.1, which
/// some software takes for a label's end.
fn is_label(character: char) -> bool {
    let ascii = character.is_ascii_alphanumeric() || character == '-';
    let dot = matches!(character, '\u{3002}' | '\u{ff0e}' | '\u{ff61}');
    ascii || (is_utf8_non_ascii(character) && !character.is_whitespace() && !dot)
}

/// `address-literal = "[" ( IPv4-address-literal / IPv6-address-literal ) "]"`, RFC 5321 §4.1.3. No tag of a
/// `General-address-literal` has been registered.
fn address_literal(input: &str) -> IResult<&str, IpAddr> {
    delimited(char('['), alt((ipv6_address_literal, ipv4_address_literal)), char(']')).parse(input)
}

/// `IPv4-address-literal = Snum 3("."  Snum)`, RFC 5321 §4.1.3.
fn ipv4_address_literal(input: &str) -> IResult<&str, IpAddr> {
    map(map_res(is_not("]"), str::parse), IpAddr::V4).parse(input)
}

/// `IPv6-address-literal = "IPv6:" IPv6-addr`, RFC 5321 §4.1.3.
fn ipv6_address_literal(input: &str) -> IResult<&str, IpAddr> {
    preceded(tag_no_case("IPv6:"), map(map_res(is_not("]"), str::parse), IpAddr::V6)).parse(input)
}

//! The parameters of MAIL and RCPT: the grammar of each value, as its extension defines it.

use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take_while1};
use nom::character::complete::{char, digit1, one_of, satisfy};
use nom::combinator::{eof, map, map_res, opt, recognize, value, verify};
use nom::multi::{count, many0, separated_list1};
use nom::sequence::{preceded, separated_pair};
use nom::{IResult, Parser};

use super::{
    Body, ByMode, CommandError, DeliverBy, Hold, MailParameters, Notify, OriginalRecipient, RcptParameters,
    Return, xtext,
};
use crate::grammar::whole;

/// Most octets of `ENVID=`'s value as it is written (RFC 3461 §4.4).
const ENVID_OCTETS_MAX: usize = 100;
/// Most octets of a Message-ID that stands in its place.
const MESSAGE_ID_OCTETS_MAX: usize = 250;
/// Most octets of `ORCPT=`'s value (RFC 3461 §4.2) and `AUTH=`'s (RFC 4954 §3) as they are written.
const ADDRESS_OCTETS_MAX: usize = 500;

/// One keyword, with its value where it has one.
pub(super) type EsmtpParam<'a> = (&'a str, Option<&'a str>);

/// `*( SP esmtp-param )`, RFC 5321 §4.1.2.
pub(super) fn esmtp_parameters(input: &str) -> IResult<&str, Vec<EsmtpParam<'_>>> {
    many0(preceded(char(' '), esmtp_param)).parse(input)
}

/// `esmtp-param = esmtp-keyword ["=" esmtp-value]`, RFC 5321 §4.1.2.
fn esmtp_param(input: &str) -> IResult<&str, EsmtpParam<'_>> {
    (esmtp_keyword, opt(preceded(char('='), esmtp_value))).parse(input)
}

/// `esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")`, RFC 5321 §4.1.2.
fn esmtp_keyword(input: &str) -> IResult<&str, &str> {
    let keyword = take_while1(|c: char| c.is_ascii_alphanumeric() || c == '-');
    verify(keyword, |keyword: &str| !keyword.starts_with('-')).parse(input)
}

/// `esmtp-value = 1*(%d33-60 / %d62-126)`, RFC 5321 §4.1.2, with `UTF8-non-ascii` (RFC 6531 §3.3).
fn esmtp_value(input: &str) -> IResult<&str, &str> {
    take_while1(|c: char| (c.is_ascii_graphic() && c != '=') || !c.is_ascii()).parse(input)
}

/// Puts a value where none was yet.
fn once<T>(place: &mut Option<T>, keyword: &'static str, value: Option<T>) -> Result<(), CommandError> {
    let value = value.ok_or(CommandError::ParameterValue { keyword })?;
    if place.replace(value).is_some() { Err(CommandError::ParameterTwice { keyword }) } else { Ok(()) }
}

/// Sets what a keyword without value says.
fn flag(place: &mut bool, keyword: &'static str, value: Option<&str>) -> Result<(), CommandError> {
    if value.is_some() {
        return Err(CommandError::ParameterValue { keyword });
    }
    if std::mem::replace(place, true) { Err(CommandError::ParameterTwice { keyword }) } else { Ok(()) }
}

/// A value that must be there and that one rule takes as a whole.
fn read<'a, O>(
    value: Option<&'a str>,
    rule: impl Parser<&'a str, Output = O, Error = nom::error::Error<&'a str>>,
) -> Option<O> {
    whole(value?, rule)
}

impl MailParameters {
    pub(super) fn from_esmtp(parameters: &[EsmtpParam<'_>]) -> Result<Self, CommandError> {
        let mut mail = Self::default();
        for &(keyword, value) in parameters {
            let keyword = keyword.to_ascii_uppercase();
            match keyword.as_str() {
                "SIZE" => once(&mut mail.size_octets, "SIZE", read(value, size_value))?,
                "BODY" => once(&mut mail.body, "BODY", read(value, body_value))?,
                "SMTPUTF8" => flag(&mut mail.smtputf8, "SMTPUTF8", value)?,
                "AUTH" => once(&mut mail.auth, "AUTH", Some(auth_value(value)?))?,
                "RET" => once(&mut mail.ret, "RET", read(value, ret_value))?,
                "ENVID" => once(&mut mail.envid, "ENVID", value.and_then(envid_value))?,
                // RFC 4865 §4.2: one of the two, once.
                "HOLDFOR" => once(&mut mail.hold, "HOLDFOR", read(value, future_release_interval))?,
                "HOLDUNTIL" => once(&mut mail.hold, "HOLDUNTIL", read(value, future_release_date_time))?,
                "BY" => once(&mut mail.by, "BY", read(value, by_value))?,
                "MT-PRIORITY" => once(&mut mail.mt_priority, "MT-PRIORITY", read(value, priority_value))?,
                "REQUIRETLS" => flag(&mut mail.requiretls, "REQUIRETLS", value)?,
                _ => mail.unknown.push(keyword),
            }
        }
        Ok(mail)
    }
}

impl RcptParameters {
    pub(super) fn from_esmtp(parameters: &[EsmtpParam<'_>]) -> Result<Self, CommandError> {
        let mut rcpt = Self::default();
        for &(keyword, value) in parameters {
            let keyword = keyword.to_ascii_uppercase();
            match keyword.as_str() {
                "NOTIFY" => once(&mut rcpt.notify, "NOTIFY", read(value, notify_esmtp_value))?,
                "ORCPT" => {
                    once(&mut rcpt.original_recipient, "ORCPT", value.and_then(original_recipient_address))?;
                }
                _ => rcpt.unknown.push(keyword),
            }
        }
        Ok(rcpt)
    }
}

/// `size-value ::= 1*20DIGIT`, RFC 1870 §3; checked, so that no large number becomes a small one.
fn size_value(input: &str) -> IResult<&str, u64> {
    map_res(verify(digit1, |digits: &str| digits.len() <= 20), str::parse).parse(input)
}

/// `body-value ::= "7BIT" / "8BITMIME"`, RFC 6152 §2, `/ "BINARYMIME"`, RFC 3030 §3.
fn body_value(input: &str) -> IResult<&str, Body> {
    alt((
        value(Body::SevenBit, tag_no_case("7BIT")),
        value(Body::EightBitMime, tag_no_case("8BITMIME")),
        value(Body::BinaryMime, tag_no_case("BINARYMIME")),
    ))
    .parse(input)
}

/// `AUTH=` with a mailbox in xtext, or `<>`, RFC 4954 §5.
fn auth_value(value: Option<&str>) -> Result<Option<String>, CommandError> {
    if value == Some("<>") {
        return Ok(None);
    }
    let mailbox = value.filter(|value| value.len() <= ADDRESS_OCTETS_MAX).and_then(xtext::decode);
    mailbox.map(Some).ok_or(CommandError::ParameterValue { keyword: "AUTH" })
}

/// `ret-value = "FULL" / "HDRS"`, RFC 3461 §4.3.
fn ret_value(input: &str) -> IResult<&str, Return> {
    alt((value(Return::Full, tag_no_case("FULL")), value(Return::Headers, tag_no_case("HDRS")))).parse(input)
}

/// `envid-parameter = "ENVID=" xtext`, RFC 3461 §4.4: printable ASCII.
fn envid_value(value: &str) -> Option<String> {
    let envid = if value.len() <= ENVID_OCTETS_MAX { xtext::decode(value) } else { None };
    envid.or_else(|| message_id_as_envid(value)).filter(|envid| envid.is_ascii())
}

/// Thunderbird sends its Message-ID as it is: a `+` in it begins no hexchar, and it may be longer than an ENVID.
fn message_id_as_envid(value: &str) -> Option<String> {
    let envid = xtext::decode(value).unwrap_or_else(|| value.to_owned());
    (envid.contains('@') && envid.len() <= MESSAGE_ID_OCTETS_MAX).then_some(envid)
}

/// `future-release-integer = %x31-39 *8DIGIT`, RFC 4865 §3.
fn future_release_interval(input: &str) -> IResult<&str, Hold> {
    let integer = verify(digit1, |digits: &str| digits.len() <= 9 && !digits.starts_with('0'));
    map(map_res(integer, str::parse), Hold::For).parse(input)
}

/// `1*9DIGIT`.
fn up_to_9_digits(input: &str) -> IResult<&str, u32> {
    map_res(verify(digit1, |digits: &str| digits.len() <= 9), str::parse).parse(input)
}

/// `future-release-date-time = date-time`, RFC 4865 §3 with erratum 2040.
fn future_release_date_time(input: &str) -> IResult<&str, Hold> {
    map(date_time, |text: &str| Hold::Until(text.to_ascii_uppercase())).parse(input)
}

/// `date-time = full-date "T" full-time`, RFC 3339 §5.6, which lets both letters be small ones.
fn date_time(input: &str) -> IResult<&str, &str> {
    let full_date = (number(4, 0..=9999), char('-'), number(2, 1..=12), char('-'), number(2, 1..=31));
    // A leap second is the 60th.
    let partial_time = (number(2, 0..=23), char(':'), number(2, 0..=59), char(':'), number(2, 0..=60));
    let time_secfrac = opt((char('.'), digit1));
    let time_numoffset = recognize((one_of("+-"), number(2, 0..=23), char(':'), number(2, 0..=59)));
    let time_offset = alt((tag_no_case("Z"), time_numoffset));
    recognize((full_date, tag_no_case("T"), partial_time, time_secfrac, time_offset)).parse(input)
}

/// Exactly `digits` digits, in a range.
fn number(digits: usize, range: std::ops::RangeInclusive<u16>) -> impl FnMut(&str) -> IResult<&str, u16> {
    move |input| {
        let exactly = recognize(count(satisfy(|c| c.is_ascii_digit()), digits));
        verify(map_res(exactly, str::parse), |number| range.contains(number)).parse(input)
    }
}

/// `by-value = by-time ";" by-mode [by-trace]`, RFC 2852 §4.
fn by_value(input: &str) -> IResult<&str, DeliverBy> {
    let by_mode = alt((value(ByMode::Return, tag_no_case("R")), value(ByMode::Notify, tag_no_case("N"))));
    let by_trace = map(opt(tag_no_case("T")), |trace| trace.is_some());
    let by = separated_pair(by_time, char(';'), (by_mode, by_trace));
    let by = map(by, |(seconds, (mode, trace))| DeliverBy { seconds, mode, trace });
    // RFC 2852 §4: a message cannot be returned before now.
    verify(by, |by| match by.mode {
        ByMode::Return => by.seconds > 0,
        ByMode::Notify => true,
    })
    .parse(input)
}

/// `by-time = ["-" / "+"] 1*9digit`, RFC 2852 §4.
fn by_time(input: &str) -> IResult<&str, i32> {
    let sign = map(opt(one_of("+-")), |sign| if sign == Some('-') { -1 } else { 1 });
    map((sign, map_res(up_to_9_digits, i32::try_from)), |(sign, seconds): (i32, i32)| sign * seconds)
        .parse(input)
}

/// `priority-value = (["-"] NZDIGIT) / "0"`, RFC 6710 §7.
fn priority_value(input: &str) -> IResult<&str, i8> {
    let nzdigit = recognize((opt(char('-')), one_of("123456789")));
    map_res(alt((nzdigit, tag("0"))), str::parse).parse(input)
}

/// `notify-esmtp-value = "NEVER" / 1#notify-list-element`, RFC 3461 §4.1.
fn notify_esmtp_value(input: &str) -> IResult<&str, Notify> {
    let never = value(Notify::Never, (tag_no_case("NEVER"), eof));
    let on = map(separated_list1(char(','), notify_list_element), |elements| Notify::On {
        success: elements.contains(&Event::Success),
        failure: elements.contains(&Event::Failure),
        delay: elements.contains(&Event::Delay),
    });
    alt((never, on)).parse(input)
}

#[derive(Clone, Copy, PartialEq)]
enum Event {
    Success,
    Failure,
    Delay,
}

/// `notify-list-element = "SUCCESS" / "FAILURE" / "DELAY"`, RFC 3461 §4.1.
fn notify_list_element(input: &str) -> IResult<&str, Event> {
    alt((
        value(Event::Success, tag_no_case("SUCCESS")),
        value(Event::Failure, tag_no_case("FAILURE")),
        value(Event::Delay, tag_no_case("DELAY")),
    ))
    .parse(input)
}

/// `original-recipient-address = addr-type ";" xtext`, RFC 3461 §4.2; the type `utf-8` has its own form (RFC 6533 §3).
fn original_recipient_address(value: &str) -> Option<OriginalRecipient> {
    let (address_type, address) = value.split_once(';').filter(|_| value.len() <= ADDRESS_OCTETS_MAX)?;
    let address_type = whole(address_type, addr_type)?;
    let address = match address_type.as_str() {
        "utf-8" => xtext::decode_utf8_address(address)?,
        _ => xtext::decode(address).filter(|address| address.is_ascii())?,
    };
    Some(OriginalRecipient { address_type, address })
}

/// `addr-type = atom`, RFC 3461 §4.2.
fn addr_type(input: &str) -> IResult<&str, String> {
    let atom = take_while1(|c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/?^_`{|}~".contains(c));
    map(atom, str::to_ascii_lowercase).parse(input)
}

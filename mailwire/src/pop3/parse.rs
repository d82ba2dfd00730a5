//! The grammar of a command line in nom: the keyword first, then that keyword's arguments.

use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, take_while_m_n};
use nom::character::complete::{char, digit1};
use nom::combinator::{map_res, opt, recognize};
use nom::error::Error;
use nom::multi::many0_count;
use nom::sequence::{preceded, separated_pair};
use nom::{IResult, Parser};

use super::{Command, MessageNumber};
use crate::grammar::{initial_response, sasl_mech, text, whole};
use crate::secret::Secret;

/// Why a line is not a command.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum CommandError {
    /// No such keyword.
    #[error("the command is not known")]
    Unrecognised,
    /// The keyword is known, its arguments are wrong; says what is expected, as `RETR n`.
    #[error("wrong arguments, expected {expected}")]
    Arguments {
        /// The form that would have been right.
        expected: &'static str,
    },
    /// A message-number that cannot be one: 0, a sign, or over 2^32-1.
    #[error("that is not a message number")]
    MessageNumber,
}

/// Parses one line without its CRLF.
///
/// # Errors
/// See [`CommandError`].
pub fn parse(line: &[u8]) -> Result<Command, CommandError> {
    let mut parts = line.splitn(2, |octet| *octet == b' ');
    let keyword = parts.next().unwrap_or_default().to_ascii_uppercase();
    let arguments = parts.next();
    match keyword.as_slice() {
        b"USER" => user(arguments),
        b"PASS" => pass(arguments),
        b"APOP" => apop(arguments),
        b"AUTH" => auth(arguments),
        b"STAT" => alone(arguments, Command::Stat, "STAT"),
        b"LIST" => optional_number(arguments, "LIST [n]").map(Command::List),
        b"RETR" => number(arguments, "RETR n").map(Command::Retr),
        b"DELE" => number(arguments, "DELE n").map(Command::Dele),
        b"NOOP" => alone(arguments, Command::Noop, "NOOP"),
        b"RSET" => alone(arguments, Command::Rset, "RSET"),
        b"TOP" => top(arguments),
        b"UIDL" => optional_number(arguments, "UIDL [n]").map(Command::Uidl),
        b"QUIT" => alone(arguments, Command::Quit, "QUIT"),
        b"CAPA" => alone(arguments, Command::Capa, "CAPA"),
        b"STLS" => alone(arguments, Command::Stls, "STLS"),
        b"UTF8" => utf8(arguments),
        b"LANG" => lang(arguments),
        _ => Err(CommandError::Unrecognised),
    }
}

const fn wrong(expected: &'static str) -> CommandError {
    CommandError::Arguments { expected }
}

/// Arguments that one grammar rule takes as a whole.
fn by_rule<'a, O>(
    arguments: Option<&'a [u8]>,
    rule: impl Parser<&'a str, Output = O, Error = Error<&'a str>>,
    expected: &'static str,
) -> Result<O, CommandError> {
    text(arguments).and_then(|text| whole(text, rule)).ok_or(wrong(expected))
}

/// A command without arguments, RFC 1939 §5.
fn alone(
    arguments: Option<&[u8]>,
    command: Command,
    expected: &'static str,
) -> Result<Command, CommandError> {
    if arguments.is_none() { Ok(command) } else { Err(wrong(expected)) }
}

/// `USER name`, RFC 1939 §7: there is one argument, so blanks are part of the name.
fn user(arguments: Option<&[u8]>) -> Result<Command, CommandError> {
    let name = text(arguments).ok_or(wrong("USER name"))?;
    Ok(Command::User(name.to_owned()))
}

/// `PASS string`, RFC 1939 §7: there is one argument, so blanks are part of the password, and it may be empty.
fn pass(arguments: Option<&[u8]>) -> Result<Command, CommandError> {
    let password = match arguments {
        Some([]) => "",
        None | Some(_) => text(arguments).ok_or(wrong("PASS password"))?,
    };
    Ok(Command::Pass(Secret::new(password.to_owned())))
}

/// `APOP name digest`, RFC 1939 §7.
fn apop(arguments: Option<&[u8]>) -> Result<Command, CommandError> {
    let expected = "APOP name digest";
    let rule = separated_pair(is_not(" "), char(' '), is_not(" "));
    let (name, digest) = by_rule(arguments, rule, expected)?;
    Ok(Command::Apop(name.to_owned(), Secret::new(digest.to_owned())))
}

/// `"AUTH" SP sasl-mech [SP initial-response]`, RFC 5034 §6; alone it asks for the mechanisms, as old Outlook does.
fn auth(arguments: Option<&[u8]>) -> Result<Command, CommandError> {
    let expected = "AUTH [mechanism [initial-response]]";
    if arguments.is_none() {
        return Ok(Command::AuthList);
    }
    let rule = (sasl_mech, opt(preceded(char(' '), initial_response)));
    let (mechanism, initial) = by_rule(arguments, rule, expected)?;
    Ok(Command::Auth { mechanism, initial: initial.map(|initial| Secret::new(initial.to_owned())) })
}

/// A message-number that must be there, RFC 1939 §5.
fn number(arguments: Option<&[u8]>, expected: &'static str) -> Result<MessageNumber, CommandError> {
    let arguments = arguments.ok_or(wrong(expected))?;
    if arguments.contains(&b' ') {
        return Err(wrong(expected));
    }
    message_number(arguments)
}

/// A message-number that may be missing, RFC 1939 §5 (LIST) and §7 (UIDL).
fn optional_number(
    arguments: Option<&[u8]>,
    expected: &'static str,
) -> Result<Option<MessageNumber>, CommandError> {
    match arguments {
        None => Ok(None),
        Some(_) => number(arguments, expected).map(Some),
    }
}

/// Decimal digits for 1 to 2^32-1, RFC 1939 §3. Leading zeros change nothing.
fn message_number(argument: &[u8]) -> Result<MessageNumber, CommandError> {
    let number = text(Some(argument)).and_then(|text| whole(text, map_res(digit1, str::parse)));
    number.map(MessageNumber::new).ok_or(CommandError::MessageNumber)
}

/// `TOP msg n`, RFC 1939 §7: both are required. More lines than can be counted are all lines.
fn top(arguments: Option<&[u8]>) -> Result<Command, CommandError> {
    let expected = "TOP n lines";
    let rule = separated_pair(is_not(" "), char(' '), digit1);
    let (number, lines) = by_rule(arguments, rule, expected)?;
    Ok(Command::Top(message_number(number.as_bytes())?, lines.parse().unwrap_or(u64::MAX)))
}

/// `UTF8 [USER]`, RFC 6856 §2.
fn utf8(arguments: Option<&[u8]>) -> Result<Command, CommandError> {
    match arguments {
        None => Ok(Command::Utf8 { user: false }),
        Some(argument) if argument.eq_ignore_ascii_case(b"USER") => Ok(Command::Utf8 { user: true }),
        Some(_) => Err(wrong("UTF8 [USER]")),
    }
}

/// `LANG [language-range]`, RFC 6856 §3.2.
fn lang(arguments: Option<&[u8]>) -> Result<Command, CommandError> {
    if arguments.is_none() {
        return Ok(Command::Lang(None));
    }
    let range = by_rule(arguments, language_range, "LANG [language]")?;
    Ok(Command::Lang(Some(range.to_owned())))
}

/// `language-range = (1*8ALPHA *("-" 1*8alphanum)) / "*"`, RFC 4647 §2.1: a basic one.
fn language_range(input: &str) -> IResult<&str, &str> {
    let primary = take_while_m_n(1, 8, |c: char| c.is_ascii_alphabetic());
    let subtag = take_while_m_n(1, 8, |c: char| c.is_ascii_alphanumeric());
    let subtags = many0_count(preceded(char('-'), subtag));
    alt((tag("*"), recognize((primary, subtags)))).parse(input)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    fn retr(number: u32) -> Command {
        Command::Retr(MessageNumber::new(NonZeroU32::new(number).unwrap()))
    }

    #[test]
    fn keywords_are_taken_in_any_case() {
        assert_eq!(parse(b"sTaT"), Ok(Command::Stat));
        assert_eq!(parse(b"utf8 user"), Ok(Command::Utf8 { user: true }));
    }

    #[test]
    fn only_a_number_from_1_to_the_greatest_is_a_message_number() {
        assert_eq!(parse(b"RETR 1"), Ok(retr(1)));
        assert_eq!(parse(b"RETR 007"), Ok(retr(7)));
        assert_eq!(parse(b"RETR 4294967295"), Ok(retr(u32::MAX)));
        for wrong in
            ["0", "00", "-1", "+1", "4294967296", "18446744073709551617", "", "x", "1x", "1\0", "\u{661}"]
        {
            for keyword in ["RETR", "DELE", "LIST", "UIDL"] {
                let line = format!("{keyword} {wrong}");
                assert_eq!(parse(line.as_bytes()), Err(CommandError::MessageNumber), "{line:?}");
            }
        }
    }

    #[test]
    fn a_password_is_everything_after_the_first_space() {
        let pass = |password: &str| Ok(Command::Pass(Secret::new(password.to_owned())));
        assert_eq!(parse(b"PASS  a b "), pass(" a b "));
        assert_eq!(parse(b"PASS "), pass(""));
        assert!(matches!(parse(b"PASS"), Err(CommandError::Arguments { .. })));
        assert!(matches!(parse(b"PASS a\0b"), Err(CommandError::Arguments { .. })));
    }

    #[test]
    fn top_needs_both_numbers_and_takes_any_count() {
        let number = MessageNumber::new(NonZeroU32::MIN);
        assert_eq!(parse(b"TOP 1 0"), Ok(Command::Top(number, 0)));
        assert_eq!(parse(b"TOP 1 99999999999999999999999"), Ok(Command::Top(number, u64::MAX)));
        assert_eq!(parse(b"TOP 0 1"), Err(CommandError::MessageNumber));
        for wrong in ["TOP", "TOP 1", "TOP 1 ", "TOP 1 -1", "TOP 1 +1", "TOP 1  1", "TOP 1 1 1", "TOP 1 1 "] {
            assert!(matches!(parse(wrong.as_bytes()), Err(CommandError::Arguments { .. })), "{wrong:?}");
        }
    }

    #[test]
    fn what_needs_an_argument_or_takes_none_says_so() {
        for wrong in [
            "USER",
            "USER ",
            "RETR",
            "DELE",
            "APOP a",
            "APOP a b c",
            "STAT 1",
            "STAT ",
            "NOOP x",
            "RSET x",
            "QUIT x",
            "CAPA x",
            "STLS x",
            "LIST 1 2",
            "UIDL 1 ",
            "AUTH ",
            "AUTH PLAIN ",
            "AUTH PLAIN a b",
            "UTF8 x",
            "LANG ",
            "LANG a b",
            "LANG *-CH",
            "LANG de-",
            "LANG de--CH",
            "LANG 1",
            "LANG ninesigns",
        ] {
            assert!(matches!(parse(wrong.as_bytes()), Err(CommandError::Arguments { .. })), "{wrong:?}");
        }
    }

    #[test]
    fn bare_auth_asks_for_the_mechanisms() {
        assert_eq!(parse(b"AUTH"), Ok(Command::AuthList));
        let mechanism = "PLAIN".to_owned();
        assert_eq!(parse(b"auth plain"), Ok(Command::Auth { mechanism, initial: None }));
    }

    #[test]
    fn an_unknown_or_empty_line_is_not_recognised() {
        for line in ["", " ", " STAT", "STATX", "XTND", "STAT\r", "STAT\n", "STAT\0", "EHLO a"] {
            assert_eq!(parse(line.as_bytes()), Err(CommandError::Unrecognised), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn what_holds_a_nul_or_a_line_end_is_never_a_command(
            keyword in "(USER|PASS|APOP a|AUTH PLAIN|RETR|TOP 1|LANG) ",
            text in "[!-~]{0,9}[\0\r\n][!-~]{0,9}",
        ) {
            prop_assert!(parse((keyword + &text).as_bytes()).is_err());
        }

        #[test]
        fn any_line_is_answered(line in any::<Vec<u8>>()) {
            let _ = parse(&line);
        }
    }
}

//! The grammar of a command line in nom: the verb first, then that verb's arguments.

use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, tag_no_case};
use nom::character::complete::{digit1, space0};
use nom::combinator::{eof, map, map_res, opt, peek, verify};
use nom::error::Error;
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};
use thiserror::Error;

use super::parameters::esmtp_parameters;
use super::{Command, Hello, MailParameters, RcptParameters};
use crate::address::{DOMAIN_OCTETS_MAX, ForwardPath, Mailbox, ReversePath, grammar};
use crate::grammar::{initial_response, sasl_mech, text, whole};
use crate::secret::Secret;

/// Why a line is not a command; the session turns it into a reply.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CommandError {
    /// No such verb: 500 (RFC 5321 §4.2.4).
    #[error("the command is not known")]
    Unrecognised,
    /// The verb is known, its arguments are wrong: 501. Says what is expected, as `MAIL FROM:<address>`.
    #[error("wrong arguments, expected {expected}")]
    Arguments {
        /// The form that would have been right.
        expected: &'static str,
    },
    /// BDAT with wrong arguments: 501, and nothing tells how many octets of content follow (RFC 3030 §2).
    #[error("the size of the chunk cannot be read")]
    Chunk,
    /// A bad reverse-path: 501 5.1.7.
    #[error("the sender's address is not valid")]
    ReversePath,
    /// A bad forward-path: 501 5.1.3.
    #[error("the recipient's address is not valid")]
    ForwardPath,
    /// The value of a known parameter is wrong: 501 5.5.4.
    #[error("the value of {keyword} is not valid")]
    ParameterValue {
        /// Which parameter.
        keyword: &'static str,
    },
    /// A parameter is given twice: 501 5.5.4.
    #[error("{keyword} is given twice")]
    ParameterTwice {
        /// Which parameter.
        keyword: &'static str,
    },
}

/// Parses one line without its CRLF.
///
/// # Errors
/// See [`CommandError`].
pub fn parse(line: &[u8]) -> Result<Command, CommandError> {
    let line = without_trailing_white_space(line);
    let mut parts = line.splitn(2, |octet| *octet == b' ');
    let verb = parts.next().unwrap_or_default().to_ascii_uppercase();
    let arguments = parts.next();
    match verb.as_slice() {
        b"EHLO" => hello(arguments, "EHLO hostname").map(Command::Ehlo),
        b"HELO" => hello(arguments, "HELO hostname").map(Command::Helo),
        b"LHLO" => hello(arguments, "LHLO hostname").map(Command::Lhlo),
        b"MAIL" => mail(arguments),
        b"RCPT" => rcpt(arguments),
        b"DATA" => alone(arguments, Command::Data, "DATA"),
        b"BDAT" => text(arguments).and_then(|text| whole(text, bdat)).ok_or(CommandError::Chunk),
        b"RSET" => alone(arguments, Command::Rset, "RSET"),
        b"VRFY" => query(arguments, "VRFY name").map(Command::Vrfy),
        b"EXPN" => query(arguments, "EXPN name").map(Command::Expn),
        b"HELP" => optional_text(arguments, "HELP [command]").map(Command::Help),
        b"NOOP" => optional_text(arguments, "NOOP").map(|_| Command::Noop),
        b"QUIT" => alone(arguments, Command::Quit, "QUIT"),
        b"STARTTLS" => alone(arguments, Command::StartTls, "STARTTLS"),
        b"AUTH" => by_rule(arguments, auth, AUTH),
        _ => Err(CommandError::Unrecognised),
    }
}

const MAIL: &str = "MAIL FROM:<address>";
const RCPT: &str = "RCPT TO:<address>";
const AUTH: &str = "AUTH mechanism [initial-response]";

/// RFC 5321 §4.1.1: white space before the CRLF of any command SHOULD be tolerated (people at a keyboard, and
/// scripts that end each line with a blank, send it).
fn without_trailing_white_space(mut line: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    line
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

/// A command without arguments (RFC 5321 §4.1.1.4 and others: an argument is a syntax error).
fn alone(
    arguments: Option<&[u8]>,
    command: Command,
    expected: &'static str,
) -> Result<Command, CommandError> {
    if arguments.is_none() { Ok(command) } else { Err(wrong(expected)) }
}

/// `[ SP String ]`, RFC 5321 §4.1.1.8 and §4.1.1.9; the text needs no form, since nobody reads it.
fn optional_text(arguments: Option<&[u8]>, expected: &'static str) -> Result<Option<String>, CommandError> {
    match arguments {
        None => Ok(None),
        Some(_) => Ok(Some(text(arguments).ok_or(wrong(expected))?.to_owned())),
    }
}

/// `SP String [ SP "SMTPUTF8" ]`, RFC 5321 §4.1.1.6, RFC 6531 §3.7.4.2.
fn query(arguments: Option<&[u8]>, expected: &'static str) -> Result<String, CommandError> {
    let text = text(arguments).ok_or(wrong(expected))?;
    let name = match text.rsplit_once(' ') {
        Some((name, keyword)) if keyword.eq_ignore_ascii_case("SMTPUTF8") => {
            name.trim_end_matches([' ', '\t'])
        }
        Some(_) | None => text,
    };
    if name.is_empty() { Err(wrong(expected)) } else { Ok(name.to_owned()) }
}

/// `SP ( Domain / address-literal )`, RFC 5321 §4.1.1.1, or another word.
fn hello(arguments: Option<&[u8]>, expected: &'static str) -> Result<Hello, CommandError> {
    let name = text(arguments).ok_or(wrong(expected))?;
    if let Some(domain) = whole(name, grammar::domain_or_address_literal) {
        return Ok(Hello::Domain(domain));
    }
    whole(name, word_as_name).map(|word| Hello::Other(word.to_owned())).ok_or(wrong(expected))
}

/// Windows machines call themselves by names with `_`, and appliances by anything (RFC 5321 §4.1.4: a wrong name alone
/// is no reason to refuse).
fn word_as_name(input: &str) -> IResult<&str, &str> {
    verify(is_not(" "), |word: &str| word.len() <= DOMAIN_OCTETS_MAX).parse(input)
}

/// `"MAIL FROM:" Reverse-path [SP Mail-parameters]`, RFC 5321 §4.1.1.2.
fn mail(arguments: Option<&[u8]>) -> Result<Command, CommandError> {
    let (input, _) = from(text(arguments).ok_or(wrong(MAIL))?).map_err(|_| wrong(MAIL))?;
    let bare = map(mailbox_without_brackets, ReversePath::Mailbox);
    let path = alt((grammar::reverse_path, bare)).parse(input);
    let (input, path) = path.map_err(|_| CommandError::ReversePath)?;
    let parameters = whole(input, esmtp_parameters).ok_or(wrong(MAIL))?;
    Ok(Command::Mail(path, Box::new(MailParameters::from_esmtp(&parameters)?)))
}

/// `"RCPT TO:" ( "<Postmaster>" / Forward-path ) [SP Rcpt-parameters]`, RFC 5321 §4.1.1.3.
fn rcpt(arguments: Option<&[u8]>) -> Result<Command, CommandError> {
    let (input, _) = to(text(arguments).ok_or(wrong(RCPT))?).map_err(|_| wrong(RCPT))?;
    let bare = map(mailbox_without_brackets, ForwardPath::Mailbox);
    let path = alt((grammar::forward_path, bare)).parse(input);
    let (input, path) = path.map_err(|_| CommandError::ForwardPath)?;
    let parameters = whole(input, esmtp_parameters).ok_or(wrong(RCPT))?;
    Ok(Command::Rcpt(path, Box::new(RcptParameters::from_esmtp(&parameters)?)))
}

/// `"FROM:"`, RFC 5321 §4.1.1.2.
fn from(input: &str) -> IResult<&str, &str> {
    terminated(tag_no_case("FROM:"), blanks_before_path).parse(input)
}

/// `"TO:"`, RFC 5321 §4.1.1.3.
fn to(input: &str) -> IResult<&str, &str> {
    terminated(tag_no_case("TO:"), blanks_before_path).parse(input)
}

/// Old Outlook and many scripts write `MAIL FROM: <a@b>` (RFC 5321 §3.3 forbids the blank).
fn blanks_before_path(input: &str) -> IResult<&str, &str> {
    space0(input)
}

/// Old Outlook and many scripts write `MAIL FROM:a@b`.
fn mailbox_without_brackets(input: &str) -> IResult<&str, Mailbox> {
    terminated(grammar::mailbox, peek(alt((eof, tag(" "))))).parse(input)
}

/// `bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ]`, RFC 3030 §2.
fn bdat(input: &str) -> IResult<&str, Command> {
    let last = map(opt(tag_no_case(" LAST")), |last| last.is_some());
    map((chunk_size, last), |(octets, last)| Command::Bdat { octets, last }).parse(input)
}

/// `chunk-size = 1*DIGIT`, RFC 3030 §2; checked, so that no large number becomes a small one.
fn chunk_size(input: &str) -> IResult<&str, u64> {
    map_res(digit1, str::parse).parse(input)
}

/// `"AUTH" SP sasl-mech [SP initial-response]`, RFC 4954 §8.
fn auth(input: &str) -> IResult<&str, Command> {
    let initial = opt(preceded(tag(" "), map(initial_response, |text: &str| Secret::new(text.to_owned()))));
    map((sasl_mech, initial), |(mechanism, initial)| Command::Auth { mechanism, initial }).parse(input)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::address::Domain;
    use crate::smtp::{Body, Hold, Notify};

    fn mail_parameters(parameters: &str) -> Result<MailParameters, CommandError> {
        let Command::Mail(_, mail) = parse(format!("MAIL FROM:<a@b.example> {parameters}").as_bytes())?
        else {
            panic!()
        };
        Ok(*mail)
    }

    fn rcpt_parameters(parameters: &str) -> Result<RcptParameters, CommandError> {
        let Command::Rcpt(_, rcpt) = parse(format!("RCPT TO:<a@b.example> {parameters}").as_bytes())? else {
            panic!()
        };
        Ok(*rcpt)
    }

    fn reverse_path(line: &str) -> Result<String, CommandError> {
        let Command::Mail(path, _) = parse(line.as_bytes())? else { panic!() };
        Ok(path.to_string())
    }

    fn forward_path(line: &str) -> Result<String, CommandError> {
        let Command::Rcpt(path, _) = parse(line.as_bytes())? else { panic!() };
        Ok(path.to_string())
    }

    #[test]
    fn verbs_and_keywords_are_taken_in_any_case() {
        assert_eq!(parse(b"qUiT"), Ok(Command::Quit));
        assert_eq!(reverse_path("mail from:<a@b> size=1 body=8bitmime"), Ok("<a@b>".to_owned()));
    }

    #[test]
    fn trailing_white_space_is_tolerated() {
        assert_eq!(parse(b"QUIT \t "), Ok(Command::Quit));
        assert_eq!(reverse_path("MAIL FROM:<a@b> "), Ok("<a@b>".to_owned()));
    }

    #[test]
    fn a_line_that_starts_with_no_verb_is_not_recognised() {
        for line in
            ["", " ", " QUIT", "FOO", "MAILFROM:<a@b>", "QUIT\tx", "QUIT\0", "QUIT\r", "QUIT\nQUIT", "\u{ff}"]
        {
            assert_eq!(parse(line.as_bytes()), Err(CommandError::Unrecognised), "{line:?}");
        }
    }

    #[test]
    fn arguments_that_are_missing_or_too_many_are_an_error_of_their_own() {
        for line in [
            "EHLO",
            "HELO",
            "LHLO",
            "EHLO a b",
            "MAIL",
            "MAIL <a@b>",
            "MAIL TO:<a@b>",
            "MAIL FROM:<a@b>x",
            "MAIL FROM:<a@b>  SIZE=1",
            "MAIL FROM:<a@b> SIZE==1",
            "MAIL FROM:<a@b> -X",
            "RCPT",
            "RCPT FROM:<a@b>",
            "DATA x",
            "RSET x",
            "QUIT x",
            "STARTTLS x",
            "VRFY",
            "EXPN",
            "AUTH",
            "AUTH ?",
            "AUTH PLAIN a b",
            "NOOP a\0",
            "HELP \u{1b}",
        ] {
            assert!(matches!(parse(line.as_bytes()), Err(CommandError::Arguments { .. })), "{line:?}");
        }
        assert!(matches!(parse(b"VRFY \xff"), Err(CommandError::Arguments { .. })));
    }

    #[test]
    fn a_chunk_whose_size_cannot_be_read_is_told_apart() {
        for line in [
            "BDAT",
            "BDAT x",
            "BDAT -1",
            "BDAT +1",
            "BDAT 1 FIRST",
            "BDAT 1 LAST LAST",
            "BDAT  1",
            "BDAT 18446744073709551616",
        ] {
            assert_eq!(parse(line.as_bytes()), Err(CommandError::Chunk), "{line:?}");
        }
    }

    #[test]
    fn reverse_paths_are_taken_in_the_forms_that_clients_write() {
        for (line, path) in [
            ("MAIL FROM:<>", "<>"),
            ("MAIL FROM:<@a.example,@b.example:u@d.example>", "<u@d.example>"),
            ("MAIL FROM: <a@b>", "<a@b>"),
            ("MAIL FROM:a@b", "<a@b>"),
            ("MAIL FROM:a@b SIZE=1", "<a@b>"),
            ("MAIL FROM:<\"a b\"@[IPv6:::1]>", "<\"a b\"@[IPv6:::1]>"),
        ] {
            assert_eq!(reverse_path(line).as_deref(), Ok(path), "{line}");
        }
    }

    #[test]
    fn bad_paths_are_told_from_bad_arguments() {
        for path in [
            "",
            "<",
            "<a>",
            "<a@b",
            "a@b>",
            "< a@b>",
            "<a@b >",
            "<<a@b>>",
            "<postmaster>",
            "<@a:>",
            "<a@b\0>",
            "<a@b_c>",
            "a@b\u{e4}_",
            "<>x@y",
            "<a@b>@c>",
        ] {
            let found = reverse_path(&format!("MAIL FROM:{path}"));
            assert!(
                matches!(found, Err(CommandError::ReversePath | CommandError::Arguments { .. })),
                "{path:?}"
            );
        }
        assert_eq!(forward_path("RCPT TO:<>"), Err(CommandError::ForwardPath));
        assert_eq!(forward_path("RCPT TO:postmaster"), Err(CommandError::ForwardPath));
        let long = format!("RCPT TO:<{}@b>", "a".repeat(65));
        assert_eq!(forward_path(&long), Err(CommandError::ForwardPath));
    }

    #[test]
    fn postmaster_needs_no_domain_in_any_case() {
        assert_eq!(forward_path("RCPT TO:<postMASTER>").as_deref(), Ok("<Postmaster>"));
        assert_eq!(forward_path("RCPT TO:<postmaster@b>").as_deref(), Ok("<postmaster@b>"));
    }

    #[test]
    fn a_hello_name_may_be_any_word() {
        let other = |name: &str| Ok(Command::Ehlo(Hello::Other(name.to_owned())));
        assert_eq!(parse(b"EHLO PC_1"), other("PC_1"));
        assert_eq!(parse(b"EHLO [999.1.1.1]"), other("[999.1.1.1]"));
        let domain = Domain::parse("mail.example").unwrap();
        assert_eq!(parse(b"EHLO Mail.Example"), Ok(Command::Ehlo(Hello::Domain(domain))));
        let long_label = "a".repeat(64);
        assert_eq!(parse(format!("EHLO {long_label}").as_bytes()), other(&long_label));
        assert!(parse(format!("EHLO _{}", "a".repeat(254)).as_bytes()).is_ok());
        assert!(parse(format!("EHLO _{}", "a".repeat(255)).as_bytes()).is_err());
    }

    #[test]
    fn a_size_is_checked_and_not_wrapped() {
        assert_eq!(mail_parameters("SIZE=18446744073709551615").unwrap().size_octets, Some(u64::MAX));
        assert_eq!(mail_parameters("SIZE=00000000000000000001").unwrap().size_octets, Some(1));
        for wrong in [
            "SIZE",
            "SIZE=18446744073709551616",
            "SIZE=-1",
            "SIZE=+1",
            "SIZE=1k",
            "SIZE=000000000000000000001",
        ] {
            assert_eq!(
                mail_parameters(wrong),
                Err(CommandError::ParameterValue { keyword: "SIZE" }),
                "{wrong}"
            );
        }
    }

    #[test]
    fn the_value_of_each_parameter_follows_its_grammar() {
        for wrong in [
            "BODY",
            "BODY=9BIT",
            "SMTPUTF8=x",
            "RET=ALL",
            "ENVID",
            "ENVID=a+",
            "ENVID=+C3+A4",
            "AUTH",
            "AUTH=+0A",
            "HOLDFOR=-1",
            "HOLDFOR=0",
            "HOLDFOR=060",
            "HOLDFOR=1000000000",
            "HOLDUNTIL=tomorrow",
            "HOLDUNTIL=2030-13-01T00:00:00Z",
            "HOLDUNTIL=2030-01-01T00:00:00",
            "HOLDUNTIL=2030-01-01",
            "HOLDUNTIL=2030-01-01T12:00Z",
            "HOLDUNTIL=2030-01-01T12:00:00+0000",
            "BY=0;R",
            "BY=-1;R",
            "BY=1",
            "BY=1;X",
            "BY=1000000000;N",
            "MT-PRIORITY=10",
            "MT-PRIORITY=-0",
            "MT-PRIORITY=+1",
            "MT-PRIORITY=-10",
            "REQUIRETLS=yes",
        ] {
            assert!(matches!(mail_parameters(wrong), Err(CommandError::ParameterValue { .. })), "{wrong}");
        }
        for wrong in [
            "NOTIFY",
            "NOTIFY=NEVER,DELAY",
            "NOTIFY=SUCCESS,",
            "NOTIFY=X",
            "ORCPT=a@b",
            "ORCPT=;a",
            "ORCPT=rfc822;a+2",
        ] {
            assert!(matches!(rcpt_parameters(wrong), Err(CommandError::ParameterValue { .. })), "{wrong}");
        }
    }

    #[test]
    fn the_limits_of_rfc_3461_are_kept() {
        let is_value_error = |result| matches!(result, Err(CommandError::ParameterValue { .. }));
        assert!(mail_parameters(&format!("ENVID={}", "a".repeat(100))).is_ok());
        assert!(is_value_error(mail_parameters(&format!("ENVID={}", "a".repeat(101)))));
        assert!(rcpt_parameters(&format!("ORCPT=rfc822;{}", "a".repeat(493))).is_ok());
        assert!(rcpt_parameters(&format!("ORCPT=rfc822;{}", "a".repeat(494))).is_err());
    }

    #[test]
    fn parameters_mean_what_their_standards_say() {
        let mail = mail_parameters("BODY=8BITMIME AUTH=<> ENVID=QQ+3D1 HOLDFOR=60 XTRA=1 SMTPUTF8").unwrap();
        assert_eq!(mail.body, Some(Body::EightBitMime));
        assert_eq!(mail.auth, Some(None));
        assert_eq!(mail.envid.as_deref(), Some("QQ=1"));
        assert_eq!(mail.hold, Some(Hold::For(60.try_into().unwrap())));
        assert_eq!(mail.unknown, ["XTRA"]);
        assert!(mail.smtputf8);
        let rcpt = rcpt_parameters("NOTIFY=success,DELAY ORCPT=RFC822;a+2Bb@c.example").unwrap();
        assert_eq!(rcpt.notify, Some(Notify::On { success: true, failure: false, delay: true }));
        let original = rcpt.original_recipient.unwrap();
        assert_eq!((original.address_type.as_str(), original.address.as_str()), ("rfc822", "a+b@c.example"));
    }

    #[test]
    fn the_letters_of_a_date_have_no_case() {
        let noon = Some(Hold::Until("2030-01-01T12:00:00Z".to_owned()));
        for text in ["2030-01-01T12:00:00Z", "2030-01-01t12:00:00z"] {
            assert_eq!(mail_parameters(&format!("HOLDUNTIL={text}")).unwrap().hold, noon);
        }
    }

    #[test]
    fn a_parameter_stands_once() {
        for twice in ["SIZE=1 size=1", "SMTPUTF8 SMTPUTF8", "HOLDFOR=1 HOLDUNTIL=2030-01-01T00:00:00Z"] {
            assert!(matches!(mail_parameters(twice), Err(CommandError::ParameterTwice { .. })), "{twice}");
        }
    }

    #[test]
    fn a_query_loses_its_smtputf8() {
        assert_eq!(parse("VRFY jörg SMTPUTF8".as_bytes()), Ok(Command::Vrfy("jörg".to_owned())));
        assert_eq!(parse(b"VRFY SMTPUTF8"), Ok(Command::Vrfy("SMTPUTF8".to_owned())));
        assert_eq!(parse(b"VRFY a  SMTPUTF8"), Ok(Command::Vrfy("a".to_owned())));
        assert_eq!(parse(b"VRFY  SMTPUTF8"), Err(wrong("VRFY name")));
    }

    #[test]
    fn mechanisms_come_in_upper_case_and_responses_as_they_are() {
        let initial = Some(Secret::new("=".to_owned()));
        assert_eq!(parse(b"auth plain ="), Ok(Command::Auth { mechanism: "PLAIN".to_owned(), initial }));
    }

    proptest! {
        #[test]
        fn what_holds_a_nul_or_a_line_end_is_never_a_command(
            verb in "(EHLO|VRFY|HELP|NOOP|MAIL FROM:|RCPT TO:|MAIL FROM:<> ENVID=|AUTH PLAIN|BDAT) ?",
            text in "[!-~]{0,9}[\0\r\n][!-~]{1,9}",
        ) {
            prop_assert!(parse((verb + &text).as_bytes()).is_err());
        }

        #[test]
        fn any_line_is_answered(line in any::<Vec<u8>>()) {
            let _ = parse(&line);
        }
    }
}

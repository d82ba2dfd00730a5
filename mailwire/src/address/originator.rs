//! The one mailbox of an originator field (From, Sender, Resent-From, Resent-Sender; RFC 5322 §3.6.2), read strictly.
//!
//! Mail programs disagree about lists, groups, routes, comments and encoded-words in such a field, and so show different
//! senders of one message. Whoever has to know who a message claims to be from takes only what all of them read alike.

use nom::branch::alt;
use nom::bytes::complete::take_while1;
use nom::character::complete::{char, satisfy};
use nom::combinator::{all_consuming, map_opt, opt, recognize, verify};
use nom::error::{Error, ErrorKind};
use nom::multi::{many0_count, many1_count};
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};
use thiserror::Error;

use super::grammar::{is_atext, is_utf8_non_ascii, mailbox};
use super::{Mailbox, encoded_word};

/// Most octets of an originator field's body, line ends of its folding included.
pub const ORIGINATOR_OCTETS_MAX: usize = 4096;
/// Most comments that stand in one another.
const COMMENT_DEPTH_MAX: usize = 4;

/// Why an originator field names nobody for certain.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, PartialOrd, Ord)]
pub enum OriginatorError {
    /// None, a list (RFC 5322 §3.6.2), or a group (RFC 6854 §4).
    #[error("it does not hold exactly one address")]
    NotOne,
    /// Not of the form `Name <name@domain>` or `name@domain`, or of an obsolete form.
    #[error("it is not of the form Name <name@domain>")]
    Syntax,
    /// What stands beside the address could be read as an address as well.
    #[error("its name could be taken for an address")]
    Hidden,
    /// More than [`ORIGINATOR_OCTETS_MAX`].
    #[error("it is too long")]
    TooLong,
}

impl Mailbox {
    /// Reads the body of an originator field, folded or not.
    ///
    /// # Errors
    /// Where it is not exactly one mailbox, in a form that everybody reads alike.
    pub fn of_originator(body: &[u8]) -> Result<Self, OriginatorError> {
        if body.len() > ORIGINATOR_OCTETS_MAX {
            return Err(OriginatorError::TooLong);
        }
        let text = std::str::from_utf8(body).map_err(|_| OriginatorError::Syntax)?;
        let (_, mailbox) = all_consuming(originator).parse(text).map_err(|_| why_not(text))?;
        if encoded_word::any_hides_an_address(text) {
            return Err(OriginatorError::Hidden);
        }
        Ok(mailbox)
    }
}

/// What is wrong with text that is no originator.
fn why_not(text: &str) -> OriginatorError {
    let list = terminated(originator, char(',')).parse(text).is_ok();
    let group = preceded(opt(phrase), char(':')).parse(text).is_ok();
    let nobody = all_consuming(cfws).parse(text).is_ok();
    if list || group || nobody { OriginatorError::NotOne } else { OriginatorError::Syntax }
}

/// `mailbox = name-addr / addr-spec`, RFC 5322 §3.4.
fn originator(input: &str) -> IResult<&str, Mailbox> {
    delimited(cfws, alt((name_addr, addr_spec)), cfws).parse(input)
}

/// `name-addr = [display-name] angle-addr`, RFC 5322 §3.4.
fn name_addr(input: &str) -> IResult<&str, Mailbox> {
    preceded(opt(phrase), delimited(char('<'), addr_spec, char('>'))).parse(input)
}

/// `addr-spec = local-part "@" domain`, RFC 5322 §3.4.1, in the form of RFC 5321 §4.1.2: no comments, no folding. An
/// encoded-word in it (RFC 2047 §5 forbids it) is shown decoded by some programs.
fn addr_spec(input: &str) -> IResult<&str, Mailbox> {
    verify(mailbox, |mailbox: &Mailbox| !mailbox.local_part().as_str().contains("=?")).parse(input)
}

/// `phrase = 1*word / obs-phrase`, RFC 5322 §3.2.5, §4.1: dots are everywhere (`John Q. Public`).
fn phrase(input: &str) -> IResult<&str, &str> {
    let atoms = take_while1(|character| is_atext(character) || character == '.');
    recognize(many1_count(alt((atoms, quoted_string, blanks, comment)))).parse(input)
}

/// `quoted-string`, RFC 5322 §3.2.4, without the brackets that would make it look like an address.
fn quoted_string(input: &str) -> IResult<&str, &str> {
    let qtext = take_while1(|character| is_text(character) && !matches!(character, '"' | '\\' | '<' | '>'));
    recognize(delimited(char('"'), many0_count(alt((qtext, blanks, quoted_pair))), char('"'))).parse(input)
}

/// `quoted-pair = "\" (VCHAR / WSP)`, RFC 5322 §3.2.1.
fn quoted_pair(input: &str) -> IResult<&str, &str> {
    let quoted = satisfy(|character| matches!(character, ' '..='~') && !matches!(character, '<' | '>'));
    recognize(preceded(char('\\'), quoted)).parse(input)
}

/// `[CFWS]`, RFC 5322 §3.2.2.
fn cfws(input: &str) -> IResult<&str, &str> {
    recognize(many0_count(alt((blanks, comment)))).parse(input)
}

/// `FWS`, RFC 5322 §3.2.2: the line ends of a field's body are those of its folding.
fn blanks(input: &str) -> IResult<&str, &str> {
    take_while1(|character| matches!(character, ' ' | '\t' | '\r' | '\n')).parse(input)
}

/// `comment`, RFC 5322 §3.2.2, without signs of an address: some programs show it as the name, and some find addresses
/// in it.
fn comment(input: &str) -> IResult<&str, &str> {
    map_opt(take_comment, |(text, depth)| (depth <= COMMENT_DEPTH_MAX).then_some(text)).parse(input)
}

/// A comment, and how many comments stand in one another; counted, so that no nesting is too deep for the stack.
fn take_comment(input: &str) -> IResult<&str, (&str, usize)> {
    let (mut depth, mut depth_max, mut is_quoted) = (0_usize, 0, false);
    for (at, character) in input.char_indices() {
        match character {
            '<' | '>' | '@' => break,
            ' '..='~' if is_quoted => is_quoted = false,
            '(' => {
                depth += 1;
                depth_max = depth_max.max(depth);
            }
            _ if depth == 0 || is_quoted => break,
            ')' => depth -= 1,
            '\\' => is_quoted = true,
            ' ' | '\t' | '\r' | '\n' => {}
            _ if is_text(character) => {}
            _ => break,
        }
        if depth == 0
            && let Some((comment, rest)) = input.split_at_checked(at + character.len_utf8())
        {
            return Ok((rest, (comment, depth_max)));
        }
    }
    Err(nom::Err::Error(Error::new(input, ErrorKind::Verify)))
}

/// `VCHAR`, RFC 5234 §B.1, with `UTF8-non-ascii` (RFC 6532 §3.2).
fn is_text(character: char) -> bool {
    character.is_ascii_graphic() || is_utf8_non_ascii(character)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str) -> Result<String, OriginatorError> {
        Mailbox::of_originator(body.as_bytes()).map(|mailbox| mailbox.to_string())
    }

    #[test]
    fn one_mailbox_is_read_in_each_form_that_is_in_use() {
        for body in [
            " alice@example.test",
            "alice@example.test",
            " <alice@example.test>",
            " Alice <alice@example.test>",
            " Alice B. Carol <alice@example.test> ",
            " \"Carol, Alice\" <alice@example.test>",
            " \"A \\\"B\\\" C\" <alice@example.test>",
            " \"bob@example.test\" <alice@example.test>",
            " Al\u{ef}ce <alice@example.test>",
            " =?utf-8?Q?Al=C3=AFce?= <alice@example.test>",
            " =?UTF-8?B?QWzDr2Nl?= =?iso-8859-1*fr?q?_D=fcbois?= <alice@example.test>",
            " =?iso-2022-jp?B?GyRCSUhAXBsoQg==?= <alice@example.test>",
            "\r\n\tAlice\r\n <alice@example.test>\r\n",
            " alice@example.test (Alice (at work))",
            " (Alice) alice@example.test",
            " Alice (a\\)b) <alice@example.test> (c)",
            " \"alice\"@EXAMPLE.test",
            " A=?B <alice@example.test>",
        ] {
            assert_eq!(read(body).as_deref(), Ok("alice@example.test"), "{body:?}");
        }
    }

    #[test]
    fn none_several_and_groups_are_not_one() {
        for body in [
            "",
            " \r\n ",
            " (nobody)",
            " alice@example.test, bob@example.test",
            " Alice <alice@example.test>, Bob <bob@example.test>",
            " alice@example.test,",
            " friends: alice@example.test, bob@example.test;",
            " \"friends\":;",
            " :alice@example.test;",
        ] {
            assert_eq!(read(body), Err(OriginatorError::NotOne), "{body:?}");
        }
    }

    #[test]
    fn what_readers_disagree_about_is_refused() {
        for body in [
            " bob",
            " <>",
            " bob@example.test <alice@example.test>",
            " <alice@example.test> <bob@example.test>",
            " <alice@example.test> bob@example.test",
            " alice@example.test bob@example.test",
            " alice@example.test <bob@example.test>",
            " <@a.example,@b.example:alice@example.test>",
            " <alice@example.test",
            " alice@example.test>",
            " <<alice@example.test>>",
            " < alice@example.test >",
            " alice @ example.test",
            " alice(x)@example.test",
            " alice@(x)example.test",
            " \"<bob@example.test>\" <alice@example.test>",
            " \"\\<bob\" <alice@example.test>",
            " (bob@example.test) alice@example.test",
            " alice@example.test (<bob>)",
            " alice@example.test (",
            " (a)) alice@example.test",
            " \"Alice <alice@example.test>",
            " Alice; <alice@example.test>",
            " a\\lice@example.test",
            " alice@example.test\0",
            " \"a\0\" <alice@example.test>",
            " (a\\\u{7f}) alice@example.test",
            " A\u{1b}[1m <alice@example.test>",
            " alice@example.test.",
            " =?utf-8?q?bob=40example.test?=",
            " =?utf-8?q?bob?=@example.test",
            " alice+=?utf-8?q?bob?=@example.test",
            " <=?utf-8?q?alice=40example.test?=>",
        ] {
            assert_eq!(read(body), Err(OriginatorError::Syntax), "{body:?}");
        }
        assert_eq!(Mailbox::of_originator(b" Al\xefce <alice@example.test>"), Err(OriginatorError::Syntax));
    }

    #[test]
    fn encoded_words_hide_no_address() {
        for word in [
            "=?utf-8?q?bob=40example.test?=",
            "=?utf-8?Q?=3Cbob?=",
            "=?utf-8?q?a=00b?=",
            "=?utf-8?b?Ym9iQGV4YW1wbGUudGVzdA==?=",
            "=?utf-8?B?Ym9iQGV4YW1wbGUudGVzdA?=",
            "=?utf-8?B?Ym9i QGV4YW1wbGUudGVzdA==?=",
            "=?utf-8?B?Ym9!?=",
            "x=?utf-8*en?q?=0d=0a?=",
            "=?a?= =?utf-8?q?=40?=",
            "=?utf-8?q?=?utf-8?q?=40?=",
            "=?shift_jis?q?=82=a0=40?=",
            "=?gb2312?q?=b0=a1=40?=",
            "=?iso-2022-jp?q?=1b$B0!=1b(B=40?=",
            "=?utf-7?q?bob+AEA-example.test?=",
        ] {
            let quoted = format!("\"{word}\" <alice@example.test>");
            assert_eq!(read(&quoted), Err(OriginatorError::Hidden), "{word}");
        }
        for word in [
            "=?shift_jis?q?=83=40?=",
            "=?gb18030?q?=81=40?=",
            "=?iso-2022-jp?q?=1b$B0=40=1b(B?=",
            "=?utf-8?x?=40?=",
            "=?utf-8?q?=4?=",
            "=?utf-8?q?a",
        ] {
            let quoted = format!("\"{word}\" <alice@example.test>");
            assert_eq!(read(&quoted).as_deref(), Ok("alice@example.test"), "{word}");
        }
    }

    #[test]
    fn a_body_and_its_comments_have_limits() {
        let padded = |octets: usize| " ".repeat(octets - 18) + "alice@example.test";
        assert!(read(&padded(ORIGINATOR_OCTETS_MAX)).is_ok());
        assert_eq!(read(&padded(ORIGINATOR_OCTETS_MAX + 1)), Err(OriginatorError::TooLong));
        let nested = |depth: usize| format!("{}{}alice@example.test", "(".repeat(depth), ")".repeat(depth));
        assert!(read(&nested(COMMENT_DEPTH_MAX)).is_ok());
        assert_eq!(read(&nested(COMMENT_DEPTH_MAX + 1)), Err(OriginatorError::Syntax));
        assert_eq!(read(&nested(2000)), Err(OriginatorError::Syntax));
        assert_eq!(read(&format!("{}@b", "a".repeat(65))), Err(OriginatorError::Syntax));
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_the_only_address_in_it(body in "[ab@.<>(),:;\"\\\\ =?\r\n\t]{0,40}") {
            if let Ok(mailbox) = Mailbox::of_originator(body.as_bytes()) {
                let opened = body.matches('<').count();
                prop_assert!(opened <= 1 && opened == body.matches('>').count());
                prop_assert!(body.contains(&mailbox.domain().to_string()));
            }
        }

        #[test]
        fn any_octets_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Mailbox::of_originator(&body);
        }
    }
}

//! Every reply that this server gives: one function each, with its code, its enhanced code and where they come from.
//!
//! Mail programs show the texts to their users, so they say what is wrong and whose move it is, without the client's
//! own data. A failure of ours is never a 5yz.

pub(crate) mod checks;
mod content;
mod filing;
mod gate;
mod login;

use mailstore::{OverQuota, TooMuch};
use mailwire::address::Mailbox;
use mailwire::smtp::{CommandError, Enhanced, Extension, Reply};

pub(crate) use self::content::{
    bare_line_end, mail_loop, nul_in_header, signed_binary, too_many_parts, unclear_field,
};
pub(crate) use self::filing::{
    message_accepted, message_discarded, message_rejected, only_reports, too_late_for_reports,
};
pub(crate) use self::gate::{
    greylisted, listed, milter_refused, milter_sends_away, of_milter, scanner_put_off, taken_for_junk,
};
pub(crate) use self::login::{
    challenge, logged_in_already, login_accepted, login_cancelled, login_first, login_line_too_long,
    login_not_readable, login_put_off, login_refused, login_unavailable, mechanism_not_known, no_login_here,
    tls_and_login_first, tls_before_login, too_many_login_failures,
};
use crate::content::Field;

/// Said to a connection over a limit, before any session (RFC 5321 §3.1, §3.8; a greeting has no enhanced code).
pub(crate) const TOO_MANY_CONNECTIONS: &[u8] =
    b"421 Too many connections at the moment, please try again later\r\n";

/// The same as a reply.
pub(crate) fn too_many_connections() -> Reply {
    let text = TOO_MANY_CONNECTIONS.strip_prefix(b"421 ").and_then(|text| text.strip_suffix(b"\r\n"));
    Reply::plain(421, String::from_utf8_lossy(text.unwrap_or_default()).into_owned())
}

/// RFC 5321 §4.2: the greeting, without an enhanced code (RFC 2034 §4).
pub(crate) fn greeting(hostname: &str) -> Reply {
    Reply::plain(220, format!("{hostname} ESMTP mailstack ready"))
}

/// RFC 2033 §4.1: the greeting of LMTP, without an enhanced code (RFC 2034 §4).
pub(crate) fn lmtp_greeting(hostname: &str) -> Reply {
    Reply::plain(220, format!("{hostname} LMTP mailstack ready"))
}

/// RFC 5321 §4.1.1.1, HELO.
pub(crate) fn hello(hostname: &str) -> Reply {
    Reply::plain(250, hostname.to_owned())
}

/// RFC 5321 §4.1.1.1, EHLO.
pub(crate) fn extended_hello(hostname: &str, extensions: &[Extension]) -> Reply {
    extensions.iter().fold(hello(hostname), |reply, extension| reply.and(extension.to_string()))
}

/// RFC 5321 §4.1.1.10; RFC 3463 §3.1, X.0.0.
pub(crate) fn closing() -> Reply {
    Reply::new(221, Enhanced(2, 0, 0), "Goodbye")
}

/// RFC 5321 §4.1.1.5, §4.1.1.9; RFC 3463 §3.1, X.0.0.
pub(crate) fn done() -> Reply {
    Reply::new(250, Enhanced(2, 0, 0), "OK")
}

/// RFC 5321 §4.1.1.8; RFC 3463 §3.1, X.0.0.
pub(crate) fn help() -> Reply {
    Reply::new(214, Enhanced(2, 0, 0), "This is mailstack, which follows RFC 5321")
}

/// RFC 5321 §3.5.3, VRFY without telling anything; RFC 3463 §3.1, X.0.0.
pub(crate) fn cannot_verify() -> Reply {
    Reply::new(252, Enhanced(2, 0, 0), "Addresses are not verified here, but mail for them will be looked at")
}

/// RFC 3463 §3.2, X.1.0.
pub(crate) fn sender_accepted() -> Reply {
    Reply::new(250, Enhanced(2, 1, 0), "Sender OK")
}

/// RFC 3463 §3.2, X.1.5.
pub(crate) fn recipient_accepted() -> Reply {
    Reply::new(250, Enhanced(2, 1, 5), "Recipient OK")
}

/// RFC 5321 §4.1.1.4; no enhanced code in 3yz (RFC 2034 §4).
pub(crate) fn send_content() -> Reply {
    Reply::plain(354, "Send the message, end it with a line that holds a single dot")
}

/// RFC 3030 §2, a chunk that is not the last; RFC 3463 §3.1, X.0.0.
pub(crate) fn chunk_received(octets: u64) -> Reply {
    Reply::new(250, Enhanced(2, 0, 0), format!("{octets} octets received"))
}

/// RFC 3207 §4; RFC 3463 §3.1, X.0.0.
pub(crate) fn begin_tls() -> Reply {
    Reply::new(220, Enhanced(2, 0, 0), "Begin TLS now")
}

/// A line that is no command (RFC 5321 §4.2.4, §4.3.2); RFC 3463 §3.6, X.5.1 and X.5.4, §3.2, X.1.3 and X.1.7.
pub(crate) fn not_a_command(error: &CommandError) -> Reply {
    match error {
        CommandError::Unrecognised => unrecognised(),
        CommandError::Arguments { expected } => {
            Reply::new(501, Enhanced(5, 5, 4), format!("Wrong arguments, the form is: {expected}"))
        }
        CommandError::Chunk => {
            Reply::new(501, Enhanced(5, 5, 4), "Wrong arguments, the form is: BDAT octets [LAST]")
        }
        CommandError::ReversePath => {
            Reply::new(501, Enhanced(5, 1, 7), "The sender's address is not valid, please check it")
        }
        CommandError::ForwardPath => {
            Reply::new(501, Enhanced(5, 1, 3), "The recipient's address is not valid, please check it")
        }
        CommandError::ParameterValue { keyword } => parameter_value(keyword),
        CommandError::ParameterTwice { keyword } => {
            Reply::new(501, Enhanced(5, 5, 4), format!("{keyword} is given twice"))
        }
    }
}

/// RFC 5321 §4.2.4; RFC 3463 §3.6, X.5.1. LHLO belongs to LMTP, EHLO and HELO do not (RFC 2033 §4.1).
pub(crate) fn unrecognised() -> Reply {
    Reply::new(500, Enhanced(5, 5, 1), "Command not recognised")
}

/// RFC 5321 §4.5.3.1.9; RFC 3463 §3.6, X.5.2.
pub(crate) fn line_too_long() -> Reply {
    Reply::new(500, Enhanced(5, 5, 2), "Line too long")
}

/// EXPN, where it is not announced (RFC 5321 §3.5.2, §4.2.4); RFC 3463 §3.6, X.5.1.
pub(crate) fn not_implemented() -> Reply {
    Reply::new(502, Enhanced(5, 5, 1), "Command not implemented")
}

/// RFC 5321 §3.5.1, EXPN: a mailbox on each line; RFC 3463 §3.2, X.1.5.
pub(crate) fn expanded(targets: &[Mailbox]) -> Option<Reply> {
    let mut lines = targets.iter().map(|target| format!("<{target}>"));
    let first = Reply::new(250, Enhanced(2, 1, 5), lines.next()?);
    Some(lines.fold(first, Reply::and))
}

/// RFC 5321 §3.5.1, EXPN of what is no list; RFC 3463 §3.2, X.1.1.
pub(crate) fn no_such_alias() -> Reply {
    Reply::new(550, Enhanced(5, 1, 1), "There is no such alias here")
}

/// RFC 5321 §3.5.1, EXPN; RFC 3463 §3.3, X.2.4.
pub(crate) fn alias_too_long(targets_max: usize) -> Reply {
    Reply::new(
        550,
        Enhanced(5, 2, 4),
        format!("The alias has more than {targets_max} targets, too many to show"),
    )
}

/// RFC 5321 §4.1.4; RFC 3463 §3.6, X.5.1.
pub(crate) fn hello_first() -> Reply {
    Reply::new(503, Enhanced(5, 5, 1), "Say EHLO first")
}

/// RFC 2033 §4.1, RFC 5321 §4.1.4; RFC 3463 §3.6, X.5.1.
pub(crate) fn lhlo_first() -> Reply {
    Reply::new(503, Enhanced(5, 5, 1), "Say LHLO first")
}

/// RFC 5321 §4.1.4, a command within a transaction; RFC 3463 §3.6, X.5.1.
pub(crate) fn transaction_open() -> Reply {
    Reply::new(503, Enhanced(5, 5, 1), "Not now: a message is under way, end it or say RSET")
}

/// RFC 5321 §4.1.4; RFC 3463 §3.6, X.5.1.
pub(crate) fn sender_first() -> Reply {
    Reply::new(503, Enhanced(5, 5, 1), "Say MAIL first")
}

/// RFC 5321 §4.1.4; RFC 3463 §3.6, X.5.1.
pub(crate) fn recipient_first() -> Reply {
    Reply::new(503, Enhanced(5, 5, 1), "Say RCPT first")
}

/// RFC 5321 §3.3, all recipients were refused; RFC 3463 §3.6, X.5.1.
pub(crate) fn no_valid_recipients() -> Reply {
    Reply::new(554, Enhanced(5, 5, 1), "None of the recipients was accepted, please check their addresses")
}

/// RFC 3030 §2: BDAT has begun; RFC 3463 §3.6, X.5.1.
pub(crate) fn chunks_begun() -> Reply {
    Reply::new(503, Enhanced(5, 5, 1), "Not now: the message is coming by BDAT, go on with it or say RSET")
}

/// RFC 3030 §3: binary content by DATA; RFC 3463 §3.6, X.5.1.
pub(crate) fn chunks_only() -> Reply {
    Reply::new(503, Enhanced(5, 5, 1), "Not by DATA: a message with BODY=BINARYMIME comes by BDAT")
}

/// RFC 5321 §4.1.1.11: a parameter of an extension that is not announced; RFC 3463 §3.6, X.5.4.
pub(crate) fn parameter_not_announced(keyword: &'static str) -> Reply {
    Reply::new(555, Enhanced(5, 5, 4), format!("The parameter {keyword} is not supported here"))
}

/// RFC 5321 §4.1.1.11: a parameter that no standard names; RFC 3463 §3.6, X.5.4.
pub(crate) fn parameter_not_known() -> Reply {
    Reply::new(555, Enhanced(5, 5, 4), "One of the parameters is not known here")
}

/// The value of a parameter (RFC 5321 §4.1.1.11); RFC 3463 §3.6, X.5.4.
pub(crate) fn parameter_value(keyword: &'static str) -> Reply {
    Reply::new(501, Enhanced(5, 5, 4), format!("The value of {keyword} is not valid"))
}

/// RFC 4865 §4.2, beyond what was announced; RFC 3463 §3.6, X.5.4.
pub(crate) fn release_too_late(seconds_max: u32) -> Reply {
    Reply::new(
        501,
        Enhanced(5, 5, 4),
        format!("The message can be held for {seconds_max} seconds at most: choose an earlier time"),
    )
}

/// RFC 4865 §4.2, HOLDUNTIL; RFC 3463 §3.6, X.5.4.
pub(crate) fn release_has_passed() -> Reply {
    Reply::new(501, Enhanced(5, 5, 4), "The time until which the message shall be held has passed already")
}

/// RFC 2852 §3, less than was announced is a 55z, and §4, a valid BY that cannot be honoured; RFC 3463 §3.6, X.5.4.
pub(crate) fn deliver_by_too_soon(seconds_min: u32) -> Reply {
    Reply::new(
        555,
        Enhanced(5, 5, 4),
        format!("BY must leave at least {seconds_min} seconds for the delivery"),
    )
}

/// RFC 4865 §5.2.2: its time would be over before it may be delivered; RFC 3463 §3.6, X.5.4.
pub(crate) fn over_before_its_release() -> Reply {
    Reply::new(501, Enhanced(5, 5, 4), "The message shall be held for longer than BY leaves for its delivery")
}

/// RFC 3207 §4: TLS runs already; RFC 3463 §3.6, X.5.1.
pub(crate) fn tls_runs() -> Reply {
    Reply::new(503, Enhanced(5, 5, 1), "TLS is in use already")
}

/// RFC 3207 §4, 454; RFC 3463 §3.8, X.7.0.
pub(crate) fn tls_unavailable() -> Reply {
    Reply::new(454, Enhanced(4, 7, 0), "TLS is not available at the moment, please try again later")
}

/// RFC 5321 §3.8, §7.8; RFC 3463 §3.8, X.7.0.
pub(crate) fn too_many_errors() -> Reply {
    Reply::new(421, Enhanced(4, 7, 0), "Too many errors, please check what is sent and connect again")
}

/// RFC 5321 §3.8, §7.8; RFC 3463 §3.8, X.7.0.
pub(crate) fn too_many_commands() -> Reply {
    Reply::new(421, Enhanced(4, 7, 0), "Too many commands without a message, please connect again")
}

/// RFC 5321 §3.8; RFC 3463 §3.4, X.3.2.
pub(crate) fn shutting_down() -> Reply {
    Reply::new(421, Enhanced(4, 3, 2), "The server is being restarted, please try again in a moment")
}

/// RFC 5321 §4.5.3.2; RFC 3463 §3.5, X.4.2.
pub(crate) fn timed_out() -> Reply {
    Reply::new(421, Enhanced(4, 4, 2), "Nothing came for too long, please connect again")
}

/// RFC 6409 §6.1; RFC 3463 §3.8, X.7.1.
pub(crate) fn sender_not_yours() -> Reply {
    Reply::new(
        553,
        Enhanced(5, 7, 1),
        "You may not send as this address: use your own, or ask for the right (mailstack account grant)",
    )
}

/// RFC 6409 §6.1, for who the message itself claims to be from; RFC 3463 §3.8, X.7.1.
pub(crate) fn originator_not_yours(field: Field) -> Reply {
    Reply::new(
        550,
        Enhanced(5, 7, 1),
        format!(
            "You may not send as the address in {field}: use your own, or ask for the right (mailstack account grant)"
        ),
    )
}

/// RFC 5322 §3.6.2, in the form that all readers understand alike; RFC 3463 §3.7, X.6.0.
pub(crate) fn not_one_mailbox(field: Field) -> Reply {
    Reply::new(
        554,
        Enhanced(5, 6, 0),
        format!("{field} must hold one address and nothing else, as in {field}: Name <name@domain>"),
    )
}

/// RFC 2047 §5 keeps encoded-words out of addresses; RFC 3463 §3.8, X.7.1.
pub(crate) fn hidden_address(field: Field) -> Reply {
    Reply::new(
        550,
        Enhanced(5, 7, 1),
        format!("The name in {field} could be taken for an address: take @, < and > out of it"),
    )
}

/// RFC 5322 §3.6; RFC 3463 §3.7, X.6.0.
pub(crate) fn field_twice(field: Field) -> Reply {
    Reply::new(
        554,
        Enhanced(5, 6, 0),
        format!("The message has the field {field} twice: the program that sent it must be corrected"),
    )
}

/// RFC 5322 §2.2; RFC 3463 §3.7, X.6.0.
pub(crate) fn no_field() -> Reply {
    Reply::new(
        554,
        Enhanced(5, 6, 0),
        "The header has a line that is no field: perhaps the empty line before the text is missing",
    )
}

/// RFC 5322 §3.6.6; RFC 3463 §3.7, X.6.0.
pub(crate) fn too_many_originators() -> Reply {
    Reply::new(554, Enhanced(5, 6, 0), "The message has been resent too often: send it as an attachment")
}

/// RFC 6531 §3.5, MAIL; RFC 5248, X.6.7.
pub(crate) fn sender_needs_smtputf8() -> Reply {
    Reply::new(
        550,
        Enhanced(5, 6, 7),
        "The sender's address is not ASCII, for which your mail program must support SMTPUTF8",
    )
}

/// RFC 6531 §3.5, RCPT; RFC 5248, X.6.7.
pub(crate) fn recipient_needs_smtputf8() -> Reply {
    Reply::new(
        553,
        Enhanced(5, 6, 7),
        "The recipient's address is not ASCII, for which your mail program must support SMTPUTF8",
    )
}

/// RFC 1870 §6.1, §6.3; RFC 3463 §3.4, X.3.4.
pub(crate) fn too_big(octets_max: u64) -> Reply {
    let text =
        format!("The message is too big: at most {octets_max} octets are taken, please send a smaller one");
    Reply::new(552, Enhanced(5, 3, 4), text)
}

/// RFC 1870 §6.3, for binary content, which is stored as base64 (RFC 3030 §3); RFC 3463 §3.4, X.3.4.
pub(crate) fn too_big_encoded(octets_max: u64) -> Reply {
    let text = format!(
        "The message is too big in base64, as it is stored: send one of at most {octets_max} octets there"
    );
    Reply::new(552, Enhanced(5, 3, 4), text)
}

/// RFC 1870 §6.1: the domain of one recipient takes less than the server; RFC 3463 §3.4, X.3.4.
pub(crate) fn too_big_for_recipient(octets_max: u64) -> Reply {
    Reply::new(
        552,
        Enhanced(5, 3, 4),
        format!("The message is too big for this recipient: please send one of at most {octets_max} octets"),
    )
}

/// RFC 5321 §4.5.3.1.7: content, of which the header section is limited for itself; RFC 3463 §3.4, X.3.4.
pub(crate) fn header_too_big(octets_max: u64) -> Reply {
    let text = format!(
        "The header is too big, perhaps by many addresses in To and Cc: at most {octets_max} octets are taken"
    );
    Reply::new(552, Enhanced(5, 3, 4), text)
}

/// RFC 5321 §4.5.3.1.10; RFC 3463 §3.6, X.5.3.
pub(crate) fn too_many_recipients(recipients_max: usize) -> Reply {
    Reply::new(
        452,
        Enhanced(4, 5, 3),
        format!(
            "Too many recipients: send to at most {recipients_max} at once, and to the others afterwards"
        ),
    )
}

/// RFC 5321 §3.4; RFC 3463 §3.2, X.1.1.
pub(crate) fn no_such_mailbox() -> Reply {
    Reply::new(550, Enhanced(5, 1, 1), "There is no such mailbox here, please check the address")
}

/// RFC 5321 §3.6.2: mail of strangers for elsewhere; RFC 3463 §3.8, X.7.1.
pub(crate) fn relaying_denied() -> Reply {
    Reply::new(
        550,
        Enhanced(5, 7, 1),
        "Relaying denied, not a domain of this server: check the address, or use your own outgoing server",
    )
}

/// Mail of our users for elsewhere; RFC 3463 §3.8, X.7.1.
pub(crate) fn elsewhere_not_reached() -> Reply {
    Reply::new(
        550,
        Enhanced(5, 7, 1),
        "This server sends to its own domains only, not to others: please leave this recipient out",
    )
}

/// RFC 5321 §4.2.4, 452; RFC 3463 §3.4, X.3.1.
pub(crate) fn disk_full() -> Reply {
    Reply::new(452, Enhanced(4, 3, 1), "The server has no room for the message now, please try again later")
}

/// RFC 5321 §4.2.4, 452: no memory for more content now; RFC 3463 §3.4, X.3.1.
pub(crate) fn too_much_at_once() -> Reply {
    Reply::new(452, Enhanced(4, 3, 1), "Too many messages are coming in at the moment, please try again soon")
}

/// RFC 5321 §4.2.3: 452 and 552, a recipient's storage allocation; RFC 1870 §6.1; RFC 3463 §3.3, X.2.2. Which recipient
/// is meant where there are several, is not told: it is the business of that one.
pub(crate) fn over_quota(why: OverQuota) -> Reply {
    match why {
        OverQuota::Full => Reply::new(
            452,
            Enhanced(4, 2, 2),
            "The recipient's mailbox is full, please try again later or tell the recipient",
        ),
        OverQuota::TooLarge => Reply::new(
            552,
            Enhanced(5, 2, 2),
            "The message is larger than the recipient's mailbox may be, please send a smaller one",
        ),
    }
}

/// RFC 5321 §4.2.4, 451; RFC 3463 §3.4, X.3.0.
pub(crate) fn store_unavailable() -> Reply {
    Reply::new(451, Enhanced(4, 3, 0), "The server cannot take mail at the moment, please try again later")
}

/// RFC 5321 §4.3.2, 450 for reasons of policy; RFC 3463 §3.8, X.7.1.
pub(crate) fn sends_too_much(what: TooMuch) -> Reply {
    let what = match what {
        TooMuch::Messages => "messages",
        TooMuch::Recipients => "recipients",
    };
    Reply::new(450, Enhanced(4, 7, 1), format!("Too many {what} from you for now, please try again later"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::MimeField;

    #[test]
    fn the_enhanced_class_is_the_first_digit_of_the_code() {
        // RFC 2034 §4; a sample of each class, since every reply is written by hand.
        for reply in [
            closing(),
            done(),
            help(),
            cannot_verify(),
            sender_accepted(),
            recipient_accepted(),
            begin_tls(),
            login_accepted(),
            unrecognised(),
            line_too_long(),
            login_line_too_long(),
            not_implemented(),
            hello_first(),
            lhlo_first(),
            transaction_open(),
            sender_first(),
            recipient_first(),
            no_valid_recipients(),
            chunks_begun(),
            parameter_not_announced("X"),
            tls_runs(),
            tls_unavailable(),
            login_first(),
            tls_and_login_first(),
            tls_before_login(),
            no_login_here(),
            logged_in_already(),
            mechanism_not_known(),
            login_cancelled(),
            login_not_readable(),
            login_refused(),
            login_unavailable(),
            too_many_login_failures(),
            too_many_errors(),
            too_many_commands(),
            shutting_down(),
            timed_out(),
            sender_not_yours(),
            originator_not_yours(Field::ResentSender),
            not_one_mailbox(Field::ResentSender),
            hidden_address(Field::ResentSender),
            field_twice(Field::ResentSender),
            no_field(),
            too_many_originators(),
            too_big_for_recipient(1),
            header_too_big(1),
            sender_needs_smtputf8(),
            recipient_needs_smtputf8(),
            too_big(1),
            too_many_recipients(1),
            no_such_mailbox(),
            relaying_denied(),
            elsewhere_not_reached(),
            bare_line_end(),
            nul_in_header(),
            mail_loop(),
            disk_full(),
            too_much_at_once(),
            over_quota(OverQuota::Full),
            over_quota(OverQuota::TooLarge),
            store_unavailable(),
        ] {
            is_in_its_class(&reply);
        }
    }

    #[test]
    fn the_enhanced_class_is_that_of_the_code_for_parameters_aliases_and_binary_content_too() {
        for reply in [
            parameter_not_known(),
            parameter_value("MT-PRIORITY"),
            release_too_late(u32::MAX),
            release_has_passed(),
            deliver_by_too_soon(u32::MAX),
            over_before_its_release(),
            no_such_alias(),
            alias_too_long(100),
            chunks_only(),
            too_big_encoded(i32::MAX.unsigned_abs().into()),
            unclear_field(MimeField::ContentType),
            unclear_field(MimeField::TransferEncoding),
            too_many_parts(),
            signed_binary(),
        ] {
            is_in_its_class(&reply);
        }
    }

    #[test]
    fn what_a_user_is_shown_says_whose_move_it_is() {
        // Mail programs show these as they are; behind what is wrong stands what can be done about it.
        for reply in [
            login_first(),
            tls_and_login_first(),
            tls_unavailable(),
            sender_not_yours(),
            no_such_mailbox(),
            relaying_denied(),
            elsewhere_not_reached(),
            no_valid_recipients(),
            too_many_recipients(1),
            too_big(1),
            too_big_for_recipient(1),
            header_too_big(1),
            sender_needs_smtputf8(),
            recipient_needs_smtputf8(),
            field_twice(Field::From),
            originator_not_yours(Field::From),
            hidden_address(Field::From),
            too_many_originators(),
            no_field(),
            bare_line_end(),
            nul_in_header(),
            mail_loop(),
            over_quota(OverQuota::Full),
            over_quota(OverQuota::TooLarge),
            disk_full(),
            store_unavailable(),
            too_many_errors(),
            timed_out(),
            shutting_down(),
        ] {
            let text: String = reply.lines().collect();
            assert!(text.contains(", ") || text.contains(": "), "{text}");
        }
    }

    fn is_in_its_class(reply: &Reply) {
        let Enhanced(class, _, _) = reply.enhanced().expect("an enhanced code");
        assert_eq!(u16::from(class), reply.code() / 100, "{reply:?}");
        assert!(reply.lines().all(|line| line.len() <= 110), "{reply:?} is more than a mail program shows");
    }

    #[test]
    fn greeting_hello_and_challenge_have_no_enhanced_code() {
        for reply in [
            greeting("h"),
            lmtp_greeting("h"),
            hello("h"),
            extended_hello("h", &[]),
            challenge(String::new()),
            send_content(),
        ] {
            assert_eq!(reply.enhanced(), None, "{reply:?}");
        }
    }

    #[test]
    fn a_failure_of_ours_is_temporary() {
        for reply in [
            disk_full(),
            too_much_at_once(),
            store_unavailable(),
            login_unavailable(),
            tls_unavailable(),
            shutting_down(),
        ] {
            assert_eq!(reply.code() / 100, 4, "{reply:?}");
        }
    }

    #[test]
    fn who_is_put_off_may_come_again() {
        for reply in [login_put_off(), sends_too_much(TooMuch::Messages), sends_too_much(TooMuch::Recipients)]
        {
            assert_eq!((reply.code() / 100, reply.enhanced().unwrap().0), (4, 4), "{reply:?}");
            assert!(reply.lines().all(|line| line.len() <= 110), "{reply:?}");
        }
    }

    #[test]
    fn no_word_makes_thunderbird_choose_a_wrong_way_to_log_in() {
        for word in ["GSSAPI", "NTLM", "MSN", "CRAM-MD5"] {
            assert!(!greeting("mail.example.test").lines().any(|line| line.to_uppercase().contains(word)));
        }
    }
}

//! Every reply that the server can give: status, response code and words. No other file holds any.
//!
//! Clients show the words to people, and some act on single ones: fetchmail takes "lock" and "wait" for a busy
//! maildrop, Thunderbird's wizard searches all it receives for names of mechanisms and for angle brackets.

use std::borrow::Cow;
use std::io::Write;

use mailstore::UniqueId;
use mailwire::pop3::{CommandError, MessageNumber, Reply, ResponseCode};
use mailwire::sasl::{self, Mechanism, Surroundings};

use crate::session::{Login, Offer, Stls};

/// What answers one line, where that is short. LIST, UIDL, RETR and TOP are streamed instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// One line.
    Line(Reply),
    /// A status line and some more, ended by a dot (RFC 1939 §3).
    Lines(Reply, Vec<Cow<'static, str>>),
    /// A challenge of AUTH, to be sent in base64 (RFC 5034 §4).
    Challenge(Cow<'static, [u8]>),
}

impl Answer {
    /// Appends the answer as it goes over the wire to `output`.
    pub fn encode(&self, output: &mut Vec<u8>) {
        match self {
            Self::Line(reply) => reply.encode(output),
            Self::Lines(status, lines) => {
                status.encode(output);
                for line in lines {
                    output.extend_from_slice(line.as_bytes());
                    output.extend_from_slice(b"\r\n");
                }
                end_of_lines(output);
            }
            // RFC 5034 §4: `+`, a blank and base64, the blank also where the base64 is empty.
            Self::Challenge(challenge) => {
                output.extend_from_slice(b"+ ");
                output.extend_from_slice(sasl::encode(challenge).as_bytes());
                output.extend_from_slice(b"\r\n");
            }
        }
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Line(reply)
    }
}

/// What a connection over a limit is told instead of the greeting (RFC 3206 §4).
pub(crate) const TOO_MANY_CONNECTIONS: &[u8] =
    b"-ERR [SYS/TEMP] Too many connections at the moment, please try again later\r\n";

/// RFC 1939 §4. No angle brackets: they would promise APOP (RFC 1939 §7).
pub(crate) fn greeting(hostname: &str) -> Reply {
    Reply::ok(format!("{hostname} is ready for POP3"))
}

/// RFC 1939 §3: an unknown command, or one with wrong arguments; message-numbers count from 1 (RFC 1939 §5).
pub(crate) fn not_a_command(error: &CommandError) -> Reply {
    match error {
        CommandError::Unrecognised => Reply::err("There is no such command here"),
        CommandError::Arguments { expected } => {
            Reply::err(format!("Wrong arguments, the command is {expected}"))
        }
        CommandError::MessageNumber => Reply::err("That is not a message number"),
    }
}

/// RFC 2449 §4: command lines end after 255 octets.
pub(crate) fn line_too_long() -> Reply {
    Reply::err("The line is too long")
}

/// The error limit is reached.
pub(crate) fn too_many_errors() -> Reply {
    Reply::err("Too many wrong commands, closing the connection")
}

/// The limit of commands before a login is reached.
pub(crate) fn too_many_commands() -> Reply {
    Reply::err("Too many commands without a login, closing the connection")
}

/// A command of the TRANSACTION state (RFC 1939 §5) before login.
pub(crate) fn log_in_first() -> Reply {
    Reply::err("Please log in first")
}

/// A command of the AUTHORIZATION state (RFC 1939 §4) after login.
pub(crate) fn logged_in_already() -> Reply {
    Reply::err("You are logged in already")
}

/// RFC 1939 §7: APOP needs passwords in clear on the server.
pub(crate) fn apop_not_supported() -> Reply {
    Reply::err("APOP is not supported, please log in with USER and PASS or with AUTH")
}

/// RFC 6856 §2 and §3: neither is in the capability list yet.
pub(crate) fn not_supported() -> Reply {
    Reply::err("The command is not supported")
}

/// RFC 1939 §7: the same for every name, so that nobody learns which ones exist.
pub(crate) fn password_please() -> Reply {
    Reply::ok("Now the password, please")
}

/// RFC 1939 §7: PASS comes right behind USER.
pub(crate) fn user_first() -> Reply {
    Reply::err("Please send USER right before PASS")
}

/// RFC 8314 §4.1: no password in clear. No `[AUTH]`: the password may be right (RFC 3206 §5).
pub(crate) fn login_needs_tls() -> Reply {
    Reply::err("Please switch on TLS (SSL) in your mail program: without it, nobody can log in here")
}

/// RFC 5034 §4: the mechanism is unknown.
pub(crate) fn unknown_mechanism() -> Reply {
    Reply::err("There is no such mechanism here, AUTH alone lists them")
}

/// RFC 5034 §4: `*` cancels the exchange.
pub(crate) fn login_cancelled() -> Reply {
    Reply::err("Login cancelled")
}

/// RFC 5034 §4: a response that is not base64.
pub(crate) fn not_base64() -> Reply {
    Reply::err("The response is not base64")
}

/// RFC 4616 §2: a response that the mechanism does not know.
pub(crate) fn malformed_response() -> Reply {
    Reply::err("The response does not follow the mechanism")
}

/// RFC 3206 §5: wrong credentials, and nothing else, carry `[AUTH]`.
pub(crate) fn wrong_credentials() -> Reply {
    Reply::err_with(ResponseCode::Auth, "User name or password is wrong")
}

/// The last wrong credentials that this connection may send.
pub(crate) fn too_many_wrong_credentials() -> Reply {
    Reply::err_with(ResponseCode::Auth, "User name or password is wrong again, closing the connection")
}

/// RFC 3206 §4: nothing was looked at, so it says nothing about the password, and has no `[AUTH]`.
pub(crate) fn login_put_off() -> Reply {
    Reply::err_with(
        ResponseCode::SysTemp,
        "Too many wrong passwords were tried lately, please try again in a while",
    )
}

/// The last login that this connection may try.
pub(crate) fn login_put_off_again() -> Reply {
    Reply::err_with(
        ResponseCode::SysTemp,
        "Too many wrong passwords were tried lately, please try again in a while; closing the connection",
    )
}

/// RFC 3206 §4: nobody can say at the moment whether a token is good.
pub(crate) fn login_unavailable() -> Reply {
    Reply::err_with(
        ResponseCode::SysTemp,
        "Logging in is not possible at the moment, please try again later; nothing is lost",
    )
}

/// RFC 2449 §8.1.2: another session has the maildrop.
pub(crate) fn maildrop_in_use() -> Reply {
    Reply::err_with(
        ResponseCode::InUse,
        "Another program is reading this mailbox at the moment, please try again in a minute",
    )
}

/// RFC 3206 §4: the store cannot answer; what the client sent may be right.
pub(crate) fn store_trouble() -> Reply {
    Reply::err_with(
        ResponseCode::SysTemp,
        "The mail cannot be reached at the moment, please try again later; nothing is lost",
    )
}

/// RFC 1939 §6: QUIT failed to delete, and nothing was deleted.
pub(crate) fn not_expunged() -> Reply {
    Reply::err_with(
        ResponseCode::SysTemp,
        "The messages could not be deleted at the moment, all of them are still there",
    )
}

/// RFC 1939 §4: the session enters the TRANSACTION state.
pub(crate) fn logged_in(count: usize, octets: u64) -> Reply {
    Reply::ok(format!("Welcome, {} ({octets} octets)", messages(count)))
}

/// RFC 2595 §4.
pub(crate) fn begin_tls() -> Reply {
    Reply::ok("Begin TLS now")
}

/// RFC 2595 §4: TLS is there already.
pub(crate) fn tls_already() -> Reply {
    Reply::err("TLS is active already")
}

/// RFC 2595 §4: this server has no certificate.
pub(crate) fn no_tls() -> Reply {
    Reply::err("TLS is not available here")
}

/// RFC 1939 §5: `+OK`, the count and the octets, and nothing else that a client might take for more.
pub(crate) fn stat(count: usize, octets: u64) -> Reply {
    Reply::ok(format!("{count} {octets}"))
}

/// RFC 1939 §5: the first line of the whole scan listing.
pub(crate) fn list_follows(count: usize, octets: u64) -> Reply {
    Reply::ok(format!("{} ({octets} octets)", messages(count)))
}

/// RFC 1939 §7: the first line of the whole unique-id listing.
pub(crate) fn unique_ids_follow() -> Reply {
    Reply::ok("The unique-ids follow")
}

/// RFC 1939 §5: the scan listing of one message.
pub(crate) fn scan_listing(number: MessageNumber, octets: u64) -> Reply {
    Reply::ok(format!("{} {octets}", number.get()))
}

/// RFC 1939 §7: the unique-id listing of one message.
pub(crate) fn unique_id_listing(number: MessageNumber, unique_id: &UniqueId) -> Reply {
    Reply::ok(format!("{} {unique_id}", number.get()))
}

/// RFC 1939 §5: one line of the whole scan listing.
pub(crate) fn scan_listing_line(number: usize, octets: u64, output: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = write!(output, "{number} {octets}\r\n");
}

/// RFC 1939 §7: one line of the whole unique-id listing.
pub(crate) fn unique_id_listing_line(number: usize, unique_id: &UniqueId, output: &mut Vec<u8>) {
    let _ = write!(output, "{number} {unique_id}\r\n");
}

/// RFC 1939 §3: the end of a multi-line reply whose last line has its CRLF.
pub(crate) fn end_of_lines(output: &mut Vec<u8>) {
    output.extend_from_slice(b".\r\n");
}

/// RFC 1939 §5: the first line before a whole message.
pub(crate) fn message_follows(octets: u64) -> Reply {
    Reply::ok(format!("{octets} octets"))
}

/// RFC 1939 §7: the first line before the top of a message.
pub(crate) fn top_follows() -> Reply {
    Reply::ok("The top of the message follows")
}

/// RFC 1939 §5: the number is over the count.
pub(crate) fn no_such_message(count: usize) -> Reply {
    Reply::err(format!("There is no such message, only {count} in this mailbox"))
}

/// RFC 1939 §5: a message marked as deleted is not referred to again.
pub(crate) fn deleted_already() -> Reply {
    Reply::err("That message is marked as deleted")
}

/// RFC 1939 §5.
pub(crate) fn deleted(number: MessageNumber) -> Reply {
    Reply::ok(format!("Message {} will be deleted at QUIT", number.get()))
}

/// RFC 1939 §5: NOOP.
pub(crate) fn nothing_done() -> Reply {
    Reply::ok("Still here")
}

/// RFC 1939 §5: RSET.
pub(crate) fn unmarked(count: usize, octets: u64) -> Reply {
    Reply::ok(format!("No message is marked, {} ({octets} octets)", messages(count)))
}

/// RFC 1939 §4 and §6: QUIT.
pub(crate) fn goodbye() -> Reply {
    Reply::ok("Goodbye")
}

/// RFC 1939 §6: QUIT, after the deletions are durable.
pub(crate) fn goodbye_after(deleted: usize) -> Reply {
    Reply::ok(format!("Goodbye, {} deleted", messages(deleted)))
}

/// As people count.
fn messages(count: usize) -> String {
    match count {
        1 => "1 message".to_owned(),
        _ => format!("{count} messages"),
    }
}

/// What AUTH alone shows: a form older than RFC 5034 that Outlook and old K-9 use.
pub(crate) fn mechanisms(surroundings: &Surroundings) -> Answer {
    let names = surroundings.mechanisms().map(|mechanism| Cow::Borrowed(mechanism.name())).collect();
    Answer::Lines(Reply::ok("The mechanisms follow"), names)
}

/// RFC 2449 §5: what is true at this moment of the session.
pub(crate) fn capabilities(offer: Offer, surroundings: &Surroundings) -> Answer {
    let mut lines = vec![
        Cow::Borrowed("TOP"),
        Cow::Borrowed("UIDL"),
        Cow::Borrowed("RESP-CODES"),
        Cow::Borrowed("AUTH-RESP-CODE"),
        Cow::Borrowed("PIPELINING"),
        Cow::Borrowed("EXPIRE NEVER"),
    ];
    match offer.login {
        Login::Allowed => {
            lines.push(Cow::Borrowed("USER"));
            let names: Vec<_> = surroundings.mechanisms().map(Mechanism::name).collect();
            lines.push(Cow::Owned(format!("SASL {}", names.join(" "))));
        }
        Login::NeedsTls => {}
    }
    match offer.stls {
        Stls::Offered => lines.push(Cow::Borrowed("STLS")),
        Stls::Active | Stls::Unavailable | Stls::TooLate => {}
    }
    lines.push(Cow::Borrowed("IMPLEMENTATION mailstack"));
    Answer::Lines(Reply::ok("The capabilities follow"), lines)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use mailwire::sasl::{ChannelBindings, Tokens};

    use super::*;

    const EVERY_OFFER: [Offer; 4] = [
        Offer::TLS,
        Offer::LOGGED_IN,
        Offer { login: Login::Allowed, stls: Stls::Offered },
        Offer { login: Login::NeedsTls, stls: Stls::Unavailable },
    ];

    /// Every single line that the server can say.
    fn every_line() -> Vec<Reply> {
        let number = MessageNumber::new(NonZeroU32::MAX);
        vec![
            greeting("mail.example.test"),
            not_a_command(&CommandError::Unrecognised),
            not_a_command(&CommandError::Arguments { expected: "RETR n" }),
            not_a_command(&CommandError::MessageNumber),
            line_too_long(),
            too_many_errors(),
            too_many_commands(),
            log_in_first(),
            logged_in_already(),
            apop_not_supported(),
            not_supported(),
            password_please(),
            user_first(),
            login_needs_tls(),
            unknown_mechanism(),
            login_cancelled(),
            not_base64(),
            malformed_response(),
            wrong_credentials(),
            too_many_wrong_credentials(),
            login_put_off(),
            login_put_off_again(),
            login_unavailable(),
            maildrop_in_use(),
            store_trouble(),
            not_expunged(),
            logged_in(usize::MAX, u64::MAX),
            begin_tls(),
            tls_already(),
            no_tls(),
            stat(usize::MAX, u64::MAX),
            list_follows(usize::MAX, u64::MAX),
            unique_ids_follow(),
            scan_listing(number, u64::MAX),
            unique_id_listing(number, &UniqueId::minted([0xff; 16])),
            message_follows(u64::MAX),
            top_follows(),
            no_such_message(usize::MAX),
            deleted_already(),
            deleted(number),
            nothing_done(),
            unmarked(usize::MAX, u64::MAX),
            goodbye(),
            goodbye_after(usize::MAX),
        ]
    }

    /// Everything that the server can say, as it goes over the wire.
    fn everything() -> Vec<u8> {
        let mut output = TOO_MANY_CONNECTIONS.to_vec();
        let full = Surroundings {
            bindings: ChannelBindings::new(Some([0; 32]), None),
            certificate_logins: vec![String::new()],
            tokens: Tokens::Checked,
        };
        let answers = every_line().into_iter().map(Answer::Line);
        for answer in
            answers.chain(EVERY_OFFER.map(|offer| capabilities(offer, &full))).chain([mechanisms(&full)])
        {
            answer.encode(&mut output);
        }
        scan_listing_line(usize::MAX, u64::MAX, &mut output);
        unique_id_listing_line(usize::MAX, &UniqueId::minted([0xff; 16]), &mut output);
        output
    }

    #[test]
    fn no_reply_has_words_that_clients_take_for_something_else() {
        let said = String::from_utf8(everything()).unwrap().to_lowercase();
        for word in ["lock", "wait", "gssapi", "ntlm", "msn", "cram-md5", "service unavailable", "<", ">"] {
            assert!(!said.contains(word), "{word}");
        }
    }

    #[test]
    fn every_line_is_short_and_printable() {
        for line in everything().split_inclusive(|octet| *octet == b'\n') {
            // RFC 2449 §4.
            assert!(line.len() <= 512 && line.ends_with(b"\r\n"), "{}", line.escape_ascii());
            let text = &line[..line.len() - 2];
            assert!(text.iter().all(|octet| (b' '..=b'~').contains(octet)), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn one_message_is_one_message() {
        assert_eq!(goodbye_after(1).text(), "Goodbye, 1 message deleted");
        assert_eq!(logged_in(0, 0).text(), "Welcome, 0 messages (0 octets)");
    }

    #[test]
    fn only_wrong_credentials_carry_auth() {
        let with_auth = every_line().into_iter().filter(|reply| reply.code() == Some(ResponseCode::Auth));
        assert_eq!(with_auth.collect::<Vec<_>>(), [wrong_credentials(), too_many_wrong_credentials()]);
    }

    #[test]
    fn a_refused_connection_is_told_in_one_line_of_the_protocol() {
        let line = TOO_MANY_CONNECTIONS.strip_suffix(b"\r\n").unwrap();
        assert_eq!(Reply::parse(line).and_then(|reply| reply.code()), Some(ResponseCode::SysTemp));
    }

    #[test]
    fn an_empty_challenge_keeps_its_blank() {
        let mut output = Vec::new();
        Answer::Challenge(Cow::Borrowed(b"")).encode(&mut output);
        assert_eq!(output, b"+ \r\n");
    }

    #[test]
    fn capabilities_are_lines_of_their_own_behind_a_status_and_before_a_dot() {
        let mut output = Vec::new();
        let offer = Offer { login: Login::Allowed, stls: Stls::Offered };
        capabilities(offer, &Surroundings::default()).encode(&mut output);
        let text = String::from_utf8(output).unwrap();
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        assert!(lines[0].starts_with("+OK ") && *lines.last().unwrap() == ".", "{text}");
        for capability in
            ["TOP", "UIDL", "USER", "SASL PLAIN LOGIN SCRAM-SHA-256", "STLS", "PIPELINING", "EXPIRE NEVER"]
        {
            assert!(lines.contains(&capability), "{capability} in {text}");
        }
    }
}

//! Single lines, and those that stand before a listing.

use std::io::Write;

use mailstore::UniqueId;
use mailwire::pop3::{CommandError, MessageNumber, Reply, ResponseCode};

use super::Language;

/// What a connection over a limit is told instead of the greeting (RFC 3206 §4).
pub(crate) const TOO_MANY_CONNECTIONS: &[u8] =
    b"-ERR [SYS/TEMP] Too many connections at the moment, please try again later\r\n";

/// RFC 1939 §4, before anybody could ask for another language. No angle brackets: they would promise APOP (RFC 1939 §7).
pub(crate) fn greeting(hostname: &str) -> Reply {
    Reply::ok(format!("{hostname} is ready for POP3"))
}

/// RFC 1939 §3: an unknown command, or one with wrong arguments; message-numbers count from 1 (RFC 1939 §5).
pub(crate) fn not_a_command(language: Language, error: &CommandError) -> Reply {
    let texts = language.texts();
    match error {
        CommandError::Unrecognised => Reply::err(texts.no_such_command),
        CommandError::Arguments { expected } => Reply::err((texts.wrong_arguments)(expected)),
        CommandError::MessageNumber => Reply::err(texts.not_a_message_number),
    }
}

/// RFC 2449 §4: command lines end after 255 octets.
pub(crate) fn line_too_long(language: Language) -> Reply {
    Reply::err(language.texts().line_too_long)
}

/// The error limit is reached.
pub(crate) fn too_many_errors(language: Language) -> Reply {
    Reply::err(language.texts().too_many_errors)
}

/// The limit of commands before a login is reached.
pub(crate) fn too_many_commands(language: Language) -> Reply {
    Reply::err(language.texts().too_many_commands)
}

/// A command of the TRANSACTION state (RFC 1939 §5) before login.
pub(crate) fn log_in_first(language: Language) -> Reply {
    Reply::err(language.texts().log_in_first)
}

/// A command of the AUTHORIZATION state (RFC 1939 §4) after login.
pub(crate) fn logged_in_already(language: Language) -> Reply {
    Reply::err(language.texts().logged_in_already)
}

/// RFC 1939 §7: APOP needs passwords in clear on the server.
pub(crate) fn apop_not_supported(language: Language) -> Reply {
    Reply::err(language.texts().apop_not_supported)
}

/// RFC 6856 §2.1: the session is in UTF-8 mode.
pub(crate) fn utf8_begun(language: Language) -> Reply {
    Reply::ok(language.texts().utf8_begun)
}

/// RFC 1939 §7: the same for every name, so that nobody learns which ones exist.
pub(crate) fn password_please(language: Language) -> Reply {
    Reply::ok(language.texts().password_please)
}

/// RFC 1939 §7: PASS comes right behind USER.
pub(crate) fn user_first(language: Language) -> Reply {
    Reply::err(language.texts().user_first)
}

/// RFC 8314 §4.1: no password in clear. No `[AUTH]`: the password may be right (RFC 3206 §5).
pub(crate) fn login_needs_tls(language: Language) -> Reply {
    Reply::err(language.texts().login_needs_tls)
}

/// RFC 5034 §4: the mechanism is unknown.
pub(crate) fn unknown_mechanism(language: Language) -> Reply {
    Reply::err(language.texts().unknown_mechanism)
}

/// RFC 5034 §4: `*` cancels the exchange.
pub(crate) fn login_cancelled(language: Language) -> Reply {
    Reply::err(language.texts().login_cancelled)
}

/// RFC 5034 §4: a response that is not base64.
pub(crate) fn not_base64(language: Language) -> Reply {
    Reply::err(language.texts().not_base64)
}

/// RFC 4616 §2: a response that the mechanism does not know.
pub(crate) fn malformed_response(language: Language) -> Reply {
    Reply::err(language.texts().malformed_response)
}

/// RFC 3206 §5: wrong credentials, and nothing else, carry `[AUTH]`.
pub(crate) fn wrong_credentials(language: Language) -> Reply {
    Reply::err_with(ResponseCode::Auth, language.texts().wrong_credentials)
}

/// The last wrong credentials that this connection may send.
pub(crate) fn too_many_wrong_credentials(language: Language) -> Reply {
    Reply::err_with(ResponseCode::Auth, language.texts().too_many_wrong_credentials)
}

/// RFC 3206 §4: nothing was looked at, so it says nothing about the password, and has no `[AUTH]`.
pub(crate) fn login_put_off(language: Language) -> Reply {
    Reply::err_with(ResponseCode::SysTemp, language.texts().login_put_off)
}

/// The last login that this connection may try.
pub(crate) fn login_put_off_again(language: Language) -> Reply {
    Reply::err_with(ResponseCode::SysTemp, language.texts().login_put_off_again)
}

/// RFC 3206 §4: nobody can say at the moment whether a token is good.
pub(crate) fn login_unavailable(language: Language) -> Reply {
    Reply::err_with(ResponseCode::SysTemp, language.texts().login_unavailable)
}

/// RFC 2449 §8.1.2: another session has the maildrop.
pub(crate) fn maildrop_in_use(language: Language) -> Reply {
    Reply::err_with(ResponseCode::InUse, language.texts().maildrop_in_use)
}

/// RFC 3206 §4: another login has taken the maildrop over. Not `[IN-USE]`, which answers logins only (RFC 2449 §8.1.2).
pub(crate) fn maildrop_taken_over(language: Language) -> Reply {
    Reply::err_with(ResponseCode::SysTemp, language.texts().maildrop_taken_over)
}

/// RFC 2449 §8.1.1: the last login was a shorter while ago than CAPA's LOGIN-DELAY says.
pub(crate) fn login_too_soon(language: Language) -> Reply {
    Reply::err_with(ResponseCode::LoginDelay, language.texts().login_too_soon)
}

/// RFC 3206 §4: the store cannot answer; what the client sent may be right.
pub(crate) fn store_trouble(language: Language) -> Reply {
    Reply::err_with(ResponseCode::SysTemp, language.texts().store_trouble)
}

/// RFC 1939 §6: QUIT failed to delete, and nothing was deleted.
pub(crate) fn not_expunged(language: Language) -> Reply {
    Reply::err_with(ResponseCode::SysTemp, language.texts().not_expunged)
}

/// RFC 1939 §4: the session enters the TRANSACTION state.
pub(crate) fn logged_in(language: Language, count: usize) -> Reply {
    Reply::ok((language.texts().logged_in)(count))
}

/// RFC 2595 §4.
pub(crate) fn begin_tls(language: Language) -> Reply {
    Reply::ok(language.texts().begin_tls)
}

/// RFC 2595 §4: TLS is there already.
pub(crate) fn tls_already(language: Language) -> Reply {
    Reply::err(language.texts().tls_already)
}

/// RFC 2595 §4: this server has no certificate.
pub(crate) fn no_tls(language: Language) -> Reply {
    Reply::err(language.texts().no_tls)
}

/// RFC 6856 §2.1: STLS is refused behind UTF8.
pub(crate) fn tls_too_late(language: Language) -> Reply {
    Reply::err(language.texts().tls_too_late)
}

/// RFC 1939 §5: `+OK`, the count and the octets, and nothing else that a client might take for more.
pub(crate) fn stat(count: usize, octets: u64) -> Reply {
    Reply::ok(format!("{count} {octets}"))
}

/// RFC 1939 §5: the first line of the whole scan listing.
pub(crate) fn list_follows(language: Language, count: usize, octets: u64) -> Reply {
    Reply::ok((language.texts().maildrop)(count, octets))
}

/// RFC 1939 §7: the first line of the whole unique-id listing.
pub(crate) fn unique_ids_follow(language: Language) -> Reply {
    Reply::ok(language.texts().unique_ids_follow)
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
pub(crate) fn message_follows(language: Language, octets: u64) -> Reply {
    Reply::ok((language.texts().octets)(octets))
}

/// RFC 1939 §7: the first line before the top of a message.
pub(crate) fn top_follows(language: Language) -> Reply {
    Reply::ok(language.texts().top_follows)
}

/// RFC 1939 §5: the number is over the count.
pub(crate) fn no_such_message(language: Language, count: usize) -> Reply {
    Reply::err((language.texts().no_such_message)(count))
}

/// RFC 1939 §5: a message marked as deleted is not referred to again.
pub(crate) fn deleted_already(language: Language) -> Reply {
    Reply::err(language.texts().deleted_already)
}

/// RFC 1939 §5.
pub(crate) fn deleted(language: Language, number: MessageNumber) -> Reply {
    Reply::ok((language.texts().deleted)(number))
}

/// RFC 1939 §5: NOOP.
pub(crate) fn nothing_done(language: Language) -> Reply {
    Reply::ok(language.texts().nothing_done)
}

/// RFC 1939 §5: RSET.
pub(crate) fn unmarked(language: Language, count: usize) -> Reply {
    Reply::ok((language.texts().unmarked)(count))
}

/// RFC 1939 §4 and §6: QUIT.
pub(crate) fn goodbye(language: Language) -> Reply {
    Reply::ok(language.texts().goodbye)
}

/// RFC 1939 §6: QUIT, after the deletions are durable.
pub(crate) fn goodbye_after(language: Language, deleted: usize) -> Reply {
    Reply::ok((language.texts().goodbye_after)(deleted))
}

/// RFC 6856 §3.2: the very tag that was chosen, a blank, and words in that language.
pub(crate) fn language_chosen(language: Language) -> Reply {
    Reply::ok(format!("{} {}", language.tag(), language.texts().language_chosen))
}

/// RFC 6856 §3.2: the language stays as it is, and this is said in it.
pub(crate) fn unknown_language(language: Language) -> Reply {
    Reply::err(language.texts().unknown_language)
}

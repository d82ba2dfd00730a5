//! What is said, in one language: a text that one of them lacks does not compile.

use mailwire::pop3::MessageNumber;

/// One text for each thing that is said; what depends on numbers is made of them, in the forms that they ask for.
///
/// No text may hold what clients take for something else (see [`super`]); `tests.rs` looks for it.
pub(super) struct Texts {
    /// No such command.
    pub(super) no_such_command: &'static str,
    /// 0, a sign, letters, or too large.
    pub(super) not_a_message_number: &'static str,
    /// More than 255 octets.
    pub(super) line_too_long: &'static str,
    /// The last wrong command.
    pub(super) too_many_errors: &'static str,
    /// The last command without a login.
    pub(super) too_many_commands: &'static str,
    /// A command of the TRANSACTION state before login.
    pub(super) log_in_first: &'static str,
    /// A command of the AUTHORIZATION state after login.
    pub(super) logged_in_already: &'static str,
    /// APOP.
    pub(super) apop_not_supported: &'static str,
    /// UTF8 was taken.
    pub(super) utf8_begun: &'static str,
    /// USER was taken.
    pub(super) password_please: &'static str,
    /// PASS without USER before it.
    pub(super) user_first: &'static str,
    /// A login in clear where that is not allowed.
    pub(super) login_needs_tls: &'static str,
    /// AUTH with a mechanism that is not offered.
    pub(super) unknown_mechanism: &'static str,
    /// `*` within AUTH.
    pub(super) login_cancelled: &'static str,
    /// A response within AUTH that cannot be decoded.
    pub(super) not_base64: &'static str,
    /// A response within AUTH that the mechanism does not know.
    pub(super) malformed_response: &'static str,
    /// User name or password is wrong.
    pub(super) wrong_credentials: &'static str,
    /// The last such login.
    pub(super) too_many_wrong_credentials: &'static str,
    /// The guard does not look at the login.
    pub(super) login_put_off: &'static str,
    /// The last such login.
    pub(super) login_put_off_again: &'static str,
    /// Nobody can check the login now.
    pub(super) login_unavailable: &'static str,
    /// Another session has the maildrop.
    pub(super) maildrop_in_use: &'static str,
    /// Another session has taken the maildrop over.
    pub(super) maildrop_taken_over: &'static str,
    /// The last login was too short a while ago.
    pub(super) login_too_soon: &'static str,
    /// The store does not answer.
    pub(super) store_trouble: &'static str,
    /// QUIT has deleted nothing.
    pub(super) not_expunged: &'static str,
    /// STLS was taken.
    pub(super) begin_tls: &'static str,
    /// STLS under TLS.
    pub(super) tls_already: &'static str,
    /// STLS without a certificate.
    pub(super) no_tls: &'static str,
    /// STLS behind UTF8.
    pub(super) tls_too_late: &'static str,
    /// Before the listing of UIDL.
    pub(super) unique_ids_follow: &'static str,
    /// Before what TOP shows.
    pub(super) top_follows: &'static str,
    /// A message that is marked as deleted.
    pub(super) deleted_already: &'static str,
    /// NOOP.
    pub(super) nothing_done: &'static str,
    /// QUIT without deletions.
    pub(super) goodbye: &'static str,
    /// Before the mechanisms.
    pub(super) mechanisms_follow: &'static str,
    /// Before the capabilities.
    pub(super) capabilities_follow: &'static str,
    /// Before the languages.
    pub(super) languages_follow: &'static str,
    /// LANG has changed the language to this one.
    pub(super) language_chosen: &'static str,
    /// LANG with a language that is not here.
    pub(super) unknown_language: &'static str,
    /// Wrong arguments; given how the command is written.
    pub(super) wrong_arguments: fn(&str) -> String,
    /// After a login: messages.
    pub(super) logged_in: fn(usize) -> String,
    /// Messages and octets.
    pub(super) maildrop: fn(usize, u64) -> String,
    /// Octets.
    pub(super) octets: fn(u64) -> String,
    /// A number over the count of messages.
    pub(super) no_such_message: fn(usize) -> String,
    /// DELE.
    pub(super) deleted: fn(MessageNumber) -> String,
    /// RSET: messages.
    pub(super) unmarked: fn(usize) -> String,
    /// QUIT after so many deletions.
    pub(super) goodbye_after: fn(usize) -> String,
}

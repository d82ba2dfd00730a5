//! The replies in English.

use super::texts::Texts;

pub(super) const TEXTS: Texts = Texts {
    no_such_command: "There is no such command here",
    not_a_message_number: "That is not a message number",
    line_too_long: "The line is too long",
    too_many_errors: "Too many wrong commands, closing the connection",
    too_many_commands: "Too many commands without a login, closing the connection",
    log_in_first: "Please log in first",
    logged_in_already: "You are logged in already",
    apop_not_supported: "APOP is not supported, please log in with USER and PASS or with AUTH",
    utf8_begun: "Messages come in UTF-8 from now on",
    password_please: "Now the password, please",
    user_first: "Please send USER right before PASS",
    login_needs_tls: "Please switch on TLS (SSL) in your mail program: without it, nobody can log in here",
    unknown_mechanism: "There is no such mechanism here, AUTH alone lists them",
    login_cancelled: "Login cancelled",
    not_base64: "The response is not base64",
    malformed_response: "The response does not follow the mechanism",
    wrong_credentials: "User name or password is wrong",
    too_many_wrong_credentials: "User name or password is wrong again, closing the connection",
    login_put_off: "Too many wrong passwords were tried lately, please try again in a while",
    login_put_off_again: "Too many wrong passwords were tried lately, please try again in a while; closing the connection",
    login_unavailable: "Logging in is not possible at the moment, please try again later; nothing is lost",
    maildrop_in_use: "Another program is reading this mailbox at the moment, please try again in a minute",
    maildrop_taken_over: "Another program has opened this mailbox instead, and nothing was deleted here; please try again in a minute",
    login_too_soon: "You logged in only a moment ago, please let your mail program look for new mail less often",
    store_trouble: "The mail cannot be reached at the moment, please try again later; nothing is lost",
    not_expunged: "The messages could not be deleted at the moment, all of them are still there",
    begin_tls: "Begin TLS now",
    tls_already: "TLS is active already",
    no_tls: "TLS is not available here",
    tls_too_late: "It is too late for TLS, which comes before UTF8",
    unique_ids_follow: "The unique-ids follow",
    top_follows: "The top of the message follows",
    deleted_already: "That message is marked as deleted",
    nothing_done: "Still here",
    goodbye: "Goodbye",
    mechanisms_follow: "The mechanisms follow",
    capabilities_follow: "The capabilities follow",
    languages_follow: "The languages follow",
    language_chosen: "English from now on",
    unknown_language: "There is no such language here, LANG alone lists them",
    wrong_arguments: |command| format!("Wrong arguments, the command is {command}"),
    logged_in: |messages| format!("Welcome, {}", self::messages(messages)),
    maildrop,
    octets,
    no_such_message: |messages| match messages {
        0 => "There is no such message, this mailbox is empty".to_owned(),
        _ => format!("There is no such message, only {messages} in this mailbox"),
    },
    deleted: |number| format!("Message {number} will be deleted at QUIT"),
    unmarked: |messages| format!("No message is marked, {}", self::messages(messages)),
    goodbye_after: |deleted| format!("Goodbye, {} deleted", self::messages(deleted)),
};

fn messages(count: usize) -> String {
    match count {
        1 => "1 message".to_owned(),
        _ => format!("{count} messages"),
    }
}

fn octets(count: u64) -> String {
    match count {
        1 => "1 octet".to_owned(),
        _ => format!("{count} octets"),
    }
}

fn maildrop(messages: usize, octets: u64) -> String {
    format!("{} ({})", self::messages(messages), self::octets(octets))
}

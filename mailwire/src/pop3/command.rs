//! What a client can say, and how it is written (RFC 1939 §5 to §7, RFC 2449, 2595, 5034, 6856).

use std::fmt;
use std::num::NonZeroU32;

use crate::escape::without_controls;
use crate::secret::Secret;

/// Counts from 1 and means nothing outside its session (RFC 1939 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageNumber(NonZeroU32);

impl MessageNumber {
    /// The number, from 1.
    #[must_use]
    pub const fn new(number: NonZeroU32) -> Self {
        Self(number)
    }

    /// The number, from 1.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// One command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `USER name`; everything after the first space (RFC 1939 §7).
    User(String),
    /// `PASS secret`; everything after the first space, further spaces included (RFC 1939 §7).
    Pass(Secret<String>),
    /// `APOP name digest` (RFC 1939 §7).
    Apop(String, Secret<String>),
    /// `AUTH` alone asks for the mechanisms (a form older than RFC 5034 that Outlook uses).
    AuthList,
    /// `AUTH mechanism [initial-response]` (RFC 5034 §4).
    Auth {
        /// The mechanism's name, in upper case.
        mechanism: String,
        /// The initial response as it came (base64, or `=` for an empty one).
        initial: Option<Secret<String>>,
    },
    /// `STAT`.
    Stat,
    /// `LIST [n]`.
    List(Option<MessageNumber>),
    /// `RETR n`.
    Retr(MessageNumber),
    /// `DELE n`.
    Dele(MessageNumber),
    /// `NOOP`.
    Noop,
    /// `RSET`.
    Rset,
    /// `TOP n lines`.
    Top(MessageNumber, u64),
    /// `UIDL [n]`.
    Uidl(Option<MessageNumber>),
    /// `QUIT`.
    Quit,
    /// `CAPA` (RFC 2449 §5).
    Capa,
    /// `STLS` (RFC 2595 §4).
    Stls,
    /// `UTF8 [USER]` (RFC 6856 §2).
    Utf8 {
        /// True for `UTF8 USER`.
        user: bool,
    },
    /// `LANG [language-range]`, `*` among them (RFC 6856 §3.2).
    Lang(Option<String>),
}

impl Command {
    /// The line with its CRLF. It is one line whatever the texts in it are: control characters become `?`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut octets = without_controls(&self.line()).into_owned().into_bytes();
        octets.extend_from_slice(b"\r\n");
        octets
    }

    fn line(&self) -> String {
        match self {
            Self::User(name) => format!("USER {name}"),
            Self::Pass(secret) => format!("PASS {}", secret.expose()),
            Self::Apop(name, digest) => format!("APOP {name} {}", digest.expose()),
            Self::AuthList => "AUTH".to_owned(),
            Self::Auth { mechanism, initial: None } => format!("AUTH {mechanism}"),
            Self::Auth { mechanism, initial: Some(initial) } => {
                format!("AUTH {mechanism} {}", initial.expose())
            }
            Self::Stat => "STAT".to_owned(),
            Self::List(None) => "LIST".to_owned(),
            Self::List(Some(number)) => format!("LIST {number}"),
            Self::Retr(number) => format!("RETR {number}"),
            Self::Dele(number) => format!("DELE {number}"),
            Self::Noop => "NOOP".to_owned(),
            Self::Rset => "RSET".to_owned(),
            Self::Top(number, lines) => format!("TOP {number} {lines}"),
            Self::Uidl(None) => "UIDL".to_owned(),
            Self::Uidl(Some(number)) => format!("UIDL {number}"),
            Self::Quit => "QUIT".to_owned(),
            Self::Capa => "CAPA".to_owned(),
            Self::Stls => "STLS".to_owned(),
            Self::Utf8 { user: false } => "UTF8".to_owned(),
            Self::Utf8 { user: true } => "UTF8 USER".to_owned(),
            Self::Lang(None) => "LANG".to_owned(),
            Self::Lang(Some(tag)) => format!("LANG {tag}"),
        }
    }
}

impl fmt::Display for MessageNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::pop3::parse;

    fn numbers() -> impl Strategy<Value = MessageNumber> {
        (1..=u32::MAX).prop_map(|number| MessageNumber::new(NonZeroU32::new(number).unwrap()))
    }

    fn commands() -> impl Strategy<Value = Command> {
        let secret = "[!-~]{1,40}".prop_map(Secret::new);
        prop_oneof![
            "[ -~ä]{1,40}".prop_map(Command::User),
            "[ -~ä]{0,40}".prop_map(|password| Command::Pass(Secret::new(password))),
            ("[!-~]{1,20}", secret.clone()).prop_map(|(name, digest)| Command::Apop(name, digest)),
            ("[A-Z0-9_-]{1,20}", option::of(secret))
                .prop_map(|(mechanism, initial)| Command::Auth { mechanism, initial }),
            option::of(numbers()).prop_map(Command::List),
            numbers().prop_map(Command::Retr),
            numbers().prop_map(Command::Dele),
            (numbers(), any::<u64>()).prop_map(|(number, lines)| Command::Top(number, lines)),
            option::of(numbers()).prop_map(Command::Uidl),
            any::<bool>().prop_map(|user| Command::Utf8 { user }),
            option::of("[a-z]{2}(-[A-Z]{2})?|\\*").prop_map(Command::Lang),
            prop_oneof![
                Just(Command::AuthList),
                Just(Command::Stat),
                Just(Command::Noop),
                Just(Command::Rset),
                Just(Command::Quit),
                Just(Command::Capa),
                Just(Command::Stls),
            ],
        ]
    }

    proptest! {
        #[test]
        fn every_command_reads_back_as_it_was_written(command in commands()) {
            let octets = command.encode();
            prop_assert_eq!(parse(octets.strip_suffix(b"\r\n").unwrap()), Ok(command));
        }

        #[test]
        fn no_text_in_a_command_starts_a_second_line(text in any::<String>()) {
            for command in [
                Command::User(text.clone()),
                Command::Pass(Secret::new(text.clone())),
                Command::Apop(text.clone(), Secret::new(text.clone())),
                Command::Lang(Some(text.clone())),
            ] {
                let octets = command.encode();
                prop_assert!(!octets.strip_suffix(b"\r\n").unwrap().iter().any(u8::is_ascii_control));
            }
        }
    }
}

//! A command line as a strict client writes it.

use super::{
    Body, ByMode, Command, DeliverBy, Hello, Hold, MailParameters, Notify, OriginalRecipient, RcptParameters,
    Return, xtext,
};
use crate::escape::without_controls;

impl Command {
    /// The line with its CRLF, as a strict client writes it.
    ///
    /// It is one line whatever the texts in it are: control characters become `?`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut octets = without_controls(&self.line()).into_owned().into_bytes();
        octets.extend_from_slice(b"\r\n");
        octets
    }

    fn line(&self) -> String {
        match self {
            Self::Ehlo(hello) => format!("EHLO {}", hello_name(hello)),
            Self::Helo(hello) => format!("HELO {}", hello_name(hello)),
            Self::Lhlo(hello) => format!("LHLO {}", hello_name(hello)),
            Self::Mail(path, parameters) => format!("MAIL FROM:{path}{}", mail_parameters(parameters)),
            Self::Rcpt(path, parameters) => format!("RCPT TO:{path}{}", rcpt_parameters(parameters)),
            Self::Data => "DATA".to_owned(),
            Self::Bdat { octets, last: false } => format!("BDAT {octets}"),
            Self::Bdat { octets, last: true } => format!("BDAT {octets} LAST"),
            Self::Rset => "RSET".to_owned(),
            Self::Vrfy(name) => format!("VRFY {name}{}", name_parameter(name)),
            Self::Expn(name) => format!("EXPN {name}{}", name_parameter(name)),
            Self::Help(None) => "HELP".to_owned(),
            Self::Help(Some(text)) => format!("HELP {text}"),
            Self::Noop => "NOOP".to_owned(),
            Self::Quit => "QUIT".to_owned(),
            Self::StartTls => "STARTTLS".to_owned(),
            Self::Auth { mechanism, initial: None } => format!("AUTH {mechanism}"),
            Self::Auth { mechanism, initial: Some(initial) } => {
                format!("AUTH {mechanism} {}", initial.expose())
            }
        }
    }
}

fn hello_name(hello: &Hello) -> String {
    match hello {
        Hello::Domain(domain) => domain.to_string(),
        Hello::Other(word) => word.clone(),
    }
}

/// RFC 6531 §3.7.4.2: a name beyond ASCII needs the parameter, and so does one that ends as if it had it.
fn name_parameter(name: &str) -> &'static str {
    let last = name.rsplit_once(' ').map(|(_, last)| last).unwrap_or_default();
    if name.is_ascii() && !last.eq_ignore_ascii_case("SMTPUTF8") { "" } else { " SMTPUTF8" }
}

/// Each with a blank before it.
fn joined(parameters: impl IntoIterator<Item = Option<String>>, unknown: &[String]) -> String {
    let known = parameters.into_iter().flatten();
    known.chain(unknown.iter().cloned()).fold(String::new(), |line, parameter| line + " " + &parameter)
}

fn mail_parameters(mail: &MailParameters) -> String {
    let parameters = [
        mail.size_octets.map(|octets| format!("SIZE={octets}")),
        mail.body.map(|body| format!("BODY={}", body_value(body))),
        mail.smtputf8.then(|| "SMTPUTF8".to_owned()),
        mail.auth
            .as_ref()
            .map(|auth| format!("AUTH={}", auth.as_deref().map_or("<>".to_owned(), xtext::encode))),
        mail.ret.map(|ret| format!("RET={}", ret_value(ret))),
        mail.envid.as_ref().map(|envid| format!("ENVID={}", xtext::encode(envid))),
        mail.hold.as_ref().map(hold),
        mail.by.map(|by| format!("BY={}", by_value(by))),
        mail.mt_priority.map(|priority| format!("MT-PRIORITY={priority}")),
        mail.requiretls.then(|| "REQUIRETLS".to_owned()),
    ];
    joined(parameters, &mail.unknown)
}

fn rcpt_parameters(rcpt: &RcptParameters) -> String {
    let parameters = [
        rcpt.notify.map(|notify| format!("NOTIFY={}", notify_value(notify))),
        rcpt.original_recipient.as_ref().map(|recipient| format!("ORCPT={}", original_recipient(recipient))),
    ];
    joined(parameters, &rcpt.unknown)
}

const fn body_value(body: Body) -> &'static str {
    match body {
        Body::SevenBit => "7BIT",
        Body::EightBitMime => "8BITMIME",
        Body::BinaryMime => "BINARYMIME",
    }
}

const fn ret_value(ret: Return) -> &'static str {
    match ret {
        Return::Full => "FULL",
        Return::Headers => "HDRS",
    }
}

fn hold(hold: &Hold) -> String {
    match hold {
        Hold::For(seconds) => format!("HOLDFOR={seconds}"),
        Hold::Until(date_time) => format!("HOLDUNTIL={date_time}"),
    }
}

fn by_value(by: DeliverBy) -> String {
    let mode = match by.mode {
        ByMode::Return => 'R',
        ByMode::Notify => 'N',
    };
    format!("{};{mode}{}", by.seconds, if by.trace { "T" } else { "" })
}

fn notify_value(notify: Notify) -> String {
    match notify {
        Notify::Never => "NEVER".to_owned(),
        Notify::On { success, failure, delay } => {
            let named = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
            named.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect::<Vec<_>>().join(",")
        }
    }
}

fn original_recipient(recipient: &OriginalRecipient) -> String {
    let address = match recipient.address_type.as_str() {
        "utf-8" => xtext::encode_utf8_address(&recipient.address),
        _ => xtext::encode(&recipient.address),
    };
    format!("{};{address}", recipient.address_type)
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::address::{Domain, ForwardPath, Mailbox, ReversePath};
    use crate::secret::Secret;
    use crate::smtp::parse;

    fn mailboxes() -> impl Strategy<Value = Mailbox> {
        prop_oneof![
            "[a-z0-9!#.]{0,9}[a-z]@[a-z]{1,9}(\\.[a-z0-9]{1,9}){0,2}",
            "\"[ !#-\\[\\]-~]{0,20}\"@\\[192\\.0\\.2\\.[1-9]\\]",
            "[äж]{1,9}@[äж]{1,9}\\.example",
        ]
        .prop_filter_map("a dot may stand where none can", |text| Mailbox::parse(&text).ok())
    }

    fn hellos() -> impl Strategy<Value = Hello> {
        prop_oneof![
            "[a-z]{1,9}\\.example".prop_map(|name| Hello::Domain(Domain::parse(&name).unwrap())),
            Just(Hello::Domain(Domain::parse("[IPv6:::1]").unwrap())),
            "[a-z]{1,9}_[!-~]{0,9}".prop_map(Hello::Other),
        ]
    }

    fn holds() -> impl Strategy<Value = Hold> {
        prop_oneof![
            (1_u32..1_000_000_000).prop_map(|seconds| Hold::For(seconds.try_into().unwrap())),
            "20[0-9]{2}-1[0-2]-0[1-9]T[01][0-9]:[0-5][0-9]:60(\\.[0-9]{1,3})?(Z|[+-]0[0-9]:30)"
                .prop_map(Hold::Until),
        ]
    }

    fn by() -> impl Strategy<Value = DeliverBy> {
        prop_oneof![
            (1_i32..1_000_000_000, any::<bool>()).prop_map(|(seconds, trace)| DeliverBy {
                seconds,
                mode: ByMode::Return,
                trace
            }),
            (-999_999_999_i32..1_000_000_000, any::<bool>()).prop_map(|(seconds, trace)| DeliverBy {
                seconds,
                mode: ByMode::Notify,
                trace
            }),
        ]
    }

    fn mails() -> impl Strategy<Value = MailParameters> {
        let bodies = prop_oneof![Just(Body::SevenBit), Just(Body::EightBitMime), Just(Body::BinaryMime)];
        let first = (option::of(any::<u64>()), option::of(bodies), any::<bool>());
        let second = (
            option::of(option::of("[ -~ä]{1,30}")),
            option::of(prop_oneof![Just(Return::Full), Just(Return::Headers)]),
            option::of("[ -~]{1,30}"),
        );
        let third = (option::of(holds()), option::of(by()), option::of(-9_i8..=9), any::<bool>());
        let unknown = proptest::collection::vec("X[A-Z0-9-]{0,9}", 0..3);
        (first, second, third, unknown).prop_map(|(first, second, third, unknown)| MailParameters {
            size_octets: first.0,
            body: first.1,
            smtputf8: first.2,
            auth: second.0,
            ret: second.1,
            envid: second.2,
            hold: third.0,
            by: third.1,
            mt_priority: third.2,
            requiretls: third.3,
            unknown,
        })
    }

    fn rcpts() -> impl Strategy<Value = RcptParameters> {
        let notify = prop_oneof![
            Just(Notify::Never),
            (any::<bool>(), any::<bool>()).prop_map(|(success, failure)| Notify::On {
                success,
                failure,
                delay: !(success || failure)
            }),
        ];
        let original = prop_oneof![
            "[ -~]{1,30}".prop_map(|address| ("rfc822".to_owned(), address)),
            "[ -~äж€]{1,30}".prop_map(|address| ("utf-8".to_owned(), address)),
        ]
        .prop_map(|(address_type, address)| OriginalRecipient { address_type, address });
        let unknown = proptest::collection::vec("X[A-Z0-9-]{0,9}", 0..3);
        (option::of(notify), option::of(original), unknown).prop_map(
            |(notify, original_recipient, unknown)| RcptParameters { notify, original_recipient, unknown },
        )
    }

    fn commands() -> impl Strategy<Value = Command> {
        let reverse = prop_oneof![Just(ReversePath::Null), mailboxes().prop_map(ReversePath::Mailbox)];
        let forward = prop_oneof![Just(ForwardPath::Postmaster), mailboxes().prop_map(ForwardPath::Mailbox)];
        let text = "[a-zä]([ -~ä]{0,20}[a-zä])?";
        prop_oneof![
            hellos().prop_map(Command::Ehlo),
            hellos().prop_map(Command::Helo),
            hellos().prop_map(Command::Lhlo),
            (reverse, mails()).prop_map(|(path, mail)| Command::Mail(path, Box::new(mail))),
            (forward, rcpts()).prop_map(|(path, rcpt)| Command::Rcpt(path, Box::new(rcpt))),
            (any::<u64>(), any::<bool>()).prop_map(|(octets, last)| Command::Bdat { octets, last }),
            text.prop_map(Command::Vrfy),
            text.prop_map(Command::Expn),
            option::of(text).prop_map(Command::Help),
            ("[A-Z0-9_-]{1,20}", option::of("[A-Za-z0-9+/=]{1,40}")).prop_map(|(mechanism, initial)| {
                Command::Auth { mechanism, initial: initial.map(Secret::new) }
            }),
            prop_oneof![
                Just(Command::Data),
                Just(Command::Rset),
                Just(Command::Noop),
                Just(Command::Quit),
                Just(Command::StartTls)
            ],
        ]
    }

    proptest! {
        #[test]
        fn every_command_reads_back_as_it_was_written(command in commands()) {
            let octets = command.encode();
            let line = octets.strip_suffix(b"\r\n").unwrap();
            prop_assert_eq!(parse(line), Ok(command));
        }

        #[test]
        fn every_line_that_is_a_command_reads_back(
            verb in "(EHLO|HELO|LHLO|VRFY|EXPN|HELP|NOOP|AUTH|BDAT|MAIL FROM:<>|RCPT TO:<a@b>)",
            arguments in "( {0,2}([a-z]{0,3}|[ -~é]{0,9})){0,2}( SMTPUTF8){0,2}",
        ) {
            let line = format!("{verb}{arguments}");
            if let Ok(command) = parse(line.as_bytes()) {
                let octets = command.encode();
                prop_assert_eq!(parse(octets.strip_suffix(b"\r\n").unwrap()), Ok(command));
            }
        }

        #[test]
        fn no_text_in_a_command_starts_a_second_line(text in any::<String>()) {
            for command in [
                Command::Vrfy(text.clone()),
                Command::Help(Some(text.clone())),
                Command::Ehlo(Hello::Other(text.clone())),
                Command::Auth { mechanism: text.clone(), initial: Some(Secret::new(text.clone())) },
                Command::Mail(ReversePath::Null, Box::new(MailParameters {
                    unknown: vec![text.clone()],
                    hold: Some(Hold::Until(text.clone())),
                    ..MailParameters::default()
                })),
            ] {
                let octets = command.encode();
                let line = octets.strip_suffix(b"\r\n").unwrap();
                prop_assert!(!line.iter().any(u8::is_ascii_control));
            }
        }
    }
}

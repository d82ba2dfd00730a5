//! Macros: what a milter is told besides, by the names that Sendmail gave it.

use std::net::IpAddr;

use mailwire::address::ReversePath;

use super::options::Agreed;
use crate::gate::Facts;

/// Names and values.
pub(super) type Macros = Vec<(String, String)>;

/// When macros are told: in front of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Connect,
    Hello,
    Mail,
    Rcpt,
    Data,
    EndOfHeader,
    End,
}

impl Moment {
    /// By the number that milters use to ask for some.
    pub(super) const fn numbered(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Connect,
            1 => Self::Hello,
            2 => Self::Mail,
            3 => Self::Rcpt,
            4 => Self::Data,
            5 => Self::End,
            6 => Self::EndOfHeader,
            _ => return None,
        })
    }

    /// The command that follows.
    pub(super) const fn command(self) -> u8 {
        match self {
            Self::Connect => b'C',
            Self::Hello => b'H',
            Self::Mail => b'M',
            Self::Rcpt => b'R',
            Self::Data => b'T',
            Self::EndOfHeader => b'N',
            Self::End => b'E',
        }
    }

    /// What is told where nothing else was asked for, as Sendmail and Postfix have it.
    const fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Connect => &[
                "j",
                "_",
                "v",
                "{daemon_name}",
                "{client_addr}",
                "{client_name}",
                "{client_port}",
                "{client_ptr}",
            ],
            Self::Hello => &["{tls_version}", "{cipher}"],
            Self::Mail => &[
                "i",
                "{auth_type}",
                "{auth_authen}",
                "{auth_author}",
                "{mail_addr}",
                "{mail_host}",
                "{mail_mailer}",
                // For those who look only now.
                "{client_addr}",
                "{daemon_name}",
            ],
            Self::Rcpt => &["i", "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}"],
            Self::Data | Self::EndOfHeader | Self::End => &["i"],
        }
    }
}

/// A recipient, as macros tell of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct To<'a> {
    pub(super) mailbox: &'a str,
    pub(super) domain: &'a str,
}

/// What is told now. What there is not has no macro.
pub(super) fn macros(agreed: &Agreed, moment: Moment, facts: &Facts, to: Option<To<'_>>) -> Macros {
    let valued = |name: &str| Some((name.to_owned(), value(name, facts, to)?));
    match agreed.macros(moment) {
        Some(asked) => asked.iter().filter_map(|name| valued(name)).collect(),
        None => moment.usual().iter().filter_map(|name| valued(name)).collect(),
    }
}

fn value(name: &str, facts: &Facts, to: Option<To<'_>>) -> Option<String> {
    let bare = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    let sender = match &facts.reverse_path {
        ReversePath::Mailbox(mailbox) => Some(mailbox),
        ReversePath::Null => None,
    };
    match bare {
        "j" => Some(facts.hostname.clone()),
        "v" => Some(concat!("mailstack ", env!("CARGO_PKG_VERSION")).to_owned()),
        "_" | "client_name" => Some(client(facts.address)),
        "client_ptr" => Some("unknown".to_owned()),
        "client_addr" => facts.address.map(|address| address.to_canonical().to_string()),
        "client_port" => facts.port.map(|port| port.to_string()),
        "daemon_name" => Some(if facts.is_submission { "MSA" } else { "MTA" }.to_owned()),
        "tls_version" => facts.tls.as_ref().map(|tls| tls.version.to_owned()),
        "cipher" => facts.tls.as_ref().map(|tls| tls.cipher.clone()),
        "i" => Some(facts.id.clone()),
        "auth_type" => facts.login.as_ref().and(facts.mechanism).map(|mechanism| mechanism.name().to_owned()),
        "auth_authen" => facts.login.as_ref().map(ToString::to_string),
        "mail_addr" => Some(sender.map_or_else(String::new, ToString::to_string)),
        "mail_host" => sender.map(|mailbox| mailbox.domain().to_string()),
        "mail_mailer" | "rcpt_mailer" => Some("smtp".to_owned()),
        "rcpt_addr" => to.map(|to| to.mailbox.to_owned()),
        "rcpt_host" => to.map(|to| to.domain.to_owned()),
        _ => None,
    }
}

/// Whoever has no name that was looked up is called by the address.
fn client(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "localhost".to_owned(), |address| format!("[{}]", address.to_canonical()))
}

#[cfg(test)]
mod tests {
    use mailwire::sasl::Mechanism;

    use super::super::super::facts::testing::facts;
    use super::*;

    fn agreed(more: &[u8]) -> Agreed {
        Agreed::read(&[b"\0\0\0\x06\0\0\x01\0\0\0\0\0".as_slice(), more].concat()).unwrap()
    }

    fn told(moment: Moment, facts: &Facts) -> String {
        let to = Some(To { mailbox: "bob@example.test", domain: "example.test" });
        let macros = macros(&agreed(b""), moment, facts, to);
        macros.iter().flat_map(|(name, value)| [name, "=", value, " "]).collect()
    }

    #[test]
    fn each_moment_has_its_macros() {
        let facts = facts();
        let connect = told(Moment::Connect, &facts);
        assert!(connect.starts_with("j=mx.example.test _=[192.0.2.1] v=mailstack "), "{connect}");
        assert!(
            connect.ends_with(
                "{daemon_name}=MTA {client_addr}=192.0.2.1 {client_name}=[192.0.2.1] {client_port}=4321 {client_ptr}=unknown "
            ),
            "{connect}"
        );
        // Without TLS and login there is nothing to say of them.
        assert_eq!(told(Moment::Hello, &facts), "");
        assert_eq!(
            told(Moment::Mail, &facts),
            "i=id {mail_addr}=a@b.example {mail_host}=b.example {mail_mailer}=smtp {client_addr}=192.0.2.1 {daemon_name}=MTA "
        );
        assert_eq!(
            told(Moment::Rcpt, &facts),
            "i=id {rcpt_addr}=bob@example.test {rcpt_host}=example.test {rcpt_mailer}=smtp "
        );
        for moment in [Moment::Data, Moment::EndOfHeader, Moment::End] {
            assert_eq!(told(moment, &facts), "i=id ");
        }
    }

    #[test]
    fn a_login_is_told_with_its_mechanism() {
        let login = Some(mailwire::address::Mailbox::parse("alice@example.test").unwrap());
        let facts = Facts { login, mechanism: Some(Mechanism::Plain), is_submission: true, ..facts() };
        let told = told(Moment::Mail, &facts);
        assert!(told.contains("{auth_type}=PLAIN {auth_authen}=alice@example.test"), "{told}");
        assert!(told.ends_with("{daemon_name}=MSA "), "{told}");
    }

    #[test]
    fn who_asks_for_macros_gets_these() {
        let agreed = agreed(b"\0\0\0\x05{mail_addr} {unknown} j\0");
        let told = macros(&agreed, Moment::End, &facts(), None);
        let names: Vec<_> = told.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["{mail_addr}", "j"]);
    }
}

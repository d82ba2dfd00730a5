//! What is asked about: an envelope, who brings it, and content.

use std::net::IpAddr;

use mailwire::address::{Domain, ForwardPath, Mailbox, ReversePath};
use mailwire::smtp::{Body, Command, Hello, MailParameters, RcptParameters};

use crate::session::Kind;
use crate::trace;

/// The octets of a line that fills a message up to its size.
const FILLING: &[u8; 78] = b"This line makes the message as large as it is to be, and has no other purpose\n";

/// A mail, and who brings it.
#[derive(Clone, Debug)]
pub struct Mail {
    /// By MAIL.
    pub from: ReversePath,
    /// By RCPT.
    pub to: Vec<Mailbox>,
    /// Where the client is.
    pub address: IpAddr,
    /// Who has logged in; it is taken for proven.
    pub login: Option<String>,
    /// By EHLO; without it the client's address.
    pub hello: Option<String>,
    /// At which service.
    pub kind: Kind,
    /// What protects the connection.
    pub protection: Protection,
    /// The message.
    pub content: Content,
}

/// What protects the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protection {
    /// TLS.
    #[default]
    Tls,
    /// Nothing.
    Clear,
}

/// The message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// One that is made here, of at least so many octets.
    Made(u64),
    /// This one, with CRLF or LF.
    Given(Vec<u8>),
}

impl Mail {
    /// EHLO.
    pub(super) fn ehlo(&self) -> Command {
        Command::Ehlo(match &self.hello {
            None => Hello::Domain(Domain::Address(self.address)),
            Some(name) => Domain::parse(name).map_or_else(|_| Hello::Other(name.clone()), Hello::Domain),
        })
    }

    /// MAIL for a message with this beginning, of so many octets.
    pub(super) fn mail(&self, head: &[u8], octets: u64) -> Command {
        let needs_smtputf8 = self.to.iter().any(Mailbox::needs_smtputf8)
            || matches!(&self.from, ReversePath::Mailbox(from) if from.needs_smtputf8());
        Command::Mail(
            self.from.clone(),
            Box::new(MailParameters {
                size_octets: Some(octets),
                body: (!head.is_ascii()).then_some(Body::EightBitMime),
                smtputf8: needs_smtputf8,
                ..MailParameters::default()
            }),
        )
    }

    /// RCPT for one of them.
    pub(super) fn rcpt(to: &Mailbox) -> Command {
        Command::Rcpt(ForwardPath::Mailbox(to.clone()), Box::<RcptParameters>::default())
    }

    /// The message with CRLF, and how often the filling comes behind it. Files of programs have LF, which clients make into CRLF;
    /// what has both stays as it is.
    pub(super) fn content(&self, unix_seconds: u64) -> (Vec<u8>, u64) {
        match &self.content {
            Content::Given(octets) if memchr::memmem::find(octets, b"\r\n").is_none() => {
                let lines: Vec<&[u8]> = octets.split(|octet| *octet == b'\n').collect();
                (lines.join(&b"\r\n"[..]), 0)
            }
            Content::Given(octets) => (octets.clone(), 0),
            Content::Made(octets) => {
                let head = self.made(unix_seconds).into_bytes();
                let lacking = octets.saturating_sub(head.len() as u64);
                (head, lacking.div_ceil(filling().len() as u64))
            }
        }
    }

    /// A message with nothing in it that speaks for or against it.
    fn made(&self, unix_seconds: u64) -> String {
        let author = match (&self.from, &self.login) {
            (ReversePath::Mailbox(mailbox), _) => mailbox.text(),
            (ReversePath::Null, Some(login)) => login.clone(),
            (ReversePath::Null, None) => {
                let host = Domain::Address(self.address).to_string();
                format!("MAILER-DAEMON@{}", self.hello.as_deref().unwrap_or(&host))
            }
        };
        let to: Vec<String> = self.to.iter().map(|to| format!("<{}>", to.text())).collect();
        let (to, date) = (to.join(",\r\n "), trace::date(unix_seconds));
        format!(
            "From: <{author}>\r\nTo: {to}\r\n{date}Message-ID: <{unix_seconds}.why@mailstack.invalid>\r\nSubject: A \
             test\r\n\r\nA test.\r\n"
        )
    }
}

/// One line of the filling.
pub(super) fn filling() -> Vec<u8> {
    let text = FILLING.strip_suffix(b"\n").unwrap_or(FILLING);
    [text, b"\r\n"].concat()
}

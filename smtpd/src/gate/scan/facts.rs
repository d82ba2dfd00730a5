//! What a scanner is told besides the content.

use std::net::IpAddr;

use mailwire::address::{Mailbox, ReversePath};
use mailwire::net::TlsDetails;
use mailwire::sasl::Mechanism;
use mailwire::smtp::Hello;

/// Where a message comes from, and for whom it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// By MAIL.
    pub reverse_path: ReversePath,
    /// What else MAIL said, as `SIZE=1000`.
    pub parameters: Vec<String>,
    /// By RCPT, as far as they were accepted.
    pub recipients: Vec<Mailbox>,
    /// Where the client is; `None` for a program of this machine at a Unix socket.
    pub address: Option<IpAddr>,
    /// Its port there.
    pub port: Option<u16>,
    /// What protects the connection.
    pub tls: Option<TlsDetails>,
    /// By EHLO or HELO.
    pub hello: Hello,
    /// Who has logged in.
    pub login: Option<Mailbox>,
    /// By what they have.
    pub mechanism: Option<Mechanism>,
    /// Which transaction of the session it is.
    pub number: u32,
    /// What the message is called in the log.
    pub id: String,
    /// What this server is called.
    pub hostname: String,
    /// True for what users submit.
    pub is_submission: bool,
}

#[cfg(test)]
pub(crate) mod testing {
    use mailwire::address::Domain;

    use super::*;

    /// A message of a host elsewhere.
    pub(crate) fn facts() -> Facts {
        Facts {
            reverse_path: ReversePath::Mailbox(Mailbox::parse("a@b.example").unwrap()),
            parameters: vec!["SIZE=7".to_owned()],
            recipients: vec![Mailbox::parse("bob@example.test").unwrap()],
            address: Some("192.0.2.1".parse().unwrap()),
            port: Some(4321),
            tls: None,
            hello: Hello::Domain(Domain::parse("mail.b.example").unwrap()),
            login: None,
            mechanism: None,
            number: 1,
            id: "id".to_owned(),
            hostname: "mx.example.test".to_owned(),
            is_submission: false,
        }
    }
}

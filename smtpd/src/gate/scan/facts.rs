//! What a scanner is told besides the content.

use std::net::IpAddr;

use mailwire::address::{Mailbox, ReversePath};
use mailwire::smtp::Hello;

/// Where a message comes from, and for whom it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// By MAIL.
    pub reverse_path: ReversePath,
    /// By RCPT, as far as they were accepted.
    pub recipients: Vec<Mailbox>,
    /// Where the client is; `None` for a program of this machine at a Unix socket.
    pub address: Option<IpAddr>,
    /// By EHLO or HELO.
    pub hello: Hello,
    /// Who has logged in.
    pub login: Option<Mailbox>,
    /// What the message is called in the log.
    pub id: String,
    /// What this server is called.
    pub hostname: String,
    /// True for what users submit.
    pub is_submission: bool,
}

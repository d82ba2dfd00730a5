//! `mailstack why`: the mail that is asked about.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use mailwire::address::{Mailbox, ReversePath};
use serde::Deserialize;

use super::Whereabouts;
use super::queue::sender;

#[derive(Args, Debug)]
pub(crate) struct WhyOptions {
    /// The sender by MAIL; <> for a report
    #[arg(long, value_name = "ADDRESS", value_parser = sender, required_unless_present = "cases")]
    pub(crate) from: Option<ReversePath>,
    /// A recipient by RCPT; may be given several times
    #[arg(long, value_name = "ADDRESS", value_parser = Mailbox::parse, required_unless_present = "cases")]
    pub(crate) to: Vec<Mailbox>,
    /// The address from which the client comes
    #[arg(long, value_name = "ADDRESS", required_unless_present = "cases")]
    pub(crate) ip: Option<IpAddr>,
    /// The account that has logged in; its password is not asked for
    #[arg(long, value_name = "LOGIN")]
    pub(crate) login: Option<String>,
    /// What the client calls itself [default: its address in brackets]
    #[arg(long, value_name = "NAME")]
    pub(crate) helo: Option<String>,
    /// Where it comes [default: submission with --login, else reception]
    #[arg(long, value_enum)]
    pub(crate) port: Option<PortName>,
    /// Over TLS, as is supposed where nothing is said
    #[arg(long, action = ArgAction::SetTrue, conflicts_with = "no_tls")]
    pub(crate) tls: bool,
    /// In clear
    #[arg(long)]
    pub(crate) no_tls: bool,
    /// The message, as a file; without it one is made that nothing but its sender speaks for or against
    #[arg(long, value_name = "FILE", conflicts_with = "size")]
    pub(crate) message: Option<PathBuf>,
    /// Octets that the message made has at least
    #[arg(long, value_name = "OCTETS")]
    pub(crate) size: Option<u64>,
    /// Many mails: a file with one JSON object a line, with the names of these options as keys; `-` for standard input
    ///
    /// Each is answered with one line of JSON before the next one is read. `to` is a list, `tls` true or false, `message` the
    /// message itself. The exit status is 0 where all were answered.
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "from", "to", "ip", "login", "helo", "port", "tls", "no_tls", "message", "size",
    ])]
    pub(crate) cases: Option<PathBuf>,
    /// For programs: one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) whereabouts: Whereabouts,
}

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PortName {
    /// Port 25, where other servers bring mail
    Reception,
    /// Ports 587 and 465, where users send it
    Submission,
}

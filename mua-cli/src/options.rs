//! The command line: each option of `mua` is declared here, once.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};

/// The reference mail client of mailstack: sends and fetches mail with any server.
#[derive(Debug, Parser)]
#[command(name = "mua", version, disable_help_subcommand = true)]
pub(crate) struct Options {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: Action,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Send a message.
    Send(Box<Send>),
    /// List, show or fetch the messages of a maildrop.
    Fetch(Fetch),
}

/// How to reach a server.
#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// The server, as a URL: `SCHEME://[LOGIN[:PASSWORD]@]HOST[:PORT]`.
    ///
    /// To send: submission:// (port 587) or smtp:// (25), which switch to TLS by STARTTLS, or submissions:// or smtps://
    /// (465), which are TLS from the start. To fetch: pop3:// (110), which switches by STLS, or pop3s:// (995).
    /// Write %40 for an @ in the login and %3A for a colon. A password in the URL is for trial use: other users of this
    /// machine may see it.
    #[arg(long, value_name = "URL")]
    pub(crate) server: String,

    /// Go on without TLS, password and all. To a server on this machine TLS is optional anyway.
    #[arg(long)]
    pub(crate) clear: bool,

    /// Trust the certificates in this PEM file, in addition to those that this system trusts.
    ///
    /// The server may show one of them as its own, whatever name is in it, or one that they have signed. Without this
    /// option, the certificate of a server on this machine is not checked.
    #[arg(long, value_name = "PEM")]
    pub(crate) cert_file: Option<PathBuf>,

    /// Print what client and server say on standard error, passwords hidden.
    #[arg(long, short)]
    pub(crate) verbose: bool,

    /// Read the password from the first line of standard input.
    ///
    /// Otherwise it comes from the URL, from the environment variable `MUA_PASSWORD`, or from a prompt.
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

/// `mua send`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 when every recipient was accepted; otherwise as in sysexits.h, such as \
    67 recipient refused, 75 try again later, 77 login refused."
)]
pub(crate) struct Send {
    #[command(flatten)]
    pub(crate) connect: Connect,

    /// Who sends: alice@example.org, or "Alice Example <alice@example.org>".
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) from: String,

    /// A recipient; repeat it, or separate addresses by commas.
    #[arg(long, value_name = "ADDRESS", required_unless_present_any = ["cc", "bcc"])]
    pub(crate) to: Vec<String>,

    /// A recipient of a copy.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) cc: Vec<String>,

    /// A recipient whom the others do not see.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bcc: Vec<String>,

    /// The subject.
    #[arg(long, value_name = "TEXT", conflicts_with = "raw")]
    pub(crate) subject: Option<String>,

    /// A file to attach; may be repeated.
    #[arg(long, value_name = "FILE", conflicts_with = "raw")]
    pub(crate) attach: Vec<PathBuf>,

    /// The text of the message (UTF-8); without this option it is read from standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "raw")]
    pub(crate) body_file: Option<PathBuf>,

    /// Standard input is a complete message with its header section, to be sent as it is.
    #[arg(long)]
    pub(crate) raw: bool,
}

/// `mua fetch`.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("destination").args(["maildir", "mbox"]),
    after_help = "Without --maildir, --mbox or --show, prints a line for each message: number, octets, unique-id, From, \
        Subject and Date, separated by tabs.\n\nExit status: 0 when all was fetched; otherwise as in sysexits.h, such \
        as 75 try again later, 77 login refused."
)]
pub(crate) struct Fetch {
    #[command(flatten)]
    pub(crate) connect: Connect,

    /// Deliver new messages into this Maildir, which is made where there is none.
    #[arg(long, value_name = "DIR")]
    pub(crate) maildir: Option<PathBuf>,

    /// Append new messages to this file in mbox format (mboxrd).
    #[arg(long, value_name = "FILE")]
    pub(crate) mbox: Option<PathBuf>,

    /// Print message N.
    #[arg(long, value_name = "N", conflicts_with = "destination")]
    pub(crate) show: Option<std::num::NonZeroU32>,

    /// Delete from the server what has been fetched, this time or before.
    #[arg(long, requires = "destination")]
    pub(crate) delete: bool,

    /// Leave all messages on the server; this is the default.
    #[arg(long, conflicts_with = "delete")]
    pub(crate) keep: bool,
}

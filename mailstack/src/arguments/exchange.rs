//! `mailstack import` and `mailstack export`: which mail comes from where, and goes where.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Whereabouts;
use crate::exchange::uidl_format::UidlFormat;

#[derive(Args, Debug)]
pub(crate) struct ImportOptions {
    /// The account's address, or that of one of its subaddress maildrops
    pub(crate) account: String,
    /// Where the mail lies
    pub(crate) source: PathBuf,
    /// What lies there [default: what it looks like]
    #[arg(long, value_enum)]
    pub(crate) format: Option<MailFormat>,
    /// What Dovecot's POP3 shows as unique-id, where its `pop3_uidl_format` is set; %f for qmail's
    /// [default: Dovecot's own, %08Xu%08Xv]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) uidl_format: Option<UidlFormat>,
    #[command(flatten)]
    pub(crate) whereabouts: Whereabouts,
}

#[derive(Args, Debug)]
pub(crate) struct ExportOptions {
    /// The account's address, or that of one of its subaddress maildrops
    pub(crate) account: String,
    /// Where to write to; what an earlier export has written there stays
    pub(crate) destination: PathBuf,
    /// What to write
    #[arg(long, value_enum)]
    pub(crate) format: MailFormat,
    #[command(flatten)]
    pub(crate) whereabouts: Whereabouts,
}

/// How mail lies on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MailFormat {
    /// A folder with cur and new in it, one file a message
    Maildir,
    /// One file with all messages, separated by lines of `From ` (mboxrd)
    Mbox,
    /// One .eml file a message, in folders
    Eml,
}

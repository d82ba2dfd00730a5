//! `mailstack guard`: what is said of those who guess or come too often, or send too much.

use clap::{Args, Subcommand};

use super::Whereabouts;

#[derive(Debug, Subcommand)]
pub(crate) enum GuardCommand {
    /// List the addresses and logins that are slowed or put off, for what, and until when
    ///
    /// Times are in UTC.
    List {
        /// Exact, for programs: address or network (or everywhere), login (or all), guesses, messages, recipients,
        /// connections or errors, put-off or slowed, how many, and until when in seconds since 1970, with a tab between each
        #[arg(long)]
        plain: bool,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Let them in again: forget what was counted
    Clear(ClearOptions),
}

#[derive(Args, Debug)]
pub(crate) struct ClearOptions {
    /// An address (192.0.2.1), a network (192.0.2.0/24) or a login; a login without a domain is one of the first domain
    #[arg(value_name = "NETWORK|ACCOUNT", required_unless_present = "all")]
    pub(crate) whom: Option<String>,
    /// Everybody
    #[arg(long, conflicts_with = "whom")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) whereabouts: Whereabouts,
}

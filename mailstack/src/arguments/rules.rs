//! `mailstack rules`: whose rules, from which file.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mailwire::address::ReversePath;

use super::Whereabouts;
use super::queue::sender;

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Give an account the rules in a file, in the place of those that it has
    ///
    /// They hold from the next message on. A file with a mistake in it changes nothing; what is wrong is said with its line and
    /// column. How rules are written is in the README.
    Set {
        /// The account
        #[arg(value_name = "ACCOUNT")]
        address: String,
        /// The rules; - reads standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Show the rules of an account, as they were set
    Show {
        /// The account
        #[arg(value_name = "ACCOUNT")]
        address: String,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Say what is wrong with rules, and change nothing
    Check {
        /// The account
        #[arg(value_name = "ACCOUNT")]
        address: String,
        /// The rules [default: those that it has]; - reads standard input
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Show what rules would do with a message, and which line decides; nothing is sent or stored
    Test(RulesTestOptions),
    /// Take the rules of an account away: all its mail goes where it was sent to
    Remove {
        /// The account
        #[arg(value_name = "ACCOUNT")]
        address: String,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
}

#[derive(Args, Debug)]
pub(crate) struct RulesTestOptions {
    /// The account
    #[arg(value_name = "ACCOUNT")]
    pub(crate) address: String,
    /// The rules [default: those that it has]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The message; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) message: PathBuf,
    /// Whom reports go to, as the envelope says it [default: nobody]
    #[arg(long, value_name = "ADDRESS", value_parser = sender)]
    pub(crate) from: Option<ReversePath>,
    /// The address that it was sent to [default: that of the account]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) to: Option<String>,
    /// As if a check had taken it for junk
    #[arg(long)]
    pub(crate) junk: bool,
    /// As if its sender had logged in
    #[arg(long)]
    pub(crate) authenticated: bool,
    #[command(flatten)]
    pub(crate) whereabouts: Whereabouts,
}

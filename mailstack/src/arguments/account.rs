//! `mailstack account` and `mailstack alias`: what can be said of accounts and their addresses.

use clap::{Args, Subcommand};

use super::Whereabouts;
use crate::quota::{CountLimit, SizeLimit};

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Add accounts; their passwords are asked for, or read from standard input, one a line
    Add {
        /// The accounts' addresses, with which they log in
        #[arg(required = true, value_name = "ADDRESS")]
        addresses: Vec<String>,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// List the accounts with what is in their maildrops and what may be
    ///
    /// Each line begins with the account's address. Deleted mail that can still be brought back does not count.
    List {
        /// Exact, for programs: address, messages, octets, most messages and most octets (or none), and whether that is
        /// the account's own quota or the default, with a tab between each
        #[arg(long)]
        plain: bool,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Show or change how much mail an account may have
    ///
    /// Mail above that is refused: for the time being where it would fit into an emptier maildrop, for good where the
    /// message alone is too large. Mail that is there already stays. Without --octets, --messages and --default the quota
    /// is shown.
    Quota(QuotaOptions),
    /// Remove an account and all its mail
    Remove {
        /// The account's address
        address: String,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Change an account's password; the new one is asked for, or read from standard input
    Password {
        /// The account's address
        address: String,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
}

#[derive(Args, Debug)]
pub(crate) struct QuotaOptions {
    /// The account's address
    pub(crate) address: String,
    /// Most octets of all its messages, such as 500M or 2G, or none; what is not given stays
    #[arg(long, value_name = "SIZE", conflicts_with = "default")]
    pub(crate) octets: Option<SizeLimit>,
    /// Most messages, or none; what is not given stays
    #[arg(long, value_name = "COUNT", conflicts_with = "default")]
    pub(crate) messages: Option<CountLimit>,
    /// No quota of its own any more: that of the configuration holds
    #[arg(long)]
    pub(crate) default: bool,
    #[command(flatten)]
    pub(crate) whereabouts: Whereabouts,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AliasCommand {
    /// Add an alias, or further targets to one
    Add {
        /// The further address
        address: String,
        /// Accounts or aliases that get its mail
        #[arg(required = true, value_name = "TARGET")]
        targets: Vec<String>,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// List the aliases and their targets
    List {
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Remove an alias
    Remove {
        /// The alias
        address: String,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
}

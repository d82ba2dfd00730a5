//! `mailstack account` and `mailstack alias`: what can be said of accounts and their addresses.

use clap::{Args, Subcommand, ValueEnum};
use mailstore::{Addresses, AppPasswordName, Detail};

use super::Whereabouts;
use crate::quota::{CountLimit, SizeLimit};
use crate::rules::{ExpireAfter, LoginDelay};

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
    /// Each line begins with the account's address; where it has further maildrops, lines with their subaddresses follow,
    /// and what is in them is a part of what the account has. Deleted mail that can still be brought back does not count.
    List {
        /// Exact, for programs, a line an account: address, messages, octets, most messages and most octets (or none), and
        /// whether that is the account's own quota or the default, with a tab between each
        #[arg(long)]
        plain: bool,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Show or change how much mail an account may have
    ///
    /// The quota holds for all maildrops of the account together. Mail above that is refused: for the time being where it
    /// would fit into an emptier maildrop, for good where the message alone is too large. Mail that is there already stays. Without --octets, --messages and --default the quota
    /// is shown.
    Quota(QuotaOptions),
    /// Show or change what holds for the use of an account's maildrops
    ///
    /// A program that logs in again sooner than the login delay is refused (POP3 says [LOGIN-DELAY]). Mail expires by being
    /// deleted so many days after it came into the maildrop, and can be brought back as any other deleted mail. With
    /// takeover, a login ends the session of another program that has the maildrop, of which nothing is deleted then. What
    /// is not given stays; without any of these what holds is shown.
    Maildrop(RulesOptions),
    /// Add, list and remove further passwords of an account, one for each of its programs
    #[command(subcommand)]
    AppPassword(AppPasswordCommand),
    /// Add, list and remove further maildrops of an account, one for each of its subaddresses that are to have one
    #[command(subcommand)]
    Subaddress(SubaddressCommand),
    /// Let an account send as another address, with its subaddresses, or as all of a domain
    ///
    /// It may always send as itself and as the aliases that reach it, and as their subaddresses. A catch-all alone lets
    /// nobody send as what it catches.
    Grant(GrantOptions),
    /// Take a grant back
    Revoke(GrantOptions),
    /// List what an account was granted
    Grants {
        /// The account's address
        address: String,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Remove an account with all its maildrops and mail, its application passwords and its grants
    Remove {
        /// The account's address
        address: String,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Change an account's password; the new one is asked for, or read from standard input
    ///
    /// Its application passwords stay valid.
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

#[derive(Args, Debug)]
pub(crate) struct RulesOptions {
    /// The account's address
    pub(crate) address: String,
    /// Time from a login to the next one, such as 60s, 5m or 1h, at most a day; or none
    #[arg(long, value_name = "TIME", conflicts_with = "default")]
    pub(crate) login_delay: Option<LoginDelay>,
    /// Days after which mail is deleted, such as 30d; or never
    #[arg(long, value_name = "DAYS", conflicts_with = "default")]
    pub(crate) expire: Option<ExpireAfter>,
    /// Whether a login ends the session of another program
    #[arg(long, value_name = "yes|no", conflicts_with = "default")]
    pub(crate) takeover: Option<YesNo>,
    /// No rules of its own any more: those of the configuration hold
    #[arg(long)]
    pub(crate) default: bool,
    /// Exact, for programs: address, seconds of the login delay (or none), days of expiry (or never), takeover (yes or
    /// no), each of the three followed by "own" or "default", with a tab between each
    #[arg(long)]
    pub(crate) plain: bool,
    #[command(flatten)]
    pub(crate) whereabouts: Whereabouts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum YesNo {
    Yes,
    No,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AppPasswordCommand {
    /// Make up a further password and show it, this once
    ///
    /// A program logs in with it as with the account's own password, by PLAIN, LOGIN, or USER and PASS; not by SCRAM, which
    /// knows but one password for each account. Removing it locks out that program alone.
    Add {
        /// The account's address
        address: String,
        /// What it is for, such as "phone"; under this name it is listed and removed
        #[arg(long, value_parser = AppPasswordName::parse)]
        name: AppPasswordName,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// List an account's application passwords: when each was made, and its name
    List {
        /// The account's address
        address: String,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Remove an application password: nobody can log in with it any more
    Remove {
        /// The account's address
        address: String,
        /// Its name
        #[arg(value_parser = AppPasswordName::parse)]
        name: AppPasswordName,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SubaddressCommand {
    /// Give mail to a subaddress of the account a maildrop of its own
    ///
    /// With the name junk, mail for alice+junk@example.org lies in a maildrop that POP3 opens with that address as the user
    /// name and the account's passwords. Without it, it lies among the account's other mail.
    Add {
        /// The account's address
        address: String,
        /// What stands behind the + of the subaddress, such as junk
        #[arg(value_parser = Detail::parse)]
        name: Detail,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// List an account's further maildrops with what is in them
    List {
        /// The account's address
        address: String,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Remove a further maildrop of an account; mail for its subaddress lies among the account's other mail again
    Remove {
        /// The account's address
        address: String,
        /// What stands behind the + of the subaddress
        #[arg(value_parser = Detail::parse)]
        name: Detail,
        /// Give up the mail that is in it, and what was deleted from it and could be brought back
        #[arg(long)]
        with_mail: bool,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
}

#[derive(Args, Debug)]
pub(crate) struct GrantOptions {
    /// The account's address
    pub(crate) address: String,
    /// Whom it may send as: an address such as sales@example.org, or @example.org for all of a domain
    #[arg(long = "as", value_name = "MAILBOX", value_parser = Addresses::parse)]
    pub(crate) addresses: Addresses,
    #[command(flatten)]
    pub(crate) whereabouts: Whereabouts,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AliasCommand {
    /// Add an alias, or further targets to one
    ///
    /// @example.org is the catch-all of a domain: its targets get what no account or other alias there takes.
    Add {
        /// The further address, or @DOMAIN for a catch-all
        address: String,
        /// Accounts, aliases or subaddress maildrops that get its mail
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

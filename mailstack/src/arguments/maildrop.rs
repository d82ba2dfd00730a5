//! `mailstack maildrop`: which messages of a maildrop are meant.

use clap::{Args, Subcommand};
use mailstore::UniqueId;

use super::Whereabouts;
use crate::maildrop::moment::Moment;

#[derive(Debug, Subcommand)]
pub(crate) enum MaildropCommand {
    /// List messages, one a line: number, unique-id, octets, when received, when deleted, from whom, and what about
    ///
    /// Those that are there have the numbers that a new POP3 session gives them. Times are in UTC.
    List(MaildropListOptions),
    /// Write a message to standard output as it is, deleted or not
    Show {
        /// The account's address, or that of one of its subaddress maildrops
        address: String,
        /// The message
        #[arg(value_name = "UNIQUE-ID", value_parser = UniqueId::parse)]
        unique_id: UniqueId,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Bring deleted messages back, to where they were
    ///
    /// They keep their unique-ids: a mail program that remembers those does not fetch the messages again. A session that
    /// runs does not see them before its next login.
    Undelete {
        /// The account's address, or that of one of its subaddress maildrops
        address: String,
        #[command(flatten)]
        selection: DeletedSelection,
        /// Give them new unique-ids, so that every mail program fetches them
        #[arg(long)]
        fresh: bool,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Give deleted messages up for good, before their time is over
    Purge {
        /// The account's address, or that of one of its subaddress maildrops
        address: String,
        #[command(flatten)]
        selection: DeletedSelection,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
}

#[derive(Args, Debug)]
pub(crate) struct MaildropListOptions {
    /// The account's address, or that of one of its subaddress maildrops
    pub(crate) address: String,
    /// Only deleted messages that can still be brought back
    #[arg(long, conflicts_with = "all")]
    pub(crate) deleted: bool,
    /// Deleted messages too
    #[arg(long)]
    pub(crate) all: bool,
    /// Only those received (with --deleted: deleted) from then on: 2026-11-20, 2026-11-20T13:00:00Z, 3d or 12h ago
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Moment>,
    /// Only those received (with --deleted: deleted) before
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Moment>,
    /// The first number to show
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) from: usize,
    /// Show at most so many
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<usize>,
    #[command(flatten)]
    pub(crate) whereabouts: Whereabouts,
}

/// Which deleted messages are meant.
#[derive(Args, Clone, Debug, Default)]
#[group(required = true, multiple = true)]
pub(crate) struct DeletedSelection {
    /// The messages, as `mailstack maildrop list --deleted` shows them
    #[arg(value_name = "UNIQUE-ID", value_parser = UniqueId::parse, conflicts_with_all = ["all", "since", "until", "last"])]
    pub(crate) unique_ids: Vec<UniqueId>,
    /// All that are deleted
    #[arg(long, conflicts_with_all = ["since", "until", "last"])]
    pub(crate) all: bool,
    /// Those deleted from then on: 2026-11-20, 2026-11-20T13:00:00Z, 3d or 12h ago
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Moment>,
    /// Those deleted before
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Moment>,
    /// The N that were deleted last
    #[arg(long, value_name = "N", conflicts_with_all = ["since", "until"])]
    pub(crate) last: Option<usize>,
}

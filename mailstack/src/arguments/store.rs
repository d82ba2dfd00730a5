//! `mailstack store`: what can be done with the store as a whole, and what is to be proved of it.

use clap::{Args, Subcommand, ValueEnum};

use super::Whereabouts;

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Crash a store on a simulated disk again and again: nothing acknowledged may ever be lost
    ///
    /// Deliveries, deletions, changes of accounts and of the queue are cut off at any write or sync, by a power cut or
    /// the end of the process. What was not synced is then kept, lost, torn or out of order. The store opens again, and
    /// what it holds is compared with what it had acknowledged. Your own store is not touched. The exit status is 0
    /// where the promise held.
    Prove(ProveOptions),
    /// Look for damage, and say whose messages it concerns, whether or not a server runs
    ///
    /// Every record of the journal is looked at by its head, and every entry of the index; with --deep all content is
    /// read and compared with its checksums as well. The exit status is 0 where nothing is lost.
    Check {
        /// Read all content
        #[arg(long)]
        deep: bool,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Read all content as `check --deep` does, but so slowly that nobody notices
    ///
    /// A server does this by itself in `scrub_days` days.
    Scrub {
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Make the index anew from the journal
    ///
    /// A server that runs answers with temporary failures until it is done. It does this by itself where its index is
    /// damaged.
    Rebuild {
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Give up deleted mail whose time is over, and bring its space back now
    ///
    /// A server does this by itself.
    Compact {
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Host the store, and nothing else, until told to stop (Ctrl-C)
    ///
    /// For a server whose programs that face the network run as other users: they share the store through its socket
    /// and cannot read its files. Set `socket` and `hosted_by` in the configuration.
    Serve {
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ProveOptions {
    /// Repeats the crashes of an earlier proof [default: a new one each time]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// How many crashes
    #[arg(long, value_name = "M", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) cuts: u64,
    /// Have the disk break a promise, and see that the proof fails
    #[arg(long, value_name = "HOW", value_enum)]
    pub(crate) sabotage: Option<Sabotage>,
}

/// What goes wrong in the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sabotage {
    /// No sync does anything
    NoSync,
    /// A sync is done only after it was answered
    LateSync,
    /// New segments of the journal may vanish
    NoSyncOfJournalFolder,
    /// Files of large content may vanish
    NoSyncOfContentFolder,
    /// A new segment of the journal is used before it is sure to stay
    LateSyncOfJournalFolder,
    /// The compaction forgets what was deleted
    ForgottenDeletions,
}

//! `mailstack backup` and `mailstack restore`: which snapshot is meant, and what is to come back from it.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use mailstore::UniqueId;

use super::Whereabouts;
use crate::maildrop::moment::Moment;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(crate) struct BackupOptions {
    #[command(subcommand)]
    pub(crate) command: Option<BackupCommand>,
    /// The folder of the backup; it is made where there is none
    #[arg(value_name = "BACKUP")]
    pub(crate) folder: Option<PathBuf>,
    /// Read all of the store, and write again what is damaged in the backup
    #[arg(long)]
    pub(crate) full: bool,
    #[command(flatten)]
    pub(crate) whereabouts: Whereabouts,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// List the snapshots of a backup
    List {
        /// The folder of the backup
        #[arg(value_name = "BACKUP")]
        folder: PathBuf,
    },
    /// Read all of a backup, and say what is damaged, in which snapshots, and whose mail it is
    Verify {
        /// The folder of the backup
        #[arg(value_name = "BACKUP")]
        folder: PathBuf,
        /// Only what this snapshot needs
        #[arg(long, value_name = "NAME")]
        snapshot: Option<String>,
    },
    /// Remove all but the newest snapshots, and what only the others need
    Prune {
        /// The folder of the backup
        #[arg(value_name = "BACKUP")]
        folder: PathBuf,
        /// How many snapshots stay
        #[arg(long, value_name = "N")]
        keep: NonZeroUsize,
    },
}

#[derive(Args, Debug)]
pub(crate) struct RestoreOptions {
    /// The folder of the backup
    #[arg(value_name = "BACKUP")]
    pub(crate) folder: PathBuf,
    /// Write the whole store into this folder, which is empty or does not exist
    ///
    /// The user who runs the server should do it. It can be stopped at any time and done again; until it is done, no
    /// server opens the folder.
    #[arg(long, value_name = "FOLDER", required_unless_present = "account", conflicts_with_all = ["account", "config", "dir"])]
    pub(crate) to: Option<PathBuf>,
    /// Bring back what this account has lost, into the store of a server that runs or not
    ///
    /// Messages keep their unique-ids, so that no client fetches again what it has. What is there stays as it is. The mail of
    /// a subaddress maildrop is brought back by its own address.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) account: Option<String>,
    /// Only this message
    #[arg(long, value_name = "UNIQUE-ID", value_parser = UniqueId::parse, requires = "account", conflicts_with = "to")]
    pub(crate) message: Option<UniqueId>,
    #[command(flatten)]
    pub(crate) choice: SnapshotChoice,
    #[command(flatten)]
    pub(crate) whereabouts: Whereabouts,
}

/// Which snapshot is meant: the newest one, where nothing is said.
#[derive(Args, Clone, Debug)]
pub(crate) struct SnapshotChoice {
    /// A snapshot, as `mailstack backup list` shows it [default: the newest]
    #[arg(long, value_name = "NAME", conflicts_with = "time")]
    pub(crate) snapshot: Option<String>,
    /// The newest snapshot that is no later: 2026-11-20, 2026-11-20T13:00:00Z, 3d or 12h ago
    #[arg(long, value_name = "TIME")]
    pub(crate) time: Option<Moment>,
}

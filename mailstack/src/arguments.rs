//! What can be said on the command line, in one place: parsing and help come from here.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mailstore::UniqueId;

use crate::exchange::uidl_format::UidlFormat;
use crate::maildrop::moment::Moment;
use crate::quota::{CountLimit, SizeLimit};

/// A mail server: submission, reception and retrieval of mail.
#[derive(Debug, Parser)]
#[command(name = "mailstack", version, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve SMTP and POP3 until told to stop (Ctrl-C)
    ///
    /// Without --config everything is made at the first start: a domain, a certificate and two accounts, served on
    /// this machine only, on ports that any user may open.
    Up(UpOptions),
    /// Add, list and remove accounts, and change their passwords and quotas
    #[command(subcommand)]
    Account(AccountCommand),
    /// Add, list and remove aliases: further addresses of accounts
    #[command(subcommand)]
    Alias(AliasCommand),
    /// Bring mail from a Maildir, an mbox file or a tree of .eml files into an account
    ///
    /// Messages keep the unique-ids under which POP3 clients know them, so that no client fetches them again: those in
    /// Dovecot's dovecot-uidlist, in Courier's courierpop3dsizelist, and in what `mailstack export` has written. It can be
    /// stopped at any time and done again: what is there already, or can still be brought back, is not imported twice.
    Import(ImportOptions),
    /// Write an account's mail to a Maildir, an mbox file or a tree of .eml files
    ///
    /// Dovecot can serve the Maildir at once, with the same unique-ids, and `mailstack import` takes back what was
    /// written octet for octet. Done again, it adds what is missing.
    Export(ExportOptions),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// See for yourself that the store keeps what it acknowledges
    #[command(subcommand)]
    Store(StoreCommand),
    /// List what is in a maildrop, and bring back or give up what was deleted from it
    #[command(subcommand)]
    Maildrop(MaildropCommand),
    /// Take a snapshot of the whole store, while the server runs or not
    ///
    /// Everything that was acknowledged before is in it, whole. The folder keeps every snapshot, and only what is new is
    /// read and written. It can be stopped at any time and done again.
    Backup(BackupOptions),
    /// Bring a store back from a backup, or what an account has lost
    Restore(RestoreOptions),
}

impl Command {
    /// True where the program then runs until it is told to stop.
    pub(crate) const fn serves(&self) -> bool {
        matches!(self, Self::Up(_) | Self::Store(StoreCommand::Serve { .. }))
    }
}

/// Where the store and the names of the server are found.
#[derive(Args, Clone, Debug)]
pub(crate) struct Whereabouts {
    /// The configuration file of a production server
    #[arg(long, value_name = "FILE", conflicts_with = "dir")]
    pub(crate) config: Option<PathBuf>,
    /// The folder of a server that made itself [default: ~/.local/share/mailstack]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct UpOptions {
    #[command(flatten)]
    pub(crate) whereabouts: Whereabouts,
    #[command(flatten)]
    pub(crate) ports: Ports,
}

/// Ports of a server that makes itself. One that is given must be free; the default ones give way.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Ports {
    /// Port of reception [default: 2525]
    #[arg(long = "smtp-port", value_name = "PORT", conflicts_with = "config")]
    pub(crate) reception: Option<u16>,
    /// Port of submission with STARTTLS [default: 2587]
    #[arg(long = "submission-port", value_name = "PORT", conflicts_with = "config")]
    pub(crate) submission: Option<u16>,
    /// Port of submission over TLS [default: 2465]
    #[arg(long = "submissions-port", value_name = "PORT", conflicts_with = "config")]
    pub(crate) submissions: Option<u16>,
    /// Port of POP3 with STLS [default: 2110]
    #[arg(long = "pop3-port", value_name = "PORT", conflicts_with = "config")]
    pub(crate) pop3: Option<u16>,
    /// Port of POP3 over TLS [default: 2995]
    #[arg(long = "pop3s-port", value_name = "PORT", conflicts_with = "config")]
    pub(crate) pop3s: Option<u16>,
}

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

#[derive(Args, Debug)]
pub(crate) struct ImportOptions {
    /// The account's address
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
    /// The account's address
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

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Read a configuration as the server would, and say what is wrong with it
    Check {
        /// The configuration file
        #[arg(long, value_name = "FILE", default_value = "/etc/mailstack/mailstack.toml")]
        config: PathBuf,
    },
}

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

#[derive(Debug, Subcommand)]
pub(crate) enum MaildropCommand {
    /// List messages, one a line: number, unique-id, octets, when received, when deleted, from whom, and what about
    ///
    /// Those that are there have the numbers that a new POP3 session gives them. Times are in UTC.
    List(MaildropListOptions),
    /// Write a message to standard output as it is, deleted or not
    Show {
        /// The account's address
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
        /// The account's address
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
        /// The account's address
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
    /// The account's address
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
    /// Messages keep their unique-ids, so that no client fetches again what it has. What is there stays as it is.
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_options_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_password_cannot_stand_on_the_command_line() {
        let given = ["mailstack", "account", "password", "alice@example.test", "secret"];
        assert!(Arguments::try_parse_from(given).is_err());
    }

    #[test]
    fn the_ports_of_a_configured_server_stand_in_its_configuration() {
        let given = ["mailstack", "up", "--config", "mailstack.toml", "--smtp-port", "2526"];
        assert!(Arguments::try_parse_from(given).is_err());
        assert!(Arguments::try_parse_from(["mailstack", "up", "--smtp-port", "2526"]).is_ok());
    }

    #[test]
    fn a_restore_is_of_the_whole_store_or_of_an_account() {
        let given = |rest: &[&str]| {
            let command = ["mailstack", "restore", "/backup"];
            Arguments::try_parse_from(command.iter().chain(rest)).is_ok()
        };
        for right in [&["--to", "/x"][..], &["--account", "a@b"], &["--account", "a@b", "--message", "u1"]] {
            assert!(given(right), "{right:?}");
        }
        for wrong in [
            &[][..],
            &["--to", "/x", "--account", "a@b"],
            &["--to", "/x", "--message", "u1"],
            &["--to", "/x", "--dir", "/y"],
            &["--to", "/x", "--snapshot", "s", "--time", "3d"],
        ] {
            assert!(!given(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn deleted_messages_are_selected_in_one_way_at_a_time() {
        let given = |selection: &[&str]| {
            let command = ["mailstack", "maildrop", "undelete", "bob@example.test"];
            Arguments::try_parse_from(command.iter().chain(selection)).is_ok()
        };
        for right in [&["u1", "u2"][..], &["--all"], &["--last", "3"], &["--since", "3d", "--until", "1d"]] {
            assert!(given(right), "{right:?}");
        }
        for wrong in
            [&[][..], &["--fresh"], &["u1", "--all"], &["--all", "--last", "3"], &["--since", "soon"]]
        {
            assert!(!given(wrong), "{wrong:?}");
        }
    }
}

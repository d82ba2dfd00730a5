//! What can be said on the command line, in one place: parsing and help come from here.

mod account;
mod backup;
mod dkim;
mod exchange;
mod greylist;
mod guard;
mod maildrop;
mod queue;
mod reports;
mod rules;
mod store;
mod why;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use self::account::{
    AccountCommand, AliasCommand, AppPasswordCommand, GrantOptions, QuotaOptions, RulesOptions,
    SubaddressCommand, YesNo,
};
pub(crate) use self::backup::{BackupCommand, BackupOptions, RestoreOptions, SnapshotChoice};
pub(crate) use self::dkim::{DkimCommand, MakeOptions};
pub(crate) use self::exchange::{ExportOptions, ImportOptions, MailFormat};
pub(crate) use self::greylist::GreylistCommand;
pub(crate) use self::guard::{ClearOptions, GuardCommand};
pub(crate) use self::maildrop::{DeletedSelection, MaildropCommand, MaildropListOptions};
pub(crate) use self::queue::{ExplainOptions, QueueCommand, QueueFilters, QueueListOptions, QueueSelection};
pub(crate) use self::reports::ReportsCommand;
pub(crate) use self::rules::{RulesCommand, RulesTestOptions};
pub(crate) use self::store::{ProveOptions, Sabotage, StoreCommand};
pub(crate) use self::why::{PortName, WhyOptions};

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
    /// Add, list and remove accounts, and change their passwords, quotas and rights
    #[command(subcommand)]
    Account(AccountCommand),
    /// Add, list and remove aliases: further addresses of accounts
    #[command(subcommand)]
    Alias(AliasCommand),
    /// Set, show, check and try the rules by which an account's mail is put into its maildrops, or thrown away
    #[command(subcommand)]
    Rules(RulesCommand),
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
    /// Ask DNS where mail for domains goes to: hosts in the order in which they are tried, and their addresses
    ///
    /// It is asked now, as the configuration says. The exit status is 1 where mail for one of them could not go anywhere.
    Route(RouteOptions),
    /// Make the keys that sign outgoing mail (DKIM), use and replace them
    #[command(subcommand)]
    Dkim(DkimCommand),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// See for yourself that the store keeps what it acknowledges
    #[command(subcommand)]
    Store(StoreCommand),
    /// See who is slowed or put off for guessing passwords or sending too much, and let them in again
    #[command(subcommand)]
    Guard(GuardCommand),
    /// See who must come again before their mail is taken, let them in at once, and forget them
    #[command(subcommand)]
    Greylist(GreylistCommand),
    /// List mail on its way out, hold it, release it, have it tried now, and remove it
    #[command(subcommand)]
    Queue(QueueCommand),
    /// List what is collected for reports to other domains, show it, and send it before it is due
    #[command(subcommand)]
    Reports(ReportsCommand),
    /// Tell the life of a message: how it came, what was tried, what became of it, and where it is
    ///
    /// Times are in UTC. What has left is known for a while (`trace_days` in the configuration), what is here as long as it
    /// is, deleted or not.
    Explain(ExplainOptions),
    /// Tell what the server would do with a mail, step by step, and which line of the configuration decides
    ///
    /// Nothing of it is done: nothing is stored, sent, counted or remembered, whether the server runs or not. DNS and, for a
    /// message of yours, the scanners of the configuration are really asked. The exit status is 0 where the mail would be accepted for all
    /// recipients, 4 where it would be put off for one of them, 5 where it would be refused, and 1 where that could not be found
    /// out.
    Why(Box<WhyOptions>),
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

#[derive(Args, Debug)]
pub(crate) struct RouteOptions {
    /// A domain (example.org) or an address in it (bob@example.org)
    #[arg(value_name = "DOMAIN|ADDRESS", required = true)]
    pub(crate) domains: Vec<String>,
    /// The configuration file; without it, this system's name servers are asked
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
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

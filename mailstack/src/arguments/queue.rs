//! `mailstack queue` and `mailstack explain`: which entries and which messages are meant.

use clap::{Args, Subcommand};
use mailwire::address::{Domain, Mailbox, ReversePath};

use super::Whereabouts;
use crate::maildrop::moment::Moment;
use crate::queue::entry_name::EntryName;

#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// List what waits: entry, octets, when it is due, attempts, from whom, to whom, and what the last attempt met
    ///
    /// An entry is one recipient of one message. Times are in UTC.
    List(QueueListOptions),
    /// Show entries with all that was tried
    Show {
        /// An entry (147.0), or a message (147) with all that is left of it
        #[arg(value_name = "ENTRY")]
        name: EntryName,
        /// For programs: one JSON object a line
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Have the next attempt made now; what is held stays held
    Retry(QueueSelection),
    /// Make entries wait until they are released
    Hold(QueueSelection),
    /// Release what is held
    Release(QueueSelection),
    /// Send entries back: they leave the queue, and their senders get a report that says so
    ///
    /// What is in the hands of a server that sends it is left as it is.
    Bounce {
        #[command(flatten)]
        selection: QueueSelection,
        /// Why, for the senders to read
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// For programs: one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Take entries out of the queue; nobody is told
    Remove {
        #[command(flatten)]
        selection: QueueSelection,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct QueueListOptions {
    #[command(flatten)]
    pub(crate) filters: QueueFilters,
    /// Domains instead of entries, with how many wait and how many are held for each
    #[arg(long, conflicts_with_all = ["domain", "to", "from", "held", "waiting"])]
    pub(crate) domains: bool,
    /// Show at most so many
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<usize>,
    /// For programs: one JSON object a line, times in seconds since 1970
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) whereabouts: Whereabouts,
}

/// Entries for which all of it is true.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct QueueFilters {
    /// Only for recipients in this domain
    #[arg(long, value_name = "DOMAIN", value_parser = Domain::parse)]
    pub(crate) domain: Option<Domain>,
    /// Only for this recipient
    #[arg(long, value_name = "ADDRESS", value_parser = Mailbox::parse)]
    pub(crate) to: Option<Mailbox>,
    /// Only from this sender; <> for reports
    #[arg(long, value_name = "ADDRESS", value_parser = sender)]
    pub(crate) from: Option<ReversePath>,
    /// Only what is held
    #[arg(long, conflicts_with = "waiting")]
    pub(crate) held: bool,
    /// Only what waits for its time
    #[arg(long)]
    pub(crate) waiting: bool,
}

/// Which entries are meant.
#[derive(Args, Debug)]
pub(crate) struct QueueSelection {
    /// Entries (147.0), or messages (147) with all that is left of them, as `mailstack queue list` shows them
    #[arg(value_name = "ENTRY", conflicts_with_all = ["all", "domain", "to", "from", "held", "waiting"],
          required_unless_present_any = ["all", "domain", "to", "from", "held", "waiting"])]
    pub(crate) names: Vec<EntryName>,
    /// All of the queue
    #[arg(long, conflicts_with_all = ["domain", "to", "from", "held", "waiting"])]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) filters: QueueFilters,
    #[command(flatten)]
    pub(crate) whereabouts: Whereabouts,
}

#[derive(Args, Debug)]
pub(crate) struct ExplainOptions {
    /// A message: its number (147, as the log and `mailstack queue` show it), or its Message-ID
    #[arg(value_name = "NUMBER|MESSAGE-ID", required_unless_present_any = ["to", "from"],
          conflicts_with_all = ["to", "from"])]
    pub(crate) message: Option<String>,
    /// Messages for this recipient, the newest first
    #[arg(long, value_name = "ADDRESS", value_parser = Mailbox::parse)]
    pub(crate) to: Option<Mailbox>,
    /// Messages of this sender that left, the newest first
    #[arg(long, value_name = "ADDRESS", value_parser = Mailbox::parse)]
    pub(crate) from: Option<Mailbox>,
    /// Only those accepted from then on: 2026-11-20, 2026-11-20T13:00:00Z, 3d or 12h ago
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Moment>,
    /// Show at most so many
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) count: usize,
    #[command(flatten)]
    pub(crate) whereabouts: Whereabouts,
}

/// A reason that reports and traces have room for.
fn reason(text: &str) -> Result<String, String> {
    const OCTETS_MAX: usize = 400;
    match text.trim() {
        "" => Err("it says nothing".to_owned()),
        text if text.len() > OCTETS_MAX => Err(format!("it has more than {OCTETS_MAX} octets")),
        text if text.chars().any(char::is_control) => Err("it must be one line".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// `<>` and an address, with its brackets or without.
pub(super) fn sender(text: &str) -> Result<ReversePath, mailwire::address::AddressError> {
    let text = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    if text.is_empty() { Ok(ReversePath::Null) } else { Mailbox::parse(text).map(ReversePath::Mailbox) }
}

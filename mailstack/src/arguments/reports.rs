//! `mailstack reports`: what is collected for reports to other domains, and when it goes.

use clap::{Args, Subcommand, ValueEnum};
use mailwire::address::Domain;
use smtpd::reports::Kind;

use super::Whereabouts;

/// What is done about reports to other domains.
#[derive(Debug, Subcommand)]
pub(crate) enum ReportsCommand {
    /// List what is collected: kind, day, domain, how much there was, and when it is told
    ///
    /// A domain that does not ask for reports gets none: it is asked for that in DNS when its report is due. Times are in UTC.
    List {
        /// For programs: one JSON object a line
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Show reports about a domain as they would be sent now
    Show(ReportsSelection),
    /// Send reports now instead of when they are due
    Send {
        /// About this domain; about all, without one
        #[arg(value_name = "DOMAIN", value_parser = Domain::parse)]
        domain: Option<Domain>,
        /// Also about the day that is not over; what comes later goes into a report of its own
        #[arg(long)]
        unfinished: bool,
        /// Of this kind only
        #[arg(long, value_name = "KIND")]
        kind: Option<KindOfReport>,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
}

/// Which reports are meant.
#[derive(Args, Debug)]
pub(crate) struct ReportsSelection {
    /// The domain that they are about
    #[arg(value_name = "DOMAIN", value_parser = Domain::parse)]
    pub(crate) domain: Domain,
    /// Of this kind only
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<KindOfReport>,
    #[command(flatten)]
    pub(crate) whereabouts: Whereabouts,
}

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindOfReport {
    /// How TLS with the domain's hosts went
    Tls,
}

impl From<KindOfReport> for Kind {
    fn from(kind: KindOfReport) -> Self {
        match kind {
            KindOfReport::Tls => Self::Tls,
        }
    }
}

//! `mailstack greylist`: who must come again, and who is known.

use clap::Subcommand;
use mailwire::net::Network;

use super::Whereabouts;

/// What is done about who is greylisted.
#[derive(Debug, Subcommand)]
pub(crate) enum GreylistCommand {
    /// Lists who is to come again, and who is known because they did
    List {
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Lets mail of a domain from a network pass from now on
    Pass {
        /// As the list shows it, such as 192.0.2.0/24
        network: Network,
        /// The domain of its senders
        domain: String,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Forgets who came from a network
    Forget {
        /// As the list shows it, such as 192.0.2.0/24
        network: Network,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
}

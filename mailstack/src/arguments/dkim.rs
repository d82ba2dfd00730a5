//! `mailstack dkim`: what is said of the keys that sign outgoing mail.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use smtpd::dkim::{Algorithm, Selector};

use super::Whereabouts;

#[derive(Debug, Subcommand)]
pub(crate) enum DkimCommand {
    /// Make keys for a domain, and show the DNS records that go with them
    ///
    /// Nothing is signed with them until `mailstack dkim use`, so that their records can be published first.
    Make(MakeOptions),
    /// Take a private key that was made elsewhere
    Import {
        /// Whose key it is
        #[arg(value_name = "DOMAIN")]
        domain: String,
        /// Which of the domain's keys it is: what stands before ._domainkey in DNS
        #[arg(value_name = "SELECTOR")]
        selector: Selector,
        /// The file: RSA (2048 to 4096 bits) or Ed25519, in PEM form without a password
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Sign with these keys from now on, and with no others of the domain: one RSA key, one Ed25519 key, or one of each
    ///
    /// Their records must be in DNS by then. Keys that signed before rest: leave their records there for a week or two,
    /// for mail that is on its way.
    Use {
        /// Whose keys
        #[arg(value_name = "DOMAIN")]
        domain: String,
        /// Which of its keys
        #[arg(value_name = "SELECTOR", required_unless_present = "none", num_args = 1..)]
        selectors: Vec<Selector>,
        /// Sign no mail of this domain
        #[arg(long, conflicts_with = "selectors")]
        none: bool,
        /// Do not ask DNS for their records
        #[arg(long)]
        unchecked: bool,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// List all keys
    List {
        /// Exact, for programs: domain, selector, rsa or ed25519, signs or rests, and when it was made in seconds since
        /// 1970, with a tab between each
        #[arg(long)]
        plain: bool,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Show the DNS records of a domain's keys, as lines of a zone
    Show {
        /// Whose keys
        #[arg(value_name = "DOMAIN")]
        domain: String,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Remove a key with which nothing is signed any more
    Remove {
        /// Whose key
        #[arg(value_name = "DOMAIN")]
        domain: String,
        /// Which of its keys
        #[arg(value_name = "SELECTOR")]
        selector: Selector,
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
    /// Sign the message on standard input as if it left now, and write it to standard output
    Sign {
        #[command(flatten)]
        whereabouts: Whereabouts,
    },
}

#[derive(Args, Debug)]
pub(crate) struct MakeOptions {
    /// Whose keys
    #[arg(value_name = "DOMAIN")]
    pub(crate) domain: String,
    /// What stands before ._domainkey in DNS, for one key [default: year and month, as in 2026-11-rsa]
    #[arg(long, value_name = "NAME", requires = "kind")]
    pub(crate) selector: Option<Selector>,
    /// One key only, of this kind [default: one of each]
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<Kind>,
    #[command(flatten)]
    pub(crate) whereabouts: Whereabouts,
}

/// A kind of key, as it is said.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// What everybody checks
    Rsa,
    /// Short and quick; not checked by everybody
    Ed25519,
}

impl From<Kind> for Algorithm {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Rsa => Self::Rsa,
            Kind::Ed25519 => Self::Ed25519,
        }
    }
}

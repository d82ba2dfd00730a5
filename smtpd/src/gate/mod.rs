//! Who may bring mail from outside, and what other programs say of its content.
//!
//! | file | holds |
//! |---|---|
//! | `dnsbl/` | lists in DNS of those who send what nobody wants, or are known to send none of it (RFC 5782) |
//! | `greylist/` | strangers, who must come again (RFC 6647) |
//! | `scan/` | programs that look at mail |
//! | `visitor.rs` | what is found out about one client, at most once, while it talks |
//! | `judgement.rs` | what is said of one recipient, and with what words |
//! | `strangers.rs` | whom any of this is about |
//!
//! What is decided is a plain function of configuration and facts; asking for the facts is apart from it.

pub mod dnsbl;
pub mod greylist;
mod judgement;
pub mod scan;
mod strangers;
mod visitor;

use mailwire::daemon::config::{ConfigError, ConfigFile};

pub use dnsbl::{About, Action, Dnsbl, Finding, Heard, ListConfig, Measure, Pattern, Verdict};
pub use greylist::{GreylistConfig, Greylisting};
pub use judgement::{Judgement, Listing, Mark};
pub use scan::{Added, Consent, Decision, Facts, Outcome, Scan, ScanConfig, ScannerConfig};
pub(crate) use scan::{Came, Filters, Parts, Revision, Scanned, Scanners};
pub(crate) use strangers::is_stranger;
pub use visitor::Sender;
pub(crate) use visitor::{Gate, Visitor};

/// All tables that say who may bring mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GateTables {
    /// `[dnsbl]`.
    pub dnsbl: Dnsbl,
    /// `[greylist]`.
    pub greylist: GreylistConfig,
    /// `[scan]`.
    pub scan: ScanConfig,
}

impl GateTables {
    /// Reads them.
    ///
    /// # Errors
    /// Where one of them is wrong.
    pub fn read(file: &ConfigFile) -> Result<Self, ConfigError> {
        Ok(Self { dnsbl: file.table("dnsbl")?, greylist: file.table("greylist")?, scan: file.table("scan")? })
    }

    /// True where anything is asked about strangers at all.
    pub(crate) const fn is_kept(&self) -> bool {
        self.asks_lists() || self.greylist.enabled
    }

    /// True where lists in DNS are asked.
    pub(crate) const fn asks_lists(&self) -> bool {
        !self.dnsbl.lists.is_empty()
    }

    /// True where greylisting asks DNS whose hosts strangers are.
    pub(crate) const fn asks_spf(&self) -> bool {
        self.greylist.enabled && self.greylist.spf
    }
}

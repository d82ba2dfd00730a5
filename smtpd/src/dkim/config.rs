//! The table `[dkim]` of the configuration: where the keys lie.

use std::path::PathBuf;

use serde::Deserialize;

/// What the table `[dkim]` says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dkim {
    /// The folder of the keys, which smtpd must be able to read. Mail of domains that have none there is not signed. It does
    /// not lie in the store's folder: where the store has a host of its own, smtpd cannot look into that.
    pub keys: PathBuf,
}

impl Default for Dkim {
    fn default() -> Self {
        Self { keys: PathBuf::from("/etc/mailstack/dkim") }
    }
}

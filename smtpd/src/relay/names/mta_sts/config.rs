//! The table `[mta_sts]` of the configuration: whether policies are looked for, and what that may cost.

use std::path::PathBuf;
use std::time::Duration;

use mailwire::daemon::config::positive;
use mailwire::net::{QuestionLimits, Roots};
use serde::Deserialize;

use super::policy::POLICY_OCTETS_MAX;

/// What the table `[mta_sts]` says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MtaStsConfig {
    /// Whether policies are looked for.
    pub enabled: bool,
    /// Who must have signed the certificates of policies' hosts, in PEM form; empty: whom the system trusts.
    pub ca_file: PathBuf,
    /// The port of policies' hosts.
    #[serde(deserialize_with = "positive")]
    pub port: u16,
    /// Seconds that fetching a policy may take.
    #[serde(deserialize_with = "positive")]
    pub fetch_seconds: u64,
    /// Policies that are fetched at one time; others wait.
    #[serde(deserialize_with = "positive")]
    pub fetches_max: usize,
    /// Seconds after which one that could not be fetched is tried again.
    pub pause_seconds: u64,
    /// Most policies that are kept.
    #[serde(deserialize_with = "positive")]
    pub policies_max: usize,
}

impl Default for MtaStsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            ca_file: PathBuf::new(),
            port: 443,
            fetch_seconds: 30,
            fetches_max: 32,
            pause_seconds: 300,
            policies_max: 10_000,
        }
    }
}

impl MtaStsConfig {
    pub(super) fn roots(&self) -> Roots {
        if self.ca_file.as_os_str().is_empty() { Roots::System } else { Roots::File(self.ca_file.clone()) }
    }

    pub(super) const fn limits(&self) -> QuestionLimits {
        QuestionLimits {
            deadline: Duration::from_secs(self.fetch_seconds),
            answer_octets_max: POLICY_OCTETS_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_gives_the_defaults_and_limits_are_checked_at_their_edges() {
        let read = |text: &str| toml::from_str::<MtaStsConfig>(text);
        assert_eq!(read("").unwrap(), MtaStsConfig::default());
        for key in ["port", "fetch_seconds", "fetches_max", "policies_max"] {
            assert!(read(&format!("{key} = 1")).is_ok());
            assert!(read(&format!("{key} = 0")).is_err());
        }
        assert!(read("port = 65536").is_err());
        assert!(read("pause_seconds = 0").is_ok());
        assert!(read("mode = \"enforce\"").is_err());
    }
}

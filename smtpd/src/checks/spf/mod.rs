//! SPF (RFC 7208): whether a domain lets the client send its mail.
//!
//! | file | holds |
//! |---|---|
//! | `check_host.rs` | [`check_host`]: from a domain to a result, within the limits of RFC 7208 §4.6.4 |
//! | `record.rs` | records, by their grammar |
//! | `macros.rs` | macro strings |
//!
//! The library that checks signatures has an SPF of its own. It has no limit of void look-ups, takes the first of several
//! records, and reads wrong ones as right ones, so this is written here, and the published test suite is its measure.

mod check_host;
mod macros;
mod record;
#[cfg(test)]
mod suite;

use std::net::IpAddr;

pub(crate) use check_host::check_host;

/// RFC 7208 §2.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spf {
    /// There is no record, or no domain.
    None,
    /// The domain says nothing about the client.
    Neutral,
    /// The domain lets it send.
    Pass,
    /// The domain does not let it.
    Fail,
    /// The domain would rather not.
    SoftFail,
    /// DNS did not answer.
    TempError,
    /// The record is wrong.
    PermError,
}

impl Spf {
    /// As Authentication-Results say it (RFC 8601 §2.7.2).
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

/// What is asked: may this client send mail for this domain?
pub(crate) struct Asked<'a> {
    pub(crate) ip: IpAddr,
    /// What it calls itself.
    pub(crate) helo: &'a str,
    /// Whose record counts.
    pub(crate) domain: &'a str,
    /// The sender's; `postmaster` where it has none (RFC 7208 §4.3).
    pub(crate) local_part: &'a str,
    pub(crate) sender_domain: &'a str,
    /// What this server is called.
    pub(crate) receiver: &'a str,
    pub(crate) unix_seconds: u64,
}

/// The result, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) result: Spf,
    /// What failed, in words, where something did.
    pub(crate) problem: Option<String>,
    /// What the domain says to those whose mail fails (RFC 7208 §6.2): printable ASCII, not too long.
    pub(crate) explanation: Option<String>,
}

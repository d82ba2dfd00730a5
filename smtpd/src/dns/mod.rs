//! What DNS answers, for whoever asks: the relay about where mail goes, the checks about who has sent it.
//!
//! One [`Resolver`] serves all.
//!
//! `resolver.rs` is the only file that asks the library; it says of every answer whether DNSSEC vouches for it (RFC 4035).
//! `remembered.rs` keeps answers within a bound of octets.

mod config;
mod failed;
mod remembered;
mod resolver;
#[cfg(test)]
mod tests;

pub use config::{Dns, Validation};
pub use failed::Failed;
pub(crate) use resolver::{Answer, Nothing, RData, RecordType, Trust, text};
pub use resolver::{Resolver, ResolverError};

//! Lists in DNS of addresses and domains (RFC 5782): what they are asked, what their answers mean, and what follows.

mod ask;
mod config;
mod decide;
mod finding;
mod pattern;

pub(super) use ask::{Asked, Lists};
pub use config::{About, Action, Dnsbl, ListConfig};
pub use decide::{Measure, Verdict, decide};
pub use finding::{Finding, Heard};
pub use pattern::Pattern;

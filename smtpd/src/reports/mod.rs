//! Reports to those who run other domains: how TLS with their hosts went (RFC 8460), and what became of mail in their name
//! (RFC 9990, RFC 7489 §7.2).
//!
//! ```text
//! relay ──► Session ─┐                        ┌─► mail, signed as ours
//!                    ├─► Tally ─► Collected ──┤
//! checks ─► Seen ────┘  (a day)    (a report) └─► POST
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `config.rs` | [`ReportsConfig`]: the table `[reports]` |
//! | `day.rs` | a day, and when what was counted on it is told |
//! | `tally.rs` | what is counted, within a bound, and kept by the store |
//! | `head.rs` | what all reports begin with |
//! | `message.rs` | a report as a message |
//! | `destination.rs` | where a domain wants its reports |
//! | `courier.rs` | brings them there |
//! | `service.rs` | [`Reports`]: all of it, and when |
//! | `tls/` | what is counted of sessions, and what is told of it |

mod config;
mod courier;
mod day;
mod destination;
mod head;
mod message;
mod service;
mod tally;
#[cfg(test)]
mod tests;
pub(crate) mod tls;

pub use config::ReportsConfig;
pub use courier::{SendError, Sent};
pub use day::Day;
pub use service::{Reports, ReportsError};
pub(crate) use tally::Tally;
pub use tally::{Collected, Kind, collected};

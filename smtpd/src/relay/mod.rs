//! Mail on its way to other hosts: out of the queue, to whichever host takes it, and the reports that senders get.
//!
//! ```text
//! queue ─► dispatcher ─► board ─► worker ─► approach ─► link ─► conclusion ─► queue
//!           (what is due)  (by destination)   (which host)  (session)   └─► report
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `config.rs` | [`RelayConfig`]: the table `[relay]` |
//! | `service.rs` | [`Relay`]: all of it, from its configuration to the end of the drain |
//! | `dispatcher.rs` | the one task that knows what is due |
//! | `board.rs` | what is to be sent, by destination, and who may begin |
//! | `limit.rs` | how many sessions a destination gets |
//! | `route.rs` | where mail goes |
//! | `worker.rs` | one worker of one destination |
//! | `work.rs` | a job under way |
//! | `approach.rs` | hosts, addresses and TLS in their order |
//! | `link.rs` | one session with another server |
//! | `dialogue.rs` | what was said in it, for the trace |
//! | `security.rs` | how a connection is protected |
//! | `envelope.rs` | what is said of a message to the next server |
//! | `content.rs` | its octets |
//! | `fitting.rs` | the message made fit for a server |
//! | `signing.rs` | the DKIM signatures in front of them |
//! | `verdict.rs` | what an attempt came to for one recipient |
//! | `schedule.rs` | when it is tried again, and when it is given up |
//! | `conclusion.rs` | outcomes and reports, made true |
//! | `reporter.rs` | who sends reports |
//! | `bouncer.rs` | mail that the postmaster ends |
//! | `answer/` | what accounts that are away say to senders |
//! | `witness.rs` | how TLS went, for the domains that want to know |
//! | `report/` | what senders read |
//! | `names/` | what DNS says |

mod answer;
mod approach;
mod board;
mod bouncer;
mod conclusion;
mod config;
mod content;
mod dialogue;
mod dispatcher;
mod envelope;
mod fitting;
mod forwarding;
mod limit;
mod link;
pub mod names;
mod report;
mod reporter;
mod route;
mod schedule;
mod security;
mod service;
mod signing;
#[cfg(test)]
mod testing;
mod verdict;
mod witness;
mod work;
mod worker;

pub use bouncer::{BounceError, Bounced, Bouncer, Silence};
pub use config::{RelayConfig, RelayTables, RouteConfig, TlsMode};
pub use route::{RouteError, Routes, Way};
pub use service::{Relay, RelayError};

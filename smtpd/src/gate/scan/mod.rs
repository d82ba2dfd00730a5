//! Programs that look at mail (rspamd, milters): content streams to them once it has come in, and their word is waited for before the
//! message is accepted.
//!
//! | file | holds |
//! |---|---|
//! | `config.rs` | the table `[scan]` |
//! | `facts.rs` | what a scanner is told besides the content |
//! | `rspamd.rs` | rspamd's protocol over HTTP: the question and its answer, as octets |
//! | `http.rs` | the frame of an answer |
//! | `milter/` | milters, who hear of each step of a transaction and may change the message |
//! | `fields.rs` | the header fields that a scanner wants added, made safe |
//! | `decide.rs` | what follows from a scanner's word |
//! | `link.rs` | one scanner's connection for one message |
//! | `spool.rs` | the content, until it is theirs |
//! | `message.rs` | all scanners of one message |

mod config;
mod decide;
mod facts;
mod fields;
mod http;
mod link;
mod message;
pub mod milter;
mod rspamd;
mod spool;

pub use config::{Kind, Place, Reject, ScanConfig, ScannerConfig, WhenAway};
pub use decide::{Decision, Outcome, Word, decide};
pub use facts::Facts;
pub use fields::Added;
pub use http::{End, HttpError};
pub use message::Scan;
pub(crate) use message::{Came, Scanned, Scanners};
pub use milter::Consent;
pub(crate) use milter::{Filters, Parts, Revision};
pub use rspamd::{Answer, AnswerError, answer};

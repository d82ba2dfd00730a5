//! Milters: programs that speak Sendmail's mail filter protocol, version 6, as libmilter does. They look at each step of a
//! transaction as it happens, and may change what comes of it.
//!
//! | file | holds |
//! |---|---|
//! | `options.rs` | what a milter may do and wants to be told, agreed on when it is reached |
//! | `question.rs` | what it is told, as octets |
//! | `macros.rs` | what it is told besides: names and values |
//! | `answer.rs` | what it says, out of octets that come in pieces |
//! | `reply.rs` | the reply that it wants its server to give |
//! | `header.rs` | the header section, which it may change |
//! | `letter.rs` | one message, as one milter after the other leaves it |
//! | `link.rs` | one connection to a milter |
//! | `filter.rs` | one milter, for as long as a client is there |
//! | `filters.rs` | all milters of a client |
//! | `decide.rs` | what follows from a milter's word |

mod answer;
mod decide;
mod filter;
mod filters;
mod header;
mod letter;
mod link;
mod macros;
mod options;
mod question;
mod reply;

pub use answer::{Answer, Change, MilterError, Packet, packet};
pub use decide::{MilterWord, Stage, decide_milter};
pub use filters::Consent;
pub(crate) use filters::Filters;
pub use header::{Header, LeadingBlanks};
pub(super) use letter::Letter;
pub(crate) use letter::{Parts, Revision};
pub use options::Agreed;

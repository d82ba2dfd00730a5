//! Reports to senders (RFC 3464): that a message was delivered or not, is delayed, or has left for a server that will
//! not tell.
//!
//! | file | holds |
//! |---|---|
//! | `send.rs` | a report becomes a message, by one commit with the outcomes that it is about |
//! | `frame.rs` | its header and its parts |
//! | `words.rs` | what a person reads |
//! | `status.rs` | what a program reads (RFC 3464 §2, RFC 6533 §6) |
//! | `returned.rs` | the message that comes back, or its header section |

mod frame;
mod returned;
mod send;
mod status;
mod words;

use mailstore::QueueEntry;
use mailwire::smtp::Enhanced;

use super::verdict::Finding;

pub(super) use send::{Place, SendError, header_section, place, send};

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// It will not be delivered.
    Failed,
    /// It has not been delivered yet.
    Delayed,
    /// It is in a maildrop here.
    Delivered,
    /// It has been handed on to a server that sends no reports about it.
    Relayed,
}

/// Why nothing more is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// What the last attempt came to.
    Attempt,
    /// Its time is over.
    Time,
    /// The postmaster does not want it tried any more.
    Postmaster,
}

/// One recipient that a report is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) entry: &'a QueueEntry,
    pub(super) finding: &'a Finding,
    pub(super) status: Enhanced,
    pub(super) cause: Cause,
    /// The host that was asked; empty where none was.
    pub(super) host: &'a str,
    /// Seconds since 1970 until when it is tried.
    pub(super) retry_until: Option<u64>,
}

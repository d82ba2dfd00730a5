//! `mailstack maildrop`: what is in a maildrop, and what was deleted from it and can still come back.
//!
//! - [`command`]: finds server, store and maildrop, and does what the command says
//! - [`listing`]: one line a message
//! - [`headline`]: who wrote a message, and what about
//! - [`selection`]: which deleted messages are meant
//! - [`moment`]: points in time, as one says and reads them

pub(crate) mod command;
mod headline;
pub(crate) mod listing;
pub(crate) mod moment;
mod selection;

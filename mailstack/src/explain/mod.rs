//! `mailstack explain`: the life of one message, from the connection on.
//!
//! - [`command`]: which messages are meant, and what is said of each
//! - [`here`]: messages in maildrops of this server

pub(crate) mod command;
mod here;

//! Retrieval of mail over POP3 (RFC 1939, 2449, 2595, 3206, 5034, 6856, 6857).
//!
//! [`Service`] binds what [`Config`] says and serves maildrops out of a store until it is drained. [`session`]
//! holds the protocol itself: plain functions that are given lines and answers and say what to do.
//!
//! Invariants: this crate knows no SMTP and no queue, and a message leaves a maildrop only by the one commit that
//! precedes the `+OK` to QUIT.

mod config;
mod connection;
pub mod downgrade;
mod login;
#[cfg(test)]
#[path = "../tests/bare/memory.rs"]
mod memory;
mod replies;
mod service;
pub mod session;

pub use config::Config;
pub use mailwire::daemon::login::ClearLogin;
pub use replies::Language;
pub use service::{Addresses, BindError, Service, Shared};

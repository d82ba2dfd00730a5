//! Submission, reception and relay of mail over SMTP.
//!
//! [`Service`] binds the listeners of a [`Config`] and serves until it is drained. Each connection is one pure
//! [`session::Session`]; `connection.rs` is the only place where session, socket and store meet. `replies.rs` holds
//! all that the server can say, `trace.rs` the header fields that it adds, `content` looks at content as it passes, and
//! [`relay`] brings queued mail to other hosts.
//!
//! Invariant: this crate knows no POP3, keeps nothing itself, and says 250 to content only after a durable commit.

pub mod checks;
mod config;
mod connection;
mod content;
pub mod dkim;
mod dns;
pub mod filing;
pub mod gate;
mod inquiry;
mod login;
mod receiving;
pub mod rehearsal;
pub mod relay;
mod replies;
pub mod reports;
mod revising;
mod service;
pub mod session;
mod trace;

pub use config::{BareLineEnds, Config, DomainConfig};
pub use dns::{Resolver, ResolverError};
pub use mailwire::daemon::login::ClearLogin;
pub use service::{Addresses, BindError, Service, Shared};

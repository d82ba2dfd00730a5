//! What goes over the wire, for both ends of SMTP and POP3.
//!
//! Octets come in through a bounded [`line::LineBuffer`], whole lines are parsed with nom into
//! [`smtp::Command`] or [`pop3::Command`], and [`smtp::Reply`] or [`pop3::Reply`] goes back. [`dot`] frames
//! content, [`mime`] follows what it is made of, [`sasl`] holds the mechanisms of AUTH, both sides. With the feature `net` (on by default) come
//! [`net`] (connections, listeners, TLS) and [`daemon`] (what every server program needs around them). What OAuth's access
//! tokens say is in `oauth` (feature `tokens`), who checks them for a daemon in `daemon::oauth` (feature `oauth`).
//!
//! Invariants: this crate knows no storage and no policy, and without `net` it builds without tokio.

pub mod address;
pub mod cause;
pub mod clock;
#[cfg(feature = "net")]
pub mod daemon;
pub mod dot;
pub mod escape;
mod grammar;
pub mod header;
pub mod line;
pub mod mime;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "tokens")]
pub mod oauth;
pub mod pop3;
pub mod proxy;
pub mod sasl;
pub mod secret;
pub mod smtp;
pub mod tls_policy;

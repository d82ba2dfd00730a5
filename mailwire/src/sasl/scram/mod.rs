//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677).

mod attributes;
mod client;
mod keys;
mod server;

pub(super) use self::client::Client;
pub use self::client::ScramMeans;
pub use self::keys::ScramKeys;
pub(super) use self::server::{Begun, Challenged, First, Variant};

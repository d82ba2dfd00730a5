//! SCRAM-SHA-256 (RFC 5802, RFC 7677).

mod keys;

pub use self::keys::ScramKeys;

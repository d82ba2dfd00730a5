//! Policies of domains about TLS for their mail (RFC 8461): found by DNS, fetched by HTTPS, and kept for as long as they hold.

mod cache;
mod config;
mod discovery;
mod policy;
mod record;
#[cfg(test)]
mod tests;

pub use config::MtaStsConfig;
pub(super) use discovery::{Found, MtaSts};
pub(super) use policy::{Mode, Policy};

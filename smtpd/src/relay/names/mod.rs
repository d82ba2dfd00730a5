//! What DNS says of where mail goes: a domain's exchangers, their addresses, and what they promise about TLS.
//!
//! [`Names`] is all that the rest of the relay sees. Below it, `resolver.rs` is the only file that asks the DNS
//! library; it says of every answer whether DNSSEC vouches for it (RFC 4035).

mod addresses;
mod config;
mod exchangers;
mod lookup;
mod mta_sts;
mod no_route;
mod promise;
mod remembered;
mod resolver;
#[cfg(test)]
mod tests;

pub use addresses::Addresses;
pub use config::{Dns, Validation};
pub use exchangers::Exchanger;
pub use lookup::{Itself, Names, NamesError};
pub use mta_sts::MtaStsConfig;
pub use no_route::NoRoute;
pub use promise::Promise;
pub use resolver::ResolverError;

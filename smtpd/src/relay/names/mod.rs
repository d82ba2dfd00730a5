//! What DNS says of where mail goes: a domain's exchangers, their addresses, and what they promise about TLS.
//!
//! [`Names`] is all that the rest of the relay sees.

mod addresses;
mod exchangers;
mod lookup;
mod mta_sts;
mod no_route;
mod promise;
#[cfg(test)]
mod tests;

pub use crate::dns::{Dns, Failed, ResolverError, Validation};
pub use addresses::Addresses;
pub use exchangers::Exchanger;
pub use lookup::{Itself, Names, NamesError};
pub use mta_sts::MtaStsConfig;
pub use no_route::NoRoute;
pub use promise::Promise;
pub(super) use promise::Promised;

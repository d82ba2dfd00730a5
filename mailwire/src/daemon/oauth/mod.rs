//! OAuth's access tokens checked for the daemons, as the table `[oauth]` says: by the issuer's keys, or by asking it.

mod checker;
mod config;
mod introspection;
mod issuer_keys;
mod key_cache;
mod remembered;

pub use checker::{Checker, SetupError};
pub use config::{OAuth, Source};

//! What every server program needs around its listeners: configuration file, log, logins, errors, signals, limits of the process.

pub mod config;
pub mod errors;
pub mod log;
pub mod login;
mod nearest;
#[cfg(feature = "oauth")]
pub mod oauth;
pub mod process;
pub mod serving;
pub mod signals;

//! `mailstack backup` and `mailstack restore`.
//!
//! - [`command`]: snapshots are taken, listed, verified and given up
//! - [`restore`]: a whole store comes back, or what an account has lost
//! - [`account`]: which messages an account has lost, and how they come back
//! - [`watched`]: a long work is shown, and can be stopped

mod account;
pub(crate) mod command;
pub(crate) mod restore;
mod watched;

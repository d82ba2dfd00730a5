//! The guard of the process that hosts the store: pure state that is handed the time, in constant memory.
//!
//! - [`counts`]: counts that run out evenly, and turns that are taken one after the other
//! - [`generations`]: maps that forget what was not asked for lately
//! - [`fingerprints`]: logins and secrets that can be compared and not read
//! - [`logins`]: guesses, and who is put off for them
//! - [`standing`]: where an account and its address stand
//! - [`sendings`]: messages and recipients
//! - [`arrivals`]: connections, and errors in them
//! - [`keeper`]: all of it together, with the clock and the log

mod arrivals;
mod counts;
mod fingerprints;
pub(super) mod generations;
mod keeper;
mod logins;
mod sendings;
mod standing;

pub(crate) use keeper::Keeper;

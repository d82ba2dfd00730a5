//! Greylisting (RFC 6647): whoever is not known is asked to come again, which programs that only send junk do not do.
//!
//! `decide.rs` says what follows from what is known; `keeper.rs` asks the store for that, and has it remembered.

mod config;
mod decide;
mod keeper;
mod triplet;

pub use config::GreylistConfig;
pub use decide::{Greylisting, Known, Lesson, Why, decide};
pub(super) use keeper::Keeper;
pub use keeper::{CLIENTS, PASSED, WAITING, welcome};
pub use triplet::Triplet;

//! The bare session: no socket, no clock, no store, so whole dialogues take microseconds.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails where it cannot go on"
)]

mod accounts;
mod binary;
mod chopping;
mod failures;
mod header;
mod limits;
mod messages;
mod quotas;
mod refusals;
mod scripts;
mod session;
mod stored;
mod terms;

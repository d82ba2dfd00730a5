//! The bare session, without sockets and without a store: dialogues, chopped input, and what nobody should send.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that goes wrong may panic, also outside its #[test] function"
)]

mod chopping;
mod dialogues;
mod memory;
mod noise;
mod peer;

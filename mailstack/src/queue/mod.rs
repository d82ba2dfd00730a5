//! `mailstack queue`: mail on its way out is listed, held, released, put forward, sent back and removed.
//!
//! - [`bounce`]: entries go back to their senders
//! - [`command`]: what each of its commands does
//! - [`entry_name`]: entries as people name them
//! - [`listing`]: entries for people and for programs

mod bounce;
pub(crate) mod command;
pub(crate) mod entry_name;
pub(crate) mod listing;

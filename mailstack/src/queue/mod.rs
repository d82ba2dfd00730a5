//! `mailstack queue`: mail on its way out is listed, held, released, put forward and removed.
//!
//! - [`command`]: what each of its commands does
//! - [`entry_name`]: entries as people name them
//! - [`listing`]: entries for people and for programs

pub(crate) mod command;
pub(crate) mod entry_name;
pub(crate) mod listing;

//! Tests of the whole: dialogues and their player, and the harness that drives real processes.
//!
//! This crate links none of the project's crates, so a grammar shared by both ends cannot hide its own mistakes.
//! The daemons use [`dialogue`] and [`player`] in their own tests, to play the same scripts on bare sessions.

pub mod apart;
pub mod calls;
pub mod certificate;
pub mod chopping;
pub mod client_authority;
pub mod clients;
pub mod collectors;
pub mod deadline;
pub mod dialogue;
pub mod disk;
pub mod dovecot;
pub mod fetchers;
pub mod generated;
pub mod issuer;
pub mod messages;
pub mod metered;
pub mod milters;
pub mod mta;
pub mod name_server;
pub mod numbered;
mod pattern;
pub mod peer;
pub mod player;
pub mod policy_host;
pub mod pop3;
pub mod postfix;
pub mod programs;
pub mod random;
pub mod reader;
pub mod rspamd;
pub mod senders;
pub mod server;
pub mod smtp;
pub mod stream;
mod text;
mod variations;

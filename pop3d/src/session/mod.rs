//! The protocol's own states, as plain functions of lines and answers.
//!
//! ```text
//!              wrong login, STLS
//!                  ┌─────┐
//!                  │     ▼
//! greeting ──► AUTHORIZATION ──login──► TRANSACTION ──QUIT──► UPDATE ──► closed
//!                    │                       │
//!                  QUIT,                 connection lost, deadline, errors:
//!                  errors                closed, and nothing is deleted
//! ```
//!
//! [`Authorization`] and [`Transaction`] are the states of RFC 1939 §3; the UPDATE state is the step
//! [`TransactionStep::Expunge`] and its answer. [`Retrieval`] and [`Listing`] stream what RETR, TOP, LIST and UIDL
//! show, a piece at a time; a [`Measurement`] finds out how many octets a message has in the form that this client takes.
//!
//! Invariant: nothing here waits, so nothing here can read a clock, a socket or the store.

mod authorization;
mod deletions;
mod errors;
mod exchange;
mod forms;
mod lang;
mod listing;
mod measurement;
mod offer;
mod retrieval;
mod transaction;

pub use authorization::{Authorization, AuthorizationStep, RefusedLogin, Terms};
pub use listing::{Listing, Progress};
pub use measurement::Measurement;
pub use offer::{Login, Offer, Stls};
pub use retrieval::{Range, Retrieval};
pub use transaction::{Transaction, TransactionStep};

pub use crate::replies::{Answer, Language};

//! `mailstack why`: what the server would do with a mail, and what decides that.
//!
//! - [`case`]: the mail that is asked about, from options or from a line of JSON
//! - [`command`]: the server that is asked, and its answers
//! - [`told`]: one answer, for people and for programs
//! - [`arrival`]: where the mail would go

mod arrival;
mod case;
pub(crate) mod command;
mod told;

//! A dry run of a session: the production code says what it would do with a mail, and nothing of it is done.
//!
//! | file | holds |
//! |---|---|
//! | `mail.rs` | [`Mail`]: what is asked about |
//! | `stage.rs` | [`Rehearsal`]: the client's part, played to a session that asks the real store, DNS and programs |
//! | `outcome.rs` | [`Rehearsed`]: what was said and why, and what would be in the store |

mod mail;
mod outcome;
mod stage;
#[cfg(test)]
mod tests;

pub use mail::{Content, Mail, Protection};
pub use outcome::{End, Rehearsed, Said, Verdict};
pub use stage::Rehearsal;

//! What is found out about mail from outside before it is accepted, and what follows.
//!
//! ```text
//! Seen ─► Checker ─► Findings ─► decide ─► Decision
//!            │  DNS      └─► Authentication-Results, trace, log
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `config.rs` | [`Checks`]: the table `[checks]` |
//! | `checker.rs` | [`Checker`]: all checks of a message, under one deadline |
//! | `source.rs` | what DNS says, and a client's names |
//! | `spf/` | SPF |
//! | `findings.rs` | [`Findings`]: what was found |
//! | `decision.rs` | [`decide`]: what follows; it asks nobody |
//! | `line.rs` | one result, and the field with all of them |

mod checker;
mod config;
mod decision;
mod findings;
mod line;
mod source;
mod spf;

pub(crate) use checker::a_labels;
pub use checker::{Checker, Judgement, Seen};
pub use config::{Action, Checks, Temporary};
pub use decision::{Decision, Method, Refusal, Verdict, decide};
pub use findings::{Findings, Iprev, IprevResult, Sender};
pub use spf::Spf;

//! The rules that an account has for its mail: what they are, how their text is read, and what they come to for a message.
//!
//! | file | holds |
//! |---|---|
//! | `rule.rs` | [`Rules`]: conditions and actions |
//! | `token.rs` | words and strings, with their places in the text |
//! | `parser.rs` | text becomes rules, or a [`Mistake`] with its place |
//! | `pattern.rs` | texts to compare with, and globs |
//! | `reason.rs` | [`Reason`]: the words of whoever does not take a message |
//! | `vacation.rs` | [`Vacation`]: answers, and what speaks against one |
//! | `facts.rs` | [`Facts`]: what is known of a message |
//! | `fields.rs` | the header section, field by field, decoded |
//! | `decision.rs` | [`decide`]: pure, so that a dry run is the real one |
//!
//! ```text
//! rules      = *rule
//! rule       = ("if" conditions "then" / "always") action *("and" action)
//! conditions = condition *("and" condition) / condition *("or" condition)
//! condition  = ["not"] (test / "(" conditions ")")
//! ```
//!
//! Invariant: text, rules and work have limits, and nothing here waits, asks or remembers.

mod decision;
mod facts;
mod fields;
mod parser;
mod pattern;
mod reason;
mod rule;
mod token;
mod vacation;

pub use decision::{Decision, Place, decide};
pub use facts::Facts;
pub(super) use fields::{has_field, value};
pub use parser::Mistake;
pub use reason::Reason;
pub use rule::Rules;
pub(super) use vacation::fingerprint;
pub use vacation::{Answer, Vacation, WhyNot};

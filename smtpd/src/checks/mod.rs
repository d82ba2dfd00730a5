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
//! | `reading.rs` | the message as it passes: its header section, and hashes of its body |
//! | `signatures.rs`, `keys.rs`, `chain.rs` | DKIM and ARC, verified by the library without any look-up of its own |
//! | `author.rs`, `dmarc/` | whose message it claims to be, and whether that is proven |
//! | `null_mx.rs` | whether the sender's domain takes mail at all |
//! | `tags.rs` | tag lists of keys and policies |
//! | `findings.rs` | [`Findings`]: what was found |
//! | `decision.rs` | [`decide`]: what follows; it asks nobody |
//! | `line.rs` | one result, and the field with all of them |

mod author;
mod chain;
mod checker;
mod config;
mod decision;
mod dmarc;
mod findings;
mod keys;
mod line;
mod null_mx;
mod reading;
mod signatures;
mod source;
mod spf;
mod tags;

pub use chain::{Chain, ChainResult, Sealer};
pub use checker::{Checker, Judgement, Seen};
pub(crate) use checker::{a_labels, called};
pub use config::{Action, Checks, Temporary};
pub use decision::{Decision, Method, Refusal, Verdict, decide};
pub use dmarc::{Dmarc, DmarcResult, Policy};
pub use findings::{Dkim, Findings, Iprev, IprevResult, Sender, Signature};
pub use null_mx::{NullMx, NullMxResult};
pub(crate) use reading::{HEADER_OCTETS_MAX, Reading};
pub use spf::Spf;

//! The pure session: it is handed a line or an answer, and hands back what to do.
//!
//! | file | holds |
//! |---|---|
//! | `machine.rs` | [`Session`] itself: its phases, which command may come when, how many errors it forgives |
//! | `step.rs` | [`Step`] and the questions in it |
//! | `policy.rs` | [`Policy`] and [`Peer`]: all that a session is told when it begins |
//! | `hello.rs` | greeting, EHLO, HELO, LHLO, STARTTLS |
//! | `auth.rs` | AUTH |
//! | `envelope.rs` | MAIL and RCPT |
//! | `terms.rs` | what MAIL and RCPT ask by their parameters |
//! | `gate.rs` | what strangers hear when they name a recipient |
//! | `expansion.rs` | EXPN |
//! | `class.rs` | [`Class`]: what a message is taken for |
//! | `content.rs` | DATA and BDAT, and the commit at their end |
//! | `consulting.rs` | what milters say of a recipient |
//! | `scanning.rs` | what other programs say of content |
//! | `verdicts.rs` | what is said at the end of content: once, or by LMTP once for each recipient |
//! | `judging.rs` | what is found out about mail from outside, and what follows |
//! | `filtering.rs` | what rules of recipients must know of a message |
//! | `incoming.rs` | [`Incoming`], the content that passes through meanwhile |
//! | `reason.rs` | what has decided a reply |
//! | `life.rs` | the steps that are kept of a message's way here |
//! | `refusals.rs` | what is kept of mail that is not taken |
//!
//! Invariant: no clock, socket, file or random source in here.

mod auth;
mod class;
mod consulting;
mod content;
mod envelope;
mod expansion;
mod filtering;
mod gate;
mod hello;
mod incoming;
mod judging;
mod life;
mod machine;
mod policy;
mod reason;
mod refusals;
mod scanning;
mod step;
mod terms;
mod verdicts;

pub use class::Class;
pub use consulting::ConsultQuestion;
pub use filtering::{FilteredRecipient, Filtering};
pub use gate::GateQuestion;
pub use incoming::{Incoming, Progress};
pub use machine::Session;
pub use policy::{Kind, Peer, Policy, PolicyError, Tls};
pub use step::{
    Acceptance, ContentQuestion, ExpansionQuestion, OriginatorQuestion, RecipientQuestion, RefusedLogin,
    SenderQuestion, Step, Then,
};

//! Where a message that is accepted goes within an account: as the account's rules say; what is taken for junk lies by
//! itself, or is marked.
//!
//! | file | holds |
//! |---|---|
//! | `rules/` | the rules of accounts: their text, and what they come to for a message. Pure |
//! | `forwards.rs` | what is forwarded comes into the queue, and goes in no circles |
//! | `answers.rs` | whose sender is answered, and when that was |
//! | `refusals.rs` | what recipients do not take: who says so to the sender, and how |
//! | `receipts.rs` | what was delivered, and whose sender wants to hear of it |
//! | `srs.rs` | the senders under which it is forwarded, and the way back of reports |
//! | `places.rs` | [`file`]: each recipient's maildrop becomes the ones that the account wants it in |

pub mod answers;
mod forwards;
mod places;
mod receipts;
mod refusals;
pub mod rules;
pub mod srs;

pub(crate) use places::{Means, file, is_marked};
pub(crate) use receipts::owe;

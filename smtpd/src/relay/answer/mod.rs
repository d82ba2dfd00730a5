//! Answers of accounts that are away: an entry of the queue that owes one becomes a message, by one commit.
//!
//! | file | holds |
//! |---|---|
//! | `send.rs` | who is answered, and the commit |
//! | `letter.rs` | the answer itself (RFC 3834 §3, RFC 5230 §5). Pure |

mod letter;
mod send;

pub(super) use send::answer;

//! Where a message that is accepted goes within an account: as the account's rules say; what is taken for junk lies by
//! itself, or is marked.
//!
//! | file | holds |
//! |---|---|
//! | `rules/` | the rules of accounts: their text, and what they come to for a message. Pure |
//! | `places.rs` | [`file`]: each recipient's maildrop becomes the ones that the account wants it in |

mod places;
pub mod rules;

pub(crate) use places::file;

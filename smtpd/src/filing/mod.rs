//! Where a message that is accepted goes within an account: what is taken for junk lies by itself, or is marked.
//!
//! | file | holds |
//! |---|---|
//! | `places.rs` | [`file`]: each recipient's maildrop becomes the one that the account wants it in |

mod places;

pub(crate) use places::file;

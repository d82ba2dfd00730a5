//! Content as it passes, whatever the chunks: what is wrong with it, who it claims to be from, and which fields go.
//!
//! | file | holds |
//! |---|---|
//! | `inspector.rs` | [`Inspector`]: sizes, line ends, and all that was found |
//! | `mime/` | binary content, made into lines before anything else is done with it |
//! | `header.rs` | the header section, field by field, streamed |
//! | `field.rs` | the fields that matter here |
//! | `authserv.rs` | which Authentication-Results claim to be ours |
//! | `rules.rs` | [`Rules`]: what holds for one message |
//!
//! Nothing is kept of the content but the field being weighed, so a message may be of any size.

mod authserv;
mod field;
mod header;
mod inspector;
mod mime;
mod rules;

pub(crate) use field::Field;
pub(crate) use inspector::{Inspector, Problem};
pub(crate) use mime::{Look, MimeField, Plan, SevenBit, Unfit, octets_encoded};
pub(crate) use rules::{LineEnds, Rules, SpamFlags, Treatment, octets_read_max};

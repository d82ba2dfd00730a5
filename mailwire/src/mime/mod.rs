//! What content is made of (RFC 2045, RFC 2046), followed as it passes: header sections, bodies, and parts within parts.
//!
//! | file | holds |
//! |---|---|
//! | `walker.rs` | [`Walker`]: tells header fields, wherever they stand, from everything else |
//! | `lines.rs` | [`Lines`]: lines out of octets, long ones in pieces |
//! | `levels.rs` | [`Levels`]: the multiparts and messages that are open, and the delimiters that end their parts |
//! | `field.rs` | the values of Content-Type and Content-Transfer-Encoding |
//!
//! However large the content, what is held of it is a piece of a line, one field, and the boundaries of what is open.

mod field;
mod levels;
mod lines;
mod walker;

pub use field::{MIME_FIELD_OCTETS_MAX, MediaType, MimeField, Parts, TransferEncoding};
pub use levels::{Delimiter, LEVELS_MAX, Levels, PARTS_MAX, TooMany};
pub use lines::{Lines, Piece};
pub use walker::{Section, Token, Walker};

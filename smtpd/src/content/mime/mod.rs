//! Content made into what those who get it can carry: binary content (RFC 3030 §3) on its way in, and what is not ASCII on
//! its way to a server without 8BITMIME (RFC 6152 §3).
//!
//! | file | holds |
//! |---|---|
//! | `converter.rs` | [`Converter`]: goes through entities and their parts, and encodes what is binary |
//! | `entity.rs` | the header section of one entity, and what its body is |
//! | `seven_bit.rs` | [`Look`] and [`SevenBit`]: what is not ASCII, seen and then made so |
//! | `plan.rs` | what becomes of each body where nothing but ASCII may leave |
//! | `base64_lines.rs` | base64 in lines of 76 octets |
//! | `quoted_printable.rs` | quoted-printable in lines of 76 octets |
//!
//! A part whose encoding is `binary` becomes base64. Multiparts and messages cannot (RFC 2045 §6.4): theirs becomes
//! `8bit`, and what is in them is looked at. Everything else passes as it is. On its way out what is not ASCII becomes
//! quoted-printable or base64, and every `8bit` says `7bit`; signed parts are never changed. However large the content, what is held of
//! it is a piece of a line, one field, and the boundaries of what is open.

mod base64_lines;
mod converter;
mod entity;
mod plan;
mod quoted_printable;
mod seven_bit;
#[cfg(test)]
mod tests;

pub(crate) use base64_lines::octets_encoded;
pub(super) use converter::Converter;
pub(crate) use mailwire::mime::MimeField;
pub(crate) use plan::{Plan, Unfit};
pub(crate) use seven_bit::{Look, SevenBit};

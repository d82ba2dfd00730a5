//! Binary content (RFC 3030 §3) on its way in, made into what POP3 and every SMTP server can carry.
//!
//! | file | holds |
//! |---|---|
//! | `converter.rs` | [`Converter`]: goes through entities and their parts, and encodes what is binary |
//! | `entity.rs` | the header section of one entity, and what its body is |
//! | `base64_lines.rs` | base64 in lines of 76 octets |
//!
//! A part whose encoding is `binary` becomes base64. Multiparts and messages cannot (RFC 2045 §6.4): theirs becomes
//! `8bit`, and what is in them is looked at. Everything else passes as it is. However large the content, what is held of
//! it is a piece of a line, one field, and the boundaries of what is open.

mod base64_lines;
mod converter;
mod entity;
#[cfg(test)]
mod tests;

pub(crate) use base64_lines::octets_encoded;
pub(super) use converter::Converter;
pub(crate) use mailwire::mime::MimeField;

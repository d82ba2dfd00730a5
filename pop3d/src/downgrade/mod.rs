//! Internationalized messages for clients that take ASCII in header fields only (RFC 6857): what such a message becomes.
//!
//! | file | holds | RFC 6857 |
//! |---|---|---|
//! | `message.rs` | [`Downgrader`]: a whole message as it passes | §4 |
//! | `field.rs` | which method is for which header field | §3.2 |
//! | `words.rs` | encoded-words for text, words and comments | §3.1.1 to §3.1.3, §3.1.5 |
//! | `lexemes.rs` | what structured fields are made of | |
//! | `address.rs` | mailboxes and groups | §3.1.6 to §3.1.8 |
//! | `parameters.rs` | parameters of Content-Type and Content-Disposition | §3.1.4 |
//! | `received.rs` | the clauses of Received | §3.2.4 |
//! | `typed_address.rs` | addresses of delivery statuses | §3.1.9 |
//!
//! What is changed is header fields that hold UTF-8 outside ASCII: those of the message, of its MIME parts, of messages
//! within it, and the two of a delivery status. All else is sent octet for octet: fields in ASCII, fields that are no UTF-8
//! (nobody knows their charset), bodies in whatever charset, and the whole of a `message/global`, which says of itself
//! that it may hold UTF-8 (RFC 6532 §3.7).
//!
//! Whatever a message looks like, there is a form of it in ASCII; none is refused, since a common client stops for ever at
//! the first message that is. A field so long that it is not held loses its letters outside ASCII, each octet of which
//! becomes a `?`.

mod address;
mod field;
mod lexemes;
mod message;
mod parameters;
mod received;
#[cfg(test)]
mod tests;
mod typed_address;
mod words;

pub use message::Downgrader;

//! POP3 (RFC 1939, 2449, 2595, 5034, 6856): commands, replies, the client's session.

pub mod client;
mod command;
mod parse;
mod reply;

pub use command::{Command, MessageNumber};
pub use parse::{CommandError, parse};
pub use reply::{Reply, ResponseCode, Status};

/// Most octets of a command line without CRLF (RFC 2449 §4).
pub const COMMAND_LINE_OCTETS_MAX: usize = 255 - 2;
/// Most octets of a line within AUTH, without CRLF (RFC 5034 §4 leaves it to the mechanism).
pub const AUTH_LINE_OCTETS_MAX: usize = 12288 - 2;
/// Most octets of a reply's first line without CRLF that we send (RFC 2449 §4).
pub const REPLY_LINE_OCTETS_MAX: usize = 512 - 2;

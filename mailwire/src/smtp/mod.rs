//! SMTP (RFC 5321 and its extensions): commands, replies, enhanced codes, extensions, the client's session.

pub mod client;
mod command;
mod encode;
mod enhanced;
mod extension;
mod parameters;
mod parse;
mod reply;
mod xtext;

pub use command::{
    Body, ByMode, Command, DeliverBy, Hello, Hold, MailParameters, Notify, OriginalRecipient, RcptParameters,
    Return,
};
pub use enhanced::Enhanced;
pub use extension::{Extension, Limits};
pub use parse::{CommandError, parse};
pub use reply::{REPLY_LINE_OCTETS_MAX, REPLY_OCTETS_MAX, Reply, ReplyError, ReplyReader};
pub use xtext::utf8_addr_xtext;

/// Most octets of any command line but AUTH's, without CRLF: those of MAIL, which may be the longest one.
pub const COMMAND_LINE_OCTETS_MAX: usize = command::MAIL_LINE_OCTETS_MAX;
/// Most octets of a line within AUTH, without CRLF (RFC 4954 §4).
pub const AUTH_LINE_OCTETS_MAX: usize = 12288 - 2;

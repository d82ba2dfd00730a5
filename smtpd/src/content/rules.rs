//! What holds for one message's content: its limits, and what is done to it.

use std::sync::Arc;

/// Most octets that are read of content for which `octets_max` is the limit: a client that sends somewhat too much hears
/// why at its end, and one that goes on for ever is not listened to.
pub(crate) const fn octets_read_max(octets_max: u64) -> u64 {
    octets_max.saturating_mul(2)
}

/// Whose message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// A user's, who hands it in here: it may be completed and must be honest (RFC 6409 §6, §8).
    Submitted,
    /// Somebody else's, who brings it here: it is passed on as it is (RFC 5321 §6.4).
    PassedOn,
}

/// What becomes of a CR or LF that is not part of a CRLF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnds {
    /// The message is refused (RFC 5321 §2.3.8).
    Strict,
    /// It becomes a CRLF. Programs under development on this machine need it; it never ends the content.
    Repaired,
    /// In a part that says that it is binary it is kept, as base64; anywhere else the message is refused (RFC 3030 §3).
    Binary,
}

/// What becomes of fields in which a filter says what it takes a message for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpamFlags {
    /// They stay: whoever has brought the message has filtered it for us.
    Kept,
    /// They go: anybody can write them.
    Dropped,
}

/// What holds for one message's content.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) treatment: Treatment,
    pub(crate) line_ends: LineEnds,
    pub(crate) spam_flags: SpamFlags,
    /// Most octets of the content.
    pub(crate) octets_max: u64,
    /// Octets over which the rest is not read.
    pub(crate) octets_read_max: u64,
    /// Most octets of the header section.
    pub(crate) header_octets_max: u64,
    /// Received fields over which a message goes round in circles (RFC 5321 §6.3).
    pub(crate) received_max: u32,
    /// The names under which this server's own results of authentication stand, in lower case (RFC 8601 §2.5).
    pub(crate) own_names: Arc<[String]>,
}

//! The replies to messages that are accepted, into the store or for nobody, or that a recipient rejects, and to reports about forwarded ones.

use mailstore::{MessageId, Terms};
use mailwire::smtp::{Enhanced, Reply};

use crate::filing::rules::Reason;

/// RFC 5321 §4.2.5, the promise; RFC 3463 §3.1, X.0.0.
pub(crate) fn message_accepted(message: MessageId) -> Reply {
    Reply::new(250, Enhanced(2, 0, 0), format!("Message accepted as {}", message.0))
}

/// RFC 5228 §4.4: the sender does not hear that the recipient throws it away; RFC 3463 §3.1, X.0.0.
pub(crate) fn message_discarded() -> Reply {
    Reply::new(250, Enhanced(2, 0, 0), "Message accepted")
}

/// RFC 5429 §2.1.1: in the recipient's own words, where the client can read them; RFC 3463 §3.8, X.7.1.
pub(crate) fn message_rejected(reason: &Reason, terms: &Terms) -> Reply {
    // RFC 6531 §3.7.4.1: replies are in UTF-8 only for those who have asked for that.
    let lines = if terms.is_utf8 || reason.is_ascii() { reason.lines() } else { Vec::new() };
    let mut lines = lines.into_iter();
    let first = lines.next().unwrap_or_else(|| "The recipient does not take this message".to_owned());
    lines.fold(Reply::new(550, Enhanced(5, 7, 1), first), Reply::and)
}

/// Such addresses are for reports (RFC 5321 §4.5.5); RFC 3463 §3.8, X.7.1.
pub(crate) fn only_reports() -> Reply {
    Reply::new(550, Enhanced(5, 7, 1), "This address takes reports about forwarded mail only")
}

/// RFC 3463 §3.2, X.1.6: it was right once.
pub(crate) fn too_late_for_reports() -> Reply {
    Reply::new(550, Enhanced(5, 1, 6), "It is too late for reports to this address")
}

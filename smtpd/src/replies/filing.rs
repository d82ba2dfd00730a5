//! The replies to messages that are accepted, into the store or for nobody, and to reports about forwarded ones.

use mailstore::MessageId;
use mailwire::smtp::{Enhanced, Reply};

/// RFC 5321 §4.2.5, the promise; RFC 3463 §3.1, X.0.0.
pub(crate) fn message_accepted(message: MessageId) -> Reply {
    Reply::new(250, Enhanced(2, 0, 0), format!("Message accepted as {}", message.0))
}

/// RFC 5228 §4.4: the sender does not hear that the recipient throws it away; RFC 3463 §3.1, X.0.0.
pub(crate) fn message_discarded() -> Reply {
    Reply::new(250, Enhanced(2, 0, 0), "Message accepted")
}

/// Such addresses are for reports (RFC 5321 §4.5.5); RFC 3463 §3.8, X.7.1.
pub(crate) fn only_reports() -> Reply {
    Reply::new(550, Enhanced(5, 7, 1), "This address takes reports about forwarded mail only")
}

/// RFC 3463 §3.2, X.1.6: it was right once.
pub(crate) fn too_late_for_reports() -> Reply {
    Reply::new(550, Enhanced(5, 1, 6), "It is too late for reports to this address")
}

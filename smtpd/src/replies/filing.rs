//! The replies to messages that are accepted: into the store, or for nobody.

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

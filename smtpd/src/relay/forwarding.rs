//! Whom a message comes from that a recipient here has forwarded.

use mailstore::QueueEntry;
use mailwire::address::ReversePath;
use mailwire::smtp::Enhanced;
use tracing::warn;

use super::verdict::Finding;
use super::worker::Common;
use crate::filing::srs::Srs;

/// The reverse-path of what is forwarded; `None` where it stays as it is: of what was sent, of reports, which come from nobody
/// (RFC 5321 §4.5.5), and of mail of our own domains, whose servers we are.
pub(super) async fn reverse_path(
    common: &Common,
    entry: &QueueEntry,
) -> Result<Option<ReversePath>, Finding> {
    let ReversePath::Mailbox(sender) = &entry.reverse_path else { return Ok(None) };
    if !entry.recipient_terms.is_forwarded() || common.reporter.domains.contains(sender.domain()) {
        return Ok(None);
    }
    match common.store.directory.forwarding_secret().await {
        Ok(secret) => {
            Ok(Some(Srs::new(&secret).forward(sender, &common.reporter.postmaster, entry.accepted_at)))
        }
        Err(error) => {
            warn!(message_id = entry.id.message.0, %error, "a message cannot be forwarded now");
            // X.3.0: the mail system's status.
            Err(Finding::later(Enhanced(4, 3, 0), "the message cannot be forwarded at the moment"))
        }
    }
}

//! DKIM signatures of what leaves, over exactly the octets that are sent.

use mailstore::QueueEntry;
use mailwire::cause::chain;
use tracing::{error, warn};

use super::content::Content;
use super::worker::Common;
use crate::content::Plan;

/// The fields that go in front of a message; none where no key signs for its author. A key that cannot be read keeps no
/// mail back. What is made ASCII is signed as it will be sent (RFC 6376 §5.3).
pub(super) async fn signatures(common: &Common, entry: &QueueEntry, plan: Option<&Plan>) -> Vec<u8> {
    // Who forwards is not its author, and does not answer for it.
    if entry.recipient_terms.is_forwarded() || !common.signatory.has_keys() {
        return Vec::new();
    }
    let message_id = entry.id.message.0;
    let signing = common.signatory.begin().await;
    let mut content = Content::new(&*common.store.queue, entry).converted(plan);
    loop {
        let piece = match content.next().await {
            Ok(piece) => piece.map(<[u8]>::to_vec),
            // Whoever sends the message meets the same, and puts it off.
            Err(error) => {
                warn!(message_id, reason = chain(&error), "a message cannot be signed now");
                return Vec::new();
            }
        };
        let Some(piece) = piece else { break };
        if !signing.pass(piece).await {
            break;
        }
    }
    let signed = signing.finish().await;
    signed.unwrap_or_else(|error| {
        error!(message_id, reason = chain(&error), "a message is sent without its DKIM signature");
        Vec::new()
    })
}

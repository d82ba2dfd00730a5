//! What is forwarded comes into the queue with the same commit, and goes in no circles.

use mailstore::{Body, Delivery, RecipientTerms, RelayRecipient};
use mailwire::address::Mailbox;

use super::rules::has_field;

/// The field by which an account knows what it has forwarded before. Its value tells nobody else whose it is.
const MARK: &str = "X-Forwarded-Mark";

/// A message that a recipient forwards.
#[derive(Clone, Debug)]
pub(super) struct Forward {
    /// The address by which it has come.
    pub(super) original: Mailbox,
    /// The field by which the account knows it again.
    pub(super) mark: String,
    pub(super) to: Vec<Mailbox>,
}

/// True where the account with this mark has forwarded the message before.
pub(super) fn goes_in_circles(header: &[u8], mark: &str) -> bool {
    has_field(header, MARK, mark)
}

/// To whom a message is forwarded elsewhere, and for how many seconds that is tried.
pub(super) struct Destinations<'a> {
    pub(super) elsewhere: Vec<&'a Mailbox>,
    pub(super) seconds: u64,
}

/// Puts what is forwarded into the delivery.
pub(super) fn put(delivery: &mut Delivery, forward: &Forward, destinations: Destinations<'_>, body: Body) {
    let notify = delivery.local.iter().find(|asked| asked.mailbox == forward.original);
    let notify = notify.and_then(|asked| asked.terms.notify);
    let now = delivery.trace.at;
    for mailbox in destinations.elsewhere {
        if delivery.relay.iter().any(|known| known.mailbox == *mailbox) {
            continue;
        }
        // RFC 3461 §5.2.7: what the sender asks for the original recipient.
        let terms = RecipientTerms::forwarded(&forward.original, notify);
        let due = delivery.terms.release_at.unwrap_or(now).max(now);
        let expires = due.saturating_add(destinations.seconds);
        delivery.relay.push(RelayRecipient { mailbox: mailbox.clone(), due, expires, terms });
    }
    if !delivery.relay.is_empty() {
        // The next server must know what it is.
        delivery.terms.body = Some(body);
    }
    let field = format!("{MARK}: {}\r\n", forward.mark);
    delivery.prefix.splice(..0, field.into_bytes());
}

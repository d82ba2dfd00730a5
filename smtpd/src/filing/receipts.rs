//! Reports of delivery to recipients here, for which senders have asked (RFC 3461 §4.1): they are owed by the commit of the
//! message, as entries of the queue that go nowhere, and the relay makes each a report by one commit with its end.

use mailstore::{Fate, LocalRecipient, Notify, OriginalRecipient, RelayRecipient, TraceStep};

use super::refusals::{Sender, Way};
use crate::session::Acceptance;

/// Owes the sender what it has asked for, for each recipient whom the message reaches. It is not told who has none of it any
/// more, by its own rules, and of what was forwarded whoever gets it tells (RFC 3461 §5.2.7). Where each recipient has a
/// verdict of its own, nobody knows yet whom it reaches.
pub(crate) fn owe(acceptance: &mut Acceptance, reports_for_seconds: Option<u64>) {
    let way = Sender {
        reverse_path: &acceptance.delivery.reverse_path,
        class: &acceptance.class,
        doubt: acceptance.doubt.as_deref(),
        reports_for_seconds,
    }
    .way();
    let delivery = &mut acceptance.delivery;
    if delivery.fate != Fate::Shared || delivery.maildrops.is_empty() {
        return;
    }
    let asked = delivery.local.iter().filter(|asked| wants_success(asked));
    let asked = asked.filter(|asked| !is_forwarded(&delivery.relay, asked));
    let asked: Vec<LocalRecipient> = asked.cloned().collect();
    let at = delivery.trace.at;
    for LocalRecipient { mailbox, terms } in asked {
        let how = match way {
            Way::Report => "its sender gets a report of the delivery".to_owned(),
            Way::Kept => "nobody is told of the delivery: no report leaves ([relay] enabled)".to_owned(),
            Way::Silence(_) => way.to_string(),
        };
        delivery.steps.push(TraceStep { at, event: "dsn".into(), detail: format!("{mailbox}: {how}") });
        if let (Way::Report, Some(seconds)) = (way, reports_for_seconds) {
            let (terms, expires) = (terms.delivered(), at.saturating_add(seconds));
            delivery.relay.push(RelayRecipient { mailbox, due: at, expires, terms });
        }
    }
}

const fn wants_success(asked: &LocalRecipient) -> bool {
    matches!(asked.terms.notify, Some(Notify::On { success: true, .. }))
}

/// True where the message goes on to somebody else for this recipient, with what is asked for it.
fn is_forwarded(relay: &[RelayRecipient], asked: &LocalRecipient) -> bool {
    let own = asked.mailbox.text();
    let forwarded = relay.iter().filter(|recipient| recipient.terms.is_forwarded());
    let mut originals = forwarded.filter_map(|recipient| recipient.terms.original());
    originals.any(|OriginalRecipient { address, .. }| address == own)
}

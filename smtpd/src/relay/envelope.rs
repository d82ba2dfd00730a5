//! What is said of a message to the next server: its addresses, what its content needs, and what its sender asks for.

use std::borrow::Cow;

use mailstore::{ByMode, Notify, QueueEntry, Returns, Terms};
use mailwire::address::ReversePath;
use mailwire::clock;
use mailwire::smtp::client::{Envelope, Recipient, Requests};
use mailwire::smtp::{self, Enhanced};

use super::fitting::Fitted;
use super::link::Link;

/// Why the message cannot go to this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hindrance {
    pub(super) status: Enhanced,
    pub(super) said: Cow<'static, str>,
}

/// What a link is able to do for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Abilities {
    pub(super) is_verified: bool,
    /// The fewest seconds for which it takes DELIVERBY in mode `R`; `None` where it does not know it.
    pub(super) deliver_by_seconds_min: Option<u32>,
    /// It has 8BITMIME (RFC 6152).
    pub(super) takes_eight_bit: bool,
    /// It has SMTPUTF8 (RFC 6531).
    pub(super) takes_utf8: bool,
}

/// The envelope over `link` of one message's recipients.
///
/// What is forwarded comes from the sender that `rewritten` makes of its own.
pub(super) fn of(
    entries: &[QueueEntry],
    fitted: &Fitted,
    link: &Link,
    rewritten: Option<ReversePath>,
) -> Result<Envelope, Hindrance> {
    let mut envelope = envelope(entries, fitted, link.abilities(), clock::unix_seconds())?;
    if let Some(reverse_path) = rewritten {
        envelope.reverse_path = reverse_path;
    }
    Ok(envelope)
}

fn envelope(
    entries: &[QueueEntry],
    fitted: &Fitted,
    abilities: Abilities,
    now: u64,
) -> Result<Envelope, Hindrance> {
    let nobody = Hindrance { status: Enhanced(5, 0, 0), said: "the message has no recipient".into() };
    let first = entries.first().ok_or(nobody)?;
    let terms = &first.terms;
    // RFC 8689 §4.2.1.
    if terms.requires_tls && !abilities.is_verified {
        let said =
            "the sender requires TLS to a server that proves who it is, and this one does not (REQUIRETLS)";
        return Err(Hindrance { status: Enhanced(5, 7, 30), said: said.into() });
    }
    let by = deliver_by(terms, abilities, now)?;
    Ok(Envelope {
        reverse_path: first.reverse_path.clone(),
        recipients: entries.iter().map(recipient).collect(),
        content_octets: fitted
            .octets
            .saturating_add(u64::try_from(fitted.signatures.len()).unwrap_or(u64::MAX)),
        content: fitted.kind,
        requests: Requests {
            ret: terms.returns.map(|returns| match returns {
                Returns::Full => smtp::Return::Full,
                Returns::Headers => smtp::Return::Headers,
            }),
            envid: terms.envelope_id.clone(),
            by,
            mt_priority: terms.priority,
            requiretls: terms.requires_tls,
        },
    })
}

/// The time that is left (RFC 2852 §4.2). What must go back in time is not given to a server that does not send it back.
fn deliver_by(terms: &Terms, abilities: Abilities, now: u64) -> Result<Option<smtp::DeliverBy>, Hindrance> {
    let Some(by) = terms.deliver_by else { return Ok(None) };
    let seconds = i64::try_from(by.at).unwrap_or(i64::MAX).saturating_sub_unsigned(now);
    let seconds = i32::try_from(seconds.clamp(-999_999_999, 999_999_999)).unwrap_or(0);
    let mode = match by.mode {
        ByMode::Return => smtp::ByMode::Return,
        ByMode::Notify => smtp::ByMode::Notify,
    };
    if mode == smtp::ByMode::Return {
        let takes = |least: u32| i64::from(seconds) >= i64::from(least).max(1);
        if !abilities.deliver_by_seconds_min.is_some_and(takes) {
            // X.4.7: delivery time expired.
            let said = "the sender wants it back unless it is delivered in time, which this server does not promise (DELIVERBY)";
            return Err(Hindrance { status: Enhanced(5, 4, 7), said: said.into() });
        }
    }
    Ok(Some(smtp::DeliverBy { seconds, mode, trace: by.trace }))
}

fn recipient(entry: &QueueEntry) -> Recipient {
    let terms = &entry.recipient_terms;
    Recipient {
        mailbox: entry.recipient.clone(),
        notify: terms.notify.map(|notify| match notify {
            Notify::Never => smtp::Notify::Never,
            Notify::On { success, failure, delay } => smtp::Notify::On { success, failure, delay },
        }),
        original: terms.original().map(|original| smtp::OriginalRecipient {
            address_type: original.address_type,
            address: original.address,
        }),
    }
}

#[cfg(test)]
mod tests {
    use mailstore::{DeliverBy, OriginalRecipient};
    use mailwire::smtp::client::Content;

    use super::super::testing::entry;
    use super::*;

    const PLAIN: Abilities = Abilities {
        is_verified: false,
        deliver_by_seconds_min: None,
        takes_eight_bit: true,
        takes_utf8: true,
    };

    fn envelope(entries: &[QueueEntry], abilities: Abilities, now: u64) -> Result<Envelope, Hindrance> {
        let fitted =
            Fitted { kind: Content::SevenBit, plan: None, octets: 100, signatures: b"DKIM".to_vec() };
        super::envelope(entries, &fitted, abilities, now)
    }

    #[test]
    fn what_the_sender_asks_is_passed_on() {
        let mut entry = entry(1, 0, "b@b.example");
        entry.terms.returns = Some(Returns::Headers);
        entry.terms.envelope_id = Some("id".to_owned());
        entry.terms.priority = Some(3);
        entry.recipient_terms.notify = Some(Notify::Never);
        let original =
            OriginalRecipient { address_type: "rfc822".to_owned(), address: "c@c.example".to_owned() };
        entry.recipient_terms.original = Some(original);
        let envelope = envelope(&[entry], PLAIN, 1000).unwrap();
        assert_eq!(envelope.requests.ret, Some(smtp::Return::Headers));
        assert_eq!(envelope.requests.envid.as_deref(), Some("id"));
        assert_eq!(envelope.requests.mt_priority, Some(3));
        assert_eq!((envelope.content, envelope.content_octets), (Content::SevenBit, 104));
        let [recipient] = envelope.recipients.as_slice() else { panic!() };
        assert_eq!(recipient.notify, Some(smtp::Notify::Never));
        assert_eq!(recipient.original.as_ref().unwrap().address, "c@c.example");
    }

    #[test]
    fn what_requires_tls_goes_to_hosts_that_have_proven_who_they_are() {
        let mut entry = entry(1, 0, "b@b.example");
        entry.terms.requires_tls = true;
        let refused = envelope(std::slice::from_ref(&entry), PLAIN, 1000).unwrap_err();
        assert_eq!(refused.status, Enhanced(5, 7, 30));
        let envelope = envelope(&[entry], Abilities { is_verified: true, ..PLAIN }, 1000).unwrap();
        assert!(envelope.requests.requiretls);
    }

    #[test]
    fn the_time_that_is_left_is_told_to_whoever_keeps_it() {
        let mut entry = entry(1, 0, "b@b.example");
        let with = |entry: &QueueEntry, least| {
            let abilities = Abilities { deliver_by_seconds_min: least, ..PLAIN };
            let envelope = envelope(std::slice::from_ref(entry), abilities, 1000);
            envelope.map(|envelope| envelope.requests.by.map(|by| by.seconds)).map_err(|no| no.status)
        };
        entry.terms.deliver_by = Some(DeliverBy { at: 1060, mode: ByMode::Return, trace: false });
        assert_eq!(with(&entry, Some(0)), Ok(Some(60)));
        assert_eq!(with(&entry, Some(60)), Ok(Some(60)));
        assert_eq!(with(&entry, Some(61)), Err(Enhanced(5, 4, 7)));
        assert_eq!(with(&entry, None), Err(Enhanced(5, 4, 7)));
        entry.terms.deliver_by = Some(DeliverBy { at: 940, mode: ByMode::Notify, trace: false });
        assert_eq!(with(&entry, None), Ok(Some(-60)));
    }
}

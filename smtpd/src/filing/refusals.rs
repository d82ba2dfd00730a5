//! What recipients do not take (RFC 5429): the sender hears of it by the reply where that goes, else by a report, and nobody who has
//! nothing to do with the message hears of it.
//!
//! A report is not sent from here. It is an entry of the queue that comes into being with the commit of the message that the
//! others get, and the relay makes it a report by one commit with the end of that entry. So whatever is killed, and
//! whenever: the sender hears of it, once.

use std::collections::BTreeMap;
use std::fmt;

use mailstore::{Delivery, Fate, MaildropId, RecipientTerms, Refusal, RelayRecipient};
use mailwire::address::{Mailbox, ReversePath};

use super::places::Placed;
use super::rules::{Reason, value};
use crate::replies;
use crate::session::{Acceptance, Class, FilteredRecipient, Filtering};

/// How a sender hears that a recipient does not take what others get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By a report.
    Report,
    /// Not at all.
    Silence(Why),
    /// There is none, so the mail is kept.
    Kept,
}

/// Why nobody hears of it (RFC 5429 §2.1.1, RFC 5321 §4.5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    FromNobody,
    Junk,
    Doubtful,
    Others,
}

/// What is known when the way is chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender<'a> {
    pub(super) reverse_path: &'a ReversePath,
    pub(super) class: &'a Class,
    pub(super) doubt: Option<&'a str>,
    /// For how long a report is tried; `None` where nothing leaves.
    pub(super) reports_for_seconds: Option<u64>,
}

impl Sender<'_> {
    /// How they hear of it, where the reply says that the message is accepted.
    pub(super) const fn way(&self) -> Way {
        match (self.reverse_path, self.class, self.doubt, self.reports_for_seconds) {
            (ReversePath::Null, ..) => Way::Silence(Why::FromNobody),
            // It would go to whoever is named in what others have sent.
            (ReversePath::Mailbox(_), Class::Junk(_), ..) => Way::Silence(Why::Junk),
            (ReversePath::Mailbox(_), Class::Wanted, Some(_), _) => Way::Silence(Why::Doubtful),
            (ReversePath::Mailbox(_), Class::Wanted, None, Some(_)) => Way::Report,
            (ReversePath::Mailbox(_), Class::Wanted, None, None) => Way::Kept,
        }
    }
}

/// As it stands in the trace, behind what the rules have come to.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Report => "its sender gets a report",
            Self::Silence(Why::FromNobody) => "nobody is told: it comes from nobody",
            Self::Silence(Why::Junk) => "nobody is told: it is taken for junk",
            Self::Silence(Why::Doubtful) => {
                "nobody is told: the checks say that somebody else may have sent it"
            }
            Self::Silence(Why::Others) => "nobody is told: others behind the same address have got it",
            Self::Kept => "kept all the same: no report leaves ([relay] enabled)",
        })
    }
}

/// Settles what recipients refuse, before the message is put where the others want it.
pub(super) fn settle(
    acceptance: &mut Acceptance,
    placed: &mut BTreeMap<MaildropId, Placed>,
    filtering: &Filtering,
    reports_for_seconds: Option<u64>,
) {
    let recipients = &filtering.recipients;
    let refused = |recipient: &&FilteredRecipient| refusal(&recipient.maildrops, placed).is_some();
    let refusing: Vec<_> = recipients.iter().filter(refused).collect();
    match acceptance.delivery.fate {
        // Each has a verdict.
        Fate::Apart(_) => {}
        Fate::Shared if !refusing.is_empty() && refusing.len() == acceptance.recipients => {
            let first = refusing.first().and_then(|recipient| refusal(&recipient.maildrops, placed));
            acceptance.refusal =
                first.map(|reason| replies::message_rejected(&reason, &acceptance.delivery.terms));
        }
        Fate::Shared => {
            let way = Sender {
                reverse_path: &acceptance.delivery.reverse_path,
                class: &acceptance.class,
                doubt: acceptance.doubt.as_deref(),
                reports_for_seconds,
            }
            .way();
            for recipient in refusing {
                tell(&mut acceptance.delivery, placed, recipient, (way, reports_for_seconds));
            }
            let alone = recipients.iter().flat_map(|recipient| &recipient.maildrops);
            alone.for_each(|maildrop| silence_rest(placed, *maildrop));
        }
    }
    leave_out(acceptance, placed, filtering);
}

/// The words of a recipient of whose maildrops none takes the message.
pub(super) fn refusal(maildrops: &[MaildropId], placed: &BTreeMap<MaildropId, Placed>) -> Option<Reason> {
    let reasons = maildrops.iter().map(|maildrop| placed.get(maildrop)?.refusal.clone());
    reasons.collect::<Option<Vec<_>>>()?.into_iter().next()
}

fn tell(
    delivery: &mut Delivery,
    placed: &mut BTreeMap<MaildropId, Placed>,
    recipient: &FilteredRecipient,
    (way, seconds): (Way, Option<u64>),
) {
    let reason = refusal(&recipient.maildrops, placed);
    for maildrop in &recipient.maildrops {
        if let Some(placed) = placed.get_mut(maildrop) {
            placed.tell(&way);
            if way == Way::Kept {
                placed.maildrops = vec![*maildrop];
                placed.refusal = None;
            }
        }
    }
    if let (Way::Report, Some(reason), Some(seconds)) = (way, reason, seconds) {
        let asked = delivery.local.iter().find(|asked| asked.mailbox == recipient.mailbox);
        let asked = asked.map_or_else(RecipientTerms::default, |asked| asked.terms.clone());
        let due = delivery.trace.at;
        delivery.relay.push(RelayRecipient {
            mailbox: recipient.mailbox.clone(),
            due,
            expires: due.saturating_add(seconds),
            terms: asked.refused(&reason.to_string()),
        });
    }
}

/// Who does not take it behind an address where somebody else has got it.
fn silence_rest(placed: &mut BTreeMap<MaildropId, Placed>, maildrop: MaildropId) {
    if let Some(placed) =
        placed.get_mut(&maildrop).filter(|placed| placed.refusal.is_some() && !placed.is_told)
    {
        placed.tell(&Way::Silence(Why::Others));
    }
}

/// Recipients who do not get it: their senders hear of no delivery, and administrators hear of them.
fn leave_out(acceptance: &mut Acceptance, placed: &BTreeMap<MaildropId, Placed>, filtering: &Filtering) {
    let is_untaken = |maildrop: &MaildropId| placed.get(maildrop).is_some_and(Placed::is_untaken);
    let untaken = filtering.recipients.iter().filter(|recipient| recipient.maildrops.iter().all(is_untaken));
    let untaken: Vec<(Mailbox, String)> =
        untaken.map(|recipient| (recipient.mailbox.clone(), why(recipient, placed, filtering))).collect();
    // RFC 3461 §5.2.3: success is told of what is delivered.
    let local = &mut acceptance.delivery.local;
    local.retain(|asked| !untaken.iter().any(|(mailbox, _)| *mailbox == asked.mailbox));
    acceptance.untaken = untaken;
}

/// In words, with what finds them again. The name comes first, so that it is there where the words are cut.
fn why(
    recipient: &FilteredRecipient,
    placed: &BTreeMap<MaildropId, Placed>,
    filtering: &Filtering,
) -> String {
    let reasons = recipient.maildrops.iter().filter_map(|maildrop| placed.get(maildrop)?.reason.clone());
    let id = value(&filtering.header, "Message-ID").map(String::from_utf8_lossy);
    let id = id.map(|id| Refusal::named(id.trim_start_matches('<').trim_end_matches('>')));
    id.into_iter().chain(reasons).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_hears_of_it_where_it_is_certainly_theirs() {
        let (alice, junk) = (Mailbox::parse("alice@example.test").unwrap(), Class::Junk("x".to_owned()));
        let path = ReversePath::Mailbox(alice);
        let sender =
            Sender { reverse_path: &path, class: &Class::Wanted, doubt: None, reports_for_seconds: Some(1) };
        assert_eq!(sender.way(), Way::Report);
        assert_eq!(Sender { reports_for_seconds: None, ..sender }.way(), Way::Kept);
        let silent = |sender: Sender<'_>, why| assert_eq!(sender.way(), Way::Silence(why));
        for reports_for_seconds in [None, Some(1)] {
            let sender = Sender { reports_for_seconds, ..sender };
            silent(Sender { reverse_path: &ReversePath::Null, ..sender }, Why::FromNobody);
            silent(Sender { class: &junk, ..sender }, Why::Junk);
            silent(Sender { doubt: Some("spf=fail"), ..sender }, Why::Doubtful);
        }
    }
}

//! Each recipient's maildrop becomes the ones that the account wants the message in.

use std::collections::BTreeMap;

use mailstore::{Delivery, Directory, Fate, Filing, MaildropId, TraceStep, Unavailable};
use mailwire::address::Mailbox;
use tokio::task::spawn_blocking;
use tracing::warn;

use super::rules::{Decision, Facts, Place, Rules, decide};
use crate::session::{Acceptance, Class, Filtering};

/// What tells readers of junk, in the form that mail programs know from `SpamAssassin`. It stands where Return-Path does, so
/// that it is part of no message that goes elsewhere; on their way in from strangers such fields are taken out.
const MARK: &[u8] = b"X-Spam-Flag: YES\r\n";

/// Where a maildrop's account wants a message, and why.
struct Placed {
    maildrops: Vec<MaildropId>,
    is_junk: bool,
    /// For the trace, where rules have decided it.
    reason: Option<String>,
}

/// Puts the message where its recipients want it. Nothing is changed where the store cannot say where that is.
pub(crate) async fn file(directory: &dyn Directory, acceptance: &mut Acceptance) -> Result<(), Unavailable> {
    let mut filings = BTreeMap::new();
    for maildrop in concerned(acceptance) {
        if let Some(filing) = directory.filing(maildrop).await? {
            filings.insert(maildrop, filing);
        }
    }
    let reverse_path = acceptance.delivery.reverse_path.clone();
    let class = acceptance.class.clone();
    let mut filtering = acceptance.filtering.take();
    if let Some(filtering) = &mut filtering {
        // What we have found out stands in front of it.
        filtering.header.splice(..0, acceptance.delivery.prefix.iter().copied());
    }
    // Looking through a header section may take as long as it may; the network is not to wait for it.
    let placed = spawn_blocking(move || {
        let place = |(maildrop, filing): (&MaildropId, &Filing)| {
            let placed = match (&filing.rules, &filtering) {
                (Some(rules), Some(filtering)) => {
                    let recipients = recipients(filtering, *maildrop);
                    let facts = Facts {
                        reverse_path: &reverse_path,
                        recipients: &recipients,
                        octets: filtering.octets,
                        header: &filtering.header,
                        is_authenticated: filtering.is_authenticated,
                        class: &class,
                    };
                    by_rules(*maildrop, filing, rules.as_str(), &facts)
                }
                (_, _) => placed(*maildrop, filing, &Decision::without_rules(&class)),
            };
            (*maildrop, placed)
        };
        filings.iter().map(place).collect()
    });
    let placed =
        placed.await.map_err(|error| Unavailable(format!("rules ended before their end: {error}")))?;
    put(acceptance, &placed);
    Ok(())
}

/// The maildrops of which somebody must know where their accounts want the message.
fn concerned(acceptance: &Acceptance) -> Vec<MaildropId> {
    if acceptance.class.is_junk() {
        return acceptance.delivery.maildrops.clone();
    }
    let recipients = acceptance.filtering.iter().flat_map(|filtering| &filtering.recipients);
    recipients.flat_map(|recipient| recipient.maildrops.iter().copied()).collect()
}

/// The addresses by which the message has come to a maildrop.
fn recipients(filtering: &Filtering, maildrop: MaildropId) -> Vec<Mailbox> {
    let leads_there = filtering.recipients.iter().filter(|recipient| recipient.maildrops.contains(&maildrop));
    leads_there.map(|recipient| recipient.mailbox.clone()).collect()
}

/// Rules that cannot be read are as if they were not there, and the administrator hears of them.
fn by_rules(maildrop: MaildropId, filing: &Filing, text: &str, facts: &Facts<'_>) -> Placed {
    let account = &filing.account.address;
    let decision = match Rules::parse(text) {
        Ok(rules) => decide(&rules, facts),
        Err(mistake) => {
            warn!(%account, %mistake, "rules cannot be read, and mail goes where it would go without them");
            Decision::without_rules(facts.class)
        }
    };
    if decision.is_given_up {
        warn!(%account, "rules take too long for a message, and it goes where it would go without them");
    }
    placed(maildrop, filing, &decision)
}

/// The maildrops that a decision comes to. What an account does not have any more is where its other mail is.
fn placed(own: MaildropId, filing: &Filing, decision: &Decision) -> Placed {
    let mut maildrops: Vec<MaildropId> = Vec::new();
    for place in &decision.places {
        let maildrop = match place {
            Place::Own => own,
            Place::Junk => filing.junk().unwrap_or(own),
            Place::Further(detail) => filing.further(detail.as_str()).unwrap_or_else(|| {
                let account = &filing.account.address;
                warn!(%account, maildrop = %detail, "rules name a maildrop that is not there, and mail is kept");
                own
            }),
        };
        if !maildrops.contains(&maildrop) {
            maildrops.push(maildrop);
        }
    }
    Placed {
        maildrops,
        is_junk: decision.places == [Place::Junk],
        reason: (!decision.lines.is_empty()).then(|| format!("{}: {decision}", filing.account.address)),
    }
}

/// Mail for each of these maildrops goes into those that were found for it. It is marked where it is junk for all who get
/// it, since all get the same octets.
fn put(acceptance: &mut Acceptance, placed: &BTreeMap<MaildropId, Placed>) {
    let Acceptance { delivery, class, discarded, .. } = acceptance;
    if let Class::Junk(because) = class {
        step(delivery, format!("taken for junk: {because}"));
    }
    for reason in placed.values().filter_map(|placed| placed.reason.clone()) {
        step(delivery, reason);
    }
    let is_junk_for = |maildrop| placed.get(maildrop).is_some_and(|placed| placed.is_junk);
    if class.is_junk() || delivery.maildrops.iter().all(is_junk_for) {
        delivery.delivery_prefix.extend_from_slice(MARK);
    }
    let place = |maildrops: &mut Vec<MaildropId>| {
        let of = |maildrop: &MaildropId| match placed.get(maildrop) {
            Some(placed) => placed.maildrops.clone(),
            None => vec![*maildrop],
        };
        *maildrops = maildrops.iter().flat_map(of).collect();
        // Each has it once.
        maildrops.sort_unstable();
        maildrops.dedup();
    };
    place(&mut delivery.maildrops);
    if let Fate::Apart(groups) = &mut delivery.fate {
        groups.iter_mut().for_each(place);
        let nobodys = groups.iter().enumerate().filter(|(_, group)| group.is_empty());
        discarded.extend(nobodys.map(|(number, _)| number));
        groups.retain(|group| !group.is_empty());
    }
}

fn step(delivery: &mut Delivery, detail: String) {
    delivery.steps.push(TraceStep { at: delivery.trace.at, event: "rule".into(), detail });
}

#[cfg(test)]
mod tests;

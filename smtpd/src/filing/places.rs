//! Each recipient's maildrop becomes the ones that the account wants the message in.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use mailstore::{Body, Delivery, Directory, Fate, Filing, MaildropId, Recollections, TraceStep, Unavailable};
use mailwire::address::{Domain, Mailbox, ReversePath};
use tokio::task::spawn_blocking;
use tracing::warn;

use super::answers::{Correspondence, owe};
use super::forwards::{self, Destinations, Forward};
use super::refusals::{self, refusal};
use super::rules::{Answer, Decision, Facts, Place, Reason, Rules, WhyNot, decide};
use super::srs::Srs;
use crate::replies;
use crate::session::{Acceptance, Class, Filtering};

/// What tells readers of junk, in the form that mail programs know from `SpamAssassin`. It stands where Return-Path does, so
/// that it is part of no message that goes elsewhere; on their way in from strangers such fields are taken out.
const MARK: &[u8] = b"X-Spam-Flag: YES\r\n";

/// Whom filing asks, and what it may do.
pub(crate) struct Means<'a> {
    pub(crate) directory: &'a dyn Directory,
    /// Where it is remembered who was answered.
    pub(crate) recollections: &'a dyn Recollections,
    /// Whether mail for a domain is kept here.
    pub(crate) is_local: &'a (dyn Fn(&Domain) -> bool + Sync),
    /// For how long what is forwarded is tried; `None` where nothing leaves.
    pub(crate) forwards_for_seconds: Option<u64>,
}

/// Where a maildrop's account wants a message, and why.
pub(super) struct Placed {
    pub(super) maildrops: Vec<MaildropId>,
    is_junk: bool,
    forward: Option<Forward>,
    /// It is not taken, in these words.
    pub(super) refusal: Option<Reason>,
    /// Whether its sender is answered, and by whom.
    answer: Option<(Mailbox, Answer)>,
    /// The reason says how the sender hears of that.
    pub(super) is_told: bool,
    /// For the trace, where rules have decided it.
    pub(super) reason: Option<String>,
}

impl Placed {
    /// True where nobody has it for this maildrop's account.
    pub(super) const fn is_untaken(&self) -> bool {
        self.maildrops.is_empty() && self.forward.is_none()
    }

    /// Adds to the reason.
    pub(super) fn tell(&mut self, what: &dyn fmt::Display) {
        if let Some(reason) = &mut self.reason
            && !self.is_told
        {
            // A string takes whatever is written to it.
            let _ = write!(reason, ": {what}");
            self.is_told = true;
        }
    }
}

/// What rules look at, besides what is a maildrop's own.
struct Look {
    reverse_path: ReversePath,
    class: Class,
    doubt: Option<String>,
    now: u64,
    filtering: Option<Box<Filtering>>,
    /// `None` where nothing leaves.
    srs: Option<Srs>,
}

/// Puts the message where its recipients want it. Nothing is changed where the store cannot say where that is.
pub(crate) async fn file(means: &Means<'_>, acceptance: &mut Acceptance) -> Result<(), Unavailable> {
    let mut filings = BTreeMap::new();
    for maildrop in concerned(acceptance) {
        if let Some(filing) = means.directory.filing(maildrop).await? {
            filings.insert(maildrop, filing);
        }
    }
    let srs = match means.forwards_for_seconds {
        Some(_) if filings.values().any(|filing| filing.rules.is_some()) => {
            Some(Srs::new(&means.directory.forwarding_secret().await?))
        }
        Some(_) | None => None,
    };
    let mut filtering = acceptance.filtering.take();
    let is_ascii = filtering.as_ref().is_some_and(|filtering| filtering.is_ascii);
    if let Some(filtering) = &mut filtering {
        // What we have found out stands in front of it.
        filtering.header.splice(..0, acceptance.delivery.prefix.iter().copied());
    }
    let reverse_path = acceptance.delivery.reverse_path.clone();
    let (class, doubt) = (acceptance.class.clone(), acceptance.doubt.clone());
    let look = Look { reverse_path, class, doubt, now: acceptance.delivery.trace.at, filtering, srs };
    // Looking through a header section may take as long as it may; the network is not to wait for it.
    let placed = spawn_blocking(move || {
        let place = |(maildrop, filing): (&MaildropId, &Filing)| (*maildrop, look.place(*maildrop, filing));
        let placed: BTreeMap<_, _> = filings.iter().map(place).collect();
        (placed, look.filtering)
    });
    let (mut placed, filtering) =
        placed.await.map_err(|error| Unavailable(format!("rules ended before their end: {error}")))?;
    let body = if is_ascii { Body::SevenBit } else { Body::EightBit };
    forward(means, &mut acceptance.delivery, &mut placed, body).await?;
    answer(means, &mut acceptance.delivery, &mut placed).await;
    if let Some(filtering) = filtering {
        refusals::settle(acceptance, &mut placed, &filtering, means.forwards_for_seconds);
    }
    put(acceptance, &placed);
    Ok(())
}

/// What is forwarded to addresses here goes into their maildrops at once, where rules are not asked again.
async fn forward(
    means: &Means<'_>,
    delivery: &mut Delivery,
    placed: &mut BTreeMap<MaildropId, Placed>,
    body: Body,
) -> Result<(), Unavailable> {
    for (own, placed) in placed {
        let Some(forward) = &placed.forward else { continue };
        let (local, elsewhere): (Vec<_>, Vec<_>) =
            forward.to.iter().partition(|mailbox| (means.is_local)(mailbox.domain()));
        for mailbox in local {
            let reached = means.directory.recipient(mailbox, 0).await?;
            if reached.maildrops().is_empty() {
                warn!(account = %forward.original, %mailbox, "rules forward to an address that is not here, or full");
                placed.maildrops.push(*own);
            }
            placed.maildrops.extend(reached.maildrops());
        }
        let seconds = means.forwards_for_seconds.unwrap_or_default();
        forwards::put(delivery, forward, Destinations { elsewhere, seconds }, body);
    }
    Ok(())
}

/// Whoever has been answered lately gets no other answer.
async fn answer(means: &Means<'_>, delivery: &mut Delivery, placed: &mut BTreeMap<MaildropId, Placed>) {
    for placed in placed.values_mut() {
        let Some((account, mut answer)) = placed.answer.take() else { continue };
        if let (None, ReversePath::Mailbox(sender)) = (&answer.why_not, &delivery.reverse_path) {
            let handle = answer.vacation.handle();
            let correspondence = Correspondence { account: &account, sender, handle: &handle };
            let answered = correspondence.answered_at(means.recollections, delivery.trace.at).await;
            // Where the store cannot say so now, it is asked again before the answer is made.
            answer.why_not = match (answered, means.forwards_for_seconds) {
                (_, None) => Some(WhyNot::NothingLeaves),
                (Ok(Some(at)), Some(_)) => Some(WhyNot::Answered(at)),
                (Ok(None) | Err(_), Some(_)) => None,
            };
        }
        placed.tell(&answer);
        if let Some(seconds) = means.forwards_for_seconds {
            owe(delivery, &account, &answer, seconds);
        }
    }
}

impl Look {
    fn place(&self, maildrop: MaildropId, filing: &Filing) -> Placed {
        let (Some(rules), Some(filtering)) = (&filing.rules, &self.filtering) else {
            return placed(maildrop, filing, &Decision::without_rules(&self.class));
        };
        let recipients = recipients(filtering, maildrop);
        let facts = Facts {
            reverse_path: &self.reverse_path,
            recipients: &recipients,
            octets: filtering.octets,
            header: &filtering.header,
            is_authenticated: filtering.is_authenticated,
            class: &self.class,
            doubt: self.doubt.as_deref(),
            account: &filing.account.address,
            personal: &personal(filtering, maildrop),
            now: self.now,
        };
        let mut decision = by_rules(filing, rules.as_str(), &facts);
        let original = recipients.first().unwrap_or(&filing.account.address);
        let forward = self.forward(&mut decision, &filing.account.address, original, &filtering.header);
        let answer = decision.answer.take().map(|answer| (filing.account.address.clone(), answer));
        Placed { forward, answer, ..placed(maildrop, filing, &decision) }
    }

    /// What is forwarded; kept instead where it has been before, or nothing leaves.
    fn forward(
        &self,
        decision: &mut Decision,
        account: &Mailbox,
        original: &Mailbox,
        header: &[u8],
    ) -> Option<Forward> {
        let to = std::mem::take(&mut decision.forwards);
        if to.is_empty() {
            return None;
        }
        let mark = self.srs.as_ref().map(|srs| srs.mark(account));
        let Some(mark) = mark.filter(|mark| !forwards::goes_in_circles(header, mark)) else {
            warn!(%account, "mail is kept instead of forwarded: it has been forwarded before, or nothing leaves ([relay] enabled)");
            decision.keep();
            return None;
        };
        decision.forwards.clone_from(&to);
        Some(Forward { original: original.clone(), mark, to })
    }
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

/// Those of them that lead nowhere else: others read mail for a common address as well (RFC 3834 §2).
fn personal(filtering: &Filtering, maildrop: MaildropId) -> Vec<Mailbox> {
    let alone = filtering.recipients.iter().filter(|recipient| recipient.maildrops == [maildrop]);
    alone.map(|recipient| recipient.mailbox.clone()).collect()
}

/// Rules that cannot be read are as if they were not there, and the administrator hears of them.
fn by_rules(filing: &Filing, text: &str, facts: &Facts<'_>) -> Decision {
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
    decision
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
        forward: None,
        refusal: decision.refusal.clone(),
        answer: None,
        is_told: false,
        reason: (!decision.lines.is_empty()).then(|| format!("{}: {decision}", filing.account.address)),
    }
}

/// Mail for each of these maildrops goes into those that were found for it. It is marked where it is junk for all who get
/// it, since all get the same octets.
fn put(acceptance: &mut Acceptance, placed: &BTreeMap<MaildropId, Placed>) {
    let Acceptance { delivery, class, settled, .. } = acceptance;
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
        for (number, group) in groups.iter_mut().enumerate() {
            let refusal = refusal(group, placed);
            place(group);
            if group.is_empty() {
                let rejected = refusal.map(|reason| replies::message_rejected(&reason, &delivery.terms));
                settled.insert(number, rejected.unwrap_or_else(replies::message_discarded));
            }
        }
        groups.retain(|group| !group.is_empty());
    }
}

/// True where readers are told by this prefix that it is junk.
pub(crate) fn is_marked(delivery_prefix: &[u8]) -> bool {
    delivery_prefix.ends_with(MARK)
}

fn step(delivery: &mut Delivery, detail: String) {
    delivery.steps.push(TraceStep { at: delivery.trace.at, event: "rule".into(), detail });
}

#[cfg(test)]
mod tests;

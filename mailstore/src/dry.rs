//! A store that answers as the real one does and keeps nothing of what it is told: for whoever wants to see what would happen.

use std::collections::HashMap;
use std::mem;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::{
    AccountUsage, Administration, Admission, Arrival, Delivery, Draft, Fate, Forgiven, Guard, GuardOptions,
    Intake, IntakeError, MaildropId, Measure, MessageId, Note, Notes, Outcome, OverQuota, Reason, Receipt,
    Recollections, Refusal, RefusalFilter, Sending, Sightings, Store, Throttled, TooMuch, Turn, Unavailable,
    Verdict, Visited,
};

/// A store of which nothing is changed by mail that comes, and what was committed to it last.
pub struct Dry {
    store: Store,
    last: Last,
}

/// What would be in the store.
#[derive(Clone, Debug)]
pub struct Committed {
    /// As it was handed over.
    pub delivery: Delivery,
    /// Octets of the message as its readers would get it.
    pub octets: u64,
}

type Last = Arc<Mutex<Option<Committed>>>;

impl Dry {
    /// Answers as `store` does, whose guard has these options.
    ///
    /// Questions go to `store`. Messages, refusals, recollections and notes are forgotten, and the guard counts nothing: it says
    /// what it would say to somebody whom it puts off already. Whoever changes accounts or the queue changes those of `store`.
    #[must_use]
    pub fn of(store: &Store, options: &GuardOptions) -> Self {
        let last = Last::default();
        let guard = DryGuard { guard: Arc::clone(&store.guard), options: options.clone() };
        let intake = DryIntake {
            intake: Arc::clone(&store.intake),
            administration: Arc::clone(&store.administration),
            last: Arc::clone(&last),
        };
        let mut dry = store.clone();
        dry.intake = Arc::new(intake);
        dry.sightings = Arc::new(DrySightings(Arc::clone(&store.sightings)));
        dry.recollections = Arc::new(DryRecollections(Arc::clone(&store.recollections)));
        dry.notes = Arc::new(DryNotes(Arc::clone(&store.notes)));
        dry.guard = Arc::new(guard);
        Self { store: dry, last }
    }

    /// What answers.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// What was committed since the last time.
    #[must_use]
    pub fn take(&self) -> Option<Committed> {
        mem::take(&mut *self.last.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct DryIntake {
    intake: Arc<dyn Intake>,
    administration: Arc<dyn Administration>,
    last: Last,
}

struct DryDraft {
    administration: Arc<dyn Administration>,
    last: Last,
    octets: u64,
}

#[async_trait]
impl Intake for DryIntake {
    /// The store is asked whether it has room, and nothing is written to the draft that it gives.
    async fn draft(&self, octets_expected: u64) -> Result<Box<dyn Draft>, IntakeError> {
        drop(self.intake.draft(octets_expected).await?);
        let (administration, last) = (Arc::clone(&self.administration), Arc::clone(&self.last));
        Ok(Box::new(DryDraft { administration, last, octets: 0 }))
    }
}

#[async_trait]
impl Draft for DryDraft {
    async fn write(&mut self, octets: &[u8]) -> Result<(), IntakeError> {
        self.octets = self.octets.saturating_add(octets.len() as u64);
        Ok(())
    }

    async fn commit(self: Box<Self>, mut delivery: Delivery) -> Result<Receipt, IntakeError> {
        let added = delivery.delivery_prefix.len().saturating_add(delivery.prefix.len());
        let octets = self.octets.saturating_add(added as u64);
        let mut verdicts = Vec::new();
        if !delivery.maildrops.is_empty() {
            let accounts = self.administration.usage().await;
            let accounts = accounts.map_err(|error| IntakeError::Unavailable(error.to_string()))?;
            let over = over_quota(&accounts, &delivery.maildrops, octets);
            verdicts = verdicts_on(&mut delivery, &over)?;
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Committed { delivery, octets });
        Ok(Receipt { message: MessageId(0), octets, verdicts })
    }
}

/// The maildrops that may not hold so many octets more. Where several of one account get it, each takes its room.
fn over_quota(
    accounts: &[AccountUsage],
    maildrops: &[MaildropId],
    octets: u64,
) -> HashMap<MaildropId, OverQuota> {
    let mut over = HashMap::new();
    for account in accounts {
        let AccountUsage { quota, messages, octets: held, .. } = account;
        let mut taken = 0_u64;
        for (_, maildrop) in account.maildrops().filter(|(_, maildrop)| maildrops.contains(maildrop)) {
            let held = held.saturating_add(octets.saturating_mul(taken));
            match quota.room(messages.saturating_add(taken), held, octets) {
                Ok(()) => taken = taken.saturating_add(1),
                Err(why) => drop(over.insert(maildrop, why)),
            }
        }
    }
    over
}

/// As the store decides: all or nothing, or each group for itself.
fn verdicts_on(
    delivery: &mut Delivery,
    over: &HashMap<MaildropId, OverQuota>,
) -> Result<Vec<Result<(), OverQuota>>, IntakeError> {
    let Some((maildrop, why)) = over.iter().max_by_key(|(_, why)| **why) else {
        let groups = match &delivery.fate {
            Fate::Shared => 0,
            Fate::Apart(groups) => groups.len(),
        };
        return Ok(vec![Ok(()); groups]);
    };
    let refused = |groups| IntakeError::OverQuota { maildrop: *maildrop, why: *why, groups };
    let Fate::Apart(groups) = &delivery.fate else { return Err(refused(Vec::new())) };
    let why = |group: &Vec<MaildropId>| group.iter().filter_map(|one| over.get(one)).max().copied();
    let verdicts: Vec<Result<(), OverQuota>> =
        groups.iter().map(|group| why(group).map_or(Ok(()), Err)).collect();
    let served = groups.iter().zip(&verdicts).filter(|(_, verdict)| verdict.is_ok());
    let served: Vec<MaildropId> = served.flat_map(|(group, _)| group).copied().collect();
    delivery.maildrops.retain(|maildrop| served.contains(maildrop));
    if delivery.maildrops.is_empty() && delivery.relay.is_empty() {
        return Err(refused(verdicts.into_iter().filter_map(Result::err).collect()));
    }
    Ok(verdicts)
}

/// Tells whom the guard puts off, and counts nobody.
struct DryGuard {
    guard: Arc<dyn Guard>,
    options: GuardOptions,
}

impl DryGuard {
    /// Why somebody is put off, of these reasons.
    async fn put_off(
        &self,
        peer: IpAddr,
        login: Option<&str>,
        reasons: [Reason; 2],
    ) -> Result<Option<Reason>, Unavailable> {
        let is_meant = |throttled: &Throttled| {
            let Throttled { network, login: of, reason, measure, .. } = throttled;
            reasons.contains(reason)
                && *measure == Measure::PutOff
                && (network.is_some() || of.is_some())
                && network.is_none_or(|network| network.contains(peer))
                && of.as_deref().is_none_or(|of| login.is_some_and(|login| login.eq_ignore_ascii_case(of)))
        };
        Ok(self.guard.throttled().await?.iter().find(|one| is_meant(one)).map(|one| one.reason))
    }
}

#[async_trait]
impl Guard for DryGuard {
    async fn admit(&self, peer: IpAddr, login: &str) -> Result<Admission, Unavailable> {
        let is_put_off = !self.options.trusts(peer)
            && self.put_off(peer, Some(login), [Reason::Guesses; 2]).await?.is_some();
        if is_put_off {
            return Ok(Admission::PutOff);
        }
        Ok(Admission::Admitted(Turn { delay: Duration::ZERO }))
    }

    async fn settle(&self, _: IpAddr, _: &str, _: Turn, _: Outcome<'_>) -> Result<Verdict, Unavailable> {
        Ok(Verdict::Stands)
    }

    async fn send(&self, sending: Sending<'_>) -> Result<Option<TooMuch>, Unavailable> {
        let Sending { peer, account, .. } = sending;
        if self.options.spares(peer) {
            return Ok(None);
        }
        let reason = self.put_off(peer, account, [Reason::Messages, Reason::Recipients]).await?;
        Ok(reason.map(|reason| match reason {
            Reason::Recipients => TooMuch::Recipients,
            Reason::Messages | Reason::Guesses | Reason::Connections | Reason::Errors => TooMuch::Messages,
        }))
    }

    async fn arrive(&self, peer: IpAddr) -> Result<Arrival, Unavailable> {
        if self.options.spares(peer) {
            return Ok(Arrival::Welcome);
        }
        let reason = self.put_off(peer, None, [Reason::Connections, Reason::Errors]).await?;
        Ok(reason.map_or(Arrival::Welcome, |_| Arrival::PutOff))
    }

    async fn erred(&self, _: IpAddr, _: u32) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn throttled(&self) -> Result<Vec<Throttled>, Unavailable> {
        self.guard.throttled().await
    }

    async fn forgive(&self, _: &Forgiven) -> Result<usize, Unavailable> {
        Ok(0)
    }
}

struct DrySightings(Arc<dyn Sightings>);

#[async_trait]
impl Sightings for DrySightings {
    async fn refused(&self, _: Vec<Refusal>) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn refusals(
        &self,
        filter: &RefusalFilter,
        refusals_max: usize,
    ) -> Result<Vec<Refusal>, Unavailable> {
        self.0.refusals(filter, refusals_max).await
    }

    async fn visited(&self, message: MessageId) -> Result<Vec<Visited>, Unavailable> {
        self.0.visited(message).await
    }
}

struct DryRecollections(Arc<dyn Recollections>);

#[async_trait]
impl Recollections for DryRecollections {
    async fn recall(&self, topic: &str, names: &[String], now: u64) -> Result<Vec<Note>, Unavailable> {
        self.0.recall(topic, names, now).await
    }

    async fn remember(&self, _: Vec<Note>) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn recollections(&self, topic: &str, after: &str, now: u64) -> Result<Vec<Note>, Unavailable> {
        self.0.recollections(topic, after, now).await
    }
}

struct DryNotes(Arc<dyn Notes>);

#[async_trait]
impl Notes for DryNotes {
    async fn note(&self, _: Note) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn notes(&self, topic: &str, after: &str, now: u64) -> Result<Vec<Note>, Unavailable> {
        self.0.notes(topic, after, now).await
    }
}

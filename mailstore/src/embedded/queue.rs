//! The outbound queue: found by due time and by domain, never by looking past what is gone.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailwire::address::{Domain, Mailbox, ReversePath};
use mailwire::cause::chain;
use mailwire::clock;

use super::change::{Change, Refused};
use super::host::Core;
use super::index::{Holder, Index, IndexError};
use super::keys::QueueValue;
use super::queue_index::domain_key;
use super::queue_leases::{HolderId, QueueLeases};
use super::reading::read_content;
use super::settled::{QueueStep, QueueWish};
use crate::{
    DomainCounts, DuePlace, MessageId, QUEUE_CHANGES_MAX, Queue, QueueEntry, QueueError, QueueFilter,
    QueueId, QueueOutcome, QueueState, Then,
};

/// How long a question for changes waits before it looks whether leases are over; the next lease's end is looked at anyway.
const PATIENCE: Duration = Duration::from_hours(1);

impl From<IndexError> for QueueError {
    fn from(error: IndexError) -> Self {
        Self::Unavailable(chain(&error))
    }
}

impl From<Refused> for QueueError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Missing | Refused::Concluded => Self::Missing,
            Refused::Full => Self::Unavailable("the disk is full".to_owned()),
            Refused::Unavailable(why) => Self::Unavailable(why),
            Refused::OverQuota { why, .. } => Self::Unavailable(why.to_string()),
            Refused::Administration(error) => Self::Unavailable(error.to_string()),
        }
    }
}

/// An entry that somebody has done with, and for when it waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resting(QueueId, Option<u64>);

impl Resting {
    pub(crate) const fn of(outcome: &QueueOutcome) -> Self {
        let due = if let Then::Defer { due, .. } = outcome.then { Some(due) } else { None };
        Self(outcome.id, due)
    }
}

impl Core {
    fn queue_value(&self, id: QueueId) -> Result<QueueValue, QueueError> {
        let found = self.index.ask(|index| index.queue_value(id.message.0, id.recipient))?;
        found.ok_or(QueueError::Missing)
    }

    /// Leases that are over are over, whoever looks next.
    fn end_old_leases(&self) -> Result<(), IndexError> {
        if self.queue_leases.expire(clock::unix_seconds()) {
            self.leases_ended()?;
        }
        Ok(())
    }

    fn leases_ended(&self) -> Result<(), IndexError> {
        let forgotten = self.index.ask(|index| {
            index.front.forget();
            Ok(())
        });
        self.progress.queue_changes.note();
        forgotten
    }

    /// Gives back what one has whose process ends.
    pub(crate) fn end_queue_leases_of(&self, holder: HolderId) {
        if self.queue_leases.end_all_of(holder) {
            // An index that is being exchanged knows of no front.
            let _ = self.leases_ended();
        }
    }

    /// As [`Queue::lease`].
    pub(crate) fn lease_entries(
        &self,
        ids: &[QueueId],
        until: u64,
        holder: HolderId,
    ) -> Result<Vec<QueueId>, QueueError> {
        self.end_old_leases()?;
        let taken = self.queue_leases.take(ids.iter().copied(), until, holder);
        // Whoever settles an entry ends its lease afterwards, so what waits now is nobody else's.
        let (there, others): (Vec<_>, Vec<_>) = taken.into_iter().partition(|id| self.is_waiting(*id));
        if !others.is_empty() {
            self.queue_leases.end(others);
            self.leases_ended()?;
        }
        Ok(there)
    }

    fn is_waiting(&self, id: QueueId) -> bool {
        self.queue_value(id).is_ok_and(|value| !value.held)
    }

    /// Entries are nobody's any more, some of which wait for another time.
    pub(crate) fn end_settled(&self, settled: &[Resting]) {
        self.queue_leases.end(settled.iter().map(|Resting(id, _)| *id));
        let places = settled.iter().filter_map(|Resting(id, due)| Some(DuePlace { due: (*due)?, id: *id }));
        // They may have been passed over while they were somebody's. Another index, where this one has just failed, knows
        // of no front.
        let _ = self.index.ask(|index| {
            places.for_each(|place| index.front.note_waiting(place));
            Ok(())
        });
        self.progress.queue_changes.note();
    }

    fn due_entries(
        &self,
        now: u64,
        after: Option<DuePlace>,
        entries_max: usize,
    ) -> Result<Vec<QueueEntry>, IndexError> {
        self.end_old_leases()?;
        self.index.ask(|index| {
            let _has_come = index.has_come();
            let (front, _) = index.first_due(|id| self.queue_leases.has(id))?;
            let mut entries = Vec::new();
            for place in index.due(front.max(after)) {
                let DuePlace { due, id } = place?;
                if due > now || entries.len() >= entries_max {
                    break;
                }
                if !self.queue_leases.has(id) {
                    let value = index.queue_value(id.message.0, id.recipient)?;
                    entries.extend(value.and_then(|value| self.queue_entry(id, value)));
                }
            }
            Ok(entries)
        })
    }

    fn listed(
        &self,
        filter: &QueueFilter,
        after: Option<QueueId>,
        entries_max: usize,
    ) -> Result<Vec<QueueEntry>, IndexError> {
        self.index.ask(|index| {
            let found = |(id, value)| self.queue_entry(id, value).filter(|entry| filter.takes(entry));
            let mut entries = Vec::new();
            for pair in candidates(index, filter, after) {
                if entries.len() >= entries_max {
                    break;
                }
                entries.extend(found(pair?));
            }
            Ok(entries)
        })
    }

    fn queue_entry(&self, id: QueueId, value: QueueValue) -> Option<QueueEntry> {
        let reverse_path = if value.reverse_path.is_empty() {
            ReversePath::Null
        } else {
            ReversePath::Mailbox(Mailbox::parse(&value.reverse_path).ok()?)
        };
        Some(QueueEntry {
            id,
            reverse_path,
            recipient: Mailbox::parse(&value.mailbox).ok()?,
            accepted_at: value.accepted_at,
            due: value.due,
            expires: value.expires,
            attempts: value.attempts,
            last_result: value.last_result,
            state: if value.held { QueueState::Held } else { QueueState::Waiting },
            is_leased: self.queue_leases.has(id),
            is_warned: value.warned,
            octets: value.subject.octets.saturating_sub(value.delivery_prefix_octets.into()),
            terms: value.terms,
            recipient_terms: value.recipient_terms,
        })
    }

    /// Changes entries in one commit. Gives those that were there.
    async fn change_queue(&self, wishes: Vec<QueueWish>) -> Result<Vec<QueueId>, QueueError> {
        if wishes.len() > QUEUE_CHANGES_MAX {
            return Err(QueueError::TooMany);
        }
        match self.commit_content(Change::Queue(wishes), Vec::new(), None).await {
            Ok(answer) => Ok(answer.settled),
            Err(Refused::Missing) => Ok(Vec::new()),
            Err(refused) => Err(refused.into()),
        }
    }

    async fn change_all(&self, ids: &[QueueId], step: &QueueStep) -> Result<Vec<QueueId>, QueueError> {
        self.change_queue(ids.iter().map(|id| QueueWish { id: *id, step: step.clone() }).collect()).await
    }
}

impl QueueFilter {
    fn takes(&self, entry: &QueueEntry) -> bool {
        let address = |wanted: &Mailbox, found: &Mailbox| wanted.key_in_a_labels() == found.key_in_a_labels();
        let path = |wanted: &ReversePath| match (wanted, &entry.reverse_path) {
            (ReversePath::Mailbox(wanted), ReversePath::Mailbox(found)) => address(wanted, found),
            (ReversePath::Null, found) => *found == ReversePath::Null,
            (ReversePath::Mailbox(_), ReversePath::Null) => false,
        };
        self.domain.as_ref().is_none_or(|domain| domain == entry.recipient.domain())
            && self.message.is_none_or(|message| message == entry.id.message)
            && self.recipient.as_ref().is_none_or(|recipient| address(recipient, &entry.recipient))
            && self.reverse_path.as_ref().is_none_or(path)
            && self.state.is_none_or(|state| state == entry.state)
    }
}

/// Entries behind `after` among which are all that are meant.
fn candidates<'a>(
    index: &'a Index,
    filter: &QueueFilter,
    after: Option<QueueId>,
) -> Box<dyn Iterator<Item = Result<(QueueId, QueueValue), IndexError>> + 'a> {
    let recipients_domain = filter.recipient.as_ref().map(Mailbox::domain);
    if let Some(message) = filter.message {
        let first = QueueId { message: MessageId(message.0.saturating_sub(1)), recipient: u32::MAX };
        let entries = index.queued(after.max(Some(first)));
        return Box::new(
            entries.take_while(move |pair| pair.as_ref().map_or(true, |(id, _)| id.message == message)),
        );
    }
    if let Some(domain) = filter.domain.as_ref().or(recipients_domain) {
        let ids = index.queued_in(&domain_key(domain), after);
        return Box::new(ids.filter_map(|id| {
            let found = id.and_then(|id| Ok((id, index.queue_value(id.message.0, id.recipient)?)));
            found.map(|(id, value)| value.map(|value| (id, value))).transpose()
        }));
    }
    Box::new(index.queued(after))
}

/// On a thread that may wait for the index.
async fn looked<T: Send + 'static>(
    core: &Arc<Core>,
    look: impl FnOnce(&Core) -> Result<T, IndexError> + Send + 'static,
) -> Result<T, QueueError> {
    let core = Arc::clone(core);
    let looked = tokio::task::spawn_blocking(move || look(&core)).await;
    Ok(looked.map_err(|error| QueueError::Unavailable(error.to_string()))??)
}

#[async_trait]
impl Queue for Arc<Core> {
    async fn due(
        &self,
        now: u64,
        after: Option<DuePlace>,
        entries_max: usize,
    ) -> Result<Vec<QueueEntry>, QueueError> {
        looked(self, move |core| core.due_entries(now, after, entries_max)).await
    }

    async fn next_due(&self) -> Result<Option<u64>, QueueError> {
        self.end_old_leases()?;
        let (_, next) = self.index.ask(|index| index.first_due(|id| self.queue_leases.has(id)))?;
        Ok(next.map(|place| place.due))
    }

    async fn changed(&self, since: u64) -> Result<u64, QueueError> {
        loop {
            self.end_old_leases()?;
            let now = clock::unix_seconds();
            let until_end = self.queue_leases.next_end().map(|end| end.saturating_sub(now).max(1));
            let patience = until_end.map_or(PATIENCE, Duration::from_secs).min(PATIENCE);
            if let Some(count) = self.progress.queue_changes.other_than(since, patience).await {
                return Ok(count);
            }
        }
    }

    async fn lease(&self, ids: &[QueueId], until: u64) -> Result<Vec<QueueId>, QueueError> {
        self.lease_entries(ids, until, QueueLeases::HERE)
    }

    async fn read(&self, id: QueueId, offset: u64, octets_max: usize) -> Result<Vec<u8>, QueueError> {
        let value = self.queue_value(id)?;
        let holder = Holder::Queue { message: id.message.0, recipient: id.recipient };
        let content = self.open_content(holder, value.subject).await.map_err(QueueError::Unavailable)?;
        let offset = offset.saturating_add(value.delivery_prefix_octets.into());
        read_content(content, offset, octets_max).await.map_err(QueueError::Unavailable)
    }

    async fn settle(&self, outcomes: Vec<QueueOutcome>) -> Result<Vec<QueueId>, QueueError> {
        let resting: Vec<_> = outcomes.iter().map(Resting::of).collect();
        let settled = self.change_queue(outcomes.into_iter().map(QueueWish::from).collect()).await?;
        self.end_settled(&resting);
        Ok(settled)
    }

    async fn hold(&self, ids: &[QueueId], state: QueueState) -> Result<Vec<QueueId>, QueueError> {
        self.change_all(ids, &QueueStep::Put(state)).await
    }

    async fn retry_at(&self, ids: &[QueueId], due: u64) -> Result<Vec<QueueId>, QueueError> {
        self.change_all(ids, &QueueStep::RetryAt(due)).await
    }

    async fn list(
        &self,
        filter: &QueueFilter,
        after: Option<QueueId>,
        entries_max: usize,
    ) -> Result<Vec<QueueEntry>, QueueError> {
        let filter = filter.clone();
        looked(self, move |core| core.listed(&filter, after, entries_max)).await
    }

    async fn show(&self, id: QueueId) -> Result<QueueEntry, QueueError> {
        let value = self.queue_value(id)?;
        self.queue_entry(id, value).ok_or(QueueError::Missing)
    }

    async fn domains(
        &self,
        after: Option<&Domain>,
        domains_max: usize,
    ) -> Result<Vec<DomainCounts>, QueueError> {
        let after = after.map(domain_key);
        let found = looked(self, move |core| {
            core.index.ask(|index| index.queued_domains(after.as_deref(), domains_max))
        });
        let counted = |(domain, counts): (String, _)| {
            Some(DomainCounts { domain: Domain::parse(&domain).ok()?, counts })
        };
        Ok(found.await?.into_iter().filter_map(counted).collect())
    }
}

//! The queue in the index: found by due time, by domain and by identity, and how records change it.

use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mailwire::address::{Domain, Mailbox};

use super::circumstances::Circumstances;
use super::index::{Index, IndexError, decoded, get, put};
use super::keys::{self, QueueValue, Subject};
use super::record::{Event, Message, MovedRecipient};
use super::settled::SettledEntry;
use crate::{DuePlace, MessageId, QueueCounts, QueueId};

/// Up to where in the order of what is due every entry is some worker's.
#[derive(Debug, Default)]
pub(crate) struct Front(Mutex<Option<DuePlace>>);

impl Front {
    fn lock(&self) -> MutexGuard<'_, Option<DuePlace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An entry waits there that nobody has.
    pub(crate) fn note_waiting(&self, place: DuePlace) {
        let mut front = self.lock();
        if front.is_some_and(|front| place <= front) {
            *front = None;
        }
    }

    /// Something that was somebody's is not any more.
    pub(crate) fn forget(&self) {
        *self.lock() = None;
    }
}

/// One form of a domain for all its spellings.
pub(crate) fn domain_key(domain: &Domain) -> String {
    let text = domain.to_string();
    if text.is_ascii() {
        return text;
    }
    domain.other_spelling().map_or(text, |domain| domain.to_string())
}

/// The domain of a recipient that was written down; empty where that is no address, which no release writes.
fn domain_of(mailbox: &str) -> String {
    Mailbox::parse(mailbox).map(|mailbox| domain_key(mailbox.domain())).unwrap_or_default()
}

const fn place((due, message, recipient): (u64, u64, u32)) -> DuePlace {
    DuePlace { due, id: QueueId { message: MessageId(message), recipient } }
}

fn due_key(place: DuePlace) -> [u8; 20] {
    keys::due(place.due, place.id.message.0, place.id.recipient)
}

fn queue_id((message, recipient): (u64, u32)) -> QueueId {
    QueueId { message: MessageId(message), recipient }
}

impl Index {
    /// One entry of the queue.
    pub(crate) fn queue_value(&self, message: u64, recipient: u32) -> Result<Option<QueueValue>, IndexError> {
        get(&self.queue, &keys::queue(message, recipient))
    }

    /// What waits behind `after`, earliest first.
    pub(crate) fn due(
        &self,
        after: Option<DuePlace>,
    ) -> impl Iterator<Item = Result<DuePlace, IndexError>> + use<> {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(due_key(after)));
        self.due.range((from, Bound::Unbounded)).keys().filter_map(|key| match key {
            Ok(key) => keys::due_parts(&key).map(|parts| Ok(place(parts))),
            Err(error) => Some(Err(error.into())),
        })
    }

    /// The place up to which all is taken, as `is_taken` says, and the first one behind it that is not. What was looked
    /// through before is not looked through again.
    pub(crate) fn first_due(
        &self,
        is_taken: impl Fn(QueueId) -> bool,
    ) -> Result<(Option<DuePlace>, Option<DuePlace>), IndexError> {
        let mut front = self.front.lock();
        for place in self.due(*front) {
            let place = place?;
            if !is_taken(place.id) {
                return Ok((*front, Some(place)));
            }
            *front = Some(place);
        }
        Ok((*front, None))
    }

    /// Entries behind `after`, in the order of their identities.
    pub(crate) fn queued(
        &self,
        after: Option<QueueId>,
    ) -> impl Iterator<Item = Result<(QueueId, QueueValue), IndexError>> + use<> {
        let key = |after: QueueId| keys::queue(after.message.0, after.recipient);
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(key(after)));
        decoded(self.queue.range((from, Bound::Unbounded))).map(|pair| {
            pair.map(|(key, value)| (queue_id(keys::queue_parts(&key).unwrap_or_default()), value))
        })
    }

    /// The same of one domain.
    pub(crate) fn queued_in(
        &self,
        domain: &str,
        after: Option<QueueId>,
    ) -> impl Iterator<Item = Result<QueueId, IndexError>> + use<> {
        let all = keys::domain(domain);
        let key = |after: QueueId| keys::in_domain(domain, after.message.0, after.recipient);
        let from = after.map_or_else(|| Bound::Included(all.clone()), |after| Bound::Excluded(key(after)));
        self.domains
            .range((from, Bound::Unbounded))
            .keys()
            .take_while(move |key| key.as_ref().map_or(true, |key| key.starts_with(&all)))
            .filter_map(|key| match key {
                Ok(key) => keys::in_domain_parts(&key)
                    .map(|(_, message, recipient)| Ok(queue_id((message, recipient)))),
                Err(error) => Some(Err(error.into())),
            })
    }

    /// The domains behind `after` with how many entries there are for each.
    pub(crate) fn queued_domains(
        &self,
        after: Option<&str>,
        domains_max: usize,
    ) -> Result<Vec<(String, QueueCounts)>, IndexError> {
        // What begins with the domain and 0 stands before what begins with it and 1.
        let behind = |after: &str| [after.as_bytes(), &[1]].concat();
        let from = after.map_or(Bound::Unbounded, |after| Bound::Included(behind(after)));
        let mut domains: Vec<(String, QueueCounts)> = Vec::new();
        for pair in decoded::<bool>(self.domains.range((from, Bound::Unbounded))) {
            let (key, is_held) = pair?;
            let Some((domain, ..)) = keys::in_domain_parts(&key) else { continue };
            if domains.last().is_none_or(|(last, _)| last != domain) {
                if domains.len() >= domains_max {
                    break;
                }
                domains.push((domain.to_owned(), QueueCounts::default()));
            }
            if let Some((_, counts)) = domains.last_mut() {
                let count = if is_held { &mut counts.held } else { &mut counts.waiting };
                *count = count.saturating_add(1);
            }
        }
        Ok(domains)
    }

    pub(super) fn put_queue(
        &self,
        message: u64,
        recipient: u32,
        value: &QueueValue,
    ) -> Result<(), IndexError> {
        self.note_change();
        self.remove_due(message, recipient)?;
        put(&self.queue, &keys::queue(message, recipient), value)?;
        let domain = domain_of(&value.mailbox);
        put(&self.domains, &keys::in_domain(&domain, message, recipient), &value.held)?;
        if !value.held {
            self.due.insert(keys::due(value.due, message, recipient), &[])?;
            self.front.note_waiting(place((value.due, message, recipient)));
        }
        Ok(())
    }

    /// What is not there stays so; without a new value it goes.
    fn change_queue(
        &self,
        message: u64,
        recipient: u32,
        change: impl FnOnce(QueueValue) -> Option<QueueValue>,
    ) -> Result<(), IndexError> {
        let Some(old) = self.queue_value(message, recipient)? else { return Ok(()) };
        match change(old) {
            Some(new) => self.put_queue(message, recipient, &new),
            None => self.remove_queue(message, recipient),
        }
    }

    /// What is said of the queue alone.
    pub(super) fn apply_to_queue(&self, event: &Event) -> Result<(), IndexError> {
        if let Event::QueueChanged { message, recipient, due, attempts, last_result, held } = event {
            let (due, attempts, held, last_result) = (*due, *attempts, *held, last_result.clone());
            let change = |old| Some(QueueValue { due, attempts, last_result, held, ..old });
            self.change_queue(*message, *recipient, change)?;
        }
        if let Event::QueueFinished { message, recipient, at: _ } = event {
            self.note_freed();
            self.remove_queue(*message, *recipient)?;
        }
        self.apply_settled(event.settled())
    }

    pub(super) fn apply_settled(&self, entries: &[SettledEntry]) -> Result<(), IndexError> {
        for entry in entries {
            if entry.is_over() {
                self.note_freed();
            }
            self.change_queue(entry.message, entry.recipient, |old| entry.after(old))?;
        }
        Ok(())
    }

    fn remove_queue(&self, message: u64, recipient: u32) -> Result<(), IndexError> {
        self.note_change();
        self.remove_due(message, recipient)?;
        if let Some(old) = self.queue_value(message, recipient)? {
            self.domains.remove(keys::in_domain(&domain_of(&old.mailbox), message, recipient))?;
        }
        self.queue.remove(keys::queue(message, recipient))?;
        Ok(())
    }

    fn remove_due(&self, message: u64, recipient: u32) -> Result<(), IndexError> {
        if let Some(old) = self.queue_value(message, recipient)? {
            self.due.remove(keys::due(old.due, message, recipient))?;
        }
        Ok(())
    }
}

/// A recipient of a message as it waits.
pub(super) fn queue_value(
    message: &Message,
    circumstances: Option<&Circumstances>,
    subject: Subject,
    waiting: &MovedRecipient,
) -> QueueValue {
    let recipient_terms = circumstances.map(|circumstances| circumstances.recipient(waiting.recipient));
    QueueValue {
        terms: circumstances.map(|circumstances| circumstances.terms.clone()).unwrap_or_default(),
        recipient_terms: recipient_terms.unwrap_or_default(),
        reverse_path: message.reverse_path.clone(),
        mailbox: waiting.mailbox.clone(),
        accepted_at: message.accepted_at,
        due: waiting.due,
        expires: waiting.expires,
        attempts: waiting.attempts,
        last_result: waiting.last_result.clone(),
        held: waiting.held,
        warned: false,
        delivery_prefix_octets: message.delivery_prefix_octets,
        subject,
    }
}

//! One segment's way out: what is still needed of it is carried to the journal's end, and the segment goes.
//!
//! The order is what makes it safe: all that is carried is on disk, every head of the segment has been compared with
//! the index once more, the journal says that the segment goes, and the index on disk is complete up to there; only
//! then is the segment removed, durably, before anything relies on it being gone.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::oneshot;

use super::carry::{CarriedEntry, CarriedMessage, Carry, Grave};
use super::change::{Change, Refused};
use super::committer::{Request, Work};
use super::host::Core;
use super::index::{Holder, Index, IndexError};
use super::journal::Location;
use super::keys::TraceKey;
use super::record::{Event, Frame, Message};
use super::segment::{Extent, Found, HEADER_OCTETS};
use super::settled::SettledEntry;

/// Records that are carried together.
const BATCH_RECORDS_MAX: usize = 256;
/// A batch takes no more records once it holds this much.
const BATCH_OCTETS_MAX: u64 = 2 << 20;
/// Mentions of messages elsewhere that are carried in one record.
const ENTRIES_MAX: usize = 4096;
/// Rows of lives that are.
const TRACE_ROWS_MAX: usize = 256;

/// Why a segment is still there.
#[derive(Debug, Error)]
pub(crate) enum CompactionError {
    #[error("reading the journal failed")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("the store takes no changes now: {0:?}")]
    Refused(Refused),
    #[error("the store is closed")]
    Closed,
    /// It stays as evidence, and what is whole in it is read where it is.
    #[error("the segment is damaged")]
    Damaged,
    /// It stays as long as that one.
    #[error("the segment says what a crash left in another one")]
    Explains,
    #[error("the segment is still written to")]
    Growing,
    #[error("a backup reads the journal")]
    Held,
    /// A bug; nothing is lost by it.
    #[error("something is still needed of the segment after all was carried")]
    Needed,
}

/// Whether deletions are remembered. A proof that does not notice that they are not is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    Keeps,
    /// A sabotage of the simulation.
    Forgets,
}

/// What is told between two batches: octets that were read or written. It may pause there, and ends the work with
/// `false`.
pub(crate) type Pace<'a> = dyn FnMut(u64) -> bool + 'a;

/// Carries what is needed of one segment.
pub(crate) struct Compaction<'a> {
    core: &'a Core,
    segment: u32,
    memory: Memory,
    /// The oldest one: nothing before it could bring back what was deleted.
    is_oldest: bool,
    batch: Vec<(Carry, Vec<u8>)>,
    batch_octets: u64,
    mentions: Mentions,
    /// Messages that had been copied into the segment.
    moved: Vec<u64>,
}

/// Things that records of the segment speak of.
#[derive(Default)]
struct Mentions {
    entries: BTreeSet<(u64, u64)>,
    queue: BTreeSet<(u64, u32)>,
    traces: BTreeSet<TraceKey>,
    accounts: BTreeSet<String>,
    removed: BTreeSet<(String, u64, Vec<u64>)>,
    maildrops: BTreeSet<(u64, String)>,
    removed_maildrops: BTreeSet<(u64, String, u64)>,
    aliases: BTreeSet<String>,
    quotas: BTreeSet<u64>,
    rules: BTreeSet<u64>,
    rule_files: BTreeSet<u64>,
    app_passwords: BTreeSet<(u64, String)>,
    grants: BTreeSet<(u64, String)>,
}

impl Mentions {
    fn add(&mut self, frame: &Frame, event: &Event) {
        self.queue.extend(event.settled().iter().map(|entry| (entry.message, entry.recipient)));
        self.add_traces(frame.sequence, event);
        match event {
            Event::Expunge { maildrop, messages, .. } | Event::Purged { maildrop, messages } => {
                self.entries.extend(messages.iter().map(|message| (*maildrop, *message)));
            }
            Event::Returned { maildrop, messages } | Event::ReturnedAt { maildrop, messages, .. } => {
                self.entries.extend(messages.iter().map(|(message, _)| (*maildrop, *message)));
            }
            Event::Restated { entries } => {
                self.entries.extend(entries.iter().map(|entry| (entry.maildrop, entry.message)));
            }
            Event::QueueChanged { message, recipient, .. }
            | Event::QueueFinished { message, recipient, .. } => {
                self.queue.insert((*message, *recipient));
            }
            Event::Account(account) | Event::KeyedAccount { account, .. } => {
                self.accounts.insert(account.address.clone());
            }
            Event::AccountRemoved { address, maildrop } => {
                self.removed.insert((address.clone(), *maildrop, Vec::new()));
            }
            Event::AccountRemovedWith { address, maildrop, further } => {
                self.removed.insert((address.clone(), *maildrop, further.clone()));
            }
            Event::MaildropAdded { account, detail, .. } => {
                self.maildrops.insert((*account, detail.clone()));
            }
            Event::MaildropRemoved { account, detail, maildrop } => {
                self.removed_maildrops.insert((*account, detail.clone(), *maildrop));
            }
            Event::Alias { address, .. } | Event::AliasRemoved { address } => {
                self.aliases.insert(address.clone());
            }
            Event::Quota { maildrop, .. } => {
                self.quotas.insert(*maildrop);
            }
            Event::Rules { maildrop, .. } => {
                self.rules.insert(*maildrop);
            }
            Event::RuleFile { maildrop, .. } => {
                self.rule_files.insert(*maildrop);
            }
            Event::AppPassword { maildrop, name, .. } => {
                self.app_passwords.insert((*maildrop, name.clone()));
            }
            Event::Grant { maildrop, addresses, .. } => {
                self.grants.insert((*maildrop, addresses.clone()));
            }
            // A message says itself who holds it; the rest is said anew, or only of this segment.
            Event::Message(_)
            | Event::Imported { .. }
            | Event::Accepted(_)
            | Event::Taken(_)
            | Event::Settled { .. }
            | Event::Traced { .. }
            | Event::Moved(_)
            | Event::MovedWith { .. }
            | Event::MovedOn(_)
            | Event::Torn { .. }
            | Event::Segments { .. }
            | Event::Closed => {}
        }
    }

    /// Rows of lives that stand in a record, or follow from it.
    fn add_traces(&mut self, sequence: u64, event: &Event) {
        self.traces.extend(event.settled().iter().flat_map(SettledEntry::trace_keys));
        if let Event::Traced { rows } = event {
            self.traces.extend(rows.iter().map(|row| row.key));
        }
        if let Some(message) = event.message().filter(|message| !message.relay.is_empty()) {
            self.traces.insert(TraceKey::accepted(sequence));
            let recipients = (0_u32..).zip(&message.relay);
            self.traces.extend(recipients.map(|(recipient, _)| TraceKey::of(sequence, recipient, 0)));
        }
    }

    fn len(&self) -> usize {
        self.entries.len().saturating_add(self.queue.len()).saturating_add(self.traces.len())
    }
}

/// Removes a segment once all that is needed of it stands elsewhere. Gives the octets that came back.
pub(crate) fn compact(
    core: &Core,
    segment: u32,
    memory: Memory,
    pace: &mut Pace<'_>,
) -> Result<u64, CompactionError> {
    let journal = &core.contents.journal;
    if journal.extent(segment) == Extent::Growing {
        return Err(CompactionError::Growing);
    }
    if core.holds.any() {
        return Err(CompactionError::Held);
    }
    let octets = journal.file(segment)?.octets()?;
    let mut compaction = Compaction {
        core,
        segment,
        memory,
        is_oldest: journal.segments().first() == Some(&segment),
        batch: Vec::new(),
        batch_octets: 0,
        mentions: Mentions::default(),
        moved: Vec::new(),
    };
    compaction.refuse_evidence()?;
    compaction.carry_all(pace)?;
    compaction.verify()?;
    compaction.remove()?;
    Ok(octets)
}

impl Compaction<'_> {
    /// Calls `look` for every record of the segment, by its head.
    fn each(
        &self,
        mut look: impl FnMut(u64, &Frame, &Event) -> Result<(), CompactionError>,
    ) -> Result<(), CompactionError> {
        let segment = self.segment;
        let mut scan = self.core.contents.journal.scan(Location { segment, offset: HEADER_OCTETS })?;
        let gap = |offset, octets| {
            let is_torn = self.core.index.ask(|index| index.is_torn(Location { segment, offset }))?;
            if octets == 0 || is_torn { Ok(()) } else { Err(CompactionError::Damaged) }
        };
        loop {
            match scan.find_next()? {
                Found::Record { offset, frame, event, .. } => look(offset, &frame, &event)?,
                Found::Gap { offset, octets } => gap(offset, octets)?,
                Found::End { offset, octets } => return gap(offset, octets),
            }
        }
    }

    /// A segment that is damaged, or says what a crash left in another one, stays.
    fn refuse_evidence(&self) -> Result<(), CompactionError> {
        let journal = &self.core.contents.journal;
        if journal.header(self.segment).is_none() {
            return Err(CompactionError::Damaged);
        }
        self.each(|_, _, event| {
            if let Event::Torn { segment, .. } = event
                && *segment != self.segment
                && journal.has(*segment)
            {
                return Err(CompactionError::Explains);
            }
            Ok(())
        })
    }

    fn carry_all(&mut self, pace: &mut Pace<'_>) -> Result<(), CompactionError> {
        let segment = self.segment;
        let journal = Arc::clone(&self.core.contents.journal);
        let mut scan = journal.scan(Location { segment, offset: HEADER_OCTETS })?;
        loop {
            match scan.find_next()? {
                Found::Record { offset, frame, event, .. } => {
                    self.carry_record(Location { segment, offset }, &frame, &event)?;
                    if self.batch.len() >= BATCH_RECORDS_MAX || self.batch_octets >= BATCH_OCTETS_MAX {
                        self.send(pace)?;
                    }
                    if self.mentions.len() >= ENTRIES_MAX {
                        self.carry_mentions()?;
                    }
                }
                Found::Gap { .. } => {}
                Found::End { .. } => {
                    self.carry_mentions()?;
                    return self.send(pace);
                }
            }
        }
    }

    fn carry_record(
        &mut self,
        location: Location,
        frame: &Frame,
        event: &Event,
    ) -> Result<(), CompactionError> {
        self.mentions.add(frame, event);
        if let Some(moved) = event.moved() {
            self.moved.push(moved.sequence);
        }
        let Some(holders) = Holders::of(frame, event) else { return Ok(()) };
        if !self.core.index.ask(|index| holders.any_at(index, location))? {
            return Ok(());
        }
        let Some(message) = event.message() else { return Ok(()) };
        let message = Message { maildrops: Vec::new(), relay: Vec::new(), ..message.clone() };
        let circumstances = event.circumstances().cloned().map(Box::new);
        let Holders { sequence, maildrops, recipients } = holders;
        let mut content = vec![0; usize::try_from(frame.content_octets).map_err(io::Error::other)?];
        let file = self.core.contents.journal.file(location.segment)?;
        file.read_at(&mut content, location.offset.saturating_add(frame.content_offset()))?;
        let from = location;
        let carried = CarriedMessage { from, sequence, message, circumstances, maildrops, recipients };
        self.add(Carry::Message(Box::new(carried)), content);
        Ok(())
    }

    fn add(&mut self, carry: Carry, content: Vec<u8>) {
        self.batch_octets = self.batch_octets.saturating_add(content.len() as u64);
        self.batch.push((carry, content));
    }

    fn grave(&self, message: u64) -> Result<Grave, CompactionError> {
        if self.memory == Memory::Forgets {
            return Ok(Grave::Needless);
        }
        self.core.graves.needed(self.core, message, self.segment)
    }

    /// Of what cannot be said exactly where it lies.
    fn old_grave(&self) -> Grave {
        if self.is_oldest || self.memory == Memory::Forgets { Grave::Needless } else { Grave::Kept }
    }

    fn carry_mentions(&mut self) -> Result<(), CompactionError> {
        let mentions = std::mem::take(&mut self.mentions);
        let mut entries = Vec::with_capacity(mentions.entries.len());
        for (maildrop, message) in mentions.entries {
            entries.push(CarriedEntry { maildrop, message, grave: self.grave(message)? });
        }
        for entries in entries.chunks(ENTRIES_MAX) {
            self.add(Carry::Entries(entries.to_vec()), Vec::new());
        }
        for keys in mentions.traces.into_iter().collect::<Vec<_>>().chunks(TRACE_ROWS_MAX) {
            self.add(Carry::Traces(keys.to_vec()), Vec::new());
        }
        for (message, recipient) in mentions.queue {
            let grave = self.grave(message)?;
            self.add(Carry::Queue { message, recipient, grave }, Vec::new());
        }
        let grave = self.old_grave();
        if grave == Grave::Kept {
            for (address, maildrop, further) in mentions.removed {
                self.add(Carry::AccountRemoved { address, maildrop, further }, Vec::new());
            }
            for (account, detail, maildrop) in mentions.removed_maildrops {
                self.add(Carry::MaildropRemoved { account, detail, maildrop }, Vec::new());
            }
        }
        for (account, detail) in mentions.maildrops {
            self.add(Carry::Maildrop { account, detail }, Vec::new());
        }
        for address in mentions.accounts {
            self.add(Carry::Account { address }, Vec::new());
        }
        for address in mentions.aliases {
            self.add(Carry::Alias { address, grave }, Vec::new());
        }
        for maildrop in mentions.quotas {
            self.add(Carry::Quota { maildrop, grave }, Vec::new());
        }
        for maildrop in mentions.rules {
            self.add(Carry::Rules { maildrop, grave }, Vec::new());
        }
        for maildrop in mentions.rule_files {
            self.add(Carry::RuleFile { maildrop, grave }, Vec::new());
        }
        for (maildrop, name) in mentions.app_passwords {
            self.add(Carry::AppPassword { maildrop, name, grave }, Vec::new());
        }
        for (maildrop, addresses) in mentions.grants {
            self.add(Carry::Grant { maildrop, addresses, grave }, Vec::new());
        }
        Ok(())
    }

    /// Commits what has been gathered.
    fn send(&mut self, pace: &mut Pace<'_>) -> Result<(), CompactionError> {
        let octets = std::mem::take(&mut self.batch_octets);
        let mut requests = Vec::new();
        let mut answers = Vec::new();
        for (carry, content) in self.batch.drain(..) {
            let (answer, answered) = oneshot::channel();
            let change = Change::Carry(carry);
            requests.push(Request { change, content: vec![content], held: None, answer });
            answers.push(answered);
        }
        if !requests.is_empty() {
            self.core.ask_committer(Work::Carry(requests)).map_err(|()| CompactionError::Closed)?;
        }
        for answer in answers {
            match answer.blocking_recv().map_err(|_| CompactionError::Closed)? {
                // Nobody needs it any more.
                Ok(_) | Err(Refused::Missing) => {}
                Err(refused) => return Err(CompactionError::Refused(refused)),
            }
        }
        if pace(octets.saturating_mul(2)) { Ok(()) } else { Err(CompactionError::Closed) }
    }

    /// Compares every head with the index: counts and hints are not to be trusted with the only copy of a message.
    fn verify(&self) -> Result<(), CompactionError> {
        let segment = self.segment;
        self.each(|offset, frame, event| {
            let Some(holders) = Holders::of(frame, event) else { return Ok(()) };
            let location = Location { segment, offset };
            let is_needed = self.core.index.ask(|index| holders.any_at(index, location))?;
            if is_needed { Err(CompactionError::Needed) } else { Ok(()) }
        })
    }

    fn remove(&self) -> Result<(), CompactionError> {
        let journal = &self.core.contents.journal;
        let left = journal.segments().into_iter().filter(|segment| *segment != self.segment);
        let present = ranges(left);
        let (answer, answered) = oneshot::channel();
        let change = Change::Segments { present };
        let request = Request { change, content: Vec::new(), held: None, answer };
        self.core.ask_committer(Work::Commit(request)).map_err(|()| CompactionError::Closed)?;
        answered.blocking_recv().map_err(|_| CompactionError::Closed)?.map_err(CompactionError::Refused)?;
        self.core.progress.write(&self.core.index)?;
        // A backup that has begun meanwhile counts on it.
        let _no_hold = self.core.holds.none().ok_or(CompactionError::Held)?;
        journal.remove(self.segment)?;
        self.core.index.ask(|index| index.forget_segment(self.segment, &self.moved))?;
        Ok(())
    }
}

/// Numbers as ranges of them.
fn ranges(numbers: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if last.saturating_add(1) == number => *last = number,
            Some(_) | None => ranges.push((number, number)),
        }
    }
    ranges
}

/// Who may hold the message of a record.
pub(crate) struct Holders {
    pub(crate) sequence: u64,
    pub(crate) maildrops: Vec<u64>,
    pub(crate) recipients: Vec<u32>,
}

impl Holders {
    /// `None` where the record holds no message.
    pub(crate) fn of(frame: &Frame, event: &Event) -> Option<Self> {
        if let Some(moved) = event.moved() {
            return Some(Self {
                sequence: moved.sequence,
                maildrops: moved.entries.iter().map(|entry| entry.maildrop).collect(),
                recipients: moved.queue.iter().map(|waiting| waiting.recipient).collect(),
            });
        }
        let message = event.message()?;
        Some(Self {
            sequence: frame.sequence,
            maildrops: message.maildrops.clone(),
            recipients: (0_u32..).zip(&message.relay).map(|(recipient, _)| recipient).collect(),
        })
    }

    /// One after the other.
    pub(crate) fn each(&self) -> impl Iterator<Item = Holder> {
        let message = self.sequence;
        let maildrops =
            self.maildrops.iter().map(move |maildrop| Holder::Maildrop { maildrop: *maildrop, message });
        let recipients =
            self.recipients.iter().map(move |recipient| Holder::Queue { message, recipient: *recipient });
        maildrops.chain(recipients)
    }

    /// True where one of them has it at `location`.
    fn any_at(&self, index: &Index, location: Location) -> Result<bool, IndexError> {
        for holder in self.each() {
            if index.subject(holder)?.is_some_and(|subject| subject.location == location) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_ranges() {
        assert_eq!(ranges([].into_iter()), []);
        assert_eq!(ranges([1, 2, 3, 5, 8, 9].into_iter()), [(1, 3), (5, 5), (8, 9)]);
    }
}

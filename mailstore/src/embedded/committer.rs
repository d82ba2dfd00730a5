//! The one thread that writes to the journal: takes all that wait, syncs once, applies, answers.
//!
//! A group is whatever waited meanwhile: there is no timer, and a lone writer never waits for company.

use std::collections::HashSet;
use std::io;
use std::iter;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;

use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, info};

use super::accounts::Accounts;
use super::apply::Committed;
use super::change::{Change, Refused, State};
use super::checkpoint::{Health, Progress};
use super::files::{Files, is_full};
use super::index::IndexError;
use super::index_slot::IndexSlot;
use super::journal::{AppendError, Journal, Location, Writer};
use super::keys::Usage;
use super::layout::Layout;
use super::quotas::{Added, Verdicts};
use super::record::{self, Encoded, Event, Place};
use super::recovery;
use super::room::{Reserve, Room};
use super::settled::{QueueWish, SettledEntry};
use crate::QueueId;

/// Most records of a group.
const GROUP_RECORDS_MAX: usize = 1024;
/// A group takes no more records once it holds this much.
const GROUP_OCTETS_MAX: u64 = 8 << 20;
/// Requests that wait in the channel; whoever comes then waits to be let in.
pub(crate) const REQUESTS_MAX: usize = 1024;

/// What the committer is asked to do.
pub(crate) enum Work {
    /// Commit this.
    Commit(Request),
    /// Commit these together, and nothing else with them: they are carried out of a segment that goes.
    Carry(Vec<Request>),
    /// Begin a new segment, so that the present one can go.
    Rotate(oneshot::Sender<Result<(), Refused>>),
    /// Make the index anew.
    Rebuild(oneshot::Sender<Result<(), Refused>>),
    /// Try again what has failed.
    Mend,
    /// Finish what came before, and end.
    End,
}

/// A change with its content, and who waits for it.
pub(crate) struct Request {
    pub(crate) change: Change,
    pub(crate) content: Vec<Vec<u8>>,
    /// Held until the change is applied: a file that nobody may take for left over, a maildrop that nobody may lease.
    pub(crate) held: Option<Box<dyn Send>>,
    pub(crate) answer: oneshot::Sender<Result<Answer, Refused>>,
}

/// What a change has come to.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The record's number.
    pub(crate) sequence: u64,
    /// For each group of a message's maildrops, whether it has got it.
    pub(crate) verdicts: Verdicts,
    /// The entries of the queue that were changed.
    pub(crate) settled: Vec<QueueId>,
}

/// The committer's own state.
pub(crate) struct Committer {
    pub(crate) requests: mpsc::Receiver<Work>,
    pub(crate) writer: Writer,
    pub(crate) index: Arc<IndexSlot>,
    pub(crate) accounts: Arc<RwLock<Accounts>>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) seed: u32,
    pub(crate) next_sequence: u64,
    pub(crate) live: u64,
    pub(crate) journal: Arc<Journal>,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) layout: Layout,
    pub(crate) reserve: Reserve,
    pub(crate) room: Room,
    /// Something was committed since the store was opened.
    pub(crate) has_written: bool,
    /// Why nothing more is written, from a failed sync until the journal is mended.
    pub(crate) broken: Option<String>,
}

/// Records on their way to the disk together.
#[derive(Default)]
struct Group {
    records: Vec<Pending>,
    touched: HashSet<Touched>,
    octets: u64,
    alone: bool,
    added: Added,
}

/// A change on its way to becoming a record of the group.
struct Recorded {
    event: Event,
    place: Place,
    encoded: Encoded,
    /// What it adds to maildrops with a quota.
    added: Vec<(u64, Usage)>,
    verdicts: Verdicts,
}

struct Pending {
    event: Event,
    place: Place,
    encoded: Encoded,
    content: Vec<Vec<u8>>,
    content_octets: u64,
    held: Option<Box<dyn Send>>,
    verdicts: Verdicts,
    answer: oneshot::Sender<Result<Answer, Refused>>,
}

impl Pending {
    /// All of the record, one behind the other.
    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let Encoded { front, copy } = &self.encoded;
        iter::once(front).chain(&self.content).chain(iter::once(copy)).map(Vec::as_slice)
    }
}

/// What two records of one group must not both change, since each is checked against the state before the group.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Touched {
    Maildrop(u64),
    Queue(QueueId),
}

/// How a change goes together with others.
enum Company {
    Others(Vec<Touched>),
    None,
}

fn company(change: &Change) -> Company {
    let queue =
        |wishes: &[QueueWish]| Company::Others(wishes.iter().map(|wish| Touched::Queue(wish.id)).collect());
    match change {
        Change::Message { further, .. } => queue(&further.concludes),
        // What is carried has no company but its like, of which none concerns the same thing.
        Change::Import(..) | Change::Carry(_) => Company::Others(Vec::new()),
        Change::Expunge { maildrop, .. }
        | Change::Return { maildrop, .. }
        | Change::Purge { maildrop, .. } => Company::Others(vec![Touched::Maildrop(*maildrop)]),
        Change::Queue(wishes) => queue(wishes),
        Change::Directory(_) | Change::Segments { .. } | Change::Close => Company::None,
    }
}

impl Group {
    fn has_room_for(&self, change: &Change) -> bool {
        let room = self.records.len() < GROUP_RECORDS_MAX && self.octets < GROUP_OCTETS_MAX && !self.alone;
        room && match company(change) {
            Company::Others(touched) => touched.iter().all(|touched| !self.touched.contains(touched)),
            Company::None => self.records.is_empty(),
        }
    }

    fn answer(self, result: &Result<(), Refused>) {
        for record in self.records {
            let (sequence, verdicts) = (record.place.sequence, record.verdicts);
            let settled = record.event.settled().iter().map(SettledEntry::id);
            let answer = result.clone().map(|()| Answer { sequence, verdicts, settled: settled.collect() });
            // Before whoever asked goes on: they may want it again.
            drop(record.held);
            // Whoever asked may have gone; the record stands all the same.
            let _ = record.answer.send(answer);
        }
    }
}

impl Committer {
    /// Works until it is told to end, or everybody who could ask is gone.
    pub(crate) fn run(mut self) {
        let mut left_over = None;
        loop {
            match left_over.take().or_else(|| self.requests.blocking_recv()) {
                Some(Work::Commit(first)) => {
                    self.room = self.reserve.look();
                    let mut group = Group::default();
                    self.join(&mut group, first);
                    left_over = self.fill(&mut group);
                    self.finish(group);
                }
                Some(Work::Carry(requests)) => {
                    let mut group = Group::default();
                    for request in requests {
                        self.join(&mut group, request);
                    }
                    self.finish(group);
                }
                Some(Work::Rotate(answer)) => {
                    // Whoever asked may have gone; the new segment is no harm.
                    let _ = answer.send(self.rotate());
                }
                Some(Work::Rebuild(answer)) => {
                    // Whoever asked may have gone; the index is none the worse.
                    let _ = answer.send(self.rebuild());
                }
                Some(Work::Mend) => self.mend(),
                Some(Work::End) => return self.close(),
                None => return,
            }
        }
    }

    /// Lets in whoever waits, and whoever comes while the other threads of this machine have their turn: one sync serves
    /// them all. A lone writer gives up the processor once, which costs it nothing where nobody else wants it. The first
    /// that does not fit is handed back.
    fn fill(&mut self, group: &mut Group) -> Option<Work> {
        loop {
            thread::yield_now();
            let before = group.records.len();
            let left_over = self.let_in(group);
            if left_over.is_some() || group.records.len() == before {
                return left_over;
            }
        }
    }

    /// Lets in whoever waits.
    fn let_in(&mut self, group: &mut Group) -> Option<Work> {
        while let Ok(work) = self.requests.try_recv() {
            match work {
                Work::Commit(request) if group.has_room_for(&request.change) => self.join(group, request),
                Work::Commit(_)
                | Work::Carry(_)
                | Work::Rotate(_)
                | Work::Rebuild(_)
                | Work::Mend
                | Work::End => {
                    return Some(work);
                }
            }
        }
        None
    }

    fn finish(&mut self, group: Group) {
        if !group.records.is_empty() {
            let result = self.commit(&group);
            group.answer(&result);
        }
    }

    /// Says in the journal that all of it is on disk, where something was written to it.
    fn close(&mut self) {
        if !self.has_written {
            return;
        }
        let (answer, _) = oneshot::channel();
        let mut group = Group::default();
        self.join(&mut group, Request { change: Change::Close, content: Vec::new(), held: None, answer });
        // Where it fails, the next start takes it for a crash.
        self.finish(group);
    }

    fn rotate(&mut self) -> Result<(), Refused> {
        if let Some(broken) = &self.broken {
            return Err(Refused::Unavailable(broken.clone()));
        }
        self.writer.rotate(self.next_sequence, self.live).map_err(|error| {
            full_or(&error, Refused::Unavailable(format!("beginning a new journal segment failed: {error}")))
        })?;
        self.progress.advance(self.writer.end(), self.next_sequence, self.live);
        Ok(())
    }

    /// Makes a record of the request, or refuses it at once.
    fn join(&mut self, group: &mut Group, request: Request) {
        let Request { change, content, held, answer } = request;
        let company = company(&change);
        let content_octets: u64 = content.iter().map(|part| part.len() as u64).sum();
        let recorded = match self.record(group, change, content_octets) {
            Ok(recorded) => recorded,
            Err(refused) => {
                // Whoever asked may have gone; there is nobody to tell then.
                let _ = answer.send(Err(refused));
                return;
            }
        };
        match company {
            Company::Others(touched) => group.touched.extend(touched),
            Company::None => group.alone = true,
        }
        let Recorded { event, place, encoded, added, verdicts } = recorded;
        group.added.join(added);
        self.next_sequence = place.sequence.saturating_add(1);
        self.live = place.live;
        group.octets = group.octets.saturating_add(content_octets).saturating_add(encoded.octets());
        group.records.push(Pending {
            event,
            place,
            encoded,
            content,
            content_octets,
            held,
            verdicts,
            answer,
        });
    }

    fn record(&self, group: &Group, mut change: Change, content_octets: u64) -> Result<Recorded, Refused> {
        if let Some(broken) = &self.broken {
            return Err(Refused::Unavailable(broken.clone()));
        }
        if self.room == Room::None && matches!(change, Change::Message { .. } | Change::Import(..)) {
            return Err(Refused::Full);
        }
        if self.index.has_failed() {
            return Err(IndexError::Reopening.into());
        }
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        let sequence = self.next_sequence;
        let state = State {
            index: &self.index,
            accounts: &accounts,
            added: &group.added,
            content_octets,
            sequence,
            live: self.live,
        };
        let verdicts = state.leave_out(&mut change)?;
        let (event, live) = state.event(change)?;
        let added = state.added(&event)?;
        let group = group.records.first().map_or(sequence, |first| first.place.sequence);
        let place = Place { sequence, group, live };
        let encoded = record::encode(&event, content_octets, place, self.seed)
            .map_err(|error| Refused::Unavailable(format!("the record cannot be written: {error}")))?;
        Ok(Recorded { event, place, encoded, added, verdicts })
    }

    /// Writes, syncs and applies the group.
    fn commit(&mut self, group: &Group) -> Result<(), Refused> {
        let before = group.records.first().map(|first| first.place.sequence);
        let live_before = self.progress.live();
        let written = self.append(group, before.unwrap_or(self.next_sequence), live_before);
        let Ok(first) = written else {
            self.next_sequence = before.unwrap_or(self.next_sequence);
            self.live = live_before;
            return written.map(|_| ());
        };
        self.apply(group, first);
        self.has_written = true;
        self.progress.advance(self.writer.end(), self.next_sequence, self.live);
        Ok(())
    }

    /// Where the group's first record lies, once all of it is on disk.
    fn append(&mut self, group: &Group, sequence: u64, live: u64) -> Result<Location, Refused> {
        let unavailable =
            |what: &str, error: &std::io::Error| Refused::Unavailable(format!("{what}: {error}"));
        if let Err(error) = self.writer.rotate_for(group.octets, sequence, live) {
            error!(%error, "beginning a new journal segment failed");
            return Err(full_or(&error, unavailable("beginning a new journal segment failed", &error)));
        }
        let first = self.writer.end();
        let parts: Vec<&[u8]> = group.records.iter().flat_map(Pending::parts).collect();
        match self.writer.append(&parts) {
            Ok(()) => Ok(first),
            Err(AppendError::Write(error)) => {
                error!(%error, "writing to the journal failed; nothing of it was kept or acknowledged");
                Err(full_or(&error, unavailable("writing to the journal failed", &error)))
            }
            Err(AppendError::Sync(error)) => {
                error!(%error, "syncing the journal failed; the store takes no changes until the disk works again");
                self.progress.set_journal(Health::Failed);
                self.broken = Some(format!("syncing the journal failed: {error}"));
                Err(unavailable("syncing the journal failed", &error))
            }
        }
    }

    /// The group is on disk: whatever happens to the index, it is committed.
    fn apply(&mut self, group: &Group, first: Location) {
        let mut location = first;
        for record in &group.records {
            let committed = Committed {
                location,
                sequence: record.place.sequence,
                front_octets: record.encoded.front.len() as u64,
                content_octets: record.content_octets,
                event: &record.event,
            };
            // The slot has noticed a failure, and the index that takes its place will have the record.
            let _ = self.index.ask(|index| index.apply(committed));
            if record.event.concerns_queue() {
                self.progress.queue_changes.note();
            }
            let octets = record.encoded.octets().saturating_add(record.content_octets);
            location.offset = location.offset.saturating_add(octets);
        }
        if group.alone {
            let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
            group.records.iter().for_each(|record| accounts.apply(&record.event));
        }
    }

    /// Tries again what has failed: the journal first, then the index.
    fn mend(&mut self) {
        if self.broken.is_some() {
            match self.writer.begin_anew(self.next_sequence, self.live) {
                Ok(()) => {
                    info!("the disk works again; the store takes changes");
                    self.broken = None;
                    self.progress.set_journal(Health::Well);
                }
                Err(error) => {
                    debug!(%error, "the disk does not work yet");
                    // Behind the last sync lies what was refused; an index opened now would bring it in.
                    return;
                }
            }
        }
        if self.index.has_failed() {
            self.reserve.give_up();
            match self.exchange_index(recovery::reopen_index) {
                Ok(()) => info!("the index works again"),
                Err(error) => {
                    error!(%error, "the index could not be opened again; that is tried once more soon");
                }
            }
        }
    }

    /// Makes the index anew from the journal; nobody is answered meanwhile.
    fn rebuild(&mut self) -> Result<(), Refused> {
        if let Some(broken) = &self.broken {
            return Err(Refused::Unavailable(broken.clone()));
        }
        self.exchange_index(recovery::rebuild_index).map_err(|error| {
            error!(%error, "the index could not be rebuilt; that is tried once more soon");
            Refused::Unavailable(format!("the index could not be rebuilt: {error}"))
        })
    }

    fn exchange_index(&mut self, open: recovery::OpenIndex) -> io::Result<()> {
        let end = self.index.exchange(|| open(&self.files, &self.layout, &self.journal))?;
        self.writer = end.writer;
        self.next_sequence = end.next_sequence;
        self.live = end.live;
        self.progress.advance(self.writer.end(), self.next_sequence, self.live);
        // The other index may know of more.
        self.progress.queue_changes.note();
        Ok(())
    }
}

fn full_or(error: &std::io::Error, otherwise: Refused) -> Refused {
    if is_full(error) { Refused::Full } else { otherwise }
}

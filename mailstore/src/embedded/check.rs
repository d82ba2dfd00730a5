//! Looking for damage: every record, every entry of the index, and all content where it is asked for.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::PoisonError;

use super::compaction::Holders;
use super::content::{self, Access, Opened};
use super::files::Mode;
use super::host::Core;
use super::index::{Holder, Index, IndexError};
use super::journal::Location;
use super::record::{self, Event, Frame, Message, Side};
use super::recovery::missing_segments;
use super::segment::{self, Extent, Found, HEADER_OCTETS};
use crate::{Depth, Finding, Owner, Problem, Progress};

/// Octets of the journal between two reports of how far it is.
const STEP_OCTETS: u64 = 1 << 20;

/// Who hears of what is found, and how far it is; may end it.
pub(crate) trait Watcher {
    fn found(&mut self, finding: Finding) -> ControlFlow<()>;
    fn progress(&mut self, progress: Progress) -> ControlFlow<()>;
}

/// Why a check ended before its end.
#[derive(Debug)]
pub(crate) enum Ended {
    Error(IndexError),
    /// The watcher wanted it so.
    Stopped,
}

impl From<IndexError> for Ended {
    fn from(error: IndexError) -> Self {
        Self::Error(error)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Error(error.into())
    }
}

/// Looks at everything.
pub(crate) fn check(core: &Core, depth: Depth, watcher: &mut dyn Watcher) -> Result<(), Ended> {
    let journal = &core.contents.journal;
    let mut check = Check { core, depth, watcher, done: 0, told: 0, total: 0 };
    for segment in journal.segments() {
        check.total = check.total.saturating_add(journal.file(segment)?.octets()?);
    }
    for segment in core.index.ask(|index| missing_segments(journal, index))? {
        check.say(Problem::SegmentMissing, &segment_file(segment), (0, 0), Vec::new())?;
    }
    for segment in journal.segments() {
        check.segment(segment)?;
    }
    check.entries()
}

/// A slice of a look at everything: from `from` on, at most about `octets_max` of the journal. Gives where the next one
/// begins; `None` where it is through.
pub(crate) fn check_slice(
    core: &Core,
    from: Location,
    octets_max: u64,
    watcher: &mut dyn Watcher,
) -> Result<Option<Location>, Ended> {
    let mut check = Check { core, depth: Depth::Content, watcher, done: 0, told: 0, total: octets_max };
    let segments = core.contents.journal.segments();
    let Some(segment) = segments.iter().copied().find(|segment| *segment >= from.segment) else {
        return Ok(None);
    };
    let offset = if segment == from.segment { from.offset.max(HEADER_OCTETS) } else { HEADER_OCTETS };
    match check.records(Location { segment, offset }, octets_max)? {
        Some(offset) => Ok(Some(Location { segment, offset })),
        None => Ok(segments
            .into_iter()
            .find(|next| *next > segment)
            .map(|segment| Location { segment, offset: HEADER_OCTETS })),
    }
}

impl Core {
    /// What is wrong with the number of entries, as far as one can tell while it changes.
    pub(crate) fn miscounted(&self, index: &Index) -> Result<Option<IndexError>, IndexError> {
        let before = index.changes();
        let expected = self.progress.live();
        let (counted, _) = index.count()?;
        let changes = index.changes().saturating_sub(before);
        let is_right = counted.abs_diff(expected) <= changes;
        Ok((!is_right).then_some(IndexError::Miscounted { counted, expected }))
    }
}

struct Check<'a> {
    core: &'a Core,
    depth: Depth,
    watcher: &'a mut dyn Watcher,
    done: u64,
    told: u64,
    total: u64,
}

fn segment_file(segment: u32) -> String {
    format!("journal/{}", segment::name(segment))
}

impl Check<'_> {
    fn say(
        &mut self,
        problem: Problem,
        file: &str,
        (offset, octets): (u64, u64),
        owners: Vec<Owner>,
    ) -> Result<(), Ended> {
        let finding = Finding { problem, file: file.to_owned(), offset, octets, owners };
        if self.watcher.found(finding).is_break() { Err(Ended::Stopped) } else { Ok(()) }
    }

    fn advance(&mut self, octets: u64) -> Result<(), Ended> {
        self.done = self.done.saturating_add(octets);
        if self.done.saturating_sub(self.told) < STEP_OCTETS {
            return Ok(());
        }
        self.told = self.done;
        let progress = Progress { done: self.done.min(self.total), total: self.total };
        if self.watcher.progress(progress).is_break() { Err(Ended::Stopped) } else { Ok(()) }
    }

    fn segment(&mut self, segment: u32) -> Result<(), Ended> {
        if self.core.contents.journal.header(segment).is_none() {
            self.say(Problem::SegmentHeader, &segment_file(segment), (0, HEADER_OCTETS), Vec::new())?;
        }
        self.records(Location { segment, offset: HEADER_OCTETS }, u64::MAX)?;
        Ok(())
    }

    /// The records of a segment from `from` on. Gives the offset at which more than `octets_max` were read.
    fn records(&mut self, from: Location, octets_max: u64) -> Result<Option<u64>, Ended> {
        let segment = from.segment;
        let journal = &self.core.contents.journal;
        // What is being written now stands behind the last commit.
        let end = self.core.progress.applied();
        let is_growing = journal.extent(segment) == Extent::Growing;
        // The segment may have been compacted away a moment ago.
        let mut scan = match journal.scan(from) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            scan => scan?,
        };
        loop {
            let (at, octets) = match scan.find_next()? {
                Found::Record { offset, frame, event, side } => {
                    if is_growing && (Location { segment, offset }) >= end {
                        return Ok(None);
                    }
                    self.record(Location { segment, offset }, &frame, &event, side)?;
                    (offset, frame.record_octets())
                }
                Found::Gap { offset, octets } => {
                    self.gap(Location { segment, offset }, octets)?;
                    (offset, octets)
                }
                Found::End { offset, octets } => {
                    if !is_growing || (Location { segment, offset }) < end {
                        self.gap(Location { segment, offset }, octets)?;
                    }
                    return Ok(None);
                }
            };
            self.advance(octets)?;
            let next = at.saturating_add(octets);
            if next.saturating_sub(from.offset) >= octets_max {
                return Ok(Some(next));
            }
        }
    }

    fn gap(&mut self, at: Location, octets: u64) -> Result<(), Ended> {
        if octets == 0 || self.core.index.ask(|index| index.is_torn(at))? {
            return Ok(());
        }
        self.say(Problem::RecordLost, &segment_file(at.segment), (at.offset, octets), Vec::new())
    }

    fn record(&mut self, at: Location, frame: &Frame, event: &Event, side: Side) -> Result<(), Ended> {
        let file = segment_file(at.segment);
        let holders = Holders::of(frame, event);
        if side == Side::Copy {
            let owners = self.owners(holders.as_ref(), at)?;
            self.say(Problem::HeadDamaged, &file, (at.offset, frame.content_offset()), owners)?;
        }
        if self.depth == Depth::Heads || self.core.index.ask(|index| index.is_torn(at))? {
            return Ok(());
        }
        let segment = match self.core.contents.journal.file(at.segment) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            segment => segment?,
        };
        if frame.has_copy && side == Side::Front {
            let copy_at = at.offset.saturating_add(frame.copy_offset());
            let mut copy = vec![0; usize::try_from(frame.content_offset()).map_err(io::Error::other)?];
            segment.read_at(&mut copy, copy_at)?;
            if record::decode(&copy, Side::Copy, self.core.contents.journal.seed()).is_none() {
                let owners = self.owners(holders.as_ref(), at)?;
                self.say(Problem::HeadDamaged, &file, (copy_at, frame.content_offset()), owners)?;
            }
        }
        let Some(message) = event.message() else { return Ok(()) };
        let owners = self.owners(holders.as_ref(), at)?;
        if owners.is_empty() {
            // Nobody can read it any more.
            return Ok(());
        }
        let begin = at.offset.saturating_add(frame.content_offset());
        let damaged = content::damaged_blocks(&*segment, begin, frame.content_octets, &message.checksums)?;
        for block in damaged {
            self.say(Problem::ContentDamaged, &file, block, owners.clone())?;
        }
        self.content_file(message, &owners)
    }

    fn content_file(&mut self, message: &Message, owners: &[Owner]) -> Result<(), Ended> {
        let Some(rest) = &message.file else { return Ok(()) };
        let name = content::file_name(message.unique_id);
        let shown = Path::new("content").join(&name).display().to_string();
        let file = match self.core.files.open(&self.core.layout.content.join(name), Mode::Read) {
            // The entries of the index tell of it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        for block in content::damaged_blocks(&*file, 0, rest.octets, &rest.checksums)? {
            self.say(Problem::ContentDamaged, &shown, block, owners.to_vec())?;
        }
        self.advance(rest.octets)
    }

    /// Every entry of the index must lead to a message; and they must be as many as the journal says.
    fn entries(&mut self) -> Result<(), Ended> {
        let index = self.core.index.get()?;
        for found in index.subjects() {
            let (holder, subject) = found?;
            let lost = match self.core.contents.open(subject, Access::Wait)? {
                Opened::Content(content) => content.is_lost(),
                Opened::NoSegment | Opened::NotInMemory => true,
            };
            // It may have been moved or given up since the index was asked.
            if !lost || index.subject(holder)?.is_none_or(|now| now != subject) {
                continue;
            }
            let owners = self.owner(&index, holder)?.into_iter().collect();
            let place = (subject.location.offset, subject.octets);
            self.say(Problem::MessageLost, &segment_file(subject.location.segment), place, owners)?;
        }
        if let Some(IndexError::Miscounted { .. }) = self.core.miscounted(&index)? {
            self.say(Problem::Miscounted, "index", (0, 0), Vec::new())?;
        }
        Ok(())
    }

    /// Who has the message of a record where it is.
    fn owners(&self, holders: Option<&Holders>, at: Location) -> Result<Vec<Owner>, Ended> {
        let Some(holders) = holders else { return Ok(Vec::new()) };
        let index = self.core.index.get()?;
        let mut owners = Vec::new();
        for holder in holders.each() {
            if index.subject(holder)?.is_some_and(|subject| subject.location == at) {
                owners.extend(self.owner(&index, holder)?);
            }
        }
        Ok(owners)
    }

    fn owner(&self, index: &Index, holder: Holder) -> Result<Option<Owner>, IndexError> {
        Ok(match holder {
            Holder::Maildrop { maildrop, message } => {
                let entry = match index.entry(maildrop, message)? {
                    Some(entry) => Some(entry),
                    None => index.expunged_entry(maildrop, message)?.map(|expunged| expunged.entry),
                };
                let accounts = self.core.accounts.read().unwrap_or_else(PoisonError::into_inner);
                let address = accounts.address_of(maildrop).unwrap_or_else(|| "a removed account".to_owned());
                entry.map(|entry| Owner::Account { address, unique_id: entry.unique_id })
            }
            Holder::Queue { message, recipient } => {
                index.queue_value(message, recipient)?.map(|waiting| Owner::Recipient(waiting.mailbox))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;

    use super::super::host::{self, Host};
    use super::*;
    use crate::contract::{account, deliver_text, options};
    use crate::{MaildropId, Store};

    #[derive(Default)]
    struct Found {
        findings: Vec<Finding>,
        progress: Vec<Progress>,
    }

    impl Watcher for Found {
        fn found(&mut self, finding: Finding) -> ControlFlow<()> {
            self.findings.push(finding);
            ControlFlow::Continue(())
        }

        fn progress(&mut self, progress: Progress) -> ControlFlow<()> {
            self.progress.push(progress);
            ControlFlow::Continue(())
        }
    }

    const MESSAGES: usize = 5;

    /// Makes a store with some messages of alice's; gives their unique-ids.
    async fn filled(root: &Path) -> Vec<crate::UniqueId> {
        let store = crate::open(options(root)).await.unwrap();
        let alice = account(&store, "alice").await.maildrop;
        for number in 0..MESSAGES {
            deliver_text(&store, alice, &format!("number {number}")).await;
        }
        let ids = unique_ids(&store, alice).await;
        store.close().await;
        ids
    }

    async fn unique_ids(store: &Store, maildrop: MaildropId) -> Vec<crate::UniqueId> {
        let kept = store.maildrop_administration.messages(maildrop, None, 100).await.unwrap();
        kept.into_iter().map(|kept| kept.entry.unique_id).collect()
    }

    async fn checked(root: &Path, depth: Depth) -> (Vec<Finding>, Host) {
        let host = host::open(options(root)).unwrap();
        let core = std::sync::Arc::clone(&host.core);
        let found = tokio::task::spawn_blocking(move || {
            let mut found = Found::default();
            check(&core, depth, &mut found).unwrap();
            found
        });
        (found.await.unwrap().findings, host)
    }

    fn flip(root: &Path, offset: u64) {
        let path = root.join("journal/00000001.segment");
        let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        let mut octet = [0];
        file.read_exact_at(&mut octet, offset).unwrap();
        file.write_all_at(&[octet[0] ^ 0x10], offset).unwrap();
    }

    fn owner(unique_id: &crate::UniqueId) -> Owner {
        Owner::Account { address: "alice@example.test".to_owned(), unique_id: unique_id.clone() }
    }

    /// Frame and head, content, and copy of the record of each message.
    async fn places(root: &Path) -> Vec<(u64, u64, u64)> {
        let host = host::open(options(root)).unwrap();
        let subjects: Vec<_> =
            host.core.index.get().unwrap().subjects().map(|found| found.unwrap().1).collect();
        host.close().await;
        let place = |subject: &super::super::keys::Subject| {
            let content = subject.location.offset + u64::from(subject.front_octets);
            (subject.location.offset, content, content + subject.octets)
        };
        subjects.iter().map(place).collect()
    }

    #[tokio::test]
    async fn a_sound_store_has_no_findings() {
        let root = tempfile::tempdir().unwrap();
        filled(root.path()).await;
        for depth in [Depth::Heads, Depth::Content] {
            let (findings, host) = checked(root.path(), depth).await;
            assert_eq!(findings, []);
            host.close().await;
        }
    }

    #[tokio::test]
    async fn whatever_is_damaged_is_named_with_whom_it_concerns() {
        for index_is_gone in [false, true] {
            let root = tempfile::tempdir().unwrap();
            let ids = filled(root.path()).await;
            let places = places(root.path()).await;
            flip(root.path(), places[0].1 + 4);
            flip(root.path(), places[1].0 + 10);
            flip(root.path(), places[2].2 + 60);
            flip(root.path(), places[3].0 + 1);
            flip(root.path(), places[3].2 + 1);
            if index_is_gone {
                fs::remove_dir_all(root.path().join("index")).unwrap();
            }
            let (findings, host) = checked(root.path(), Depth::Content).await;
            host.close().await;
            let found = |problem, owners: &[Owner]| {
                let found = |finding: &&Finding| finding.problem == problem && finding.owners == owners;
                assert_eq!(findings.iter().filter(found).count(), 1, "{problem:?} {owners:?}: {findings:#?}");
            };
            found(Problem::ContentDamaged, &[owner(&ids[0])]);
            found(Problem::HeadDamaged, &[owner(&ids[1])]);
            found(Problem::HeadDamaged, &[owner(&ids[2])]);
            found(Problem::RecordLost, &[]);
            if !index_is_gone {
                found(Problem::MessageLost, &[owner(&ids[3])]);
            }
            assert_eq!(findings.len(), if index_is_gone { 4 } else { 5 }, "{findings:#?}");
        }
    }

    #[tokio::test]
    async fn a_slice_goes_on_where_the_last_one_ended() {
        let root = tempfile::tempdir().unwrap();
        filled(root.path()).await;
        let places = places(root.path()).await;
        flip(root.path(), places[4].1 + 4);
        let host = host::open(options(root.path())).unwrap();
        let mut found = Found::default();
        let mut from = Some(Location { segment: 0, offset: 0 });
        let mut slices = 0;
        while let Some(begin) = from {
            from = check_slice(&host.core, begin, 300, &mut found).unwrap();
            slices += 1;
        }
        assert!(slices > 3, "{slices}");
        assert_eq!(found.findings.len(), 1, "{:#?}", found.findings);
        host.close().await;
    }
}

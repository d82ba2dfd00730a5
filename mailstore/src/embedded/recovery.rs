//! Opening a store: the journal is read from the last checkpoint on, and the index made to fit it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tracing::{error, info, warn};

use super::apply::Committed;
use super::backup;
use super::files::Files;
use super::identity::Identity;
use super::index::{Index, IndexError};
use super::journal::{AppendError, Found, Journal, Location, Writer};
use super::keys::{Checkpoint, SCHEMA};
use super::layout::Layout;
use super::record::{self, Event, Place};
use super::replay::{GapEnd, Replay};
use super::segment::{self, FORMAT, FORMAT_OF_LIVE, HEADER_OCTETS};
use crate::OpenError;
use mailwire::cause::chain;

/// A store that is ready to be written to.
pub(crate) struct Recovered {
    pub(crate) journal: Arc<Journal>,
    pub(crate) end: JournalEnd,
    pub(crate) index: Index,
    pub(crate) trust: Trust,
}

/// Where the journal ends, for a committer that goes on.
pub(crate) struct JournalEnd {
    pub(crate) writer: Writer,
    pub(crate) next_sequence: u64,
    pub(crate) live: u64,
}

/// Whether the entries of the index have been counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// They are as many as the journal says.
    Counted,
    /// The last close was orderly, and says that they are; to be counted later.
    Claimed,
}

struct Recovery<'a> {
    files: &'a Arc<dyn Files>,
    layout: &'a Layout,
    journal: Arc<Journal>,
}

/// Opens what is in `layout`, or makes a new store there.
pub(crate) fn recover(files: &Arc<dyn Files>, layout: &Layout) -> Result<Recovered, OpenError> {
    let root = layout.root.as_path();
    refuse_unfinished(&**files, root)?;
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    for folder in [&layout.journal, &layout.content, &layout.spool] {
        files.create_folder(folder).map_err(at(folder))?;
    }
    files.sync_folder(root).map_err(at(root))?;
    let found = Found::open(&**files, layout).map_err(at(&layout.journal))?;
    let identity = Identity::read(&**files, root).map_err(at(root))?;
    refuse_newer(root, &found, identity)?;
    for number in found.damaged_headers() {
        let segment = segment::name(number);
        error!(segment, "the header of a journal segment is damaged; its records are read all the same");
    }
    let epoch = epoch(&found, identity).map_err(at(&layout.journal))?;
    let journal = found.journal(Arc::clone(files), layout, epoch);
    let recovery = Recovery { files, layout, journal };
    recovery.drop_unfinished_segment().map_err(at(root))?;
    recovery.journal.sync().map_err(at(root))?;
    Identity::ensure(&**files, root, epoch).map_err(at(root))?;
    let recovered = recovery.run().map_err(at(root))?;
    sweep(files, layout).map_err(at(&layout.spool))?;
    Ok(recovered)
}

/// Opens an index for the journal that is in use.
pub(crate) type OpenIndex = fn(&Arc<dyn Files>, &Layout, &Arc<Journal>) -> io::Result<(Index, JournalEnd)>;

/// Makes the index anew, whatever there is.
pub(crate) fn rebuild_index(
    files: &Arc<dyn Files>,
    layout: &Layout,
    journal: &Arc<Journal>,
) -> io::Result<(Index, JournalEnd)> {
    let recovered = Recovery { files, layout, journal: Arc::clone(journal) }.rebuilt()?;
    // Nothing was wrong with the old one that anybody would want to look at.
    files.remove_folder(&layout.index_aside)?;
    Ok((recovered.index, recovered.end))
}

/// Opens the index again after it failed.
pub(crate) fn reopen_index(
    files: &Arc<dyn Files>,
    layout: &Layout,
    journal: &Arc<Journal>,
) -> io::Result<(Index, JournalEnd)> {
    let recovered = Recovery { files, layout, journal: Arc::clone(journal) }.run()?;
    Ok((recovered.index, recovered.end))
}

/// What is half restored must not be taken for the store.
fn refuse_unfinished(files: &dyn Files, root: &Path) -> Result<(), OpenError> {
    let at = |source| OpenError::Io { path: root.to_owned(), source };
    let Some(snapshot) = backup::unfinished(files, root).map_err(at)? else { return Ok(()) };
    let text = format!(
        "the snapshot {snapshot} of a backup was not restored to its end; run `mailstack restore` again, or remove the folder"
    );
    Err(at(io::Error::new(io::ErrorKind::InvalidData, text)))
}

fn refuse_newer(root: &Path, found: &Found, identity: Option<Identity>) -> Result<(), OpenError> {
    let formats = found.headers().map(|header| header.format).chain(identity.map(|identity| identity.format));
    match formats.max().filter(|newest| *newest > FORMAT) {
        Some(found) => Err(OpenError::TooNew { path: root.to_owned(), found, known: FORMAT }),
        None => Ok(()),
    }
}

/// What most of those say that know it: without the epoch no record could be read.
fn epoch(found: &Found, identity: Option<Identity>) -> io::Result<u64> {
    let known = found.headers().map(|header| header.epoch).chain(identity.map(|identity| identity.epoch));
    let mut votes: std::collections::BTreeMap<u64, usize> = std::collections::BTreeMap::new();
    known.for_each(|epoch| *votes.entry(epoch).or_default() += 1);
    match votes.into_iter().max_by_key(|(_, votes)| *votes) {
        Some((epoch, _)) => Ok(epoch),
        None if found.is_fresh()? => random_epoch(),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "neither the file IDENTITY nor the header of any segment can be read, so no record can be told from \
             damage; nothing was changed; put IDENTITY back from a backup",
        )),
    }
}

fn random_epoch() -> io::Result<u64> {
    let mut octets = [0; 8];
    getrandom::fill(&mut octets).map_err(io::Error::other)?;
    Ok(u64::from_le_bytes(octets))
}

impl Recovery<'_> {
    fn run(self) -> io::Result<Recovered> {
        let recovered = match self.follow() {
            Ok(Some(recovered)) => recovered,
            Ok(None) => {
                warn!("the index does not fit the journal; it is set aside and rebuilt");
                self.rebuilt()?
            }
            Err(error) => {
                warn!(error = chain(&error), "the index cannot be used; it is set aside and rebuilt");
                self.rebuilt()?
            }
        };
        for segment in missing_segments(&self.journal, &recovered.index).map_err(io::Error::other)? {
            let segment = segment::name(segment);
            error!(
                segment,
                "a segment of the journal is missing; `mailstack store check` says what was in it"
            );
        }
        Ok(recovered)
    }

    fn rebuilt(&self) -> io::Result<Recovered> {
        self.set_index_aside()?;
        self.rebuild().map_err(io::Error::other)
    }

    /// A crash while a segment was begun leaves one without records and without a header.
    fn drop_unfinished_segment(&self) -> io::Result<()> {
        match self.journal.unfinished()? {
            Some(segment) => self.journal.remove(segment),
            None => Ok(()),
        }
    }

    /// With the index that is there; `None` where it does not fit the journal.
    fn follow(&self) -> Result<Option<Recovered>, IndexError> {
        let index = Index::open(&**self.files, &self.layout.index)?;
        let closed = index.take_closed()?;
        let Some(checkpoint) = index.checkpoint()? else {
            return if self.journal.segments().is_empty() {
                let end = self.end(None, None)?;
                Ok(Some(self.recovered(index, end, Trust::Counted)))
            } else {
                Ok(None)
            };
        };
        if checkpoint.schema != SCHEMA || checkpoint.epoch_seed != self.journal.seed() {
            return Ok(None);
        }
        if self.journal.end()?.is_none_or(|end| end < checkpoint.next) {
            return self.without_the_end(index, &checkpoint);
        }
        let before = index.segments()?.unwrap_or_else(|| vec![(1, checkpoint.next.segment)]);
        let from = (checkpoint.next_sequence, checkpoint.live);
        let mut replay = Replay::run(&self.journal, &index, checkpoint.next, from)?;
        if replay.applied() > 0 {
            info!(records = replay.applied(), "applied what the index had not seen yet");
        }
        if closed {
            replay.apply_last_group(&index, &[])?;
            report(&replay);
            index.load_usage()?;
            let end = self.end(Some(&replay), None)?;
            return Ok(Some(self.recovered(index, end, Trust::Claimed)));
        }
        let torn = self.settle(&index, &mut replay)?;
        if !self.journal.has(checkpoint.next.segment) || self.is_too_old(&index, before)? {
            return Ok(None);
        }
        report(&replay);
        let counted = index.count_live()?;
        if torn.is_none() && counted != replay.live {
            let journal = replay.live;
            warn!(index = counted, journal, "the index and the journal count different entries");
            return Ok(None);
        }
        let end = self.end(Some(&replay), torn)?;
        Ok(Some(self.recovered(index, end, Trust::Counted)))
    }

    /// True where a segment has gone since the index was complete, as `before` says: what it knows of what was in there
    /// may be wrong. A segment goes only after a checkpoint, so this is an index that somebody has put back.
    fn is_too_old(&self, index: &Index, before: Vec<(u32, u32)>) -> Result<bool, IndexError> {
        let Some(now) = index.segments()?.filter(|now| *now != before) else { return Ok(false) };
        let is_left = |number: &u32| now.iter().any(|(first, last)| (first..=last).contains(&number));
        let last_of = |ranges: &[(u32, u32)]| ranges.last().map_or(0, |(_, last)| *last);
        // The index may know of records behind its checkpoint, in segments that did not exist then.
        let since = (last_of(&before).saturating_add(1), last_of(&now));
        let mut known = before.into_iter().chain([since]).flat_map(|(first, last)| first..=last);
        Ok(known.any(|number| !is_left(&number) && !self.journal.has(number)))
    }

    /// The index knows of records that were on disk and are not any more: it is all that is left of them.
    fn without_the_end(
        &self,
        index: Index,
        checkpoint: &Checkpoint,
    ) -> Result<Option<Recovered>, IndexError> {
        let Checkpoint { next, next_sequence, .. } = *checkpoint;
        error!(
            expected = ?next,
            found = ?self.journal.end()?,
            "the end of the journal is missing; `mailstack store check` says what was in it"
        );
        let last = self.journal.segments().last().copied().unwrap_or(0).max(next.segment);
        let live = index.count_live()?;
        let writer = self.journal.begin_segment(last.saturating_add(1), next_sequence, live)?;
        Ok(Some(self.recovered(index, JournalEnd { writer, next_sequence, live }, Trust::Counted)))
    }

    /// From the journal alone.
    fn rebuild(&self) -> Result<Recovered, IndexError> {
        info!(segments = self.journal.segments().len(), "rebuilding the index from the journal");
        let index = Index::open(&**self.files, &self.layout.index)?;
        let Some(first) = self.journal.segments().first().copied() else {
            let end = self.end(None, None)?;
            return Ok(self.recovered(index, end, Trust::Counted));
        };
        let begin = Location { segment: first, offset: HEADER_OCTETS };
        let mut replay = Replay::run(&self.journal, &index, begin, (1, 0))?;
        let torn = self.settle(&index, &mut replay)?;
        report(&replay);
        let counted = index.count_live()?;
        if counted != replay.live {
            // Format 1 did not count what was expunged.
            if replay.live_format >= FORMAT_OF_LIVE {
                let journal = replay.live;
                warn!(index = counted, journal, "entries are missing because of the damage named above");
            }
            replay.live = counted;
        }
        info!(records = replay.applied(), entries = counted, "the index is rebuilt");
        let end = self.end(Some(&replay), torn)?;
        Ok(self.recovered(index, end, Trust::Counted))
    }

    /// After a crash: what the last group left half written is declared void, so that nobody takes it for damage
    /// or for a message; the rest of it is applied. A writer where anything was void.
    fn settle(&self, index: &Index, replay: &mut Replay) -> Result<Option<Writer>, IndexError> {
        let gaps = replay.take_torn_gaps();
        let messages = replay.torn_messages(&self.journal)?;
        // They belong to the group that they void: after a crash in between it is looked at again.
        let group = replay.last_group().unwrap_or(replay.next_sequence);
        let torn: Vec<_> = messages.iter().map(|(location, ..)| *location).collect();
        replay.apply_last_group(index, &torn)?;
        let Some(end) = self.journal.end()? else { return Ok(None) };
        if gaps.is_empty() && messages.is_empty() {
            return Ok(None);
        }
        let mut writer = self.journal.writer(end)?;
        let mut events = Vec::new();
        for gap in gaps {
            warn!(at = ?gap.at, octets = gap.octets, "a crash left a record half written; it was never acknowledged");
            if gap.end == GapEnd::Journal {
                writer.cut(gap.at)?;
            } else {
                let Location { segment, offset } = gap.at;
                events.push(Event::Torn { segment, offset, octets: gap.octets, message: None });
            }
        }
        for (Location { segment, offset }, frame, message) in messages {
            warn!(segment, offset, "a crash left a message half written; it was never acknowledged");
            let message = Some((frame.sequence, message));
            events.push(Event::Torn { segment, offset, octets: frame.record_octets(), message });
        }
        for event in &events {
            let nowhere = Committed { location: end, sequence: 0, front_octets: 0, content_octets: 0, event };
            index.apply(nowhere)?;
        }
        replay.live = index.count_live()?;
        for event in &events {
            let sequence = replay.next_sequence;
            let place = Place { sequence, group, live: replay.live };
            let record::Encoded { front, copy } = record::encode(event, 0, place, self.journal.seed())?;
            writer.append(&[&front, &copy]).map_err(AppendError::into_io)?;
            replay.next_sequence = sequence.saturating_add(1);
        }
        Ok(Some(writer))
    }

    fn recovered(&self, index: Index, end: JournalEnd, trust: Trust) -> Recovered {
        Recovered { journal: Arc::clone(&self.journal), end, index, trust }
    }

    /// Where the next record goes: never into a segment of an older format, or one whose header is damaged.
    fn end(&self, replay: Option<&Replay>, writer: Option<Writer>) -> Result<JournalEnd, IndexError> {
        let (next_sequence, live) = replay.map_or((1, 0), |replay| (replay.next_sequence, replay.live));
        let end = match writer {
            Some(writer) => Some(writer.end()),
            None => self.journal.end()?,
        };
        let is_ours =
            |end: &Location| self.journal.header(end.segment).is_some_and(|header| header.format == FORMAT);
        let writer = match end {
            Some(end) if is_ours(&end) => self.journal.writer(end)?,
            Some(end) => self.journal.begin_segment(end.segment.saturating_add(1), next_sequence, live)?,
            None => self.journal.begin_segment(1, next_sequence, live)?,
        };
        Ok(JournalEnd { writer, next_sequence, live })
    }

    /// Only the last one set aside is kept.
    fn set_index_aside(&self) -> io::Result<()> {
        for (from, to) in
            [(&self.layout.index_aside, None), (&self.layout.index, Some(&self.layout.index_aside))]
        {
            let result = match to {
                None => self.files.remove_folder(from),
                Some(to) => self.files.rename(from, to),
            };
            match result {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

/// Segments that should be there and are not.
pub(crate) fn missing_segments(journal: &Journal, index: &Index) -> Result<Vec<u32>, IndexError> {
    let present = index.segments()?.unwrap_or_default();
    let behind = present.last().map_or(1, |(_, last)| last.saturating_add(1));
    let last = journal.segments().last().copied().unwrap_or(0);
    let expected = present.into_iter().chain([(behind, last)]).flat_map(|(first, last)| first..=last);
    Ok(expected.filter(|segment| !journal.has(*segment)).collect())
}

/// Says what is damaged; everything else stays readable.
fn report(replay: &Replay) {
    for gap in &replay.gaps {
        error!(
            segment = segment::name(gap.at.segment),
            offset = gap.at.offset,
            octets = gap.octets,
            "the journal is damaged here; the records in this place are lost"
        );
    }
    for Location { segment, offset } in &replay.mended {
        let segment = segment::name(*segment);
        warn!(segment, offset, "the head of a record is damaged; its copy is whole, so nothing is lost");
    }
}

/// Removes content that was still being received when the last process ended.
fn sweep(files: &Arc<dyn Files>, layout: &Layout) -> io::Result<()> {
    for name in files.list(&layout.spool)? {
        files.remove(&layout.spool.join(name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;
    use std::path::PathBuf;

    use super::super::segment::{Extent, Found, Scan};
    use super::*;
    use crate::contract::{account, deliver_text, lease, options, read_all};
    use crate::{MaildropId, Store};

    const MESSAGES: usize = 20;

    /// A store with messages, of which one was expunged, and closed in order.
    async fn filled(root: &Path) -> (MaildropId, Vec<Vec<u8>>) {
        let store = crate::open(options(root)).await.unwrap();
        let alice = account(&store, "alice").await.maildrop;
        for number in 0..=MESSAGES {
            deliver_text(&store, alice, &format!("number {number}")).await;
        }
        lease(&store, alice).await.expunge(&[3]).await.unwrap();
        let all = read_all(&store, alice).await;
        store.close().await;
        (alice, all)
    }

    async fn reopened(root: &Path) -> Store {
        crate::open(options(root)).await.unwrap()
    }

    fn segment_path(root: &Path) -> PathBuf {
        root.join("journal").join(segment::name(1))
    }

    /// Where each record begins, and its frame and head end.
    fn records(root: &Path) -> Vec<(u64, u64, u64)> {
        let file: Arc<dyn super::super::files::File> = Arc::new(fs::File::open(segment_path(root)).unwrap());
        let mut header = vec![0; 64];
        file.read_at(&mut header, 0).unwrap();
        let epoch = segment::Header::parse(&header).unwrap().epoch;
        let seed = crc32c::crc32c(&epoch.to_le_bytes());
        let mut scan = Scan::new(file, seed, Extent::Growing, HEADER_OCTETS).unwrap();
        let mut records = Vec::new();
        while let Found::Record { offset, frame, .. } = scan.find_next().unwrap() {
            records.push((offset, offset + frame.content_offset(), offset + frame.record_octets()));
        }
        records
    }

    /// The one before the mark of an orderly close.
    fn last_message(root: &Path) -> (u64, u64, u64) {
        *records(root).iter().nth_back(1).unwrap()
    }

    fn flip(path: &Path, offset: u64) {
        let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        let mut octet = [0];
        file.read_exact_at(&mut octet, offset).unwrap();
        file.write_all_at(&[octet[0] ^ 0x10], offset).unwrap();
    }

    #[tokio::test]
    async fn without_the_index_everything_is_still_there() {
        let root = tempfile::tempdir().unwrap();
        let (alice, all) = filled(root.path()).await;
        fs::remove_dir_all(root.path().join("index")).unwrap();
        let store = reopened(root.path()).await;
        assert_eq!(read_all(&store, alice).await, all);
        let password = mailwire::secret::Secret::new("pw-alice".to_owned());
        let login = store.directory.authenticate("alice@example.test", &password);
        assert!(login.await.unwrap().is_some());
        store.close().await;
    }

    #[tokio::test]
    async fn a_damaged_index_is_rebuilt() {
        for damage in ["truncated", "overwritten", "flipped"] {
            let root = tempfile::tempdir().unwrap();
            let (alice, all) = filled(root.path()).await;
            let path = root.path().join("index").join("db");
            let octets = fs::metadata(&path).unwrap().len();
            match damage {
                "truncated" => {
                    fs::File::options().write(true).open(&path).unwrap().set_len(octets / 2).unwrap();
                }
                "overwritten" => fs::write(&path, vec![0x55; usize::try_from(octets).unwrap()]).unwrap(),
                _ => (0..octets).step_by(97).for_each(|offset| flip(&path, offset)),
            }
            let store = reopened(root.path()).await;
            assert!(read_all(&store, alice).await == all, "index {damage}");
            store.close().await;
        }
    }

    #[tokio::test]
    async fn an_index_that_lost_an_entry_is_noticed_and_rebuilt() {
        let root = tempfile::tempdir().unwrap();
        let (alice, all) = filled(root.path()).await;
        let db = sled::open(root.path().join("index")).unwrap();
        let entries = db.open_tree("entries").unwrap();
        let (key, _) = entries.iter().next().unwrap().unwrap();
        entries.remove(key).unwrap();
        db.flush().unwrap();
        drop((entries, db));
        let store = reopened(root.path()).await;
        // Nobody sees the maildrop before it was counted, nor while the index is opened again.
        while store.maildrops.lease(alice, std::time::Duration::ZERO).await.is_err() {
            tokio::task::yield_now().await;
        }
        assert_eq!(read_all(&store, alice).await, all);
        store.close().await;
    }

    #[tokio::test]
    async fn an_older_index_catches_up_with_the_journal() {
        let root = tempfile::tempdir().unwrap();
        let (alice, all) = filled(root.path()).await;
        let older = root.path().join("older");
        copy_folder(&root.path().join("index"), &older);
        let store = reopened(root.path()).await;
        deliver_text(&store, alice, "later").await;
        lease(&store, alice).await.expunge(&[0]).await.unwrap();
        store.close().await;
        fs::remove_dir_all(root.path().join("index")).unwrap();
        fs::rename(&older, root.path().join("index")).unwrap();
        let store = reopened(root.path()).await;
        let now = read_all(&store, alice).await;
        assert_eq!(now[..all.len() - 1], all[1..]);
        assert!(now[all.len() - 1].ends_with(b"later\r\n"));
        store.close().await;
    }

    fn copy_folder(from: &Path, to: &Path) {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy_folder(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_journal_cut_at_any_octet_of_its_last_record_opens_without_that_record() {
        let root = tempfile::tempdir().unwrap();
        let store = reopened(root.path()).await;
        let alice = account(&store, "alice").await.maildrop;
        deliver_text(&store, alice, "kept").await;
        let kept = read_all(&store, alice).await;
        deliver_text(&store, alice, "torn").await;
        store.close().await;
        let (begin, _, end) = last_message(root.path());
        let journal = fs::read(segment_path(root.path())).unwrap();
        for cut in (begin..end).step_by(7) {
            fs::remove_dir_all(root.path().join("index")).unwrap();
            fs::write(segment_path(root.path()), &journal[..usize::try_from(cut).unwrap()]).unwrap();
            let store = reopened(root.path()).await;
            assert_eq!(read_all(&store, alice).await, kept, "cut at {cut}");
            deliver_text(&store, alice, "new").await;
            store.close().await;
            let store = reopened(root.path()).await;
            assert_eq!(read_all(&store, alice).await.len(), 2, "cut at {cut}");
            store.close().await;
        }
    }

    #[tokio::test]
    async fn content_of_the_last_group_that_never_came_to_the_disk_is_no_message() {
        let root = tempfile::tempdir().unwrap();
        let (alice, all) = filled(root.path()).await;
        let store = reopened(root.path()).await;
        deliver_text(&store, alice, "torn").await;
        store.close().await;
        let (_, content, end) = last_message(root.path());
        let segment = fs::File::options().write(true).open(segment_path(root.path())).unwrap();
        // A crash leaves no mark of an orderly close behind it.
        segment.set_len(end).unwrap();
        flip(&segment_path(root.path()), content + 5);
        fs::remove_dir_all(root.path().join("index")).unwrap();
        for _ in 0..2 {
            let store = reopened(root.path()).await;
            assert_eq!(read_all(&store, alice).await, all);
            store.close().await;
            fs::remove_dir_all(root.path().join("index")).unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_damaged_in_a_store_that_was_closed_in_order_is_no_torn_end() {
        let root = tempfile::tempdir().unwrap();
        let (alice, all) = filled(root.path()).await;
        let store = reopened(root.path()).await;
        deliver_text(&store, alice, "last").await;
        store.close().await;
        let (_, content, _) = last_message(root.path());
        flip(&segment_path(root.path()), content + 5);
        fs::remove_dir_all(root.path().join("index")).unwrap();
        let store = reopened(root.path()).await;
        assert_eq!(read_all(&store, alice).await.len(), all.len() + 1);
        store.close().await;
    }

    #[tokio::test]
    async fn damage_to_a_record_costs_that_message_at_most() {
        let root = tempfile::tempdir().unwrap();
        let (alice, all) = filled(root.path()).await;
        // Record 0 is the account; record 5 is message 4, which is number 3 after the expunge of another.
        let (begin, content, end) = records(root.path())[5];
        let (head, copy) = (begin + 20, end - 10);
        for (places, index_is_gone, expected) in [
            (vec![content + 3], false, Expected::Substitute),
            (vec![content + 3], true, Expected::Substitute),
            (vec![head], false, Expected::Message),
            (vec![head], true, Expected::Message),
            (vec![copy], true, Expected::Message),
            (vec![head, copy], false, Expected::Substitute),
            (vec![head, copy], true, Expected::Nothing),
        ] {
            let path = segment_path(root.path());
            for place in &places {
                flip(&path, *place);
            }
            if index_is_gone {
                fs::remove_dir_all(root.path().join("index")).unwrap();
            }
            let store = reopened(root.path()).await;
            let mut found = read_all(&store, alice).await;
            store.close().await;
            for place in &places {
                flip(&path, *place);
            }
            if expected == Expected::Message {
                assert_eq!(found, all);
                continue;
            }
            if expected == Expected::Substitute {
                let substitute = found.remove(3);
                assert_eq!(substitute.len(), all[3].len());
                assert!(substitute.ends_with(b"\r\n") && substitute != all[3]);
            }
            let mut others = all.clone();
            others.remove(3);
            assert_eq!(found, others);
        }
    }

    /// What is left of a damaged message.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Expected {
        Message,
        Substitute,
        Nothing,
    }

    #[tokio::test]
    async fn a_store_whose_only_header_is_damaged_is_still_read() {
        let root = tempfile::tempdir().unwrap();
        let (alice, all) = filled(root.path()).await;
        flip(&segment_path(root.path()), 20);
        fs::remove_dir_all(root.path().join("index")).unwrap();
        for _ in 0..2 {
            let store = reopened(root.path()).await;
            assert_eq!(read_all(&store, alice).await, all);
            store.close().await;
        }
        // Nothing tells any more which octets are records: that must not be taken for an empty store.
        fs::remove_file(root.path().join("IDENTITY")).unwrap();
        fs::remove_file(root.path().join("journal").join(segment::name(2))).unwrap();
        let refused = crate::open(options(root.path())).await.err().unwrap();
        assert!(chain(&refused).contains("IDENTITY"), "{}", chain(&refused));
    }

    #[tokio::test]
    async fn the_index_alone_still_names_what_stood_at_a_missing_end() {
        for segment_is_gone in [false, true] {
            let root = tempfile::tempdir().unwrap();
            let (alice, all) = filled(root.path()).await;
            let path = segment_path(root.path());
            if segment_is_gone {
                fs::remove_file(&path).unwrap();
            } else {
                let (begin, ..) = records(root.path())[MESSAGES];
                fs::File::options().write(true).open(&path).unwrap().set_len(begin + 10).unwrap();
            }
            let store = reopened(root.path()).await;
            deliver_text(&store, alice, "new").await;
            let found = read_all(&store, alice).await;
            assert_eq!(found.len(), all.len() + 1);
            let whole = if segment_is_gone { 0 } else { all.len() - 2 };
            assert_eq!(found[..whole], all[..whole]);
            assert!(
                found[whole..all.len()]
                    .iter()
                    .zip(&all[whole..])
                    .all(|(found, all)| found.len() == all.len())
            );
            assert!(found[all.len()].ends_with(b"new\r\n"));
            store.close().await;
            let store = reopened(root.path()).await;
            assert_eq!(read_all(&store, alice).await, found);
            store.close().await;
        }
    }

    #[tokio::test]
    async fn a_first_segment_that_never_got_its_header_is_made_anew() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("journal")).unwrap();
        fs::write(segment_path(root.path()), [0; 64]).unwrap();
        let (alice, all) = filled(root.path()).await;
        fs::remove_dir_all(root.path().join("index")).unwrap();
        let store = reopened(root.path()).await;
        assert_eq!(read_all(&store, alice).await, all);
        store.close().await;
    }

    #[tokio::test]
    async fn a_store_of_a_newer_format_is_left_untouched() {
        let root = tempfile::tempdir().unwrap();
        filled(root.path()).await;
        let path = segment_path(root.path());
        let mut octets = fs::read(&path).unwrap();
        octets[8] = 9;
        let checksum = crc32c::crc32c(&octets[..48]);
        octets[48..52].copy_from_slice(&checksum.to_le_bytes());
        fs::write(&path, &octets).unwrap();
        let opened = crate::open(options(root.path())).await;
        assert!(matches!(opened.err(), Some(OpenError::TooNew { found: 9, known: FORMAT, .. })));
        assert_eq!(fs::read(&path).unwrap(), octets);
    }

    #[test]
    fn one_process_hosts_a_store() {
        let root = tempfile::tempdir().unwrap();
        let host = super::super::host::open(options(root.path())).unwrap();
        let second = super::super::host::open(options(root.path()));
        assert!(matches!(second.err(), Some(OpenError::InUse(_))));
        drop(host);
    }
}

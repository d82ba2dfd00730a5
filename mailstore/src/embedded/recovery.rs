//! Opening a store: the journal is read from the last checkpoint on, and the index made to fit it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tracing::{error, info, warn};

use super::files::Files;
use super::index::{Committed, Index, IndexError};
use super::journal::{AppendError, Journal, Location, Writer};
use super::keys::{Checkpoint, SCHEMA};
use super::layout::Layout;
use super::record::{self, Event, Place};
use super::replay::{GapEnd, Replay};
use super::segment::{self, FORMAT, HEADER_OCTETS};
use crate::OpenError;
use mailwire::cause::chain;

/// A store that is ready to be written to.
pub(crate) struct Recovered {
    pub(crate) journal: Arc<Journal>,
    pub(crate) writer: Writer,
    pub(crate) index: Index,
    pub(crate) next_sequence: u64,
    pub(crate) live: u64,
}

struct Recovery<'a> {
    files: &'a Arc<dyn Files>,
    layout: &'a Layout,
    journal: Arc<Journal>,
}

/// Opens what is in `layout`, or makes a new store there.
pub(crate) fn recover(files: &Arc<dyn Files>, layout: &Layout) -> Result<Recovered, OpenError> {
    let root = layout.root.as_path();
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    for folder in [&layout.journal, &layout.content, &layout.spool] {
        files.create_folder(folder).map_err(at(folder))?;
    }
    files.sync_folder(root).map_err(at(root))?;
    let opened = Journal::open(Arc::clone(files), layout, random_epoch().map_err(at(root))?)
        .map_err(at(&layout.journal))?;
    if let Some(newer) = opened.headers.values().flatten().find(|header| header.format > FORMAT) {
        return Err(OpenError::TooNew { path: root.to_owned(), found: newer.format, known: FORMAT });
    }
    for (number, _) in opened.headers.iter().filter(|(_, header)| header.is_none()) {
        error!(
            segment = segment::name(*number),
            "the header of a journal segment is damaged; its records are read all the same"
        );
    }
    let recovery = Recovery { files, layout, journal: opened.journal };
    recovery.drop_unfinished_segment().map_err(at(root))?;
    recovery.journal.sync().map_err(at(root))?;
    let recovered = recovery.run().map_err(at(root))?;
    sweep(files, layout).map_err(at(&layout.spool))?;
    Ok(recovered)
}

/// Where the journal ends, for a committer that goes on.
pub(crate) struct JournalEnd {
    pub(crate) writer: Writer,
    pub(crate) next_sequence: u64,
    pub(crate) live: u64,
}

/// Opens the index again after it failed, from the journal that is in use.
pub(crate) fn reopen_index(
    files: &Arc<dyn Files>,
    layout: &Layout,
    journal: &Arc<Journal>,
) -> io::Result<(Index, JournalEnd)> {
    let recovered = Recovery { files, layout, journal: Arc::clone(journal) }.run()?;
    let Recovered { writer, next_sequence, live, index, journal: _ } = recovered;
    Ok((index, JournalEnd { writer, next_sequence, live }))
}

fn random_epoch() -> io::Result<u64> {
    let mut octets = [0; 8];
    getrandom::fill(&mut octets).map_err(io::Error::other)?;
    Ok(u64::from_le_bytes(octets))
}

impl Recovery<'_> {
    fn run(self) -> io::Result<Recovered> {
        match self.follow() {
            Ok(Some(recovered)) => return Ok(recovered),
            Ok(None) => warn!("the index does not fit the journal; it is set aside and rebuilt"),
            Err(error) => {
                warn!(error = chain(&error), "the index cannot be used; it is set aside and rebuilt");
            }
        }
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
                self.finish(index, None, None).map(Some)
            } else {
                Ok(None)
            };
        };
        let fits = checkpoint.schema == SCHEMA
            && checkpoint.epoch_seed == self.journal.seed()
            && self.journal.end()?.is_some_and(|end| end >= checkpoint.next)
            && self.journal.file(checkpoint.next.segment).is_ok();
        if !fits {
            return Ok(None);
        }
        let mut replay = self.replay(&index, &checkpoint)?;
        if replay.applied() > 0 {
            info!(records = replay.applied(), "applied what the index had not seen yet");
        }
        if closed {
            report(&replay);
            return self.counted(index, &replay);
        }
        let torn = self.settle(&index, &mut replay)?;
        report(&replay);
        match torn {
            Some(writer) => self.finish(index, Some(&replay), Some(writer)).map(Some),
            None => self.counted(index, &replay),
        }
    }

    /// Ready, if the index has as many entries as the journal says.
    fn counted(&self, index: Index, replay: &Replay) -> Result<Option<Recovered>, IndexError> {
        let counted = index.count_live()?;
        if counted != replay.live {
            warn!(
                index = counted,
                journal = replay.live,
                "the index and the journal count different entries"
            );
            return Ok(None);
        }
        self.finish(index, Some(replay), None).map(Some)
    }

    /// From the journal alone.
    fn rebuild(&self) -> Result<Recovered, IndexError> {
        info!(segments = self.journal.segments().len(), "rebuilding the index from the journal");
        let index = Index::open(&**self.files, &self.layout.index)?;
        let Some(first) = self.journal.segments().first().copied() else {
            return self.finish(index, None, None);
        };
        let begin = Location { segment: first, offset: HEADER_OCTETS };
        let mut replay = Replay::run(&self.journal, &index, begin, (1, 0))?;
        let torn = self.settle(&index, &mut replay)?;
        report(&replay);
        let counted = index.count_live()?;
        if counted != replay.live {
            warn!(
                index = counted,
                journal = replay.live,
                "entries are missing because of the damage named above"
            );
            replay.live = counted;
        }
        info!(records = replay.applied(), entries = counted, "the index is rebuilt");
        self.finish(index, Some(&replay), torn)
    }

    fn replay(&self, index: &Index, checkpoint: &Checkpoint) -> Result<Replay, IndexError> {
        Replay::run(&self.journal, index, checkpoint.next, (checkpoint.next_sequence, checkpoint.live))
    }

    /// After a crash: what the last group left half written is declared void, so that nobody takes it for damage
    /// or for a message. A writer where anything was.
    fn settle(&self, index: &Index, replay: &mut Replay) -> Result<Option<Writer>, IndexError> {
        let gaps = replay.take_torn_gaps();
        let messages = replay.torn_messages(&self.journal)?;
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
            index.apply(Committed { location: end, sequence: 0, content_octets: 0, event })?;
        }
        replay.live = index.count_live()?;
        for event in &events {
            let sequence = replay.next_sequence;
            // They belong to the group that they void: after a crash in between it is looked at again.
            let group = replay.last_group().unwrap_or(sequence);
            let place = Place { sequence, group, live: replay.live };
            let front = record::encode(event, 0, place, self.journal.seed())?;
            writer.append(&[&front]).map_err(AppendError::into_io)?;
            replay.next_sequence = sequence.saturating_add(1);
        }
        Ok(Some(writer))
    }

    fn finish(
        &self,
        index: Index,
        replay: Option<&Replay>,
        writer: Option<Writer>,
    ) -> Result<Recovered, IndexError> {
        let (next_sequence, live) = replay.map_or((1, 0), |replay| (replay.next_sequence, replay.live));
        let writer = match (writer, self.journal.end()?) {
            (Some(writer), _) => writer,
            (None, Some(end)) => self.journal.writer(end)?,
            (None, None) => self.journal.begin_segment(1, next_sequence, live)?,
        };
        Ok(Recovered { journal: Arc::clone(&self.journal), writer, index, next_sequence, live })
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

    use super::super::segment::Found;
    use super::super::segment::Scan;
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
        let mut scan = Scan::new(file, crc32c::crc32c(&epoch.to_le_bytes()), HEADER_OCTETS).unwrap();
        let mut records = Vec::new();
        while let Found::Record { offset, frame, .. } = scan.find_next().unwrap() {
            records.push((offset, offset + frame.content_offset(), offset + frame.record_octets()));
        }
        records
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
        let (begin, _, end) = *records(root.path()).last().unwrap();
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
        let (_, content, _) = *records(root.path()).last().unwrap();
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
    async fn a_damaged_record_costs_that_message_and_no_other() {
        let root = tempfile::tempdir().unwrap();
        let (alice, all) = filled(root.path()).await;
        // Record 0 is the account; record 5 is message 4, which is number 3 after the expunge of another.
        let (begin, content, _) = records(root.path())[5];
        for (place, index_gone) in [(content + 3, false), (begin + 20, false), (begin + 20, true)] {
            let path = segment_path(root.path());
            flip(&path, place);
            if index_gone {
                fs::remove_dir_all(root.path().join("index")).unwrap();
            }
            let store = reopened(root.path()).await;
            let mut found = read_all(&store, alice).await;
            if index_gone {
                assert_eq!(found.len(), all.len() - 1);
            } else {
                let substitute = found.remove(3);
                assert_eq!(substitute.len(), all[3].len());
                assert!(substitute.ends_with(b"\r\n"));
            }
            let mut others = all.clone();
            others.remove(3);
            assert_eq!(found, others);
            store.close().await;
            flip(&path, place);
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

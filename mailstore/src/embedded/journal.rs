//! The journal: segments one behind the other, appended to by one writer and read by everybody.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::{Deserialize, Serialize};

use super::files::{File, Files, Mode};
use super::layout::Layout;
use super::segment::{self, Extent, FORMAT, HEADER_OCTETS, Header, Scan};

/// A segment is closed, and the next one begun, when a group would make it longer than this; a simulation takes less.
pub(crate) const SEGMENT_OCTETS_MAX: u64 = 128 << 20;

/// Where a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Location {
    pub(crate) segment: u32,
    pub(crate) offset: u64,
}

/// All segments, open for reading.
pub(crate) struct Journal {
    files: Arc<dyn Files>,
    folder: PathBuf,
    segment_octets_max: u64,
    epoch: u64,
    segments: RwLock<BTreeMap<u32, Segment>>,
    /// Octets that the replay which is at work, or was the last one, has read.
    replayed: AtomicU64,
}

#[derive(Clone)]
struct Segment {
    file: Arc<dyn File>,
    /// `None` where it is damaged.
    header: Option<Header>,
}

/// The end of the journal; there is one.
pub(crate) struct Writer {
    journal: Arc<Journal>,
    file: Arc<dyn File>,
    end: Location,
}

/// The segments on disk, before it is known which store they belong to.
pub(crate) struct Found(BTreeMap<u32, Segment>);

impl Found {
    /// Opens every segment in the journal's folder.
    pub(crate) fn open(files: &dyn Files, layout: &Layout) -> io::Result<Self> {
        let mut segments = BTreeMap::new();
        for name in files.list(&layout.journal)? {
            let Some(number) = segment::number(&name) else { continue };
            let file = files.open(&layout.journal.join(name), Mode::Write)?;
            let header = read_header(&*file)?;
            segments.insert(number, Segment { file, header });
        }
        Ok(Self(segments))
    }

    /// The headers that are whole.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &Header> {
        self.0.values().filter_map(|segment| segment.header.as_ref())
    }

    /// The numbers of segments whose header is damaged.
    pub(crate) fn damaged_headers(&self) -> impl Iterator<Item = u32> {
        self.0.iter().filter(|(_, segment)| segment.header.is_none()).map(|(number, _)| *number)
    }

    /// True where no record was ever written.
    pub(crate) fn is_fresh(&self) -> io::Result<bool> {
        for segment in self.0.values() {
            if segment.file.octets()? > HEADER_OCTETS {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The journal of the store with this epoch.
    pub(crate) fn journal(self, files: Arc<dyn Files>, layout: &Layout, epoch: u64) -> Arc<Journal> {
        let (folder, segment_octets_max) = (layout.journal.clone(), layout.segment_octets_max);
        Arc::new(Journal {
            files,
            folder,
            segment_octets_max,
            epoch,
            segments: RwLock::new(self.0),
            replayed: AtomicU64::new(0),
        })
    }
}

fn read_header(file: &dyn File) -> io::Result<Option<Header>> {
    let mut octets = vec![0; usize::try_from(HEADER_OCTETS).unwrap_or(0)];
    file.read_at(&mut octets, 0)?;
    Ok(Header::parse(&octets))
}

impl Journal {
    /// What the checksums of records begin from; unknown outside, so that no content can look like a record.
    pub(crate) fn seed(&self) -> u32 {
        crc32c::crc32c(&self.epoch.to_le_bytes())
    }

    /// Random, one for the whole store.
    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    fn map(&self) -> RwLockReadGuard<'_, BTreeMap<u32, Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn map_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<u32, Segment>> {
        self.segments.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file of a segment.
    pub(crate) fn file(&self, segment: u32) -> io::Result<Arc<dyn File>> {
        self.map().get(&segment).map(|segment| Arc::clone(&segment.file)).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("journal segment {} is missing", segment::name(segment)),
            )
        })
    }

    /// What a segment says of itself; `None` where it is damaged or not there.
    pub(crate) fn header(&self, segment: u32) -> Option<Header> {
        self.map().get(&segment)?.header
    }

    /// The numbers of all segments, in order.
    pub(crate) fn segments(&self) -> Vec<u32> {
        self.map().keys().copied().collect()
    }

    /// True where there is such a segment.
    pub(crate) fn has(&self, segment: u32) -> bool {
        self.map().contains_key(&segment)
    }

    /// Whether a segment is still written to.
    pub(crate) fn extent(&self, segment: u32) -> Extent {
        let is_last = self.map().last_key_value().is_some_and(|(last, _)| *last == segment);
        if is_last { Extent::Growing } else { Extent::Sealed }
    }

    /// Looks at the records of a segment from `from` on.
    pub(crate) fn scan(&self, from: Location) -> io::Result<Scan> {
        Scan::new(self.file(from.segment)?, self.seed(), self.extent(from.segment), from.offset)
    }

    /// A replay has come so far.
    pub(crate) fn note_replayed(&self, octets: u64) {
        self.replayed.store(octets, Ordering::Relaxed);
    }

    /// How far the replay is.
    pub(crate) fn replayed(&self) -> u64 {
        self.replayed.load(Ordering::Relaxed)
    }

    /// Octets of all segments.
    pub(crate) fn octets(&self) -> io::Result<u64> {
        let segments: Vec<_> = self.map().values().cloned().collect();
        segments.iter().try_fold(0, |octets: u64, segment| Ok(octets.saturating_add(segment.file.octets()?)))
    }

    /// Where the last segment ends; `None` where there is none.
    pub(crate) fn end(&self) -> io::Result<Option<Location>> {
        let last = self.map().last_key_value().map(|(number, segment)| (*number, Arc::clone(&segment.file)));
        last.map(|(segment, file)| Ok(Location { segment, offset: file.octets()? })).transpose()
    }

    /// The last segment, where a crash came while it was begun: there is no record in it yet, and its header is not
    /// there or only looks as if it were.
    pub(crate) fn unfinished(&self) -> io::Result<Option<u32>> {
        let Some(end) = self.end()?.filter(|end| end.offset <= HEADER_OCTETS) else { return Ok(None) };
        Ok(read_header(&*self.file(end.segment)?)?.is_none().then_some(end.segment))
    }

    /// Returns when everything that can be read is on disk. A process that was killed may have written it and not
    /// synced it: whatever follows relies on it.
    pub(crate) fn sync(&self) -> io::Result<()> {
        if let Some(end) = self.end()? {
            self.file(end.segment)?.sync()?;
            self.files.sync_folder(&self.folder)?;
        }
        Ok(())
    }

    /// Durably removes a segment that nobody needs any more.
    pub(crate) fn remove(&self, segment: u32) -> io::Result<()> {
        self.files.remove(&self.folder.join(segment::name(segment)))?;
        self.map_mut().remove(&segment);
        self.files.sync_folder(&self.folder)
    }

    /// Appends from `end` on, which lies in the last segment.
    pub(crate) fn writer(self: &Arc<Self>, end: Location) -> io::Result<Writer> {
        Ok(Writer { journal: Arc::clone(self), file: self.file(end.segment)?, end })
    }

    /// Makes segment `number`, durable with its directory entry, and appends to it.
    pub(crate) fn begin_segment(
        self: &Arc<Self>,
        number: u32,
        first_sequence: u64,
        live: u64,
    ) -> io::Result<Writer> {
        let path = self.folder.join(segment::name(number));
        let header = Header {
            format: FORMAT,
            number,
            epoch: self.epoch,
            first_sequence,
            live,
            created_at: mailwire::clock::unix_seconds(),
        };
        // An earlier attempt that failed may have left its file; nothing was ever written behind its header.
        match self.files.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = self.files.open(&path, Mode::Create)?;
        file.write_at(&[&header.encode()], 0)?;
        file.sync()?;
        self.files.sync_folder(&self.folder)?;
        self.map_mut().insert(number, Segment { file: Arc::clone(&file), header: Some(header) });
        Ok(Writer {
            journal: Arc::clone(self),
            file,
            end: Location { segment: number, offset: HEADER_OCTETS },
        })
    }
}

impl Writer {
    /// Where the next record will begin.
    pub(crate) const fn end(&self) -> Location {
        self.end
    }

    /// Writes one group and returns when it is on disk.
    ///
    /// On [`AppendError::Write`] the segment ends where it ended before; after [`AppendError::Sync`] nothing can be
    /// said of it, and nothing more may be appended (the kernel has dropped the pages).
    pub(crate) fn append(&mut self, parts: &[&[u8]]) -> Result<(), AppendError> {
        let octets: u64 = parts.iter().map(|part| part.len() as u64).sum();
        if let Err(error) = self.file.write_at(parts, self.end.offset) {
            // The cut must hold before anything else is written here; where it fails the end is unknown.
            return match self.file.truncate(self.end.offset) {
                Ok(()) => Err(AppendError::Write(error)),
                Err(cut) => Err(AppendError::Sync(cut)),
            };
        }
        self.file.sync().map_err(AppendError::Sync)?;
        self.end.offset = self.end.offset.saturating_add(octets);
        Ok(())
    }

    /// After a failed sync: cuts off what nobody can vouch for, and goes on in a new segment.
    pub(crate) fn begin_anew(&mut self, next_sequence: u64, live: u64) -> io::Result<()> {
        self.cut(self.end)?;
        *self = self.journal.begin_segment(self.end.segment.saturating_add(1), next_sequence, live)?;
        Ok(())
    }

    /// Goes on in a new segment where `octets` more would make this one too long.
    pub(crate) fn rotate_for(&mut self, octets: u64, next_sequence: u64, live: u64) -> io::Result<()> {
        let full = self.end.offset.saturating_add(octets) > self.journal.segment_octets_max;
        if full { self.rotate(next_sequence, live) } else { Ok(()) }
    }

    /// Goes on in a new segment, unless there is nothing in this one.
    pub(crate) fn rotate(&mut self, next_sequence: u64, live: u64) -> io::Result<()> {
        if self.end.offset > HEADER_OCTETS {
            *self = self.journal.begin_segment(self.end.segment.saturating_add(1), next_sequence, live)?;
        }
        Ok(())
    }

    /// Cuts off what lies behind `end`, durably; for the recovery, before anything is appended.
    pub(crate) fn cut(&mut self, end: Location) -> io::Result<()> {
        self.file.truncate(end.offset)?;
        self.file.sync()?;
        self.end = end;
        Ok(())
    }
}

/// Why a group is not on disk.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// Nothing of it is there.
    Write(io::Error),
    /// Nobody knows.
    Sync(io::Error),
}

impl AppendError {
    /// What the system said.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Write(error) | Self::Sync(error) => error,
        }
    }
}

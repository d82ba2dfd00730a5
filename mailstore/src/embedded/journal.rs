//! The journal: segments one behind the other, appended to by one writer and read by everybody.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::files::{File, Files, Mode};
use super::layout::Layout;
use super::segment::{self, FORMAT, HEADER_OCTETS, Header};

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
    segments: RwLock<BTreeMap<u32, Arc<dyn File>>>,
}

/// The end of the journal; there is one.
pub(crate) struct Writer {
    journal: Arc<Journal>,
    file: Arc<dyn File>,
    end: Location,
}

/// What the segments on disk say, before anything is written.
pub(crate) struct Opened {
    pub(crate) journal: Arc<Journal>,
    /// The headers, by number; `None` where one is damaged.
    pub(crate) headers: BTreeMap<u32, Option<Header>>,
}

impl Journal {
    /// Opens every segment in the journal's folder; `fresh_epoch` is used where there is none yet.
    pub(crate) fn open(files: Arc<dyn Files>, layout: &Layout, fresh_epoch: u64) -> io::Result<Opened> {
        let (folder, segment_octets_max) = (layout.journal.clone(), layout.segment_octets_max);
        let mut segments = BTreeMap::new();
        let mut headers = BTreeMap::new();
        for name in files.list(&folder)? {
            let Some(number) = segment::number(&name) else { continue };
            let file = files.open(&folder.join(name), Mode::Write)?;
            let mut octets = vec![0; usize::try_from(HEADER_OCTETS).unwrap_or(0)];
            file.read_at(&mut octets, 0)?;
            headers.insert(number, Header::parse(&octets));
            segments.insert(number, file);
        }
        let epoch = headers.values().flatten().next().map_or(fresh_epoch, |header| header.epoch);
        let journal =
            Arc::new(Self { files, folder, segment_octets_max, epoch, segments: RwLock::new(segments) });
        Ok(Opened { journal, headers })
    }

    /// What the checksums of records begin from; unknown outside, so that no content can look like a record.
    pub(crate) fn seed(&self) -> u32 {
        crc32c::crc32c(&self.epoch.to_le_bytes())
    }

    /// The file of a segment.
    pub(crate) fn file(&self, segment: u32) -> io::Result<Arc<dyn File>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.get(&segment).cloned().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("journal segment {} is missing", segment::name(segment)),
            )
        })
    }

    /// The numbers of all segments, in order.
    pub(crate) fn segments(&self) -> Vec<u32> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Where the last segment ends; `None` where there is none.
    pub(crate) fn end(&self) -> io::Result<Option<Location>> {
        let last = {
            let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
            segments.last_key_value().map(|(number, file)| (*number, Arc::clone(file)))
        };
        last.map(|(segment, file)| Ok(Location { segment, offset: file.octets()? })).transpose()
    }

    /// The last segment, where a crash came while it was begun: there is no record in it yet, and its header is not
    /// there or only looks as if it were.
    pub(crate) fn unfinished(&self) -> io::Result<Option<u32>> {
        let Some(end) = self.end()?.filter(|end| end.offset <= HEADER_OCTETS) else { return Ok(None) };
        let mut octets = vec![0; usize::try_from(HEADER_OCTETS).unwrap_or(0)];
        self.file(end.segment)?.read_at(&mut octets, 0)?;
        Ok(Header::parse(&octets).is_none().then_some(end.segment))
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

    /// Removes a segment that was never used.
    pub(crate) fn remove(&self, segment: u32) -> io::Result<()> {
        self.files.remove(&self.folder.join(segment::name(segment)))?;
        self.files.sync_folder(&self.folder)?;
        self.segments.write().unwrap_or_else(PoisonError::into_inner).remove(&segment);
        Ok(())
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
        self.segments.write().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::clone(&file));
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
        if full && self.end.offset > HEADER_OCTETS {
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

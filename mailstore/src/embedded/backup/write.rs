//! Writing a snapshot: what is new of the store's files becomes objects, checked on the way; the snapshot comes last.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use mailwire::clock;

use super::super::files::{Disk, File, Files, Mode};
use super::super::layout::Layout;
use super::super::segment::{self, Extent, FORMAT};
use super::damage::{Addresses, told};
use super::error::{BackupError, at};
use super::folder::Backup;
use super::inspection::{Inspection, Segment};
use super::manifest::Manifest;
use super::mend::mend;
use super::objects::{Kept, ObjectName, Objects, PIECE_OCTETS, Pieces};
use super::pace::Pace;
use super::source::HeldFile;
use crate::maintenance::HeldSegment;
use crate::{AccountUsage, AdministrationError, Finding, HeldState, Progress, Store, Unavailable};

/// What is to be written, and where.
#[derive(Clone, Debug)]
pub struct BackupPlan {
    /// The backup's folder; it is made where there is none.
    pub folder: PathBuf,
    /// How much of the store is read.
    pub reading: Reading,
}

/// How much of the store is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// What the newest snapshot does not have.
    New,
    /// All of it; objects that are damaged in the backup are written again.
    Everything,
}

/// A snapshot that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its name.
    pub snapshot: String,
    /// Octets of all that it consists of.
    pub octets: u64,
    /// Octets that were not in the backup before.
    pub written_octets: u64,
    /// What is damaged in the store, of what was read. The backup has it as it is.
    pub damage: Vec<Finding>,
}

/// Takes a snapshot of `store`, which goes on meanwhile: everything that was acknowledged before is in it, whole.
/// `watch` hears how far it is, and may stop it.
///
/// # Errors
/// Where there is no new snapshot; see [`BackupError`].
pub async fn back_up(
    store: &Store,
    plan: BackupPlan,
    mut watch: impl FnMut(Progress) -> ControlFlow<()> + Send + 'static,
) -> Result<Taken, BackupError> {
    let folder = plan.folder.clone();
    let files: Arc<dyn Files> = Arc::new(Disk);
    Backup::check(&files, &folder)?;
    let lock = Backup::lock(&folder)?;
    let now = clock::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis();
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    let mut hold = store.maintenance.hold().await?;
    let state = hold.state().clone();
    let written = tokio::task::spawn_blocking(move || {
        let backup = Backup::create_with(Arc::clone(&files), &plan.folder)?;
        let written = write(&backup, &*files, &state, (plan.reading, now), &mut Pace::new(&mut watch))?;
        Ok::<_, BackupError>((backup, written))
    });
    let (backup, mut written) = written.await.map_err(io::Error::other).map_err(at(&folder))??;
    hold.confirm().await?;
    drop(hold);
    let snapshot = backup.add(&written.manifest)?;
    drop(lock);
    written.addresses.add(&addresses(store).await?);
    Ok(written.taken(snapshot))
}

async fn addresses(store: &Store) -> Result<Addresses, Unavailable> {
    let accounts = store.administration.usage().await.map_err(|error| match error {
        AdministrationError::Unavailable(unavailable) => unavailable,
        AdministrationError::Exists(_)
        | AdministrationError::Missing(_)
        | AdministrationError::Target { .. }
        | AdministrationError::InUse { .. }
        | AdministrationError::Granted { .. }
        | AdministrationError::NoSubaddress { .. }
        | AdministrationError::HoldsMail { .. }
        | AdministrationError::TooMany { .. } => Unavailable(error.to_string()),
    })?;
    let mut all = Addresses::default();
    for (address, maildrop) in accounts.iter().flat_map(AccountUsage::maildrops) {
        all.account(maildrop.0, &address.to_string());
    }
    Ok(all)
}

/// A snapshot whose objects are there.
pub(super) struct Written {
    pub(super) manifest: Manifest,
    /// Octets of objects that were not there.
    new_octets: u64,
    inspection: Inspection,
    addresses: Addresses,
}

impl Written {
    pub(super) fn taken(&self, snapshot: String) -> Taken {
        let damage = self.inspection.harms().map(|harm| told(harm, &self.addresses)).collect();
        let Self { manifest, new_octets, .. } = self;
        Taken { snapshot, octets: manifest.octets(), written_octets: *new_octets, damage }
    }
}

/// Writes every object that the snapshot needs; they are durable when it returns. `now` is in milliseconds since 1970.
pub(super) fn write(
    backup: &Backup,
    files: &dyn Files,
    state: &HeldState,
    (reading, now): (Reading, u64),
    pace: &mut Pace<'_>,
) -> Result<Written, BackupError> {
    let newest = backup.newest()?;
    if newest.as_ref().is_some_and(|newest| newest.epoch != state.epoch) {
        return Err(BackupError::OtherStore(backup.root.clone()));
    }
    let time = newest.as_ref().map_or(now, |newest| now.max(newest.time.saturating_add(1)));
    let base = newest.filter(|_| reading == Reading::New).unwrap_or_default();
    let layout = Layout::new(&state.folder);
    let mut writing = Writing {
        files,
        layout,
        objects: backup.objects(),
        base,
        seed: crc32c::crc32c(&state.epoch.to_le_bytes()),
        inspection: Inspection::default(),
        new_octets: 0,
        pace,
    };
    let contents = writing.contents()?;
    let segments_octets = state.segments.iter().map(|segment| segment.octets).fold(0, u64::saturating_add);
    writing.pace.expect(contents.values().copied().fold(segments_octets, u64::saturating_add));
    let mut manifest = Manifest { store_format: FORMAT, epoch: state.epoch, time, ..Manifest::default() };
    let mut trust = Trust::Base;
    for segment in &state.segments {
        let is_last = state.segments.last() == Some(segment);
        let extent = if is_last { Extent::Growing } else { Extent::Sealed };
        let pieces = writing.segment(*segment, extent, &mut trust)?;
        manifest.segments.insert(segment.number, pieces);
    }
    for (name, octets) in contents {
        let pieces = writing.content(&name, octets)?;
        manifest.contents.extend(pieces.map(|pieces| (name, pieces)));
    }
    if reading == Reading::Everything {
        let store = (files, &writing.layout);
        let mended = mend(backup, store, &mut writing.objects, writing.pace)?;
        writing.new_octets = writing.new_octets.saturating_add(mended);
    }
    writing.objects.sync().map_err(at(&backup.root))?;
    let Writing { inspection, new_octets, .. } = writing;
    let addresses = inspection.addresses.clone();
    Ok(Written { manifest, new_octets, inspection, addresses })
}

/// Whether the snapshot before can spare reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    Base,
    /// A segment is not what it was: later ones are read as well, since they may say what a crash has left in it.
    Nothing,
}

struct Writing<'a, 'p> {
    files: &'a dyn Files,
    layout: Layout,
    objects: Objects,
    /// The snapshot before; an empty one where there is none.
    base: Manifest,
    seed: u32,
    inspection: Inspection,
    new_octets: u64,
    pace: &'a mut Pace<'p>,
}

impl Writing<'_, '_> {
    /// The content files that are there now, with their lengths. All that the held journal needs are among them.
    fn contents(&self) -> Result<BTreeMap<String, u64>, BackupError> {
        let folder = &self.layout.content;
        let mut contents = BTreeMap::new();
        for name in self.files.list(folder).map_err(at(folder))? {
            let path = folder.join(&name);
            match self.files.octets(&path) {
                Ok(octets) => contents.insert(name, octets),
                // Of a delivery that was given up.
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(at(&path)(error)),
            };
        }
        Ok(contents)
    }

    fn segment(
        &mut self,
        segment: HeldSegment,
        extent: Extent,
        trust: &mut Trust,
    ) -> Result<Pieces, BackupError> {
        let HeldSegment { number, octets } = segment;
        let path = self.layout.journal.join(segment::name(number));
        let file = self.files.open(&path, Mode::Read).and_then(|file| HeldFile::new(file, octets));
        let file: Arc<dyn File> = Arc::new(file.map_err(at(&path))?);
        let there = file.octets().map_err(at(&path))?;
        let before = self.base.segments.remove(&number);
        let mut known = None;
        if let Some(before) = before.filter(|_| *trust == Trust::Base) {
            known = self.known(&*file, before).map_err(at(&path))?;
            if known.is_none() {
                *trust = Trust::Nothing;
            }
        }
        let known = known.unwrap_or_default();
        let from = known.octets;
        let pieces = self.pieces(&*file, &path, known)?;
        let segment = Segment { number, file, seed: self.seed, extent };
        self.inspection.segment(&segment, from).map_err(at(&path))?;
        if there < octets {
            self.inspection.lost(number, there, octets.saturating_sub(there));
        }
        Ok(pieces)
    }

    /// `None` where the file has gone: then nobody needs it.
    fn content(&mut self, name: &str, octets: u64) -> Result<Option<Pieces>, BackupError> {
        if let Some(before) = self.base.contents.remove(name).filter(|before| before.octets == octets)
            && self.has_all(&before).map_err(at(&self.layout.content))?
        {
            self.pace.advance(octets)?;
            return Ok(Some(before));
        }
        let path = self.layout.content.join(name);
        let file = match self.files.open(&path, Mode::Read).and_then(|file| HeldFile::new(file, octets)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(at(&path))?,
        };
        let pieces = self.pieces(&file, &path, Pieces::default())?;
        let harms = self.inspection.content(name, &file).map_err(at(&path))?;
        self.inspection.note(&harms);
        Ok(Some(pieces))
    }

    fn has_all(&self, pieces: &Pieces) -> io::Result<bool> {
        for (name, _, octets) in pieces.each() {
            if !self.objects.has(name, octets)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What the snapshot before has of a segment, where it still is the begin of it. Its last piece tells: a store that
    /// was brought back from an earlier snapshot has gone on with other records from some place on.
    fn known(&self, file: &dyn File, before: Pieces) -> io::Result<Option<Pieces>> {
        let Some((last, offset, octets)) = before.each().last() else { return Ok(None) };
        if before.octets > file.octets()? || !self.has_all(&before)? {
            return Ok(None);
        }
        let found = read_piece(file, offset, octets)?;
        Ok((ObjectName::of(&found) == last).then_some(before))
    }

    /// Makes objects of what comes behind `known`.
    fn pieces(
        &mut self,
        file: &dyn File,
        path: &std::path::Path,
        known: Pieces,
    ) -> Result<Pieces, BackupError> {
        let octets = file.octets().map_err(at(path))?;
        if known.octets == octets {
            self.pace.advance(octets)?;
            return Ok(known);
        }
        let mut pieces = Pieces { octets, names: known.names };
        if !known.octets.is_multiple_of(PIECE_OCTETS) {
            pieces.names.pop();
        }
        let mut offset = PIECE_OCTETS.saturating_mul(pieces.names.len() as u64);
        self.pace.advance(offset)?;
        while offset < octets {
            let piece = read_piece(file, offset, octets.saturating_sub(offset)).map_err(at(path))?;
            let piece_octets = piece.len() as u64;
            let (name, kept) =
                self.objects.keep(&piece).map_err(at(&self.objects.path(ObjectName::of(&piece))))?;
            if kept == Kept::Written {
                self.new_octets = self.new_octets.saturating_add(piece_octets);
            }
            pieces.names.push(name);
            offset = offset.saturating_add(piece_octets);
            self.pace.advance(piece_octets)?;
        }
        Ok(pieces)
    }
}

/// The piece at `offset`, or the first `octets` of it.
fn read_piece(file: &dyn File, offset: u64, octets: u64) -> io::Result<Vec<u8>> {
    let octets = usize::try_from(octets.min(PIECE_OCTETS)).map_err(io::Error::other)?;
    let mut piece = vec![0; octets];
    if file.read_at(&mut piece, offset)? == octets {
        Ok(piece)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

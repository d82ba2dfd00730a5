//! A whole store out of a snapshot, into a folder of its own.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::files::{Disk, File, Files, Mode};
use super::super::host::sync_parents;
use super::super::identity::Identity;
use super::super::layout::Layout;
use super::super::lock::Lock;
use super::super::segment;
use super::error::{BackupError, at};
use super::folder::{Backup, Which};
use super::manifest::Manifest;
use super::objects::{ObjectName, Objects, Pieces, read_all, write_new};
use super::pace::Pace;
use crate::Progress;

/// The file that names the snapshot while its store is not whole.
const MARKER: &str = "RESTORING";
const NEW_MARKER: &str = "RESTORING.new";
/// What is no part of a store.
const HARMLESS: [&str; 2] = ["LOCK", NEW_MARKER];

/// A store that was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The snapshot that it is now.
    pub snapshot: String,
    /// Octets of all its files.
    pub octets: u64,
    /// Objects of the backup that are missing or damaged: the store has what is left, and says what is lost.
    pub damaged: Vec<String>,
}

/// The snapshot that was begun to be restored into `root`, and is not whole yet.
pub(crate) fn unfinished(files: &dyn Files, root: &Path) -> io::Result<Option<String>> {
    match files.open(&root.join(MARKER), Mode::Read).and_then(|file| read_all(&*file)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => Ok(Some(String::from_utf8_lossy(&read?).trim_end().to_owned())),
    }
}

impl Backup {
    /// Writes the store of a snapshot into the folder `to`, which is empty or does not exist. What was cut off goes on
    /// where it was.
    ///
    /// # Errors
    /// Where the store is not whole; nobody can open it then.
    pub fn restore(
        &self,
        which: &Which,
        to: &Path,
        watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Restored, BackupError> {
        let (snapshot, manifest) = self.choose(which)?;
        check(&Disk, &snapshot, to)?;
        Disk.create_folder(to).map_err(at(to))?;
        let _lock = Lock::take(to).map_err(at(to))?.ok_or_else(|| BackupError::InUse(to.to_owned()))?;
        self.restore_with(&Disk, (&snapshot, &manifest), to, &mut Pace::new(watch))
    }

    /// As [`Self::restore`]; nobody else works in the folder, which exists.
    pub(super) fn restore_with(
        &self,
        files: &dyn Files,
        (snapshot, manifest): (&str, &Manifest),
        to: &Path,
        pace: &mut Pace<'_>,
    ) -> Result<Restored, BackupError> {
        begin(files, snapshot, to)?;
        let layout = Layout::new(to);
        let mut restoring = Restoring { files, objects: Arc::new(self.objects()), pace, damaged: Vec::new() };
        restoring.pace.expect(manifest.octets());
        for folder in [&layout.journal, &layout.content] {
            files.create_folder(folder).map_err(at(folder))?;
        }
        for (number, pieces) in &manifest.segments {
            restoring.file(&layout.journal.join(segment::name(*number)), pieces)?;
        }
        for (name, pieces) in &manifest.contents {
            restoring.file(&layout.content.join(name), pieces)?;
        }
        for folder in [&layout.journal, &layout.content] {
            files.sync_folder(folder).map_err(at(folder))?;
        }
        let damaged = restoring.damaged;
        Identity::ensure(files, to, manifest.epoch).map_err(at(to))?;
        sync_parents(files, to).map_err(at(to))?;
        files.remove(&to.join(MARKER)).and_then(|()| files.sync_folder(to)).map_err(at(to))?;
        Ok(Restored { snapshot: snapshot.to_owned(), octets: manifest.octets(), damaged })
    }
}

/// Whether the restore is begun already. Refuses a folder in which there is something else; nothing is changed in it.
fn check(files: &dyn Files, snapshot: &str, to: &Path) -> Result<Begun, BackupError> {
    match unfinished(files, to).map_err(at(to))? {
        Some(begun) if begun == snapshot => return Ok(Begun::Before),
        Some(begun) => return Err(BackupError::OtherRestore { folder: to.to_owned(), snapshot: begun }),
        None => {}
    }
    let there = match files.list(to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        there => there.map_err(at(to))?,
    };
    let is_empty = there.iter().all(|name| HARMLESS.contains(&name.as_str()));
    if is_empty { Ok(Begun::Now) } else { Err(BackupError::Occupied(to.to_owned())) }
}

/// When the restore was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    Before,
    Now,
}

/// Says what is coming, durably, before anything else is written.
fn begin(files: &dyn Files, snapshot: &str, to: &Path) -> Result<(), BackupError> {
    if check(files, snapshot, to)? == Begun::Before {
        return Ok(());
    }
    let new: PathBuf = to.join(NEW_MARKER);
    write_new(files, &new, format!("{snapshot}\n").as_bytes())
        .and_then(|()| files.rename(&new, &to.join(MARKER)))
        .and_then(|()| files.sync_folder(to))
        .map_err(at(to))
}

struct Restoring<'a, 'p> {
    files: &'a dyn Files,
    objects: Arc<Objects>,
    pace: &'a mut Pace<'p>,
    damaged: Vec<String>,
}

impl Restoring<'_, '_> {
    /// Makes one file what it was; pieces that are there already stay.
    fn file(&mut self, path: &Path, pieces: &Pieces) -> Result<(), BackupError> {
        let file = match self.files.open(path, Mode::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.files.open(path, Mode::Create),
            opened => opened,
        };
        let file = file.map_err(at(path))?;
        for (name, offset, octets) in pieces.each() {
            if !is_there(&*file, name, offset, octets).map_err(at(path))? {
                let piece = self.piece(name, octets)?;
                file.write_at(&[&piece], offset).map_err(at(path))?;
            }
            self.pace.advance(octets)?;
        }
        file.truncate(pieces.octets).and_then(|()| file.sync()).map_err(at(path))
    }

    /// The octets of an object, or what is left of them.
    fn piece(&mut self, name: ObjectName, octets: u64) -> Result<Vec<u8>, BackupError> {
        let path = self.objects.path(name);
        // One that cannot be read is as good as none: everything else can still be had.
        let mut piece = self.objects.read(name).ok().flatten().unwrap_or_default();
        if ObjectName::of(&piece) != name {
            self.damaged.push(Objects::relative(name));
            piece.resize(usize::try_from(octets).map_err(io::Error::other).map_err(at(&path))?, 0);
        }
        Ok(piece)
    }
}

fn is_there(file: &dyn File, name: ObjectName, offset: u64, octets: u64) -> io::Result<bool> {
    if file.octets()? < offset.saturating_add(octets) {
        return Ok(false);
    }
    let mut piece = vec![0; usize::try_from(octets).map_err(io::Error::other)?];
    let read = file.read_at(&mut piece, offset)?;
    Ok(read == piece.len() && ObjectName::of(&piece) == name)
}

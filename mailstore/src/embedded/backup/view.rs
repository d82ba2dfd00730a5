//! A snapshot as if it were a store's folder, for reading: its files put together from their objects.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::files::{File, Files, Mode, Space};
use super::super::layout::Layout;
use super::super::segment;
use super::manifest::{Manifest, Place};
use super::objects::{ObjectName, Objects, PIECE_OCTETS, Pieces};

/// A file in pieces. Octets of objects that are missing, too short or unreadable are zeros: whoever reads looks at
/// checksums, and gets what is left.
pub(super) struct PiecedFile {
    objects: Arc<Objects>,
    pieces: Pieces,
    /// The object that was read last.
    open: Mutex<Option<(ObjectName, Arc<dyn File>)>>,
}

impl PiecedFile {
    pub(super) fn new(objects: &Arc<Objects>, pieces: Pieces) -> Self {
        Self { objects: Arc::clone(objects), pieces, open: Mutex::default() }
    }

    fn object(&self, name: ObjectName) -> io::Result<Option<Arc<dyn File>>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, file)) = open.as_ref().filter(|(opened, _)| *opened == name) {
            return Ok(Some(Arc::clone(file)));
        }
        let file = self.objects.open(name)?;
        *open = file.clone().map(|file| (name, file));
        Ok(file)
    }

    fn read_piece(&self, number: usize, buffer: &mut [u8], offset: u64) {
        let object = self.pieces.names.get(number).map(|name| self.object(*name));
        let read = match object {
            Some(Ok(Some(file))) => file.read_at(buffer, offset).unwrap_or(0),
            _ => 0,
        };
        buffer.iter_mut().skip(read).for_each(|octet| *octet = 0);
    }
}

fn read_only() -> io::Error {
    io::ErrorKind::ReadOnlyFilesystem.into()
}

impl File for PiecedFile {
    fn octets(&self) -> io::Result<u64> {
        Ok(self.pieces.octets)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = usize::try_from(self.pieces.octets.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let mut rest = buffer.split_at_mut(wanted).0;
        let mut at = offset;
        while !rest.is_empty() {
            let number = usize::try_from(at / PIECE_OCTETS).map_err(io::Error::other)?;
            let within = at % PIECE_OCTETS;
            let there = usize::try_from(PIECE_OCTETS - within).unwrap_or(usize::MAX).min(rest.len());
            let (now, behind) = rest.split_at_mut(there);
            self.read_piece(number, now, within);
            at = at.saturating_add(there as u64);
            rest = behind;
        }
        Ok(wanted)
    }

    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.read_at(buffer, offset).map(Some)
    }

    fn write_at(&self, _parts: &[&[u8]], _offset: u64) -> io::Result<()> {
        Err(read_only())
    }

    fn truncate(&self, _octets: u64) -> io::Result<()> {
        Err(read_only())
    }

    fn sync(&self) -> io::Result<()> {
        Err(read_only())
    }
}

/// The files of a snapshot, where [`Layout`] says that they are.
pub(super) struct SnapshotFiles {
    pub(super) objects: Arc<Objects>,
    pub(super) manifest: Manifest,
    pub(super) layout: Layout,
}

impl SnapshotFiles {
    fn place(&self, path: &Path) -> Option<Place> {
        let name = path.file_name()?.to_str()?;
        let folder = path.parent()?;
        if folder == self.layout.journal {
            return segment::number(name).map(Place::Segment);
        }
        (folder == self.layout.content).then(|| Place::Content(name.to_owned()))
    }

    fn pieces(&self, path: &Path) -> io::Result<&Pieces> {
        let pieces = match self.place(path) {
            Some(Place::Segment(number)) => self.manifest.segments.get(&number),
            Some(Place::Content(name)) => self.manifest.contents.get(&name),
            None => None,
        };
        pieces.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Files for SnapshotFiles {
    fn create_folder(&self, _folder: &Path) -> io::Result<()> {
        Err(read_only())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        if folder == self.layout.journal {
            return Ok(self.manifest.segments.keys().map(|number| segment::name(*number)).collect());
        }
        if folder == self.layout.content {
            return Ok(self.manifest.contents.keys().cloned().collect());
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// The journal opens its segments for writing; that fails when it is done.
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn File>> {
        if mode == Mode::Create {
            return Err(read_only());
        }
        Ok(Arc::new(PiecedFile::new(&self.objects, self.pieces(path)?.clone())))
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Err(read_only())
    }

    fn remove(&self, _path: &Path) -> io::Result<()> {
        Err(read_only())
    }

    fn remove_folder(&self, _folder: &Path) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        Err(read_only())
    }

    fn octets(&self, path: &Path) -> io::Result<u64> {
        Ok(self.pieces(path)?.octets)
    }

    fn allocate(&self, _path: &Path, _octets: u64) -> io::Result<()> {
        Err(read_only())
    }

    fn space(&self, _folder: &Path) -> io::Result<Space> {
        Err(read_only())
    }
}

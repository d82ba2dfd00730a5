//! The files of a store, as a backup reads them: so much as is held, whatever the disk gives of it.

use std::io;
use std::sync::Arc;

use super::super::files::File;

/// What is read at a time where the disk fails.
const SECTOR_OCTETS: usize = 4096;

/// A file of which more may be written behind what is held. What the disk does not give is read as zeros, so that the
/// rest can still be had; checksums show what is wrong.
pub(super) struct HeldFile {
    file: Arc<dyn File>,
    octets: u64,
}

impl HeldFile {
    /// At most `octets` of `file`, which may be shorter.
    pub(super) fn new(file: Arc<dyn File>, octets: u64) -> io::Result<Self> {
        let octets = file.octets()?.min(octets);
        Ok(Self { file, octets })
    }
}

fn read_only() -> io::Error {
    io::ErrorKind::ReadOnlyFilesystem.into()
}

impl File for HeldFile {
    fn octets(&self) -> io::Result<u64> {
        Ok(self.octets)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = usize::try_from(self.octets.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let buffer = buffer.split_at_mut(wanted).0;
        if self.file.read_at(buffer, offset).is_ok_and(|read| read == wanted) {
            return Ok(wanted);
        }
        let mut at = offset;
        for sector in buffer.chunks_mut(SECTOR_OCTETS) {
            if self.file.read_at(sector, at).is_err() {
                sector.fill(0);
            }
            at = at.saturating_add(sector.len() as u64);
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

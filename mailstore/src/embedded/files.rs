//! The few file operations that the store is built on, behind a trait so that tests can make them fail.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::io::ReadWriteFlags;

/// Parts of one vectored write; Linux takes at most this many (`IOV_MAX`).
const PARTS_MAX: usize = 1024;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It exists and is only read.
    Read,
    /// It exists and is appended to.
    Write,
    /// It does not exist yet.
    Create,
}

/// An open file.
pub(crate) trait File: Send + Sync {
    /// Its length.
    fn octets(&self) -> io::Result<u64>;
    /// Reads into the whole of `buffer`; fewer octets only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// As [`Self::read_at`], but only what needs no waiting for the disk; `None` where that is nothing.
    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>>;
    /// Writes all parts one behind the other from `offset` on.
    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()>;
    /// Cuts it to `octets`.
    fn truncate(&self, octets: u64) -> io::Result<()>;
    /// Returns when the file's octets and length are on disk (fdatasync).
    fn sync(&self) -> io::Result<()>;
}

/// Size of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// All of it.
    pub(crate) total_octets: u64,
    /// What an ordinary user can still write.
    pub(crate) free_octets: u64,
}

/// A file system.
pub(crate) trait Files: Send + Sync {
    /// Makes a folder for its owner only; one that exists is fine.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;
    /// The names in a folder.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// Opens a file.
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn File>>;
    /// Renames a file, replacing what is there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder with all that is in it.
    fn remove_folder(&self, folder: &Path) -> io::Result<()>;
    /// Returns when the folder's entries are on disk.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Length of a file.
    fn octets(&self, path: &Path) -> io::Result<u64>;
    /// Makes a file of so many octets that really take their room.
    fn allocate(&self, path: &Path, octets: u64) -> io::Result<()>;
    /// How large the file system is, and how much of it is free.
    fn space(&self, folder: &Path) -> io::Result<Space>;
}

/// True where the disk, or the share of it that we may use, is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The file system of the machine.
#[derive(Debug)]
pub(crate) struct Disk;

impl Files for Disk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).mode(0o600);
        match mode {
            Mode::Read => {}
            Mode::Write => {
                options.write(true);
            }
            Mode::Create => {
                options.write(true).create_new(true);
            }
        }
        Ok(Arc::new(options.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        fs::remove_dir_all(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        fs::File::open(folder)?.sync_all()
    }

    fn octets(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn allocate(&self, path: &Path, octets: u64) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, octets)?;
        Ok(())
    }

    fn space(&self, folder: &Path) -> io::Result<Space> {
        let space = rustix::fs::statvfs(folder)?;
        Ok(Space {
            total_octets: space.f_blocks.saturating_mul(space.f_frsize),
            free_octets: space.f_bavail.saturating_mul(space.f_frsize),
        })
    }
}

impl File for fs::File {
    fn octets(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<usize> {
        let wanted = buffer.len();
        while !buffer.is_empty() {
            match FileExt::read_at(self, buffer, offset) {
                Ok(0) => break,
                Ok(read) => {
                    buffer = buffer.split_at_mut(read).1;
                    offset = offset.saturating_add(read as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(wanted - buffer.len())
    }

    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        let parts = &mut [IoSliceMut::new(buffer)];
        match rustix::io::preadv2(self.as_fd(), parts, offset, ReadWriteFlags::NOWAIT) {
            Ok(read) => Ok(Some(read)),
            // It is not in memory, or the file system cannot tell.
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::INTR) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn write_at(&self, parts: &[&[u8]], mut offset: u64) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut rest = slices.as_mut_slice();
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let now = rest.get(..PARTS_MAX).unwrap_or(rest);
            match rustix::io::pwritev(self.as_fd(), now, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset = offset.saturating_add(written as u64);
                    IoSlice::advance_slices(&mut rest, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn truncate(&self, octets: u64) -> io::Result<()> {
        self.set_len(octets)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

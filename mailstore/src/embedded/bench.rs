//! A store whose every flush costs more than the disk's own: for benchmarks, with the feature `bench` alone.
//!
//! A drive with power-loss protection answers a flush from its memory; one without takes about 2 ms. What group
//! commit is worth shows on the latter, and the machine that measures seldom has one.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::files::{Disk, File, Files, Mode, Space};
use super::host::{Background, Host};
use super::layout::Layout;
use crate::shared::Member;
use crate::{OpenError, Options, Store};

/// Opens a store as [`crate::open`] does, for this process alone, each flush of which costs `flush_cost` more.
///
/// # Errors
/// See [`OpenError`].
pub async fn open(options: Options, flush_cost: Duration) -> Result<Store, OpenError> {
    let path = options.path.clone();
    let for_host = options.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let layout = Layout::new(&for_host.path);
        let files: Arc<dyn Files> = Arc::new(SlowDisk { disk: Disk, flush_cost });
        Host::open(&files, for_host, layout, Background::Upkeep)
    });
    let host = opened.await.map_err(|error| OpenError::Io { path, source: io::Error::other(error) })??;
    Ok(Store::of(Member::alone(options, host)))
}

/// The machine's disk, with slower flushes.
struct SlowDisk {
    disk: Disk,
    flush_cost: Duration,
}

struct SlowFile {
    file: Arc<dyn File>,
    flush_cost: Duration,
}

impl File for SlowFile {
    fn octets(&self) -> io::Result<u64> {
        self.file.octets()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.file.read_at_once(buffer, offset)
    }
    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        self.file.write_at(parts, offset)
    }
    fn truncate(&self, octets: u64) -> io::Result<()> {
        self.file.truncate(octets)
    }
    fn sync(&self) -> io::Result<()> {
        std::thread::sleep(self.flush_cost);
        self.file.sync()
    }
}

impl Files for SlowDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.create_folder(folder)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn File>> {
        let file = self.disk.open(path, mode)?;
        Ok(Arc::new(SlowFile { file, flush_cost: self.flush_cost }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.remove_folder(folder)
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        std::thread::sleep(self.flush_cost);
        self.disk.sync_folder(folder)
    }
    fn octets(&self, path: &Path) -> io::Result<u64> {
        self.disk.octets(path)
    }
    fn allocate(&self, path: &Path, octets: u64) -> io::Result<()> {
        self.disk.allocate(path, octets)
    }
    fn space(&self, folder: &Path) -> io::Result<Space> {
        self.disk.space(folder)
    }
}

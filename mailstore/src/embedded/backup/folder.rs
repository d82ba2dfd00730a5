//! The folder of a backup: its format, its snapshots, and who may write.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mail_parser::DateTime;

use super::super::files::{Disk, Files, Mode};
use super::super::host::sync_parents;
use super::super::lock::Lock;
use super::super::segment;
use super::error::{BackupError, at};
use super::manifest::{FORMAT, Manifest, Unreadable};
use super::objects::{Objects, read_all, write_new};

const FORMAT_FILE: &str = "format";
const MAGIC: &str = "mailstack backup";
/// What may lie in a folder whose backup was begun and cut off at once.
const BEGUN: [&str; 4] = ["LOCK", "tmp", "snapshots", "objects"];

/// A folder with a backup.
#[derive(Clone)]
pub struct Backup {
    pub(super) files: Arc<dyn Files>,
    pub(super) root: PathBuf,
}

/// A snapshot in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSnapshot {
    /// Its name: the time at which it was taken, in UTC.
    pub name: String,
    /// What is known of it; `None` where it is damaged.
    pub content: Option<SnapshotContent>,
}

/// What a snapshot says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotContent {
    /// Seconds since 1970 when it was taken.
    pub time: u64,
    /// Octets of all files of the store.
    pub octets: u64,
    /// Segments of the journal and files of large content.
    pub files: usize,
}

/// Which snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The last one.
    Newest,
    /// The one of that name.
    Named(String),
    /// The last one from before the end of that second since 1970.
    NotAfter(u64),
}

/// What the file of the format says.
enum Format {
    Known,
    Damaged,
    Missing,
}

impl Backup {
    /// Opens a backup for reading.
    ///
    /// # Errors
    /// Where there is none, or a newer one.
    pub fn open(folder: &Path) -> Result<Self, BackupError> {
        Self::open_with(Arc::new(Disk), folder)
    }

    pub(super) fn open_with(files: Arc<dyn Files>, root: &Path) -> Result<Self, BackupError> {
        let backup = Self { files, root: root.to_owned() };
        match backup.format()? {
            Format::Known => {}
            // The snapshots say themselves what they are.
            Format::Damaged | Format::Missing if !backup.names()?.is_empty() => {}
            Format::Damaged | Format::Missing => return Err(BackupError::NoBackup(root.to_owned())),
        }
        Ok(backup)
    }

    /// Refuses a folder in which there is something else. Nothing is changed in it.
    pub(super) fn check(files: &Arc<dyn Files>, root: &Path) -> Result<(), BackupError> {
        let backup = Self { files: Arc::clone(files), root: root.to_owned() };
        let there = match files.list(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            there => there.map_err(at(root))?,
        };
        match backup.format()? {
            Format::Known | Format::Damaged => return Ok(()),
            Format::Missing => {}
        }
        let is_begun = there.iter().all(|name| BEGUN.contains(&name.as_str()));
        if is_begun || !backup.names()?.is_empty() {
            Ok(())
        } else {
            Err(BackupError::NotEmpty(root.to_owned()))
        }
    }

    /// Opens a backup for writing, or makes an empty one.
    pub(super) fn create_with(files: Arc<dyn Files>, root: &Path) -> Result<Self, BackupError> {
        Self::check(&files, root)?;
        let backup = Self { files, root: root.to_owned() };
        backup.files.create_folder(root).map_err(at(root))?;
        for folder in [backup.tmp(), backup.snapshots_folder(), root.join("objects")] {
            backup.files.create_folder(&folder).map_err(at(&folder))?;
        }
        for name in backup.files.list(&backup.tmp()).map_err(at(root))? {
            let left = backup.tmp().join(name);
            backup.files.remove(&left).map_err(at(&left))?;
        }
        if !backup.format_is_whole()? {
            backup.write_format().map_err(at(&root.join(FORMAT_FILE)))?;
        }
        sync_parents(&*backup.files, root).map_err(at(root))?;
        backup.files.sync_folder(root).map_err(at(root))?;
        Ok(backup)
    }

    /// Takes the folder for this process alone.
    pub(super) fn lock(root: &Path) -> Result<Lock, BackupError> {
        Disk.create_folder(root).map_err(at(root))?;
        Lock::take(root).map_err(at(root))?.ok_or_else(|| BackupError::InUse(root.to_owned()))
    }

    pub(super) fn objects(&self) -> Objects {
        Objects::new(&self.files, &self.root)
    }

    fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(super) fn snapshots_folder(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    fn format(&self) -> Result<Format, BackupError> {
        let path = self.root.join(FORMAT_FILE);
        let octets = match self.files.open(&path, Mode::Read).and_then(|file| read_all(&*file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Format::Missing),
            read => read.map_err(at(&path))?,
        };
        match parse_format(&octets) {
            None => Ok(Format::Damaged),
            Some(found) if found > FORMAT => Err(BackupError::TooNew { path, found, known: FORMAT }),
            Some(_) => Ok(Format::Known),
        }
    }

    /// True where the file of the format is as it was written.
    pub(super) fn format_is_whole(&self) -> Result<bool, BackupError> {
        Ok(matches!(self.format()?, Format::Known))
    }

    fn write_format(&self) -> io::Result<()> {
        let written = self.tmp().join(FORMAT_FILE);
        write_new(&*self.files, &written, format_text(FORMAT).as_bytes())?;
        self.files.rename(&written, &self.root.join(FORMAT_FILE))
    }

    /// The names of all snapshots, the oldest first.
    pub(super) fn names(&self) -> Result<Vec<String>, BackupError> {
        let folder = self.snapshots_folder();
        let mut names = match self.files.list(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(at(&folder))?,
        };
        names.retain(|name| is_name(name));
        names.sort_unstable();
        Ok(names)
    }

    /// A snapshot; `None` where it is damaged.
    pub(super) fn manifest(&self, name: &str) -> Result<Option<Manifest>, BackupError> {
        if !is_name(name) {
            return Err(BackupError::NoSuchSnapshot(name.to_owned()));
        }
        let path = self.snapshots_folder().join(name);
        let octets = match self.files.open(&path, Mode::Read).and_then(|file| read_all(&*file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BackupError::NoSuchSnapshot(name.to_owned()));
            }
            read => read.map_err(at(&path))?,
        };
        match Manifest::parse(&octets) {
            Ok(manifest) if manifest.store_format > segment::FORMAT => {
                Err(BackupError::TooNew { path, found: manifest.store_format, known: segment::FORMAT })
            }
            Ok(manifest) => Ok(Some(manifest)),
            Err(Unreadable::Damaged) => Ok(None),
            Err(Unreadable::TooNew(found)) => Err(BackupError::TooNew { path, found, known: FORMAT }),
        }
    }

    /// The newest snapshot that is whole.
    pub(super) fn newest(&self) -> Result<Option<Manifest>, BackupError> {
        for name in self.names()?.iter().rev() {
            if let Some(manifest) = self.manifest(name)? {
                return Ok(Some(manifest));
            }
        }
        Ok(None)
    }

    /// The snapshot that is meant.
    pub(super) fn choose(&self, which: &Which) -> Result<(String, Manifest), BackupError> {
        let names = self.names()?;
        let name = match which {
            Which::Named(name) => Some(name.clone()),
            Which::Newest => names.last().cloned(),
            Which::NotAfter(seconds) => {
                let end = name_of(seconds.saturating_add(1).saturating_mul(1000));
                names.into_iter().rfind(|name| *name < end)
            }
        };
        let name = name.ok_or(BackupError::NoSnapshot)?;
        match self.manifest(&name)? {
            Some(manifest) => Ok((name, manifest)),
            None => Err(BackupError::DamagedSnapshot { name }),
        }
    }

    /// All snapshots, the oldest first.
    ///
    /// # Errors
    /// Where one cannot be read, or is of a newer format.
    pub fn snapshots(&self) -> Result<Vec<ListedSnapshot>, BackupError> {
        let listed = |name: String| {
            let content = self.manifest(&name)?.map(|manifest| SnapshotContent {
                time: manifest.time / 1000,
                octets: manifest.octets(),
                files: manifest.pieces().count(),
            });
            Ok(ListedSnapshot { name, content })
        };
        self.names()?.into_iter().map(listed).collect()
    }

    /// Durably adds a snapshot whose objects are all there. Gives its name.
    pub(super) fn add(&self, manifest: &Manifest) -> Result<String, BackupError> {
        let name = name_of(manifest.time);
        let (written, path) = (self.tmp().join(&name), self.snapshots_folder().join(&name));
        write_new(&*self.files, &written, manifest.encode().as_bytes())
            .and_then(|()| self.files.rename(&written, &path))
            .and_then(|()| self.files.sync_folder(&self.snapshots_folder()))
            .map_err(at(&path))?;
        Ok(name)
    }
}

/// The name of the snapshot of that time, in milliseconds since 1970. Names are in the order of their times.
fn name_of(milliseconds: u64) -> String {
    let date = DateTime::from_timestamp(i64::try_from(milliseconds / 1000).unwrap_or(0));
    let DateTime { year, month, day, hour, minute, second, .. } = date;
    let thousandths = milliseconds % 1000;
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{thousandths:03}Z")
}

/// True where it has the shape of [`name_of`]: who knows what else somebody has put there.
fn is_name(name: &str) -> bool {
    let digit = |character: char| if character.is_ascii_digit() { '0' } else { character };
    name.chars().map(digit).eq("00000000T000000.000Z".chars())
}

fn format_text(format: u32) -> String {
    let text = format!("{MAGIC}\nformat {format}\n");
    format!("{text}checksum {:08x}\n", crc32c::crc32c(text.as_bytes()))
}

fn parse_format(octets: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(octets).ok()?;
    let format = text.lines().nth(1)?.strip_prefix("format ")?.parse().ok()?;
    (format_text(format) == text).then_some(format)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(root: &Path) -> Result<Backup, BackupError> {
        Backup::create_with(Arc::new(Disk), root)
    }

    #[test]
    fn a_folder_with_something_else_in_it_is_not_touched() {
        let root = tempfile::tempdir().unwrap();
        let missing = root.path().join("missing");
        assert!(matches!(Backup::open(&missing), Err(BackupError::NoBackup(_))));
        std::fs::write(root.path().join("holiday.jpg"), "x").unwrap();
        assert!(matches!(created(root.path()), Err(BackupError::NotEmpty(_))));
        assert!(matches!(Backup::open(root.path()), Err(BackupError::NoBackup(_))));
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
        created(&missing).unwrap();
        created(&missing).unwrap();
        assert!(Backup::open(&missing).unwrap().names().unwrap().is_empty());
    }

    #[test]
    fn a_newer_format_is_refused_and_a_damaged_one_is_written_anew() {
        let root = tempfile::tempdir().unwrap();
        created(root.path()).unwrap();
        let path = root.path().join(FORMAT_FILE);
        std::fs::write(&path, format_text(FORMAT + 1)).unwrap();
        assert!(matches!(created(root.path()), Err(BackupError::TooNew { found: 2, .. })));
        assert!(matches!(Backup::open(root.path()), Err(BackupError::TooNew { .. })));
        for at in 0..format_text(FORMAT).len() {
            let mut damaged = format_text(FORMAT).into_bytes();
            damaged[at] ^= 1;
            assert_eq!(parse_format(&damaged), None, "octet {at}");
            std::fs::write(&path, &damaged).unwrap();
            assert!(created(root.path()).unwrap().format_is_whole().unwrap());
        }
    }

    #[test]
    fn snapshots_are_found_by_name_and_by_time() {
        let root = tempfile::tempdir().unwrap();
        let backup = created(root.path()).unwrap();
        assert!(matches!(backup.choose(&Which::Newest), Err(BackupError::NoSnapshot)));
        for time in [1_795_313_258_123, 1_795_313_258_900, 1_795_313_300_000] {
            backup.add(&Manifest { time, ..Manifest::default() }).unwrap();
        }
        let chosen = |which| {
            backup.choose(&which).map(|(name, manifest)| {
                assert_eq!(name, name_of(manifest.time));
                manifest.time
            })
        };
        assert_eq!(chosen(Which::Newest).unwrap(), 1_795_313_300_000);
        assert_eq!(chosen(Which::NotAfter(1_795_313_258)).unwrap(), 1_795_313_258_900);
        assert_eq!(chosen(Which::NotAfter(1_795_313_299)).unwrap(), 1_795_313_258_900);
        assert_eq!(chosen(Which::Named("20261122T020738.123Z".to_owned())).unwrap(), 1_795_313_258_123);
        assert!(matches!(chosen(Which::NotAfter(1_795_313_257)), Err(BackupError::NoSnapshot)));
        assert!(matches!(chosen(Which::Named("x".to_owned())), Err(BackupError::NoSuchSnapshot(_))));
        assert_eq!(backup.snapshots().unwrap()[2].content.unwrap().time, 1_795_313_300);
    }
}

//! A disk in memory that writes down everything that is done to it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::super::files::{Disk, File, Files, Mode, Space};
use super::image::{Image, Node, Operation, Platter};

/// Too little for the reserve file, and enough for mail.
const FREE_OCTETS: u64 = 32 << 20;

/// A promise that the disk breaks: a proof that does not notice is worth nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sabotage {
    /// None.
    #[default]
    Nothing,
    /// No sync does anything.
    NoSync,
    /// A sync does something only after whoever waited for it was answered.
    LateSync,
    /// The entries of the journal's folder are never synced, so that a new segment may vanish.
    NoSyncOfJournalFolder,
    /// The entries of the content's folder are never synced, so that large content may vanish.
    NoSyncOfContentFolder,
    /// The entry of a new segment is synced only after records in it were answered for.
    LateSyncOfJournalFolder,
    /// No fault of the disk: what is compacted takes the memory of deletions with it.
    ForgottenDeletions,
}

impl Sabotage {
    fn skips(self, operation: &Operation) -> bool {
        let folder = match operation {
            Operation::Sync { .. } => return self == Self::NoSync,
            Operation::SyncFolder { folder } => folder,
            Operation::Link { .. }
            | Operation::Unlink { .. }
            | Operation::Rename { .. }
            | Operation::Write { .. }
            | Operation::Truncate { .. } => return false,
        };
        match self {
            Self::Nothing | Self::LateSync | Self::LateSyncOfJournalFolder | Self::ForgottenDeletions => {
                false
            }
            Self::NoSync => true,
            Self::NoSyncOfJournalFolder => folder.ends_with("journal"),
            Self::NoSyncOfContentFolder => folder.ends_with("content"),
        }
    }

    fn delays(self, operation: &Operation) -> bool {
        match operation {
            Operation::Sync { .. } => self == Self::LateSync,
            Operation::SyncFolder { folder } => {
                self == Self::LateSyncOfJournalFolder && folder.ends_with("journal")
            }
            Operation::Link { .. }
            | Operation::Unlink { .. }
            | Operation::Rename { .. }
            | Operation::Write { .. }
            | Operation::Truncate { .. } => false,
        }
    }

    /// True where what was delayed comes before `operation`.
    fn catches_up(self, operation: &Operation) -> bool {
        self != Self::LateSyncOfJournalFolder || matches!(operation, Operation::SyncFolder { .. })
    }
}

struct State {
    live: Image,
    log: Vec<Operation>,
    /// A sync that has been answered and not been done.
    late: Option<Operation>,
    sabotage: Sabotage,
    next_file: u64,
}

impl State {
    fn record(&mut self, operation: Operation) {
        if self.sabotage.skips(&operation) {
            return;
        }
        if self.sabotage.catches_up(&operation) {
            self.log.extend(self.late.take());
        }
        self.live.apply(&operation);
        if self.sabotage.delays(&operation) {
            self.late = Some(operation);
        } else {
            self.log.push(operation);
        }
    }
}

/// The disk. What lies under `local` is on the machine's own one: sled opens its files itself.
pub(super) struct SimulatedDisk {
    local: PathBuf,
    before: Platter,
    state: Arc<Mutex<State>>,
    gate: Gate,
}

struct SimulatedFile {
    file: u64,
    state: Arc<Mutex<State>>,
}

/// Lets the committer wait, so that it finds several requests at one time.
#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimulatedDisk {
    /// With what an earlier one was left with.
    pub(super) fn new(before: Platter, local: &Path, sabotage: Sabotage) -> Self {
        let live = before.live();
        let next_file = before.last_file().saturating_add(1);
        let state = State { live, log: Vec::new(), late: None, sabotage, next_file };
        Self { local: local.to_owned(), before, state: Arc::new(Mutex::new(state)), gate: Gate::default() }
    }

    /// How many operations there were.
    pub(super) fn operations(&self) -> usize {
        lock(&self.state).log.len()
    }

    /// What there is after the first `operations`: safe, or in the page cache.
    pub(super) fn after(&self, operations: usize) -> Platter {
        let mut platter = self.before.clone();
        lock(&self.state).log.iter().take(operations).for_each(|operation| platter.record(operation));
        platter
    }

    /// Makes the committer wait before it looks at what it is asked.
    pub(super) fn shut_gate(&self) {
        *self.gate.shut.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Lets it go on.
    pub(super) fn open_gate(&self) {
        *self.gate.shut.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.gate.opened.notify_all();
    }

    fn is_local(&self, path: &Path) -> bool {
        path.starts_with(&self.local)
    }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(io::Error::other)
}

impl Files for SimulatedDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        let mut missing: Vec<_> = folder.ancestors().filter(|path| path.parent().is_some()).collect();
        missing.retain(|path| !state.live.entries.contains_key(*path));
        for path in missing.into_iter().rev() {
            state.record(Operation::Link { path: path.to_owned(), node: Node::Folder });
        }
        drop(state);
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = lock(&self.state);
        let inside = state.live.entries.keys().filter(|path| path.parent() == Some(folder));
        let names = inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        Ok(names.collect())
    }

    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn File>> {
        if self.is_local(path) {
            return Disk.open(path, mode);
        }
        let mut state = lock(&self.state);
        let file = match (state.live.entries.get(path), mode) {
            (Some(_), Mode::Create) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(Node::File(file)), Mode::Read | Mode::Write) => *file,
            (Some(Node::Folder), Mode::Read | Mode::Write) => {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            (None, Mode::Read | Mode::Write) => return Err(not_found()),
            (None, Mode::Create) => {
                let file = state.next_file;
                state.next_file = file.saturating_add(1);
                state.live.files.insert(file, Arc::default());
                state.record(Operation::Link { path: path.to_owned(), node: Node::File(file) });
                file
            }
        };
        drop(state);
        Ok(Arc::new(SimulatedFile { file, state: Arc::clone(&self.state) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.is_local(from) {
            return Disk.rename(from, to);
        }
        let mut state = lock(&self.state);
        let node = *state.live.entries.get(from).ok_or_else(not_found)?;
        state.record(Operation::Rename { from: from.to_owned(), to: to.to_owned(), node });
        drop(state);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.live.entries.get(path).ok_or_else(not_found)?;
        state.record(Operation::Unlink { path: path.to_owned() });
        drop(state);
        Ok(())
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        Disk.remove_folder(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        lock(&self.state).record(Operation::SyncFolder { folder: folder.to_owned() });
        Ok(())
    }

    fn octets(&self, path: &Path) -> io::Result<u64> {
        self.open(path, Mode::Read)?.octets()
    }

    fn allocate(&self, _path: &Path, _octets: u64) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn space(&self, _folder: &Path) -> io::Result<Space> {
        let shut = self.gate.shut.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.gate.opened.wait_while(shut, |shut| *shut).unwrap_or_else(PoisonError::into_inner));
        Ok(Space { total_octets: 1 << 40, free_octets: FREE_OCTETS })
    }
}

impl SimulatedFile {
    fn content(&self) -> Arc<Vec<u8>> {
        lock(&self.state).live.files.get(&self.file).cloned().unwrap_or_default()
    }
}

impl File for SimulatedFile {
    fn octets(&self) -> io::Result<u64> {
        Ok(self.content().len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = self.content();
        let there = content.get(place(offset)?..).unwrap_or_default();
        let octets = there.len().min(buffer.len());
        let (to, from) = (buffer.split_at_mut(octets).0, there.split_at(octets).0);
        to.copy_from_slice(from);
        Ok(octets)
    }

    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.read_at(buffer, offset).map(Some)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        let octets = Arc::from(parts.concat());
        lock(&self.state).record(Operation::Write { file: self.file, offset: place(offset)?, octets });
        Ok(())
    }

    fn truncate(&self, octets: u64) -> io::Result<()> {
        lock(&self.state).record(Operation::Truncate { file: self.file, octets: place(octets)? });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        lock(&self.state).record(Operation::Sync { file: self.file });
        Ok(())
    }
}

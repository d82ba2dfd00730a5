//! The store in this process: everything in this folder put together, behind the lock file.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::accounts::Accounts;
use super::adopting::Adopting;
use super::change::{Change, Refused};
use super::checkpoint::{self, Ending, Progress};
use super::committer::{Answer, Committer, REQUESTS_MAX, Request, Work};
use super::content::Contents;
use super::credentials::FalseKeys;
use super::expiry::NextLooks;
use super::files::{Disk, Files};
use super::free_space::FreeSpace;
use super::graves::Graves;
use super::guard::Keeper;
use super::holds::Holds;
use super::index::IndexError;
use super::index_slot::IndexSlot;
use super::layout::Layout;
use super::leases::{LastLeases, Leases};
use super::lock::Lock;
use super::notes::Notebook;
use super::password::Hasher;
use super::queue_leases::QueueLeases;
use super::recollections::Memory;
use super::recovery::{self, Trust};
use super::remembered::Remembered;
use super::room::{Reserve, Room};
use super::sightings::Witness;
use super::upkeep::Upkeep;
use crate::{OpenError, Options};

/// What the answers of all traits are made from.
pub(crate) struct Core {
    pub(crate) options: Options,
    pub(crate) layout: Layout,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) free_space: Arc<FreeSpace>,
    pub(crate) index: Arc<IndexSlot>,
    pub(crate) accounts: Arc<RwLock<Accounts>>,
    pub(crate) contents: Contents,
    pub(crate) hasher: Hasher,
    pub(crate) remembered: Remembered,
    pub(crate) false_keys: FalseKeys,
    pub(crate) keeper: Keeper,
    pub(crate) leases: Arc<Leases>,
    pub(crate) last_leases: LastLeases,
    pub(crate) next_looks: NextLooks,
    pub(crate) queue_leases: QueueLeases,
    /// Octets that drafts hold in memory.
    pub(crate) draft_octets: Arc<AtomicU64>,
    pub(crate) adopting: Arc<Adopting>,
    pub(crate) holds: Arc<Holds>,
    pub(crate) graves: Graves,
    /// Taken by a pass of the upkeep: one at a time.
    pub(crate) passing: Mutex<()>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) notebook: Notebook,
    pub(crate) witness: Witness,
    pub(crate) memory: Memory,
    requests: mpsc::Sender<Work>,
}

/// Hosts the store until it is closed or dropped.
pub(crate) struct Host {
    pub(crate) core: Arc<Core>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    _lock: Lock,
}

impl Core {
    /// Returns the record's sequence once the change is on disk.
    pub(crate) async fn commit(&self, change: Change) -> Result<u64, Refused> {
        self.commit_content(change, Vec::new(), None).await.map(|answer| answer.sequence)
    }

    /// As [`Self::commit`], with the content that stands in the record, and what is held until the change is applied, whether
    /// or not whoever asked still waits.
    pub(crate) async fn commit_content(
        &self,
        change: Change,
        content: Vec<Vec<u8>>,
        held: Option<Box<dyn Send>>,
    ) -> Result<Answer, Refused> {
        let closed = || Refused::Unavailable("the store is closed".to_owned());
        let (answer, answered) = oneshot::channel();
        let request = Request { change, content, held, answer };
        self.requests.send(Work::Commit(request)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Hands work to the committer, for threads that may wait. An error where it has ended.
    pub(crate) fn ask_committer(&self, work: Work) -> Result<(), ()> {
        self.requests.blocking_send(work).map_err(|_| ())
    }
}

/// Opens a store on the machine's own disk.
pub(crate) fn open(options: Options) -> Result<Host, OpenError> {
    let files: Arc<dyn Files> = Arc::new(Disk);
    let layout = Layout::new(&options.path);
    Host::open(&files, options, layout, Background::Upkeep)
}

/// What a store does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Background {
    /// Everything.
    Upkeep,
    /// Nothing that it is not asked to do.
    Nothing,
}

/// The thread of what the store does by itself; what it must do in any case is done at once.
fn upkeep(core: &Arc<Core>, background: Background, trust: Trust) -> io::Result<Option<JoinHandle<()>>> {
    match background {
        Background::Upkeep => {
            let core = Arc::clone(core);
            spawn("upkeep", move || Upkeep(&core).run(trust)).map(Some)
        }
        Background::Nothing => {
            if trust == Trust::Claimed {
                Upkeep(core).verify();
            }
            Ok(None)
        }
    }
}

impl Host {
    /// Opens the store on this thread; it may take a while.
    pub(crate) fn open(
        files: &Arc<dyn Files>,
        options: Options,
        layout: Layout,
        background: Background,
    ) -> Result<Self, OpenError> {
        let root = layout.root.clone();
        let at = |source| OpenError::Io { path: root.clone(), source };
        files.create_folder(&root).map_err(at)?;
        sync_parents(&**files, &root).map_err(at)?;
        let lock = Lock::take(&layout.lock).map_err(at)?.ok_or_else(|| OpenError::InUse(root.clone()))?;
        let recovered = recovery::recover(files, &layout)?;
        let accounts = Accounts::load(&recovered.index, &options);
        let accounts = accounts.map_err(|error| at(io::Error::other(error)))?;
        let (index, accounts) = (Arc::new(IndexSlot::new(recovered.index)), Arc::new(RwLock::new(accounts)));
        let (seed, trust, end) = (recovered.journal.seed(), recovered.trust, &recovered.end);
        let first = checkpoint::checkpoint(seed, end.writer.end(), end.next_sequence, end.live);
        let progress = Arc::new(Progress::new(first));
        let free_space = Arc::new(FreeSpace::new(files, root.clone(), options.reserve_octets));
        let (requests, received) = mpsc::channel(REQUESTS_MAX);
        let committer = Committer {
            requests: received,
            writer: recovered.end.writer,
            index: Arc::clone(&index),
            accounts: Arc::clone(&accounts),
            progress: Arc::clone(&progress),
            seed,
            next_sequence: recovered.end.next_sequence,
            live: recovered.end.live,
            journal: Arc::clone(&recovered.journal),
            files: Arc::clone(files),
            layout: layout.clone(),
            reserve: Reserve::new(files, &root, Arc::clone(&free_space)),
            room: Room::Enough,
            has_written: false,
            broken: None,
        };
        let witness = Witness::new(files, &root, options.trace_days);
        let core = Arc::new(Core {
            false_keys: FalseKeys::new(recovered.journal.epoch()),
            contents: Contents {
                files: Arc::clone(files),
                journal: recovered.journal,
                folder: layout.content.clone(),
            },
            keeper: Keeper::new(&options.guard).map_err(|error| at(io::Error::other(error)))?,
            last_leases: LastLeases::new(options.guard.entries_max),
            options,
            layout,
            files: Arc::clone(files),
            free_space,
            index: Arc::clone(&index),
            accounts,
            hasher: Hasher::new(),
            remembered: Remembered::new().map_err(|error| at(io::Error::other(error)))?,
            leases: Arc::default(),
            next_looks: NextLooks::default(),
            queue_leases: QueueLeases::default(),
            draft_octets: Arc::default(),
            adopting: Arc::default(),
            holds: Arc::default(),
            graves: Graves::default(),
            passing: Mutex::default(),
            progress: Arc::clone(&progress),
            notebook: Notebook::new(files, &root),
            witness,
            memory: Memory::new(files, &root),
            requests: requests.clone(),
        });
        let checkpoints = Arc::clone(&progress);
        let mut threads = vec![
            spawn("committer", move || committer.run()).map_err(at)?,
            spawn("checkpoints", move || checkpoint::run(&index, &checkpoints, &requests)).map_err(at)?,
        ];
        threads.extend(upkeep(&core, background, trust).map_err(at)?);
        Ok(Self { core, threads: Mutex::new(threads), _lock: lock })
    }

    /// Returns when everything acknowledged is in the index too and the orderly close is marked.
    pub(crate) async fn close(&self) {
        let memory = self.core.memory.clone();
        // What could not be written has been told, and is of little worth.
        let _ = tokio::task::spawn_blocking(move || memory.write()).await;
        self.end(Ending::Closed).await;
    }

    /// Returns when nothing is written any more.
    pub(crate) async fn end(&self, ending: Ending) {
        self.core.progress.stop();
        self.core.witness.settle().await;
        // Where the committer has ended already there is nothing left to wait for.
        let _ = self.core.requests.send(Work::End).await;
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let progress = Arc::clone(&self.core.progress);
        let joined = tokio::task::spawn_blocking(move || {
            let mut threads = threads.into_iter();
            let committer = threads.next().map(JoinHandle::join);
            progress.end(ending);
            let checkpoints: Vec<_> = threads.map(JoinHandle::join).collect();
            committer.into_iter().chain(checkpoints).all(|joined| joined.is_ok())
        });
        if !joined.await.unwrap_or(false) {
            warn!("the store was not closed in order; the next start takes longer");
        }
    }

    /// Says up to where the index is complete without waiting for the next time to do so.
    pub(crate) fn checkpoint(&self) -> Result<(), IndexError> {
        self.core.progress.write(&self.core.index)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Without a close the threads end by themselves, and the next start replays what they did not get to. The
        // committer may still be writing: this must not look like an orderly close.
        self.core.progress.end(Ending::Abandoned);
    }
}

/// Makes the way to a new folder durable. Whether an earlier process that made it came so far is unknown.
pub(crate) fn sync_parents(files: &dyn Files, folder: &Path) -> io::Result<()> {
    for parent in folder.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
        match files.sync_folder(parent) {
            Err(error) if !needs_no_sync(error.kind()) => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// A folder that only others may read, or that nobody can write to, is not one that was made for us just now; and
/// some file systems sync no folders.
const fn needs_no_sync(error: ErrorKind) -> bool {
    matches!(
        error,
        ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::InvalidInput
            | ErrorKind::Unsupported
    )
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::super::files::{File, Mode, Space};
    use super::*;
    use crate::contract::options;
    use crate::{Administration, Delivery, Fate, Intake, IntakeError, MaildropId, Terms, TraceRow};

    const HEALTHY: u8 = 0;
    const FULL: u8 = 1;
    const SYNC_FAILS: u8 = 2;

    /// The machine's disk, with the journal failing as it is told to.
    struct Failing {
        disk: Disk,
        mood: Arc<AtomicU8>,
    }

    struct FailingFile {
        file: Arc<dyn File>,
        mood: Arc<AtomicU8>,
    }

    impl File for FailingFile {
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
            if self.mood.load(Ordering::SeqCst) == FULL {
                // Part of it gets there, as on a real disk.
                self.file.write_at(&parts[..1], offset)?;
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.file.write_at(parts, offset)
        }
        fn truncate(&self, octets: u64) -> io::Result<()> {
            if self.mood.load(Ordering::SeqCst) == SYNC_FAILS {
                return Err(io::Error::other("input/output error"));
            }
            self.file.truncate(octets)
        }
        fn sync(&self) -> io::Result<()> {
            if self.mood.load(Ordering::SeqCst) == SYNC_FAILS {
                return Err(io::Error::other("input/output error"));
            }
            self.file.sync()
        }
    }

    impl Files for Failing {
        fn create_folder(&self, folder: &Path) -> io::Result<()> {
            self.disk.create_folder(folder)
        }
        fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
            self.disk.list(folder)
        }
        fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn File>> {
            let file = self.disk.open(path, mode)?;
            if path.extension().is_some_and(|extension| extension == "segment") {
                return Ok(Arc::new(FailingFile { file, mood: Arc::clone(&self.mood) }));
            }
            Ok(file)
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

    async fn deliver(core: &Arc<Core>, maildrop: MaildropId) -> Result<(), IntakeError> {
        let mut draft = core.draft(0).await?;
        draft.write(b"A: b\r\n\r\nbody\r\n").await?;
        let delivery = Delivery {
            delivery_prefix: Vec::new(),
            prefix: Vec::new(),
            reverse_path: mailwire::address::ReversePath::Null,
            maildrops: vec![maildrop],
            fate: Fate::Shared,
            relay: Vec::new(),
            terms: Terms::default(),
            local: Vec::new(),
            steps: Vec::new(),
            trace: TraceRow::default(),
            carried: None,
            concludes: Vec::new(),
        };
        draft.commit(delivery).await.map(|_| ())
    }

    fn messages(core: &Core, maildrop: MaildropId) -> usize {
        core.index.get().unwrap().entries(maildrop.0).count()
    }

    #[tokio::test]
    async fn a_failing_disk_is_told_and_nothing_that_was_acknowledged_is_lost() {
        let root = tempfile::tempdir().unwrap();
        let mood = Arc::new(AtomicU8::new(HEALTHY));
        let files: Arc<dyn Files> = Arc::new(Failing { disk: Disk, mood: Arc::clone(&mood) });
        let host =
            Host::open(&files, options(root.path()), Layout::new(root.path()), Background::Nothing).unwrap();
        let core = Arc::clone(&host.core);
        let address = mailwire::address::Mailbox::parse("alice@example.test").unwrap();
        let password = mailwire::secret::Secret::new("x".to_owned());
        let alice = core.add_account(&address, &password).await.unwrap().maildrop;
        deliver(&core, alice).await.unwrap();

        mood.store(FULL, Ordering::SeqCst);
        assert!(matches!(deliver(&core, alice).await, Err(IntakeError::Full { .. })));
        assert_eq!(messages(&core, alice), 1);
        mood.store(HEALTHY, Ordering::SeqCst);
        deliver(&core, alice).await.unwrap();

        mood.store(SYNC_FAILS, Ordering::SeqCst);
        assert!(matches!(deliver(&core, alice).await, Err(IntakeError::Unavailable(_))));
        assert!(matches!(deliver(&core, alice).await, Err(IntakeError::Unavailable(_))));
        assert_eq!(messages(&core, alice), 2);
        // What lies behind the last sync was refused: opening the index again must not bring it in.
        let failed = core.index.ask(|_| Err::<(), _>(super::super::index::IndexError::Panicked));
        assert!(failed.is_err());
        core.requests.send(Work::Mend).await.unwrap();
        assert!(matches!(deliver(&core, alice).await, Err(IntakeError::Unavailable(_))));
        assert_eq!(messages(&core, alice), 2);
        mood.store(HEALTHY, Ordering::SeqCst);
        core.requests.send(Work::Mend).await.unwrap();
        deliver(&core, alice).await.unwrap();
        host.close().await;
        drop((core, host));

        let host =
            Host::open(&files, options(root.path()), Layout::new(root.path()), Background::Nothing).unwrap();
        assert_eq!(messages(&host.core, alice), 3);
        host.close().await;
    }

    #[tokio::test]
    async fn a_failed_index_is_opened_again_while_the_store_serves() {
        let root = tempfile::tempdir().unwrap();
        let host = open(options(root.path())).unwrap();
        let core = Arc::clone(&host.core);
        let address = mailwire::address::Mailbox::parse("alice@example.test").unwrap();
        let password = mailwire::secret::Secret::new("x".to_owned());
        let alice = core.add_account(&address, &password).await.unwrap().maildrop;
        deliver(&core, alice).await.unwrap();
        let failed = core.index.ask(|_| Err::<(), _>(super::super::index::IndexError::Panicked));
        assert!(failed.is_err());
        core.requests.send(Work::Mend).await.unwrap();
        deliver(&core, alice).await.unwrap();
        assert_eq!(messages(&core, alice), 2);
        host.close().await;
    }
}

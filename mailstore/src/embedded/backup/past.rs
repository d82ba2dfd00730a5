//! A store as it was when a snapshot was taken: its accounts, and their messages, without restoring all of it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use mailwire::address::Mailbox;

use super::super::content::{Access, Content, Contents, Opened};
use super::super::files::{Disk, Files};
use super::super::holdings::entry;
use super::super::index::{Index, IndexError};
use super::super::journal::{Found, Journal, Location};
use super::super::keys::Subject;
use super::super::layout::Layout;
use super::super::reading::read_content;
use super::super::replay::Replay;
use super::super::segment::HEADER_OCTETS;
use super::super::subaddresses::one_spelling;
use super::super::temporary::TemporaryFolder;
use super::error::{BackupError, at};
use super::folder::{Backup, Which};
use super::view::SnapshotFiles;
use crate::Entry;

/// Where the snapshot's files seem to lie.
const ROOT: &str = "/snapshot";

/// The store of a snapshot.
pub struct PastStore {
    snapshot: String,
    contents: Arc<Contents>,
    index: Index,
    /// Of the index; goes after it.
    _folder: TemporaryFolder,
}

/// A message that was in a maildrop.
#[derive(Clone, Debug)]
pub struct PastMessage {
    /// What its readers saw.
    pub entry: Entry,
    subject: Subject,
}

/// Its octets.
pub struct PastContent(Arc<Content>);

impl PastStore {
    /// Reads the journal of a snapshot; that takes a while.
    ///
    /// # Errors
    /// Where there is no such snapshot, or nothing can be read.
    pub fn open(backup: &Backup, which: &Which) -> Result<Self, BackupError> {
        let (snapshot, manifest) = backup.choose(which)?;
        let temporary = std::env::temp_dir();
        let folder = TemporaryFolder::within(&temporary).map_err(at(&temporary))?;
        let layout = Layout::apart(Path::new(ROOT), folder.path());
        let epoch = manifest.epoch;
        let objects = Arc::new(backup.objects());
        let view = SnapshotFiles { objects, manifest, layout: layout.clone() };
        let view: Arc<dyn Files> = Arc::new(view);
        let found = Found::open(&*view, &layout).map_err(at(&backup.root))?;
        let journal = found.journal(Arc::clone(&view), &layout, epoch);
        let index = index(&journal, &layout).map_err(|error| BackupError::Index(io::Error::other(error)))?;
        let contents = Contents { files: view, journal, folder: layout.content };
        Ok(Self { snapshot, contents: Arc::new(contents), index, _folder: folder })
    }

    /// The name of the snapshot.
    #[must_use]
    pub fn snapshot(&self) -> &str {
        &self.snapshot
    }

    /// What was in an account's maildrop, or in that of its subaddress `address`, in the order of arrival; `None` where
    /// there was no such account or maildrop.
    ///
    /// # Errors
    /// Where it cannot be looked up.
    pub fn messages(&self, address: &Mailbox) -> Result<Option<Vec<PastMessage>>, BackupError> {
        let failed = |error: IndexError| BackupError::Index(io::Error::other(error));
        let Some(maildrop) = self.maildrop(address).map_err(failed)? else { return Ok(None) };
        let message = |found: Result<(u64, _), _>| {
            found.map(|(_, value): (_, super::super::keys::EntryValue)| {
                let subject = value.subject;
                PastMessage { entry: entry(value), subject }
            })
        };
        let messages: Result<Vec<_>, _> = self.index.entries(maildrop).map(message).collect();
        messages.map(Some).map_err(failed)
    }

    /// The addresses of the further maildrops that an account had.
    ///
    /// # Errors
    /// Where they cannot be looked up.
    pub fn further(&self, account: &Mailbox) -> Result<Vec<Mailbox>, BackupError> {
        let failed = |error: IndexError| BackupError::Index(io::Error::other(error));
        let Some(maildrop) = self.account(account).map_err(failed)? else { return Ok(Vec::new()) };
        let further = self.index.subaddresses().map_err(failed)?;
        Ok(further.of(maildrop).filter_map(|(detail, _)| account.with_detail(detail).ok()).collect())
    }

    fn account(&self, address: &Mailbox) -> Result<Option<u64>, IndexError> {
        let key = address.key_in_a_labels();
        let mut accounts = self.index.accounts()?.into_iter();
        let account = accounts.find(|account| one_spelling(&account.address) == key);
        Ok(account.map(|account| account.maildrop))
    }

    fn maildrop(&self, address: &Mailbox) -> Result<Option<u64>, IndexError> {
        if let Some(maildrop) = self.account(address)? {
            return Ok(Some(maildrop));
        }
        let Some((user, detail)) = address.subaddress() else { return Ok(None) };
        let Some(account) = self.account(&user)? else { return Ok(None) };
        Ok(self.index.subaddresses()?.get(account, &detail.to_lowercase()))
    }

    /// The octets of a message; `None` where not all of them are as they were.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn content(&self, message: &PastMessage) -> io::Result<Option<PastContent>> {
        let (contents, subject) = (Arc::clone(&self.contents), message.subject);
        let opened = tokio::task::spawn_blocking(move || match contents.open(subject, Access::Wait)? {
            Opened::Content(content) => Ok(content.is_whole()?.then_some(content)),
            Opened::NotInMemory | Opened::NoSegment => Ok(None),
        });
        let content: io::Result<Option<Content>> = opened.await.map_err(io::Error::other)?;
        Ok(content?.map(|content| PastContent(Arc::new(content))))
    }
}

impl PastContent {
    /// At most `octets_max` octets from `offset` on; empty at the end.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn read(&self, offset: u64, octets_max: usize) -> io::Result<Vec<u8>> {
        read_content(Arc::clone(&self.0), offset, octets_max).await.map_err(io::Error::other)
    }
}

fn index(journal: &Arc<Journal>, layout: &Layout) -> Result<Index, IndexError> {
    let index = Index::open(&Disk, &layout.index)?;
    if let Some(segment) = journal.segments().first().copied() {
        let begin = Location { segment, offset: HEADER_OCTETS };
        // It ends behind a record that was committed, so nothing in its last group is torn.
        Replay::run(journal, &index, begin, (1, 0))?.apply_last_group(&index, &[])?;
    }
    Ok(index)
}

//! Content on its way in: in memory while it is small, in a spool file when not, then one commit.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::{io, mem};

use async_trait::async_trait;
use mailwire::clock;

use super::change::{Change, Further, Refused};
use super::circumstances::Circumstances;
use super::committer::Answer;
use super::content;
use super::files::{File, Mode, is_full};
use super::header_end::HeaderEnd;
use super::host::Core;
use super::queue::Resting;
use super::record::{BlockChecksums, FileContent, Message, RelayRecord};
use super::repertoire::HeaderFields;
use super::room::free_for_mail;
use super::settled::QueueWish;
use crate::{Delivery, Draft, Fate, Intake, IntakeError, MaildropId, MessageId, Receipt};

/// Content up to this size lies in the journal itself.
const INLINE_OCTETS_MAX: usize = 1 << 20;
/// What is gathered before it is written to a spool file.
const SPOOL_BUFFER_OCTETS: usize = 256 << 10;

#[async_trait]
impl Intake for Arc<Core> {
    async fn draft(&self, octets_expected: u64) -> Result<Box<dyn Draft>, IntakeError> {
        let free = self.free_octets()?;
        if free < octets_expected.max(1) {
            return Err(IntakeError::Full { free_octets: free });
        }
        Ok(Box::new(EmbeddedDraft::new(self)?))
    }
}

impl Core {
    fn free_octets(&self) -> Result<u64, IntakeError> {
        let space = self.free_space.look().map_err(|error| IntakeError::Unavailable(error.to_string()))?;
        Ok(free_for_mail(space, self.options.reserve_octets))
    }

    fn intake_error(&self, refused: Refused) -> IntakeError {
        match refused {
            Refused::Full => IntakeError::Full { free_octets: self.free_octets().unwrap_or(0) },
            Refused::Unavailable(why) => IntakeError::Unavailable(why),
            Refused::OverQuota { maildrop, why, groups } => {
                IntakeError::OverQuota { maildrop: MaildropId(maildrop), why, groups }
            }
            Refused::Administration(error) => IntakeError::Unavailable(error.to_string()),
            Refused::Concluded => IntakeError::Concluded,
            Refused::Missing => {
                IntakeError::Unavailable("a recipient's maildrop has just been removed".to_owned())
            }
        }
    }

    fn spool_error(&self, error: &io::Error) -> IntakeError {
        if is_full(error) {
            return self.intake_error(Refused::Full);
        }
        IntakeError::Unavailable(format!("writing to the spool failed: {error}"))
    }
}

struct EmbeddedDraft {
    core: Arc<Core>,
    unique_id: [u8; 16],
    header: HeaderEnd,
    fields: HeaderFields,
    octets: u64,
    last_two: [u8; 2],
    storage: Storage,
}

enum Storage {
    Memory { octets: Vec<u8>, reserved: Reserved },
    Spool(Spool),
}

/// A share of the memory that all drafts may use together.
struct Reserved {
    core: Arc<Core>,
    octets: u64,
}

impl Reserved {
    fn nothing(core: &Arc<Core>) -> Self {
        Self { core: Arc::clone(core), octets: 0 }
    }

    /// True where room for `octets` more was still to be had.
    fn grow(&mut self, octets: &[u8]) -> bool {
        let octets = octets.len() as u64;
        let before = self.core.draft_octets.fetch_add(octets, Ordering::Relaxed);
        if before.saturating_add(octets) > self.core.options.draft_memory_octets_max {
            self.core.draft_octets.fetch_sub(octets, Ordering::Relaxed);
            return false;
        }
        self.octets = self.octets.saturating_add(octets);
        true
    }

    /// Gives all of it back.
    fn release(&mut self) {
        self.core.draft_octets.fetch_sub(mem::take(&mut self.octets), Ordering::Relaxed);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.release();
    }
}

/// A file that becomes a content file, or goes.
struct Spool {
    core: Arc<Core>,
    file: Arc<dyn File>,
    path: PathBuf,
    written: u64,
    buffer: Vec<u8>,
    reserved: Reserved,
    checksums: BlockChecksums,
}

impl Drop for Spool {
    fn drop(&mut self) {
        // Adopted or gone already, or removed at the next start.
        let _ = self.core.files.remove(&self.path);
    }
}

impl Spool {
    /// Begins with what was gathered in memory so far.
    async fn begin(
        core: &Arc<Core>,
        unique_id: [u8; 16],
        gathered: Vec<u8>,
        reserved: Reserved,
    ) -> io::Result<Self> {
        let path = core.layout.spool.join(content::file_name(unique_id));
        let (files, spool) = (Arc::clone(&core.files), path.clone());
        let file = blocking(move || files.open(&spool, Mode::Create)).await?;
        let mut checksums = BlockChecksums::default();
        checksums.update(&gathered);
        Ok(Self { core: Arc::clone(core), file, path, written: 0, buffer: gathered, reserved, checksums })
    }

    async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.checksums.update(octets);
        let is_to_be_kept = self.buffer.len().saturating_add(octets.len()) < SPOOL_BUFFER_OCTETS;
        let is_kept = is_to_be_kept && self.reserved.grow(octets);
        self.buffer.reserve_exact(octets.len());
        self.buffer.extend_from_slice(octets);
        if is_kept { Ok(()) } else { self.flush().await }
    }

    /// Writes the buffer and gives its memory back: the next octets may be long in coming.
    async fn flush(&mut self) -> io::Result<()> {
        let (file, offset) = (Arc::clone(&self.file), self.written);
        let buffer = mem::take(&mut self.buffer);
        self.written = offset.saturating_add(buffer.len() as u64);
        blocking(move || file.write_at(&[&buffer], offset)).await?;
        self.reserved.release();
        Ok(())
    }

    /// Durably makes it a content file, so that the commit that follows can point to it.
    async fn adopt(&mut self, unique_id: [u8; 16]) -> io::Result<FileContent> {
        self.flush().await?;
        let core = Arc::clone(&self.core);
        let (file, from) = (Arc::clone(&self.file), self.path.clone());
        blocking(move || {
            file.sync()?;
            core.files.rename(&from, &core.layout.content.join(content::file_name(unique_id)))?;
            core.files.sync_folder(&core.layout.content)
        })
        .await?;
        let checksums = mem::take(&mut self.checksums).finish();
        Ok(FileContent { octets: self.written, checksums })
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[async_trait]
impl Draft for EmbeddedDraft {
    async fn write(&mut self, octets: &[u8]) -> Result<(), IntakeError> {
        self.header.update(octets);
        self.fields.update(octets);
        self.octets = self.octets.saturating_add(octets.len() as u64);
        match octets {
            [.., before, last] => self.last_two = [*before, *last],
            [only] => self.last_two = [self.last_two[1], *only],
            [] => return Ok(()),
        }
        if let Storage::Memory { octets: memory, reserved } = &mut self.storage {
            let fits = memory.len().saturating_add(octets.len()) <= INLINE_OCTETS_MAX;
            if fits && reserved.grow(octets) {
                // No more than what is reserved, where doubling would take up to twice as much.
                memory.reserve_exact(octets.len());
                memory.extend_from_slice(octets);
                return Ok(());
            }
            let gathered = mem::take(memory);
            let reserved = mem::replace(reserved, Reserved::nothing(&self.core));
            let spool = Spool::begin(&self.core, self.unique_id, gathered, reserved).await;
            self.storage = Storage::Spool(spool.map_err(|error| self.core.spool_error(&error))?);
        }
        if let Storage::Spool(spool) = &mut self.storage {
            spool.write(octets).await.map_err(|error| self.core.spool_error(&error))?;
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>, mut delivery: Delivery) -> Result<Receipt, IntakeError> {
        if self.octets > 0 && self.last_two != *b"\r\n" {
            self.write(b"\r\n").await?;
        }
        let prefix = [delivery.delivery_prefix.as_slice(), &delivery.prefix].concat();
        let octets = self.octets.saturating_add(prefix.len() as u64);
        let mut message = message(&mut delivery, self.unique_id);
        let circumstances = Circumstances::of(&mut delivery);
        let resting: Vec<_> = delivery.concludes.iter().map(Resting::of).collect();
        let concludes = mem::take(&mut delivery.concludes).into_iter().map(QueueWish::from).collect();
        message.header_octets = self.header_octets(&prefix).unwrap_or(octets);
        let known = self.fields.behind(&prefix);
        message.repertoire = known.repertoire;
        let message_id = known.message_id.filter(|_| !message.relay.is_empty());
        let mut checksums = BlockChecksums::default();
        checksums.update(&prefix);
        let core = Arc::clone(&self.core);
        let held = matches!(self.storage, Storage::Spool(_)).then(|| core.adopting.begin(self.unique_id));
        let mut parts = vec![prefix];
        match &mut self.storage {
            Storage::Memory { octets, .. } => {
                checksums.update(octets);
                parts.push(mem::take(octets));
            }
            Storage::Spool(spool) => {
                let adopted = spool.adopt(self.unique_id).await;
                message.file = Some(adopted.map_err(|error| core.spool_error(&error))?);
            }
        }
        message.checksums = checksums.finish();
        let has_file = message.file.is_some();
        let message = Box::new(message);
        let further = Box::new(Further { message_id, concludes });
        let change = match delivery.carried {
            None => Change::Message { message, circumstances, groups: groups(delivery.fate), further },
            Some(carried) => Change::Import(message, carried.unique_id, circumstances),
        };
        let committed = core.commit_content(change, parts, held.map(|held| Box::new(held) as _)).await;
        let receipt = |Answer { sequence, verdicts, .. }| {
            if !resting.is_empty() {
                core.end_settled(&resting);
            }
            Receipt { message: MessageId(sequence), octets, verdicts }
        };
        committed.map(receipt).map_err(|refused| {
            if has_file {
                // Nothing points to it; what cannot be removed only takes space.
                let _ = core.files.remove(&core.layout.content.join(content::file_name(self.unique_id)));
            }
            core.intake_error(refused)
        })
    }
}

impl EmbeddedDraft {
    fn new(core: &Arc<Core>) -> Result<Self, IntakeError> {
        let mut unique_id = [0; 16];
        getrandom::fill(&mut unique_id).map_err(|error| IntakeError::Unavailable(error.to_string()))?;
        Ok(Self {
            core: Arc::clone(core),
            unique_id,
            header: HeaderEnd::new(),
            fields: HeaderFields::new(),
            octets: 0,
            last_two: [b'\r', b'\n'],
            storage: Storage::Memory { octets: Vec::new(), reserved: Reserved::nothing(core) },
        })
    }

    /// Octets of the whole header section; `None` where no blank line ends it.
    fn header_octets(&self, prefix: &[u8]) -> Option<u64> {
        let mut header = HeaderEnd::new();
        header.update(prefix);
        let in_content = || Some(self.header.octets()?.saturating_add(prefix.len() as u64));
        header.octets().or_else(in_content)
    }
}

fn groups(fate: Fate) -> Vec<Vec<u64>> {
    match fate {
        Fate::Shared => Vec::new(),
        Fate::Apart(groups) => {
            groups.into_iter().map(|group| group.iter().map(|maildrop| maildrop.0).collect()).collect()
        }
    }
}

/// What the journal says of it; the row of its trace is taken out of the delivery.
fn message(delivery: &mut Delivery, unique_id: [u8; 16]) -> Message {
    let relay = delivery.relay.iter().map(|recipient| RelayRecord {
        mailbox: recipient.mailbox.text(),
        due: recipient.due,
        expires: recipient.expires,
    });
    Message {
        unique_id,
        accepted_at: delivery
            .carried
            .as_ref()
            .map_or_else(clock::unix_seconds, |carried| carried.received_at),
        reverse_path: delivery.reverse_path.text(),
        delivery_prefix_octets: u32::try_from(delivery.delivery_prefix.len()).unwrap_or(u32::MAX),
        maildrops: delivery.maildrops.iter().map(|maildrop| maildrop.0).collect(),
        relay: relay.collect(),
        trace: mem::take(&mut delivery.trace),
        ..Message::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mailwire::address::{Mailbox, ReversePath};
    use mailwire::secret::Secret;

    use super::super::host;
    use super::*;
    use crate::contract::options;
    use crate::{Administration, Maildrops, Options, Terms, TraceRow};

    const MEMORY_OCTETS_MAX: u64 = 300 << 10;

    impl Storage {
        fn memory_octets(&self) -> usize {
            match self {
                Self::Memory { octets, .. } => octets.capacity(),
                Self::Spool(spool) => spool.buffer.capacity(),
            }
        }
    }

    fn delivery(maildrop: MaildropId) -> Delivery {
        Delivery {
            delivery_prefix: Vec::new(),
            prefix: Vec::new(),
            reverse_path: ReversePath::Null,
            maildrops: vec![maildrop],
            fate: Fate::Shared,
            relay: Vec::new(),
            terms: Terms::default(),
            local: Vec::new(),
            steps: Vec::new(),
            trace: TraceRow::default(),
            carried: None,
            concludes: Vec::new(),
        }
    }

    #[tokio::test]
    async fn drafts_hold_no_more_memory_together_than_they_may_and_lose_nothing() {
        let root = tempfile::tempdir().unwrap();
        let options = Options { draft_memory_octets_max: MEMORY_OCTETS_MAX, ..options(root.path()) };
        let host = host::open(options).unwrap();
        let core = &host.core;
        let address = Mailbox::parse("alice@example.test").unwrap();
        let account = core.add_account(&address, &Secret::new("x".to_owned())).await.unwrap();

        let mut drafts: Vec<_> = (0..5).map(|_| EmbeddedDraft::new(core).unwrap()).collect();
        let piece = |number: u8| [vec![b'a' + number % 26; 30_000], b"\r\n".to_vec()].concat();
        for number in 0..60 {
            for draft in &mut drafts {
                draft.write(&piece(number)).await.unwrap();
            }
            let held: usize = drafts.iter().map(|draft| draft.storage.memory_octets()).sum();
            assert!(held as u64 <= MEMORY_OCTETS_MAX, "{held} octets after {number} pieces");
        }
        for draft in drafts {
            Box::new(draft).commit(delivery(account.maildrop)).await.unwrap();
        }
        assert_eq!(core.draft_octets.load(Ordering::Relaxed), 0);

        let expected: Vec<u8> = (0..60).flat_map(piece).collect();
        let mut lease = core.lease(account.maildrop, Duration::ZERO).await.unwrap();
        assert_eq!(lease.entries().len(), 5);
        for index in 0..5 {
            let mut found = Vec::new();
            while found.len() < expected.len() {
                let octets = lease.read(index, found.len() as u64, expected.len()).await.unwrap();
                assert!(!octets.is_empty(), "message {index} ends at {}", found.len());
                found.extend(octets);
            }
            assert!(found == expected, "message {index}");
        }
        drop(lease);
        host.close().await;
    }
}

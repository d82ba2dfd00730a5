//! What [`crate::Sightings`] keeps, in the files `sightings` and `sightings.old`: a full one takes the old one's place.
//!
//! What is seen waits in memory for a moment and is written together.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mailwire::clock;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tracing::warn;

use super::files::{File, Files, Mode};
use super::framed::{self, offset, record};
use super::host::Core;
use super::upkeep::SECONDS_PER_DAY;
use crate::sightings::shortened;
use crate::{Deed, MaildropId, MessageId, Refusal, RefusalFilter, Sightings, Unavailable, Visit, Visited};

const NAME: &str = "sightings";
const OLD_NAME: &str = "sightings.old";
/// Octets of a file before the next one begins.
const FILE_OCTETS_MAX: usize = 16 << 20;
/// Octets that wait to be written; what comes on top of them is not noted.
const WAITING_OCTETS_MAX: usize = 1 << 20;
/// For how long they wait.
const WAITING: Duration = Duration::from_secs(1);
/// Messages that one record is about.
const RECORD_MESSAGES: usize = 10_000;
/// Visits to a message that are told.
const VISITS_MAX: usize = 1000;

/// A record. What is there is never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Sighting {
    Visit {
        /// Seconds since 1970.
        at: u64,
        maildrop: u64,
        by: String,
        retrieved: Vec<u64>,
        expunged: Vec<u64>,
    },
    Refusal(Refusal),
}

impl Sighting {
    const fn at(&self) -> u64 {
        match self {
            Self::Visit { at, .. } | Self::Refusal(Refusal { at, .. }) => *at,
        }
    }
}

/// Takes notice, and tells.
#[derive(Clone)]
pub(crate) struct Witness(Arc<Shared>);

struct Shared {
    files: Arc<dyn Files>,
    root: PathBuf,
    kept_seconds: u64,
    /// Records that are not written yet.
    waiting: Mutex<Vec<u8>>,
    /// The newer file, opened when first needed, again where writing has failed.
    newer: Mutex<Option<Newer>>,
}

struct Newer {
    file: Arc<dyn File>,
    /// Where the next record goes.
    end: usize,
}

impl Witness {
    /// For a store in `root` that tells what is not older than so many days.
    pub(crate) fn new(files: &Arc<dyn Files>, root: &Path, days: u64) -> Self {
        Self(Arc::new(Shared {
            files: Arc::clone(files),
            root: root.to_owned(),
            kept_seconds: days.saturating_mul(SECONDS_PER_DAY),
            waiting: Mutex::default(),
            newer: Mutex::default(),
        }))
    }

    /// What a session did with messages of a maildrop; `places` says which message is where.
    pub(crate) fn visited(&self, maildrop: u64, visit: Visit, places: impl Fn(usize) -> Option<u64>) {
        let Visit { by, retrieved, expunged } = visit;
        let (at, by) = (clock::unix_seconds(), shortened(by));
        let messages = |indices: &mut dyn Iterator<Item = usize>| {
            indices.filter_map(&places).take(RECORD_MESSAGES).collect::<Vec<_>>()
        };
        let (mut retrieved, mut expunged) = (retrieved.indices(), expunged.indices());
        let parts = std::iter::from_fn(|| {
            let (retrieved, expunged) = (messages(&mut retrieved), messages(&mut expunged));
            let by = by.clone();
            (!retrieved.is_empty() || !expunged.is_empty()).then_some(Sighting::Visit {
                at,
                maildrop,
                by,
                retrieved,
                expunged,
            })
        });
        self.take(parts);
    }

    /// Lets them wait to be written.
    fn take(&self, sightings: impl IntoIterator<Item = Sighting>) {
        let mut waiting = self.0.waiting();
        let was_empty = waiting.is_empty();
        for record in sightings.into_iter().filter_map(|sighting| record(&sighting).ok()) {
            if waiting.len().saturating_add(record.len()) <= WAITING_OCTETS_MAX {
                waiting.extend_from_slice(&record);
            }
        }
        if was_empty && !waiting.is_empty() {
            let shared = Arc::clone(&self.0);
            tokio::spawn(async move {
                tokio::time::sleep(WAITING).await;
                spawn_blocking(move || shared.write_or_warn()).await
            });
        }
    }

    /// Writes what waits.
    pub(crate) async fn settle(&self) {
        let shared = Arc::clone(&self.0);
        // Only a runtime that ends does not do it.
        let _ = spawn_blocking(move || shared.write_or_warn()).await;
    }

    /// The newest `count_max` of what `pick` makes of all that is kept and told, the oldest first.
    async fn gathered<T: Send + 'static>(
        &self,
        count_max: usize,
        pick: impl Fn(Sighting) -> Vec<T> + Send + 'static,
    ) -> Result<VecDeque<T>, Unavailable> {
        let shared = Arc::clone(&self.0);
        let looked = spawn_blocking(move || {
            let mut found = VecDeque::new();
            shared.each(|sighting| {
                found.extend(pick(sighting));
                while found.len() > count_max {
                    found.pop_front();
                }
            })?;
            Ok(found)
        });
        let failed =
            |error: io::Error| Unavailable(format!("what the store has seen cannot be read: {error}"));
        looked.await.map_err(|error| failed(io::Error::other(error)))?.map_err(failed)
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Vec<u8>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What cannot be written is lost: it must never be in the way of mail.
    fn write_or_warn(&self) {
        let mut newer = self.newer.lock().unwrap_or_else(PoisonError::into_inner);
        let octets = std::mem::take(&mut *self.waiting());
        if let Err(error) = self.write(&mut newer, &octets) {
            *newer = None;
            warn!(%error, "what was seen of messages cannot be noted; `mailstack explain` will not tell it");
        }
    }

    fn write(&self, newer: &mut Option<Newer>, octets: &[u8]) -> io::Result<()> {
        if octets.is_empty() {
            return Ok(());
        }
        let mut open = match newer.take() {
            Some(open) => open,
            None => self.open()?,
        };
        if open.end > 0 && open.end.saturating_add(octets.len()) > FILE_OCTETS_MAX {
            self.files.rename(&self.root.join(NAME), &self.root.join(OLD_NAME))?;
            open = self.open()?;
        }
        open.file.write_at(&[octets], offset(open.end)?)?;
        open.end = open.end.saturating_add(octets.len());
        *newer = Some(open);
        Ok(())
    }

    /// The newer file, without what a crash has torn.
    fn open(&self) -> io::Result<Newer> {
        let path = self.root.join(NAME);
        let file = match self.files.open(&path, Mode::Write) {
            Err(error) if error.kind() == ErrorKind::NotFound => self.files.open(&path, Mode::Create)?,
            opened => opened?,
        };
        let octets = framed::read(&*file)?;
        let end = framed::each(&octets, |_: Sighting| {});
        if end < octets.len() {
            file.truncate(offset(end)?)?;
        }
        Ok(Newer { file, end })
    }

    fn each(&self, mut take: impl FnMut(Sighting)) -> io::Result<()> {
        self.write_or_warn();
        // Nothing is written or renamed meanwhile.
        let _newer = self.newer.lock().unwrap_or_else(PoisonError::into_inner);
        let since = clock::unix_seconds().saturating_sub(self.kept_seconds);
        for name in [OLD_NAME, NAME] {
            let octets = match self.files.open(&self.root.join(name), Mode::Read) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                opened => framed::read(&*opened?)?,
            };
            framed::each(&octets, |sighting: Sighting| {
                if sighting.at() >= since {
                    take(sighting);
                }
            });
        }
        Ok(())
    }
}

#[async_trait]
impl Sightings for Core {
    async fn refused(&self, refusals: Vec<Refusal>) -> Result<(), Unavailable> {
        self.witness.take(refusals.into_iter().map(Sighting::Refusal));
        Ok(())
    }

    async fn refusals(
        &self,
        filter: &RefusalFilter,
        refusals_max: usize,
    ) -> Result<Vec<Refusal>, Unavailable> {
        let filter = filter.clone();
        let pick = move |sighting| match sighting {
            Sighting::Refusal(refusal) if filter.takes(&refusal) => vec![refusal],
            Sighting::Refusal(_) | Sighting::Visit { .. } => Vec::new(),
        };
        let found = self.witness.gathered(refusals_max, pick).await?;
        Ok(found.into_iter().rev().collect())
    }

    async fn visited(&self, message: MessageId) -> Result<Vec<Visited>, Unavailable> {
        let pick = move |sighting| match sighting {
            Sighting::Visit { at, maildrop, by, retrieved, expunged } => {
                let deeds = [(retrieved, Deed::Retrieved), (expunged, Deed::Expunged)];
                let done = deeds.into_iter().filter(|(messages, _)| messages.contains(&message.0));
                let maildrop = MaildropId(maildrop);
                done.map(|(_, deed)| Visited { at, maildrop, by: by.clone(), deed }).collect()
            }
            Sighting::Refusal(_) => Vec::new(),
        };
        Ok(self.witness.gathered(VISITS_MAX, pick).await?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::Disk;
    use super::*;

    fn witness(root: &Path) -> Witness {
        let files: Arc<dyn Files> = Arc::new(Disk);
        Witness::new(&files, root, 1)
    }

    fn refusal(at: u64, said: &str) -> Sighting {
        let peer = ("s", "192.0.2.1");
        Sighting::Refusal(Refusal::new((at, peer.0, peer.1), &mailwire::address::ReversePath::Null, [], said))
    }

    fn told(root: &Path) -> Vec<String> {
        let mut told = Vec::new();
        let each = |sighting| match sighting {
            Sighting::Refusal(refusal) => told.push(refusal.said),
            Sighting::Visit { .. } => {}
        };
        witness(root).0.each(each).unwrap();
        told
    }

    /// Writes at once.
    fn seen(witness: &Witness, sightings: &[Sighting]) {
        let records: Vec<u8> = sightings.iter().flat_map(|sighting| record(sighting).unwrap()).collect();
        witness.0.waiting().extend(records);
        witness.0.write_or_warn();
    }

    #[test]
    fn what_is_torn_is_given_up_and_what_stands_before_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let now = clock::unix_seconds();
        seen(&witness(folder.path()), &[refusal(now, "one"), refusal(now, "two")]);
        let path = folder.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let before = told(folder.path());
            assert_eq!(before, if length < whole.len() / 2 { vec![] } else { vec!["one"] }, "{length}");
            seen(&witness(folder.path()), &[refusal(now, "next")]);
            assert_eq!(told(folder.path()).last().unwrap(), "next");
        }
    }

    #[test]
    fn the_newest_is_kept_within_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let witness = witness(folder.path());
        let now = clock::unix_seconds();
        let many: Vec<_> = (0..2000).map(|_| refusal(now, &"x".repeat(500))).collect();
        for _ in 0..40 {
            seen(&witness, &many);
        }
        seen(&witness, &[refusal(now, "last")]);
        let octets = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len();
        let bound = FILE_OCTETS_MAX as u64;
        assert!(octets(NAME) <= bound && octets(OLD_NAME) <= bound);
        let told = told(folder.path());
        assert!(told.len() > 20_000);
        assert_eq!(told.last().unwrap(), "last");
    }

    #[test]
    fn what_is_too_old_is_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let now = clock::unix_seconds();
        seen(&witness(folder.path()), &[refusal(now - 2 * SECONDS_PER_DAY, "old"), refusal(now, "new")]);
        assert_eq!(told(folder.path()), ["new"]);
    }

    #[tokio::test]
    async fn what_waits_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let witness = witness(folder.path());
        for _ in 0..10_000 {
            witness.take([refusal(0, &"x".repeat(500))]);
        }
        assert!(witness.0.waiting().len() <= WAITING_OCTETS_MAX);
        witness.settle().await;
        assert!(witness.0.waiting().is_empty());
    }

    #[tokio::test]
    async fn a_visit_to_very_many_messages_is_told_of_each() {
        let folder = tempfile::tempdir().unwrap();
        let witness = witness(folder.path());
        let mut visit = Visit { by: "somebody".to_owned(), ..Visit::default() };
        for index in 0..25_000 {
            visit.retrieved.mark(index);
        }
        visit.expunged.mark(24_999);
        witness.visited(7, visit, |index| u64::try_from(index).ok().map(|index| index + 100));
        let pick = |sighting| match sighting {
            Sighting::Visit { retrieved, expunged, .. } => vec![(retrieved.len(), expunged)],
            Sighting::Refusal(_) => Vec::new(),
        };
        let records = witness.gathered(10, pick).await.unwrap();
        let expected = [(10_000, vec![25_099]), (10_000, vec![]), (5_000, vec![])];
        assert_eq!(records, expected);
    }
}

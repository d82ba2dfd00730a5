//! The file `recollections`: what [`crate::Recollections`] keeps, all of it written anew once in a while, and at the end.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use mailwire::cause::chain;
use mailwire::clock;
use tokio::task::spawn_blocking;
use tracing::warn;

use super::files::{Files, Mode};
use super::framed::{each, offset, read, record};
use super::host::Core;
use crate::recollections::{RECOLLECTION_OCTETS_MAX, RECOLLECTION_TOPICS_MAX, RECOLLECTIONS_OCTETS_MAX};
use crate::{Note, Recollections, Unavailable};

const NAME: &str = "recollections";
const NEW_NAME: &str = "recollections.new";
/// Octets of memory that a recollection takes besides its text and twice its name, about.
const OVERHEAD_OCTETS: usize = 160;
/// Recollections on a page.
const PAGE: usize = 1000;

/// The recollections of a store.
#[derive(Clone)]
pub(crate) struct Memory {
    files: Arc<dyn Files>,
    root: PathBuf,
    /// Read at the first question.
    topics: Arc<Mutex<Option<Topics>>>,
}

#[derive(Default)]
struct Topics {
    topics: BTreeMap<String, Topic>,
    /// Since it was written.
    is_changed: bool,
}

#[derive(Default)]
struct Topic {
    by_name: BTreeMap<String, Kept>,
    by_age: BTreeMap<u64, String>,
    next_age: u64,
    octets: usize,
}

struct Kept {
    text: String,
    until: u64,
    age: u64,
}

impl Memory {
    pub(crate) fn new(files: &Arc<dyn Files>, root: &Path) -> Self {
        Self { files: Arc::clone(files), root: root.to_owned(), topics: Arc::default() }
    }

    /// Does something with all that is remembered, on a thread that may wait.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Topics) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let this = self.clone();
        let done = spawn_blocking(move || {
            let mut topics = this.topics.lock().unwrap_or_else(PoisonError::into_inner);
            work(topics.get_or_insert_with(|| this.found()))
        });
        done.await.map_err(|error| Unavailable(format!("the store's recollections cannot be used: {error}")))
    }

    /// What an earlier process has left. What cannot be read is forgotten.
    fn found(&self) -> Topics {
        let octets = match self.files.open(&self.root.join(NAME), Mode::Read).and_then(|file| read(&*file)) {
            Ok(octets) => octets,
            Err(error) if error.kind() == ErrorKind::NotFound => return Topics::default(),
            Err(error) => {
                warn!(reason = chain(&error), "the store's recollections cannot be read, and are given up");
                return Topics::default();
            }
        };
        let mut topics = Topics::default();
        each(&octets, |note| topics.put(note));
        topics.is_changed = false;
        topics
    }

    /// Writes what has changed, on a thread that may wait.
    pub(crate) fn write(&self) {
        let records = {
            let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(topics) = topics.as_mut().filter(|topics| topics.is_changed) else { return };
            topics.is_changed = false;
            topics.records(clock::unix_seconds())
        };
        if let Err(error) = records.and_then(|records| self.write_anew(&records)) {
            warn!(reason = chain(&error), "the store's recollections cannot be written now");
            let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(topics) = topics.as_mut() {
                topics.is_changed = true;
            }
        }
    }

    fn write_anew(&self, records: &[u8]) -> io::Result<()> {
        let (path, new) = (self.root.join(NAME), self.root.join(NEW_NAME));
        match self.files.remove(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = self.files.open(&new, Mode::Create)?;
        file.write_at(&[records], offset(0)?)?;
        file.sync()?;
        self.files.rename(&new, &path)?;
        self.files.sync_folder(&self.root)
    }
}

impl Topics {
    fn put(&mut self, note: Note) {
        let Note { topic, name, text, until } = note;
        let is_known = self.topics.contains_key(&topic);
        let is_too_long = topic.len() + name.len() + text.len() > RECOLLECTION_OCTETS_MAX;
        if is_too_long || (!is_known && self.topics.len() >= RECOLLECTION_TOPICS_MAX) {
            return;
        }
        self.is_changed = true;
        self.topics.entry(topic).or_default().put(name, text, until);
    }

    /// As they stand in the file: the oldest ones first, and nothing that is of no use any more.
    fn records(&self, now: u64) -> io::Result<Vec<u8>> {
        let mut records = Vec::new();
        for (topic, kept) in &self.topics {
            for name in kept.by_age.values() {
                if let Some(note) = kept.note(topic, name, now) {
                    records.extend(record(&note)?);
                }
            }
        }
        Ok(records)
    }

    fn page(&self, topic: &str, after: &str, now: u64) -> Vec<Note> {
        let Some(kept) = self.topics.get(topic) else { return Vec::new() };
        let behind = kept.by_name.range(after.to_owned()..).map(|(name, _)| name);
        let behind = behind.filter(|name| after.is_empty() || name.as_str() != after);
        behind.filter_map(|name| kept.note(topic, name, now)).take(PAGE).collect()
    }
}

impl Topic {
    fn put(&mut self, name: String, text: String, until: u64) {
        self.forget(&name);
        self.octets = self.octets.saturating_add(octets(&name, &text));
        let age = self.next_age;
        self.next_age = self.next_age.saturating_add(1);
        self.by_age.insert(age, name.clone());
        self.by_name.insert(name, Kept { text, until, age });
        while self.octets > RECOLLECTIONS_OCTETS_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, name: &str) {
        if let Some(Kept { text, age, .. }) = self.by_name.remove(name) {
            self.by_age.remove(&age);
            self.octets = self.octets.saturating_sub(octets(name, &text));
        }
    }

    fn note(&self, topic: &str, name: &str, now: u64) -> Option<Note> {
        let Kept { text, until, .. } = self.by_name.get(name).filter(|kept| kept.until > now)?;
        Some(Note { topic: topic.to_owned(), name: name.to_owned(), text: text.clone(), until: *until })
    }
}

/// What a recollection takes of [`RECOLLECTIONS_OCTETS_MAX`].
fn octets(name: &str, text: &str) -> usize {
    OVERHEAD_OCTETS.saturating_add(name.len().saturating_mul(2)).saturating_add(text.len())
}

#[async_trait]
impl Recollections for Core {
    async fn recall(&self, topic: &str, names: &[String], now: u64) -> Result<Vec<Note>, Unavailable> {
        let (topic, names) = (topic.to_owned(), names.to_vec());
        let known = move |topics: &mut Topics| {
            let kept = topics.topics.get(&topic)?;
            Some(names.iter().filter_map(|name| kept.note(&topic, name, now)).collect())
        };
        self.memory.with(move |topics| known(topics).unwrap_or_default()).await
    }

    async fn remember(&self, recollections: Vec<Note>) -> Result<(), Unavailable> {
        self.memory.with(move |topics| recollections.into_iter().for_each(|note| topics.put(note))).await
    }

    async fn recollections(&self, topic: &str, after: &str, now: u64) -> Result<Vec<Note>, Unavailable> {
        let (topic, after) = (topic.to_owned(), after.to_owned());
        self.memory.with(move |topics| topics.page(&topic, &after, now)).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::Disk;
    use super::*;

    fn memory(root: &Path) -> Memory {
        let files: Arc<dyn Files> = Arc::new(Disk);
        Memory::new(&files, root)
    }

    fn note(topic: &str, name: &str, text: &str) -> Note {
        Note { topic: topic.to_owned(), name: name.to_owned(), text: text.to_owned(), until: u64::MAX }
    }

    fn names(topics: &Topics, topic: &str) -> Vec<String> {
        topics.page(topic, "", 0).into_iter().map(|note| note.name).collect()
    }

    #[test]
    fn what_was_remembered_longest_ago_goes_first_and_other_topics_stay() {
        let mut topics = Topics::default();
        topics.put(note("other", "a", ""));
        let text = "x".repeat(RECOLLECTION_OCTETS_MAX - 20);
        let each = octets("000000", &text);
        let fit = RECOLLECTIONS_OCTETS_MAX / each;
        for number in 0..fit {
            topics.put(note("t", &format!("{number:06}"), &text));
        }
        assert_eq!(topics.topics["t"].by_name.len(), fit);
        topics.put(note("t", "000000", &text));
        topics.put(note("t", "000000", &text));
        topics.put(note("t", "999999", &text));
        let kept = &topics.topics["t"];
        assert_eq!((kept.by_name.len(), kept.by_age.len()), (fit, fit));
        assert_eq!(kept.octets, fit * each);
        assert!(kept.by_name.contains_key("000000") && !kept.by_name.contains_key("000001"));
        assert_eq!(names(&topics, "other"), ["a"]);
    }

    #[test]
    fn what_is_too_long_or_of_one_topic_too_many_is_not_taken() {
        let mut topics = Topics::default();
        topics.put(note("0", "n", &"x".repeat(RECOLLECTION_OCTETS_MAX - 2)));
        topics.put(note("0", "m", &"x".repeat(RECOLLECTION_OCTETS_MAX - 1)));
        assert_eq!(names(&topics, "0"), ["n"]);
        for number in 1..=RECOLLECTION_TOPICS_MAX {
            topics.put(note(&number.to_string(), "n", ""));
        }
        assert_eq!(topics.topics.len(), RECOLLECTION_TOPICS_MAX);
    }

    #[test]
    fn a_new_process_finds_what_was_written_up_to_where_it_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let before = memory(folder.path());
        let mut topics = Topics::default();
        for name in ["b", "a", "c"] {
            topics.put(note("t", name, "text"));
        }
        topics.put(Note { until: 1, ..note("t", "over", "text") });
        *before.topics.lock().unwrap() = Some(topics);
        before.write();
        let path = folder.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        let found = memory(folder.path()).found();
        assert_eq!(names(&found, "t"), ["a", "b", "c"]);
        assert!(!found.is_changed);
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(names(&memory(folder.path()).found(), "t"), ["a", "b"]);
        std::fs::remove_file(&path).unwrap();
        // Nothing has changed since, so nothing is written.
        before.write();
        assert!(!path.exists());
    }
}

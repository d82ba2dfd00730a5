//! The file `notes`: what [`crate::Notes`] keeps, one record behind the other, written anew once most of it is of no use.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use mailwire::clock;
use tokio::task::spawn_blocking;
use tracing::warn;

use super::files::{File, Files, Mode};
use super::framed::{self, offset, record};
use super::host::Core;
use crate::notes::{NOTE_OCTETS_MAX, NOTES_OCTETS_MAX};
use crate::{Note, Notes, Unavailable};

const NAME: &str = "notes";
const NEW_NAME: &str = "notes.new";
/// Octets of a record beside its note's own, at most.
const RECORD_OCTETS: usize = 64;
/// Octets of the file that need not be of any use.
const WASTE_OCTETS: usize = 1 << 20;
/// Octets of notes on a page.
const PAGE_OCTETS: usize = 512 << 10;

/// The notes of a store.
#[derive(Clone)]
pub(crate) struct Notebook {
    files: Arc<dyn Files>,
    root: PathBuf,
    /// Read at the first question; again where writing has failed.
    book: Arc<Mutex<Option<Book>>>,
}

struct Book {
    notes: BTreeMap<(String, String), Note>,
    /// Of all notes.
    octets: usize,
    file: Arc<dyn File>,
    /// Where the next record goes.
    end: usize,
}

impl Notebook {
    pub(crate) fn new(files: &Arc<dyn Files>, root: &Path) -> Self {
        Self { files: Arc::clone(files), root: root.to_owned(), book: Arc::default() }
    }

    /// Does something with the book, on a thread that may wait.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self, &mut Book) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let this = self.clone();
        let done = spawn_blocking(move || {
            let mut book = this.book.lock().unwrap_or_else(PoisonError::into_inner);
            // What has failed half-way is not gone on with: the file says what is there.
            let mut open = match book.take() {
                Some(open) => open,
                None => Book::open(&*this.files, &this.root)?,
            };
            let done = work(&this, &mut open)?;
            *book = Some(open);
            Ok(done)
        });
        let failed = |error: io::Error| Unavailable(format!("the store's notes cannot be used: {error}"));
        done.await.map_err(|error| failed(io::Error::other(error)))?.map_err(failed)
    }

    fn keep(&self, book: &mut Book, note: Note, now: u64) -> io::Result<()> {
        let record = record(&note)?;
        book.make_room(note.octets(), now);
        book.put(note);
        let waste_max =
            book.octets.saturating_add(book.notes.len() * RECORD_OCTETS).saturating_add(WASTE_OCTETS);
        if book.end > waste_max {
            return book.write_anew(&*self.files, &self.root);
        }
        book.file.write_at(&[&record], offset(book.end)?)?;
        book.file.sync()?;
        book.end = book.end.saturating_add(record.len());
        Ok(())
    }
}

impl Book {
    fn open(files: &dyn Files, root: &Path) -> io::Result<Self> {
        let path = root.join(NAME);
        let file = match files.open(&path, Mode::Write) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let file = files.open(&path, Mode::Create)?;
                file.sync()?;
                files.sync_folder(root)?;
                file
            }
            opened => opened?,
        };
        let octets = framed::read(&*file)?;
        let mut book = Self { notes: BTreeMap::new(), octets: 0, file, end: 0 };
        book.end = framed::each(&octets, |note| book.put(note));
        let torn = octets.len() - book.end;
        if torn > 0 {
            warn!(octets = torn, "the end of the store's notes is torn or damaged, and is given up");
            book.file.truncate(offset(book.end)?)?;
        }
        Ok(book)
    }

    fn put(&mut self, note: Note) {
        self.octets = self.octets.saturating_add(note.octets());
        if let Some(old) = self.notes.insert((note.topic.clone(), note.name.clone()), note) {
            self.octets = self.octets.saturating_sub(old.octets());
        }
    }

    /// For so many octets more.
    fn make_room(&mut self, octets: usize, now: u64) {
        let fits = |book: &Self| book.octets.saturating_add(octets) <= NOTES_OCTETS_MAX;
        if fits(self) {
            return;
        }
        self.notes.retain(|_, note| note.until > now);
        self.octets = self.notes.values().map(Note::octets).sum();
        while !fits(self) {
            let soonest = self.notes.iter().min_by_key(|(_, note)| note.until).map(|(key, _)| key.clone());
            let Some(note) = soonest.and_then(|key| self.notes.remove(&key)) else { return };
            self.octets = self.octets.saturating_sub(note.octets());
        }
    }

    /// Everything into a new file, which takes the old one's place.
    fn write_anew(&mut self, files: &dyn Files, root: &Path) -> io::Result<()> {
        let (path, new) = (root.join(NAME), root.join(NEW_NAME));
        match files.remove(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = files.open(&new, Mode::Create)?;
        let mut end = 0_usize;
        for note in self.notes.values() {
            let record = record(note)?;
            file.write_at(&[&record], offset(end)?)?;
            end = end.saturating_add(record.len());
        }
        file.sync()?;
        files.rename(&new, &path)?;
        files.sync_folder(root)?;
        (self.file, self.end) = (file, end);
        Ok(())
    }

    fn page(&self, topic: &str, after: &str, now: u64) -> Vec<Note> {
        let from = (topic.to_owned(), after.to_owned());
        let mut octets = 0_usize;
        let behind = self
            .notes
            .range(from..)
            .map(|(_, note)| note)
            .filter(|note| after.is_empty() || note.name != after);
        let about = behind.take_while(|note| note.topic == topic).filter(|note| note.until > now);
        let fits = |note: &&Note| {
            octets = octets.saturating_add(note.octets());
            octets <= PAGE_OCTETS
        };
        about.take_while(fits).cloned().collect()
    }
}

#[async_trait]
impl Notes for Core {
    async fn note(&self, note: Note) -> Result<(), Unavailable> {
        if note.octets() > NOTE_OCTETS_MAX {
            return Ok(());
        }
        let now = clock::unix_seconds();
        self.notebook.with(move |notebook, book| notebook.keep(book, note, now)).await
    }

    async fn notes(&self, topic: &str, after: &str, now: u64) -> Result<Vec<Note>, Unavailable> {
        let (topic, after) = (topic.to_owned(), after.to_owned());
        self.notebook.with(move |_, book| Ok(book.page(&topic, &after, now))).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::Disk;
    use super::*;

    fn note(name: &str, text: &str, until: u64) -> Note {
        Note { topic: "t".to_owned(), name: name.to_owned(), text: text.to_owned(), until }
    }

    fn notebook(root: &Path) -> Notebook {
        let files: Arc<dyn Files> = Arc::new(Disk);
        Notebook::new(&files, root)
    }

    fn keep(notebook: &Notebook, note: Note) {
        let mut book = notebook.book.lock().unwrap();
        let open = book.take().map_or_else(|| Book::open(&Disk, &notebook.root), Ok);
        let mut open = open.unwrap();
        notebook.keep(&mut open, note, 0).unwrap();
        *book = Some(open);
    }

    /// What a new process finds, by its texts.
    fn found(root: &Path) -> Vec<String> {
        let book = Book::open(&Disk, root).unwrap();
        book.page("t", "", 0).into_iter().map(|note| note.text).collect()
    }

    #[test]
    fn whatever_is_torn_or_damaged_what_stands_before_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        for (name, text) in [("a", "one"), ("b", "two"), ("a", "three")] {
            keep(&notebook(folder.path()), note(name, text, 9));
        }
        let whole = std::fs::read(&path).unwrap();
        let record = record(&note("a", "one", 9)).unwrap().len();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let expected: &[&str] = match length {
                _ if length < record => &[],
                _ if length < 2 * record => &["one"],
                _ => &["one", "two"],
            };
            assert_eq!(found(folder.path()), expected, "{length}");
            // What comes next is not lost behind what was given up.
            keep(&notebook(folder.path()), note("c", "more", 9));
            assert_eq!(found(folder.path()).last().unwrap(), "more");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            assert!(found(folder.path()).len() <= 2, "{at}");
        }
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(found(folder.path()), ["three", "two"]);
    }

    #[test]
    fn the_file_is_written_anew_once_most_of_it_is_of_no_use() {
        let folder = tempfile::tempdir().unwrap();
        let notebook = notebook(folder.path());
        let text = "x".repeat(50_000);
        keep(&notebook, note("other", "stays", 9));
        for _ in 0..100 {
            keep(&notebook, note("same", &text, 9));
        }
        let octets = std::fs::metadata(folder.path().join(NAME)).unwrap().len();
        assert!(octets < 2 << 20, "{octets}");
        assert_eq!(found(folder.path()), ["stays", text.as_str()]);
    }

    #[test]
    fn there_are_so_many_octets_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let notebook = notebook(folder.path());
        let text = "x".repeat(NOTE_OCTETS_MAX - 10);
        let many = u64::try_from(NOTES_OCTETS_MAX / NOTE_OCTETS_MAX).unwrap() + 10;
        let mut book = Book::open(&Disk, folder.path()).unwrap();
        for number in 0..many {
            let note = note(&format!("{number:04}"), &text, 1000 + number);
            book.make_room(note.octets(), 0);
            book.put(note);
        }
        drop(notebook);
        assert!(book.octets <= NOTES_OCTETS_MAX);
        assert!(!book.notes.contains_key(&("t".to_owned(), "0000".to_owned())), "the soonest end goes");
        assert!(book.notes.contains_key(&("t".to_owned(), format!("{:04}", many - 1))));
        book.make_room(NOTES_OCTETS_MAX, 2000 + many);
        assert!(book.notes.is_empty());
    }

    #[test]
    fn pages_lead_through_all_notes_of_a_topic() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Book::open(&Disk, folder.path()).unwrap();
        for number in 0..50 {
            book.put(note(&format!("{number:02}"), &"x".repeat(30_000), 9));
            book.put(Note { topic: "u".to_owned(), ..note(&format!("{number:02}"), "", 9) });
        }
        let (mut after, mut names) = (String::new(), Vec::new());
        loop {
            let page = book.page("t", &after, 0);
            let Some(last) = page.last() else { break };
            assert!(page.len() < 20);
            after.clone_from(&last.name);
            names.extend(page.into_iter().map(|note| note.name));
        }
        assert_eq!(names.len(), 50);
        assert!(names.is_sorted());
        assert!(book.page("t", "", 9).is_empty(), "they are of use no more");
    }
}

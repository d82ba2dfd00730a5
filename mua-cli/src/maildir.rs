//! A Maildir: a message is written in `tmp`, and moved to `new` when it lies on disk.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use mailwire::clock;

use crate::random;

/// A folder with `tmp`, `new` and `cur` in it.
#[derive(Debug)]
pub(crate) struct Maildir {
    root: PathBuf,
}

/// A message being written; it is removed where it is not committed.
#[derive(Debug)]
pub(crate) struct Delivery {
    name: String,
    written: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Maildir {
    /// Makes what is missing; refuses a folder that holds something else.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let is_maildir = root.join("cur").is_dir();
        let is_used = root.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        if is_used && !is_maildir {
            return Err(io::Error::other("the folder is not empty and not a Maildir"));
        }
        // `cur` last: where it is, the others are.
        for part in ["tmp", "new", "cur"] {
            DirBuilder::new().recursive(true).mode(0o700).create(root.join(part))?;
        }
        Ok(Self { root: root.to_owned() })
    }

    /// Begins a message under a name that no other delivery has.
    pub(crate) fn begin(&self) -> io::Result<Delivery> {
        let name = format!("{}.R{}.mua", clock::unix_seconds(), random::name()?);
        let written = self.root.join("tmp").join(&name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&written)?;
        Ok(Delivery { name, written, file: Some(BufWriter::new(file)) })
    }

    /// Puts a message in place; it is there, and on disk, when this returns.
    pub(crate) fn commit(&self, mut delivery: Delivery) -> io::Result<()> {
        let Some(writer) = delivery.file.take() else { return Ok(()) };
        let synced =
            writer.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all());
        let new = self.root.join("new");
        let moved = synced.and_then(|()| std::fs::rename(&delivery.written, new.join(&delivery.name)));
        if moved.is_err() {
            delivery.remove();
        }
        moved?;
        File::open(new)?.sync_all()
    }
}

impl Delivery {
    fn remove(&self) {
        // What cannot be removed is cleared away with all old files of `tmp`, as Maildir readers do.
        let _ = std::fs::remove_file(&self.written);
    }
}

impl Write for Delivery {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |file| file.write(octets))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if self.file.is_some() {
            self.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(root: &Path, part: &str) -> Vec<PathBuf> {
        root.join(part).read_dir().unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn a_message_is_in_tmp_until_it_is_committed_and_in_new_then() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a/b");
        let maildir = Maildir::open(&root).unwrap();
        let mut delivery = maildir.begin().unwrap();
        delivery.write_all(b"A: b\n\n").unwrap();
        assert_eq!((names(&root, "tmp").len(), names(&root, "new").len()), (1, 0));
        maildir.commit(delivery).unwrap();
        assert_eq!((names(&root, "tmp").len(), names(&root, "cur").len()), (0, 0));
        let [message] = names(&root, "new").try_into().unwrap();
        assert_eq!(std::fs::read(&message).unwrap(), b"A: b\n\n");
        assert_eq!(std::fs::metadata(&message).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_message_that_is_not_committed_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let maildir = Maildir::open(folder.path()).unwrap();
        drop(maildir.begin().unwrap());
        assert_eq!(names(folder.path(), "tmp").len(), 0);
        assert_eq!(names(folder.path(), "new").len(), 0);
    }

    #[test]
    fn a_folder_that_holds_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("letter.txt"), "x").unwrap();
        assert!(Maildir::open(folder.path()).is_err());
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn deliveries_of_one_second_have_different_names() {
        let folder = tempfile::tempdir().unwrap();
        let maildir = Maildir::open(folder.path()).unwrap();
        for _ in 0..3 {
            let delivery = maildir.begin().unwrap();
            maildir.commit(delivery).unwrap();
        }
        assert_eq!(names(folder.path(), "new").len(), 3);
    }
}

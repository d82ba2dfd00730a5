//! A file that gets its name when it is whole and on disk; where that does not come to pass, it goes.

use std::fs::File;
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use super::files::about;
use super::source::CHUNK_OCTETS;

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct NewFile {
    writer: Option<BufWriter<File>>,
    written: PathBuf,
    name: PathBuf,
    modified_at: u64,
}

impl NewFile {
    /// Begins a file at `written` that will be called `name`, as if it was last written to at `modified_at`.
    pub(crate) fn create(written: PathBuf, name: PathBuf, modified_at: u64) -> io::Result<Self> {
        // What an export that was cut off has left under this name is of no use.
        let file = File::create(&written).map_err(about(&written))?;
        let writer = Some(BufWriter::with_capacity(CHUNK_OCTETS, file));
        Ok(Self { writer, written, name, modified_at })
    }

    pub(crate) fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let written = self.writer.as_mut().map_or(Ok(()), |writer| writer.write_all(octets));
        written.map_err(about(&self.written))
    }

    /// Gives it its name. The folder is not synced.
    pub(crate) fn commit(mut self) -> io::Result<()> {
        let committed = self.writer.take().map_or(Ok(()), |writer| {
            let file = writer.into_inner().map_err(IntoInnerError::into_error)?;
            if let Some(modified) = UNIX_EPOCH.checked_add(Duration::from_secs(self.modified_at)) {
                file.set_modified(modified)?;
            }
            file.sync_all()?;
            std::fs::rename(&self.written, &self.name)
        });
        committed.map_err(about(&self.name)).inspect_err(|_| self.remove())
    }

    fn remove(&self) {
        // The next export overwrites what cannot be removed.
        let _ = std::fs::remove_file(&self.written);
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.writer.is_some() {
            self.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_name_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (written, name) = (folder.path().join("part"), folder.path().join("whole"));
        let mut file = NewFile::create(written.clone(), name.clone(), 1_700_000_000).unwrap();
        file.write(b"abc").unwrap();
        assert!(written.exists() && !name.exists());
        file.commit().unwrap();
        assert_eq!(std::fs::read(&name).unwrap(), b"abc");
        let modified = name.metadata().unwrap().modified().unwrap();
        assert_eq!(modified, UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        assert!(!written.exists());
    }

    #[test]
    fn a_file_that_is_not_finished_goes() {
        let folder = tempfile::tempdir().unwrap();
        drop(NewFile::create(folder.path().join("part"), folder.path().join("whole"), 0).unwrap());
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_does_not_get_its_name_goes_and_says_which_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("no/whole");
        let failed = NewFile::create(folder.path().join("part"), name.clone(), 0).unwrap().commit();
        assert!(failed.unwrap_err().to_string().starts_with(&name.display().to_string()));
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}

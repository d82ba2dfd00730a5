//! Pieces of files, each kept once under the name that its octets have.

use std::collections::BTreeSet;
use std::fmt::{self, Write};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};

use super::super::files::{File, Files, Mode};

/// Octets of a piece; the last one of a file may have fewer.
pub(super) const PIECE_OCTETS: u64 = 4 << 20;
const NAME_OCTETS: usize = 32;

/// BLAKE2b-256 of an object's octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ObjectName([u8; NAME_OCTETS]);

impl ObjectName {
    pub(super) fn of(octets: &[u8]) -> Self {
        Self(Blake2b::<U32>::digest(octets).into())
    }

    /// Of many names one behind the other: what is made up of the same objects has the same.
    pub(super) fn of_all(names: &[Self]) -> Self {
        let mut hash = Blake2b::<U32>::new();
        for name in names {
            hash.update(name.0);
        }
        Self(hash.finalize().into())
    }

    /// 64 digits of `0-9a-f`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut name = [0; NAME_OCTETS];
        let digits = text.as_bytes();
        if digits.len() != 2 * NAME_OCTETS || digits.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        for (octet, pair) in name.iter_mut().zip(digits.chunks(2)) {
            *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(name))
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(formatter, "{octet:02x}"))
    }
}

/// A file in pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pieces {
    pub(super) octets: u64,
    pub(super) names: Vec<ObjectName>,
}

impl Pieces {
    /// Each piece with its offset and length.
    pub(super) fn each(&self) -> impl Iterator<Item = (ObjectName, u64, u64)> {
        let offsets = (0_u64..).map(|number| number.saturating_mul(PIECE_OCTETS));
        let piece = |(name, offset): (&ObjectName, u64)| {
            (*name, offset, self.octets.saturating_sub(offset).min(PIECE_OCTETS))
        };
        self.names.iter().zip(offsets).map(piece)
    }

    /// True where there are as many names as the length needs.
    pub(super) fn fits(&self) -> bool {
        self.octets.div_ceil(PIECE_OCTETS) == self.names.len() as u64
    }
}

/// Where all objects are.
pub(super) struct Objects {
    files: Arc<dyn Files>,
    folder: PathBuf,
    tmp: PathBuf,
    /// Folders with entries that are not on disk yet.
    touched: BTreeSet<PathBuf>,
}

/// What became of the wish to keep something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Written,
    /// It was there, and is as it should be.
    There,
}

impl Objects {
    pub(super) fn new(files: &Arc<dyn Files>, root: &Path) -> Self {
        let (folder, tmp) = (root.join("objects"), root.join("tmp"));
        Self { files: Arc::clone(files), folder, tmp, touched: BTreeSet::new() }
    }

    /// An object's file, from the root of the backup.
    pub(super) fn relative(name: ObjectName) -> String {
        let name = name.to_string();
        format!("objects/{}/{name}", name.get(..2).unwrap_or_default())
    }

    pub(super) fn path(&self, name: ObjectName) -> PathBuf {
        self.folder.with_file_name("").join(Self::relative(name))
    }

    /// The object, where there is one.
    pub(super) fn open(&self, name: ObjectName) -> io::Result<Option<Arc<dyn File>>> {
        match self.files.open(&self.path(name), Mode::Read) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// True where there is one of that length.
    pub(super) fn has(&self, name: ObjectName, octets: u64) -> io::Result<bool> {
        match self.files.octets(&self.path(name)) {
            Ok(found) => Ok(found == octets),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The octets of an object, whatever they are; `None` where there is none.
    pub(super) fn read(&self, name: ObjectName) -> io::Result<Option<Vec<u8>>> {
        self.open(name)?.map(|file| read_all(&*file)).transpose()
    }

    /// Keeps `octets`, where they are not kept already; one that is damaged is replaced. After [`Self::sync`] it is
    /// durable.
    pub(super) fn keep(&mut self, octets: &[u8]) -> io::Result<(ObjectName, Kept)> {
        let name = ObjectName::of(octets);
        // One that cannot be read is as good as none.
        if self.read(name).is_ok_and(|found| found.as_deref() == Some(octets)) {
            return Ok((name, Kept::There));
        }
        let path = self.path(name);
        let folder = path.parent().unwrap_or(&self.folder).to_owned();
        self.files.create_folder(&folder)?;
        let written = self.tmp.join(name.to_string());
        write_new(&*self.files, &written, octets)?;
        self.files.rename(&written, &path)?;
        self.touched.insert(folder);
        Ok((name, Kept::Written))
    }

    /// Returns when every object that was kept is on disk under its name.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.touched.insert(self.folder.clone());
        while let Some(folder) = self.touched.pop_last() {
            self.files.sync_folder(&folder)?;
        }
        Ok(())
    }

    /// The names of all objects; what is named otherwise is left out.
    pub(super) fn list(&self) -> io::Result<Vec<ObjectName>> {
        let mut names = Vec::new();
        for folder in self.files.list(&self.folder)? {
            for name in self.files.list(&self.folder.join(folder))? {
                names.extend(ObjectName::parse(&name));
            }
        }
        Ok(names)
    }

    /// Removes one; that it stays away is sure after [`Self::sync`].
    pub(super) fn remove(&mut self, name: ObjectName) -> io::Result<()> {
        let path = self.path(name);
        self.files.remove(&path)?;
        self.touched.extend(path.parent().map(Path::to_owned));
        Ok(())
    }
}

pub(super) fn read_all(file: &dyn File) -> io::Result<Vec<u8>> {
    let mut octets = vec![0; usize::try_from(file.octets()?).map_err(io::Error::other)?];
    let read = file.read_at(&mut octets, 0)?;
    octets.truncate(read);
    Ok(octets)
}

/// Writes a file anew, and returns when it is on disk and was read back as it is.
pub(super) fn write_new(files: &dyn Files, path: &Path, octets: &[u8]) -> io::Result<()> {
    match files.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let file = files.open(path, Mode::Create)?;
    file.write_at(&[octets], 0)?;
    file.sync()?;
    if read_all(&*file)? == octets {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "what was written is read back as something else"))
}

/// Text of names, one a line.
pub(super) fn write_names(to: &mut String, names: &[ObjectName]) -> fmt::Result {
    names.iter().try_for_each(|name| writeln!(to, "{name}"))
}

#[cfg(test)]
mod tests {
    use super::super::super::files::Disk;
    use super::*;

    fn objects(root: &Path) -> Objects {
        std::fs::create_dir_all(root.join("tmp")).unwrap();
        let files: Arc<dyn Files> = Arc::new(Disk);
        Objects::new(&files, root)
    }

    #[test]
    fn a_name_is_the_same_after_its_text() {
        let name = ObjectName::of(b"x");
        assert_eq!(ObjectName::parse(&name.to_string()), Some(name));
        let text = name.to_string();
        for wrong in ["", "0", &text.to_uppercase(), &text.replace('a', "g")] {
            assert_eq!(ObjectName::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_there_is_not_written_again_and_what_is_damaged_is() {
        let root = tempfile::tempdir().unwrap();
        let mut objects = objects(root.path());
        let (name, kept) = objects.keep(b"piece").unwrap();
        assert_eq!(kept, Kept::Written);
        assert_eq!(objects.keep(b"piece").unwrap(), (name, Kept::There));
        std::fs::write(objects.path(name), b"pieco").unwrap();
        assert_eq!(objects.keep(b"piece").unwrap(), (name, Kept::Written));
        assert_eq!(objects.read(name).unwrap().unwrap(), b"piece");
        assert!(objects.has(name, 5).unwrap() && !objects.has(name, 6).unwrap());
        assert_eq!(objects.list().unwrap(), [name]);
        objects.sync().unwrap();
        objects.remove(name).unwrap();
        assert!(objects.read(name).unwrap().is_none() && !objects.has(name, 5).unwrap());
    }

    #[test]
    fn pieces_know_where_they_are() {
        let pieces =
            Pieces { octets: PIECE_OCTETS + 1, names: vec![ObjectName::of(b"a"), ObjectName::of(b"b")] };
        assert!(pieces.fits());
        let places: Vec<_> = pieces.each().map(|(_, offset, octets)| (offset, octets)).collect();
        assert_eq!(places, [(0, PIECE_OCTETS), (PIECE_OCTETS, 1)]);
        assert!(!Pieces { octets: PIECE_OCTETS, ..pieces }.fits());
    }
}

//! The file IDENTITY: which store this is, and in which format it is kept.
//!
//! Its epoch stands in the header of every segment as well; without it no record could be told from octets that only
//! look like one, so one damaged sector must not take it away.

use std::io;
use std::path::Path;

use super::files::{Files, Mode};
use super::segment::FORMAT;

/// The file's name.
const NAME: &str = "IDENTITY";
/// More than a whole one has.
const OCTETS_MAX: usize = 256;

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) format: u32,
    /// Random, one for the whole store.
    pub(crate) epoch: u64,
}

impl Identity {
    fn encode(self) -> String {
        let Self { format, epoch } = self;
        let text = format!("mailstack store\nformat {format}\nepoch {epoch:016x}\n");
        format!("{text}checksum {:08x}\n", crc32c::crc32c(text.as_bytes()))
    }

    /// `None` where it is damaged.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let magic = lines.next()?;
        let format = lines.next()?.strip_prefix("format ")?.parse().ok()?;
        let epoch = u64::from_str_radix(lines.next()?.strip_prefix("epoch ")?, 16).ok()?;
        let identity = Self { format, epoch };
        (magic == "mailstack store" && identity.encode() == text).then_some(identity)
    }

    /// What the store in `root` says of itself; `None` where it says nothing, or something damaged.
    pub(crate) fn read(files: &dyn Files, root: &Path) -> io::Result<Option<Self>> {
        let file = match files.open(&root.join(NAME), Mode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut octets = vec![0; OCTETS_MAX];
        let read = file.read_at(&mut octets, 0)?;
        octets.truncate(read);
        Ok(String::from_utf8(octets).ok().as_deref().and_then(Self::parse))
    }

    /// Durably says it, where the file does not.
    pub(crate) fn ensure(files: &dyn Files, root: &Path, epoch: u64) -> io::Result<()> {
        let identity = Self { format: FORMAT, epoch };
        if Self::read(files, root)? == Some(identity) {
            return Ok(());
        }
        let path = root.join(NAME);
        match files.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = files.open(&path, Mode::Create)?;
        file.write_at(&[identity.encode().as_bytes()], 0)?;
        file.sync()?;
        files.sync_folder(root)
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::Disk;
    use super::*;

    #[test]
    fn what_is_written_is_read_and_any_damage_is_seen() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Identity::read(&Disk, root.path()).unwrap(), None);
        Identity::ensure(&Disk, root.path(), 77).unwrap();
        let expected = Some(Identity { format: FORMAT, epoch: 77 });
        assert_eq!(Identity::read(&Disk, root.path()).unwrap(), expected);
        let path = root.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            assert_eq!(Identity::read(&Disk, root.path()).unwrap(), None, "octet {at}");
            Identity::ensure(&Disk, root.path(), 77).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
    }
}

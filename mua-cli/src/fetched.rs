//! Which messages of a server have been fetched: their unique-ids (RFC 1939 §7), in a file beside the mail.
//!
//! The first line is [`FIRST_LINE`], every other one a unique-id. Lines are appended as messages are stored; a last
//! line without its end, as a crash leaves it, is no line.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::failure::{Exit, Failure};
use crate::server::Server;

/// What such a file begins with.
const FIRST_LINE: &str = "mua-fetched 1";
/// Octets of such a file that are read: about a million messages.
const FILE_OCTETS_MAX: u64 = 256 << 20;

/// What has been fetched from one server into one place.
pub(crate) struct Fetched {
    path: PathBuf,
    file: File,
    unique_ids: HashSet<String>,
}

/// The file's path: `place` with a suffix that names login and server.
pub(crate) fn path(place: &Path, server: &Server, login: &str) -> PathBuf {
    let name = format!("{login}@{}", server.name());
    let mut path = OsString::from(place);
    path.push(".mua-fetched-");
    for octet in name.bytes() {
        let plain = octet.is_ascii_alphanumeric() || b"._-@".contains(&octet);
        path.push(if plain { char::from(octet).to_string() } else { format!("%{octet:02X}") });
    }
    PathBuf::from(path)
}

impl Fetched {
    /// Reads the file; makes it where there is none.
    pub(crate) fn open(path: PathBuf) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::caused(
                Exit::Io,
                format!("reading what was fetched before from {} failed", path.display()),
                &error,
            )
        };
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let mut octets = Vec::new();
        let read = (&mut file).take(FILE_OCTETS_MAX + 1).read_to_end(&mut octets).map_err(failed)?;
        if read as u64 > FILE_OCTETS_MAX {
            return Err(failed(io::Error::other("it is too large")));
        }
        let complete = octets.iter().rposition(|octet| *octet == b'\n').map_or(0, |end| end + 1);
        octets.truncate(complete);
        file.set_len(complete as u64).map_err(failed)?;
        let text = String::from_utf8(octets).map_err(|_| failed(io::Error::other("it is not UTF-8")))?;
        let mut lines = text.lines();
        match lines.next() {
            None => writeln!(file, "{FIRST_LINE}").map_err(failed)?,
            Some(FIRST_LINE) => {}
            Some(_) => {
                return Err(failed(io::Error::other("it is no list that this version of mua has written")));
            }
        }
        let unique_ids = lines.map(str::to_owned).collect();
        Ok(Self { path, file, unique_ids })
    }

    /// True where the message has been fetched.
    pub(crate) fn contains(&self, unique_id: &str) -> bool {
        self.unique_ids.contains(unique_id)
    }

    /// The message lies on disk.
    pub(crate) fn add(&mut self, unique_id: &str) -> Result<(), Failure> {
        if self.unique_ids.insert(unique_id.to_owned()) {
            writeln!(self.file, "{unique_id}").map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    /// Returns when the file is on disk, so that what it names may be deleted elsewhere.
    pub(crate) fn sync(&self) -> Result<(), Failure> {
        self.file.sync_data().map_err(|error| self.failed(&error))
    }

    /// Forgets what the server no longer has, so that the file does not grow for ever.
    pub(crate) fn retain(&mut self, listed: &HashSet<&str>) -> Result<(), Failure> {
        let before = self.unique_ids.len();
        self.unique_ids.retain(|unique_id| listed.contains(unique_id.as_str()));
        if self.unique_ids.len() == before {
            return Ok(());
        }
        self.rewrite().map_err(|error| self.failed(&error))
    }

    /// The whole file anew, put in the old one's place at once.
    fn rewrite(&mut self) -> io::Result<()> {
        let mut new_path = self.path.clone().into_os_string();
        new_path.push(".new");
        let mut text = format!("{FIRST_LINE}\n");
        let mut unique_ids: Vec<&str> = self.unique_ids.iter().map(String::as_str).collect();
        unique_ids.sort_unstable();
        for unique_id in unique_ids {
            text.push_str(unique_id);
            text.push('\n');
        }
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new_path)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        std::fs::rename(&new_path, &self.path)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::caused(Exit::Io, format!("writing {} failed", self.path.display()), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Protocol;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fetched");
        (folder, path)
    }

    #[test]
    fn what_was_added_is_known_the_next_time() {
        let (_folder, path) = place();
        let mut fetched = Fetched::open(path.clone()).unwrap();
        fetched.add("uid-1").unwrap();
        fetched.add("uid-2").unwrap();
        fetched.add("uid-2").unwrap();
        fetched.sync().unwrap();
        let fetched = Fetched::open(path.clone()).unwrap();
        assert!(fetched.contains("uid-1") && fetched.contains("uid-2") && !fetched.contains("uid-"));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "mua-fetched 1\nuid-1\nuid-2\n");
    }

    #[test]
    fn a_line_that_a_crash_cut_is_no_line_and_spoils_none() {
        let (_folder, path) = place();
        std::fs::write(&path, "mua-fetched 1\nuid-1\nuid-2-cu").unwrap();
        let mut fetched = Fetched::open(path.clone()).unwrap();
        assert!(!fetched.contains("uid-2-cu"));
        fetched.add("uid-3").unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "mua-fetched 1\nuid-1\nuid-3\n");
    }

    #[test]
    fn what_the_server_no_longer_has_is_forgotten() {
        let (folder, path) = place();
        let mut fetched = Fetched::open(path.clone()).unwrap();
        fetched.add("uid-1").unwrap();
        fetched.add("uid-2").unwrap();
        fetched.retain(&HashSet::from(["uid-2", "uid-9"])).unwrap();
        fetched.add("uid-3").unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "mua-fetched 1\nuid-2\nuid-3\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_file_is_not_overwritten() {
        let (_folder, path) = place();
        std::fs::write(&path, "something else\n").unwrap();
        assert!(Fetched::open(path.clone()).is_err());
        assert_eq!(std::fs::read_to_string(path).unwrap(), "something else\n");
    }

    #[test]
    fn the_name_of_the_file_names_the_server_and_leads_nowhere_else() {
        let server = Server::parse(Protocol::Pop3, "pop3://[::1]:2110").unwrap();
        let path = path(Path::new("/mail/box"), &server, "../a/b@c");
        assert_eq!(path, Path::new("/mail/box.mua-fetched-..%2Fa%2Fb@c@%5B%3A%3A1%5D%3A2110"));
    }
}

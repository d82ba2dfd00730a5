//! A Maildir as a source: its messages in the order of their arrival, with the unique-ids that Dovecot's or Courier's
//! POP3 has shown for them.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use mailwire::clock;

use super::courier;
use super::files::{Listed, about, modified_at};
use super::list_error::ListError;
use super::source::Item;
use super::uidl_format::{Facts, UidlFormat};
use super::uidlist::{self, Uidlist};

/// Names that begin with a number below this one (in 1971) do not begin with a time.
const EARLIEST: u64 = 365 * 86_400;

/// What the server that had the Maildir knew of its messages, by the file's name up to its flags.
#[derive(Debug)]
enum Known {
    Dovecot { uid_validity: u32, listed: HashMap<Vec<u8>, uidlist::Listed> },
    Courier(HashMap<Vec<u8>, String>),
    Nothing,
}

/// Where a message stands. Dovecot's own order comes first, then its UIDs, then time and name, which is Courier's
/// order and that of all others.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    order: u32,
    uid: u32,
    received_at: u64,
    base: Vec<u8>,
}

/// The messages in `cur` and `new`. Folders of the Maildir (`.Sent`) are Maildirs of their own: POP3 has never shown
/// them.
pub(crate) fn list(root: &Path, format: &UidlFormat) -> io::Result<Vec<Listed>> {
    let known = Known::read(root)?;
    let mut ranked = HashMap::new();
    for part in ["cur", "new"] {
        let folder = root.join(part);
        for entry in folder.read_dir().map_err(about(&folder))? {
            let path = entry.map_err(about(&folder))?.path();
            let name = path.file_name().unwrap_or_default().as_bytes();
            // A file that has just gone was moved or removed by the server that still has the Maildir.
            let Some(metadata) = path.metadata().ok().filter(Metadata::is_file) else { continue };
            if name.starts_with(b".") {
                continue;
            }
            let base = uidlist::base(name).to_owned();
            let received_at = received_at(&base).or_else(|| modified_at(&metadata));
            ranked.entry(base).or_insert((path, received_at));
        }
    }
    let mut messages: Vec<(Rank, PathBuf)> =
        ranked.into_iter().map(|(base, (path, at))| (known.rank(base, at), path)).collect();
    messages.sort();
    Ok(messages.into_iter().map(|(rank, path)| known.listed(root, path, &rank, format)).collect())
}

impl Known {
    /// Dovecot's list goes before Courier's: where both are, the Maildir has moved from one to the other already.
    fn read(root: &Path) -> io::Result<Self> {
        if let Some(list) = read_list(root, uidlist::FILE_NAME, Uidlist::parse)? {
            let listed = list.entries.into_iter().map(|listed| (listed.base.clone(), listed)).collect();
            return Ok(Self::Dovecot { uid_validity: list.uid_validity, listed });
        }
        let list = read_list(root, courier::FILE_NAME, courier::parse)?;
        Ok(list.map_or(Self::Nothing, Self::Courier))
    }

    fn rank(&self, base: Vec<u8>, received_at: Option<u64>) -> Rank {
        let listed = match self {
            Self::Dovecot { listed, .. } => listed.get(&base),
            Self::Courier(_) | Self::Nothing => None,
        };
        Rank {
            order: listed.and_then(uidlist::Listed::order).unwrap_or(u32::MAX),
            uid: listed.map_or(u32::MAX, |listed| listed.uid),
            received_at: received_at.unwrap_or(0),
            base,
        }
    }

    fn listed(&self, root: &Path, path: PathBuf, rank: &Rank, format: &UidlFormat) -> Listed {
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let carried = match self {
            Self::Dovecot { uid_validity, listed } => {
                dovecot_unique_id(*uid_validity, listed.get(&rank.base), &rank.base, format)
            }
            Self::Courier(unique_ids) => unique_ids.get(&rank.base).cloned(),
            Self::Nothing => dovecot_unique_id(0, None, &rank.base, format),
        };
        let received_at = (rank.received_at > 0).then_some(rank.received_at);
        Listed { path, item: Item { name, received_at, carried } }
    }
}

fn dovecot_unique_id(
    uid_validity: u32,
    listed: Option<&uidlist::Listed>,
    base: &[u8],
    format: &UidlFormat,
) -> Option<String> {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    if let Some(kept) = listed.and_then(uidlist::Listed::unique_id) {
        return Some(text(kept));
    }
    let guid = listed.and_then(uidlist::Listed::guid).map(text);
    let facts = Facts {
        uid: listed.map(|listed| (listed.uid, uid_validity)),
        file_name: &text(base),
        guid: guid.as_deref(),
    };
    format.unique_id(facts)
}

/// A list beside the messages; `None` where there is none.
pub(crate) fn read_list<List>(
    root: &Path,
    name: &str,
    parse: impl Fn(&[u8]) -> Result<List, ListError>,
) -> io::Result<Option<List>> {
    let path = root.join(name);
    let list = match std::fs::read(&path) {
        Ok(list) => list,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(about(&path)(error)),
    };
    parse(&list).map(Some).map_err(|error| {
        let path = path.display();
        let problem = format!("{path}: {error}; mend it, or move it away to go without the unique-ids in it");
        io::Error::new(io::ErrorKind::InvalidData, problem)
    })
}

/// The seconds since 1970 with which names in a Maildir begin.
fn received_at(base: &[u8]) -> Option<u64> {
    let digits = base.split(|octet| *octet == b'.').next()?;
    let seconds = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (EARLIEST..=clock::unix_seconds().saturating_add(86_400)).contains(&seconds).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::{Duration, UNIX_EPOCH};

    use tempfile::TempDir;

    use super::*;

    fn maildir(names: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for part in ["cur", "new", "tmp"] {
            fs::create_dir(folder.path().join(part)).unwrap();
        }
        for name in names {
            fs::write(folder.path().join(name), "A: b\n").unwrap();
        }
        folder
    }

    fn listed(folder: &TempDir, format: &str) -> Vec<(String, Option<String>)> {
        let listed = list(folder.path(), &format.parse().unwrap()).unwrap();
        listed.into_iter().map(|listed| (listed.item.name, listed.item.carried)).collect()
    }

    fn pair(name: &str, carried: &str) -> (String, Option<String>) {
        (name.to_owned(), Some(carried.to_owned()))
    }

    /// Dovecot 2.3.19 has shown this list in this order, with these unique-ids.
    #[test]
    fn order_and_unique_ids_are_those_of_dovecots_pop3() {
        let folder = maildir(&[
            "cur/1700000001.M1P1.host:2,S",
            "cur/1700000002.M2P1.host:2,S",
            "cur/1700000003.M3P1.host:2,S",
            "cur/1700000004.M4P1.host:2,S",
            "new/1700000000.M9P1.host",
            "tmp/1700000000.M8P1.host",
            "cur/.hidden",
        ]);
        let list = "3 V1699999999 N40\n10 :1700000001.M1P1.host\n11 W30 O5 Pabc :1700000002.M2P1.host\n\
            26 P O4 :1700000003.M3P1.host:2,S\n27 G11aa :1700000004.M4P1.host\n28 :gone\n";
        fs::write(folder.path().join("dovecot-uidlist"), list).unwrap();
        fs::write(folder.path().join("courierpop3dsizelist"), "broken").unwrap();
        let expected = [
            pair("cur/1700000003.M3P1.host:2,S", "1700000003.M3P1.host"),
            pair("cur/1700000002.M2P1.host:2,S", "abc"),
            pair("cur/1700000001.M1P1.host:2,S", "0000000a6553f0ff"),
            pair("cur/1700000004.M4P1.host:2,S", "0000001b6553f0ff"),
            ("new/1700000000.M9P1.host".to_owned(), None),
        ];
        assert_eq!(listed(&folder, "%08Xu%08Xv"), expected);
        assert_eq!(listed(&folder, "%g")[3].1.as_deref(), Some("11aa"));
        assert_eq!(listed(&folder, "%g")[4].1.as_deref(), Some("1700000000.M9P1.host"));
    }

    #[test]
    fn order_and_unique_ids_are_those_of_couriers_pop3() {
        let folder = maildir(&["cur/1700000002.b:2,S", "cur/1700000002.a,S=5:2,", "new/1700000001.z"]);
        let list = "/3 8 1158\n1700000002.b:2, 5 3:1158:0\n1700000002.a,S=5:2,S 5 2:1158:0\n";
        fs::write(folder.path().join("courierpop3dsizelist"), list).unwrap();
        let expected = [
            ("new/1700000001.z".to_owned(), None),
            pair("cur/1700000002.a,S=5:2,", "UID2-1158"),
            pair("cur/1700000002.b:2,S", "UID3-1158"),
        ];
        assert_eq!(listed(&folder, "%08Xu%08Xv"), expected);
    }

    #[test]
    fn without_any_list_a_format_of_the_name_alone_still_gives_unique_ids() {
        let folder = maildir(&["cur/1700000001.a:2,S"]);
        assert_eq!(listed(&folder, "%f"), [pair("cur/1700000001.a:2,S", "1700000001.a")]);
        assert_eq!(listed(&folder, "%v.%u")[0].1, None);
    }

    #[test]
    fn the_time_is_in_the_name_or_that_of_the_file() {
        let folder = maildir(&["cur/1700000001.a", "cur/12345.b", "cur/letter"]);
        for name in ["cur/1700000001.a", "cur/12345.b", "cur/letter"] {
            let file = File::options().append(true).open(folder.path().join(name)).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(1_600_000_000)).unwrap();
        }
        let listed = list(folder.path(), &UidlFormat::default()).unwrap();
        let times: Vec<_> = listed.iter().map(|listed| listed.item.received_at.unwrap()).collect();
        assert_eq!(times, [1_600_000_000, 1_600_000_000, 1_700_000_001]);
    }

    #[test]
    fn a_list_that_is_not_understood_is_not_passed_over() {
        let folder = maildir(&["cur/1700000001.a"]);
        fs::write(folder.path().join("dovecot-uidlist"), "3 V1 N2\nx\n").unwrap();
        let refused = list(folder.path(), &UidlFormat::default()).unwrap_err().to_string();
        assert!(
            refused.contains("dovecot-uidlist: line 2 is not understood; mend it, or move it away"),
            "{refused}"
        );
    }
}

//! A tree of `.eml` files, one a message with CRLF line ends: as a source, and written by an export.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use super::file_names::{decoded, encoded};
use super::files::{Listed, about, modified_at};
use super::new_file::NewFile;
use super::sink::{Begun, Outgoing, Sink};
use super::source::Item;

/// Digits of the number with which the name of an exported file begins.
const NUMBER_DIGITS: usize = 8;
/// Folders within folders that are looked into.
const DEPTH_MAX: usize = 64;

/// All `.eml` files in `root` and its folders, by path; or `root` itself.
pub(crate) fn list(root: &Path) -> io::Result<Vec<Listed>> {
    let mut paths = Vec::new();
    if root.is_file() {
        paths.push(root.to_owned());
    } else {
        gather(root, DEPTH_MAX, &mut paths)?;
        paths.sort();
    }
    Ok(paths.into_iter().map(|path| listed(root, path)).collect())
}

fn gather(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in folder.read_dir().map_err(about(folder))? {
        let entry = entry.map_err(about(folder))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(about(&path))?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if kind.is_dir() && depth > 0 {
            gather(&path, depth.saturating_sub(1), paths)?;
        } else if !is_hidden && (kind.is_file() || kind.is_symlink()) && has_extension(&path) {
            paths.push(path);
        }
    }
    Ok(())
}

/// True for `.eml` in any case.
pub(crate) fn has_extension(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("eml"))
}

fn listed(root: &Path, path: PathBuf) -> Listed {
    let shown = path.strip_prefix(root).ok().filter(|name| !name.as_os_str().is_empty()).unwrap_or(&path);
    let name = shown.display().to_string();
    let received_at = path.metadata().ok().and_then(|metadata| modified_at(&metadata));
    let carried = exported(&path).map(|(_, unique_id)| unique_id);
    Listed { path, item: Item { name, received_at, carried } }
}

/// Number and unique-id in the name of a file that an export has written.
fn exported(path: &Path) -> Option<(u64, String)> {
    let (number, unique_id) = path.file_name()?.to_str()?.strip_suffix(".eml")?.split_once('-')?;
    let is_number = number.len() >= NUMBER_DIGITS && number.bytes().all(|octet| octet.is_ascii_digit());
    let number = number.parse().ok().filter(|_| is_number)?;
    Some((number, decoded(unique_id).filter(|unique_id| !unique_id.is_empty())?))
}

/// A folder of `.eml` files that an export fills: `00000012-UNIQUE-ID.eml`, in the order of arrival.
#[derive(Debug)]
pub(crate) struct EmlSink {
    root: PathBuf,
    there: HashSet<String>,
    number: u64,
    open: Option<NewFile>,
}

impl EmlSink {
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(root).map_err(about(root))?;
        let mut sink = Self { root: root.to_owned(), there: HashSet::new(), number: 0, open: None };
        for entry in root.read_dir().map_err(about(root))? {
            if let Some((number, unique_id)) = exported(&entry.map_err(about(root))?.path()) {
                sink.number = sink.number.max(number);
                sink.there.insert(unique_id);
            }
        }
        Ok(sink)
    }
}

impl Sink for EmlSink {
    fn begin(&mut self, message: &Outgoing) -> io::Result<Begun> {
        self.open = None;
        if self.there.contains(&message.unique_id) {
            return Ok(Begun::IsThere);
        }
        let number = self.number.saturating_add(1);
        let name = format!("{number:0NUMBER_DIGITS$}-{}.eml", encoded(&message.unique_id));
        let written = self.root.join(format!(".{name}.part"));
        self.open = Some(NewFile::create(written, self.root.join(name), message.received_at)?);
        self.there.insert(message.unique_id.clone());
        self.number = number;
        Ok(Begun::Writing)
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.open.as_mut().map_or(Ok(()), |file| file.write(octets))
    }

    fn end(&mut self) -> io::Result<()> {
        self.open.take().map_or(Ok(()), NewFile::commit)
    }

    fn close(&mut self) -> io::Result<()> {
        std::fs::File::open(&self.root).and_then(|folder| folder.sync_all()).map_err(about(&self.root))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::files::Files;
    use super::super::files::tests::all;
    use super::super::sink::tests::{export, outgoing};
    use super::*;

    #[test]
    fn a_tree_is_read_by_path_and_other_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("b/c")).unwrap();
        for name in ["b/c/2.EML", "b/1.eml", "a.eml", "a.txt", ".00000001-x.eml.part", ".a.eml"] {
            fs::write(folder.path().join(name), "A: b\n\nc").unwrap();
        }
        let listed = list(folder.path()).unwrap();
        let names: Vec<_> = listed.iter().map(|listed| listed.item.name.as_str()).collect();
        assert_eq!(names, ["a.eml", "b/1.eml", "b/c/2.EML"]);
        assert!(listed.iter().all(|listed| listed.item.carried.is_none()));
        let one = list(&folder.path().join("a.eml")).unwrap();
        assert_eq!(one.len(), 1);
        assert_eq!(all(&mut Files::new(one))[0].1, b"A: b\r\n\r\nc\r\n");
    }

    #[test]
    fn what_is_exported_is_read_with_its_unique_id_octet_for_octet() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("new");
        let messages = [outgoing("a/b:1", b"A: b\r\n\r\n\rx\r\r\n"), outgoing("c", b"C: d\r\n\r\n")];
        export(&mut EmlSink::open(&root).unwrap(), &messages);
        let listed = list(&root).unwrap();
        assert_eq!(listed[0].item.name, "00000001-a%2Fb%3A1.eml");
        assert_eq!(listed[0].item.received_at, Some(messages[0].0.received_at));
        let read = all(&mut Files::new(listed));
        for ((message, content), (item, read)) in messages.iter().zip(&read) {
            assert_eq!(item.as_ref().unwrap().carried.as_deref(), Some(message.unique_id.as_str()));
            assert_eq!(read, content);
        }
    }

    #[test]
    fn a_second_export_adds_what_is_missing_behind_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| outgoing(name, b"A: b\r\n"));
        assert_eq!(export(&mut EmlSink::open(folder.path()).unwrap(), &[a.clone(), b.clone()]), 2);
        fs::remove_file(folder.path().join("00000001-a.eml")).unwrap();
        assert_eq!(export(&mut EmlSink::open(folder.path()).unwrap(), &[a, b, c]), 2);
        let names: Vec<_> = list(folder.path()).unwrap().into_iter().map(|listed| listed.item.name).collect();
        assert_eq!(names, ["00000002-b.eml", "00000003-a.eml", "00000004-c.eml"]);
    }

    #[test]
    fn a_name_that_no_export_has_written_carries_nothing() {
        for name in ["0001-x.eml", "00000001-a.b.eml", "00000001-.eml", "00000001.eml", "0000000a-x.eml"] {
            assert_eq!(exported(Path::new(name)), None, "{name}");
        }
    }
}

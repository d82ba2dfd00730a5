//! A source of one file a message: what a Maildir and a tree of `.eml` files have in common.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::line_ends::ToCrlf;
use super::source::{CHUNK_OCTETS, Item, Position, Source, Unreadable};

/// What Dovecot's plugins leave in place of a message: how such a file begins, and what it is.
const WRAPPED: [(&[u8], &str); 6] = [
    (b"\x1f\x8b", "it is compressed (gzip)"),
    (b"BZh", "it is compressed (bzip2)"),
    (b"\xfd7zXZ", "it is compressed (xz)"),
    (b"\x28\xb5\x2f\xfd", "it is compressed (zstd)"),
    (b"\x04\x22\x4d\x18", "it is compressed (lz4)"),
    (b"CRYPTED\x03\x07", "it is encrypted"),
];

/// A file that is a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) path: PathBuf,
    pub(crate) item: Item,
}

/// Files in the order in which they are listed.
#[derive(Debug)]
pub(crate) struct Files {
    rest: VecDeque<Listed>,
    end: u64,
    open: Option<Content>,
}

/// The content of a file that is being read.
#[derive(Debug)]
struct Content {
    file: File,
    converter: ToCrlf,
    octets: u64,
}

impl Files {
    pub(crate) fn new(files: Vec<Listed>) -> Self {
        Self { end: files.len() as u64, rest: files.into(), open: None }
    }
}

impl Source for Files {
    fn next(&mut self) -> Option<Result<Item, Unreadable>> {
        let Listed { path, item } = self.rest.pop_front()?;
        Some(match File::open(path) {
            Ok(file) => {
                self.open = Some(Content { file, converter: ToCrlf::default(), octets: 0 });
                Ok(item)
            }
            Err(source) => {
                self.open = None;
                Err(Unreadable { name: item.name, source })
            }
        })
    }

    fn read(&mut self, chunk: &mut Vec<u8>) -> io::Result<()> {
        chunk.clear();
        let Some(content) = &mut self.open else { return Ok(()) };
        if content.read(chunk)? == 0 {
            content.converter.finish(chunk);
            self.open = None;
        }
        Ok(())
    }

    fn position(&self) -> Position {
        Position { at: self.end.saturating_sub(self.rest.len() as u64), end: self.end }
    }
}

impl Content {
    /// Appends the next octets of the file, and says how many there were.
    fn read(&mut self, chunk: &mut Vec<u8>) -> io::Result<u64> {
        let mut octets = Vec::with_capacity(CHUNK_OCTETS);
        let count = (&mut self.file).take(CHUNK_OCTETS as u64).read_to_end(&mut octets)? as u64;
        if self.octets == 0 {
            if let Some((_, what)) = WRAPPED.iter().find(|(magic, _)| octets.starts_with(magic)) {
                return Err(io::Error::other(*what));
            }
            if count == 0 {
                return Err(io::Error::other("the file is empty"));
            }
        }
        self.octets = self.octets.saturating_add(count);
        self.converter.convert(&octets, chunk);
        Ok(count)
    }
}

/// When the file was last written to.
pub(crate) fn modified_at(metadata: &Metadata) -> Option<u64> {
    metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// An error that says which file or folder it was about.
pub(crate) fn about(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Everything that a source has: names, and contents or why there is none.
    pub(crate) fn all(source: &mut dyn Source) -> Vec<(Result<Item, String>, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some(next) = source.next() {
            all.push(match next {
                Err(Unreadable { name, source }) => (Err(format!("{name}: {source}")), Vec::new()),
                Ok(item) => match content(source) {
                    Ok(content) => (Ok(item), content),
                    Err(error) => (Err(format!("{}: {error}", item.name)), Vec::new()),
                },
            });
        }
        all
    }

    fn content(source: &mut dyn Source) -> io::Result<Vec<u8>> {
        let (mut content, mut chunk) = (Vec::new(), Vec::new());
        loop {
            source.read(&mut chunk)?;
            if chunk.is_empty() {
                return Ok(content);
            }
            content.append(&mut chunk);
        }
    }

    fn listed(path: &Path) -> Listed {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        Listed { path: path.to_owned(), item: Item { name, received_at: None, carried: None } }
    }

    #[test]
    fn content_comes_in_chunks_with_crlf_line_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        let line = format!("{}\n", "x".repeat(700));
        std::fs::write(&path, format!("{}end", line.repeat(400))).unwrap();
        let mut files = Files::new(vec![listed(&path)]);
        assert_eq!(files.position(), Position { at: 0, end: 1 });
        let [(item, content)] = all(&mut files).try_into().unwrap();
        assert_eq!(item.unwrap().name, "m");
        assert!(content == format!("{}end\r\n", line.replace('\n', "\r\n").repeat(400)).into_bytes());
        assert_eq!(files.position(), Position { at: 1, end: 1 });
    }

    #[test]
    fn a_file_that_is_no_message_is_named_and_the_others_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let contents: [(&str, &[u8]); 4] =
            [("gone", b""), ("empty", b""), ("packed", b"\x1f\x8b\x08"), ("whole", b"A: b\n\nc\n")];
        let paths = contents.map(|(name, content)| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            listed(&path)
        });
        std::fs::remove_file(&paths[0].path).unwrap();
        let [gone, empty, packed, whole] = all(&mut Files::new(paths.to_vec())).try_into().unwrap();
        assert!(gone.0.unwrap_err().starts_with("gone: No such file"));
        assert_eq!(empty.0.unwrap_err(), "empty: the file is empty");
        assert_eq!(packed.0.unwrap_err(), "packed: it is compressed (gzip)");
        assert_eq!(whole.1, b"A: b\r\n\r\nc\r\n");
    }

    #[test]
    fn a_message_need_not_be_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| {
            let path = folder.path().join(name);
            std::fs::write(&path, name).unwrap();
            listed(&path)
        });
        let mut files = Files::new(paths.to_vec());
        files.next().unwrap().unwrap();
        files.next().unwrap().unwrap();
        assert_eq!(content(&mut files).unwrap(), b"b\r\n");
    }
}

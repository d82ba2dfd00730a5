//! An mbox file (mboxrd) that an export fills.
//!
//! A unique-id has no place in an mbox, so each message gets a field `X-UIDL` (the name that mpop, fetchmail and qpopper
//! use) as its very first line. An import takes out just that line, and has the octets of the store again.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::files::about;
use super::from_line;
use super::line_ends::ToLf;
use super::mbox_source::{MboxSource, X_UIDL};
use super::quoting::Quoter;
use super::sink::{Begun, Outgoing, Sink};
use super::source::{CHUNK_OCTETS, Item, Source, Unreadable};

/// The file, locked, and what was in it before.
#[derive(Debug)]
pub(crate) struct MboxSink {
    path: PathBuf,
    writer: BufWriter<File>,
    /// Where the file ends but for the message that is being written.
    end: u64,
    there: HashSet<String>,
    open: Option<(ToLf, Quoter)>,
}

/// What an export has left in a file.
#[derive(Debug, Default)]
struct Exported {
    unique_ids: HashSet<String>,
    last: Option<Last>,
}

/// The last message of a file.
#[derive(Debug)]
struct Last {
    begins_at: u64,
    unique_id: Option<String>,
    octets: u64,
    /// It consists of a part of the line that an export puts first.
    is_head: bool,
}

impl MboxSink {
    /// Opens a file that may hold messages already; `messages` are those of the export. The last one in the file is
    /// cut off where it is one of them and not whole: an earlier export had ended in it.
    pub(crate) fn open(path: &Path, messages: &[Outgoing]) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(about(path))?;
        file.try_lock().map_err(|error| about(path)(error.into()))?;
        let Exported { unique_ids: mut there, last } = exported(path)?;
        let tail = tail(&file).map_err(about(path))?;
        if let Some(torn) = last.filter(|last| last.is_torn(messages, &tail)) {
            file.set_len(torn.begins_at).map_err(about(path))?;
            there.retain(|unique_id| Some(unique_id) != torn.unique_id.as_ref());
        }
        let mut sink = Self {
            path: path.to_owned(),
            writer: BufWriter::with_capacity(CHUNK_OCTETS, file),
            end: 0,
            there,
            open: None,
        };
        sink.end_last_message().map_err(about(path))?;
        Ok(sink)
    }

    /// Sees to it that a blank line ends what is in the file.
    fn end_last_message(&mut self) -> io::Result<()> {
        let mut file = self.writer.get_ref();
        let missing: &[u8] = match tail(file)?.as_slice() {
            [] | b"\n\n" => b"",
            [.., b'\n'] => b"\n",
            _ => b"\n\n",
        };
        file.write_all(missing)?;
        self.end = file.stream_position()?;
        Ok(())
    }

    /// Half a message would be joined by the next one.
    fn forget(&mut self) -> io::Result<()> {
        if self.open.take().is_some() {
            self.writer.flush()?;
            self.writer.get_ref().set_len(self.end)?;
        }
        Ok(())
    }

    fn write_open(&mut self, octets: &[u8]) -> io::Result<()> {
        let Some((to_lf, quoter)) = &mut self.open else { return Ok(()) };
        let (mut lines, mut output) = (Vec::with_capacity(octets.len()), Vec::with_capacity(octets.len()));
        to_lf.convert(octets, &mut lines);
        quoter.convert(&lines, &mut output);
        self.writer.write_all(&output)
    }

    fn end_open(&mut self) -> io::Result<()> {
        let Some((to_lf, quoter)) = &mut self.open else { return Ok(()) };
        let (mut lines, mut output) = (Vec::new(), Vec::new());
        to_lf.finish(&mut lines);
        quoter.convert(&lines, &mut output);
        quoter.finish(&mut output);
        output.push(b'\n');
        self.writer.write_all(&output)?;
        self.open = None;
        self.end = self.writer.stream_position()?;
        Ok(())
    }
}

impl Sink for MboxSink {
    fn begin(&mut self, message: &Outgoing) -> io::Result<Begun> {
        self.forget().map_err(about(&self.path))?;
        if !self.there.insert(message.unique_id.clone()) {
            return Ok(Begun::IsThere);
        }
        let head = format!("{}{X_UIDL}{}\n", from_line::written(message.received_at), message.unique_id);
        self.writer.write_all(head.as_bytes()).map_err(about(&self.path))?;
        self.open = Some((ToLf::default(), Quoter::default()));
        Ok(Begun::Writing)
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.write_open(octets).map_err(about(&self.path))
    }

    fn end(&mut self) -> io::Result<()> {
        self.end_open().map_err(about(&self.path))
    }

    fn close(&mut self) -> io::Result<()> {
        self.forget().and_then(|()| self.writer.flush()).map_err(about(&self.path))?;
        self.writer.get_ref().sync_all().map_err(about(&self.path))
    }
}

impl Last {
    /// True where an export of `messages` had ended in it; `tail` are the last octets of the file.
    fn is_torn(&self, messages: &[Outgoing], tail: &[u8]) -> bool {
        let is_this = |message: &&Outgoing| Some(&message.unique_id) == self.unique_id.as_ref();
        let differs = |message: &Outgoing| message.octets != self.octets || tail != b"\n\n";
        self.is_head || messages.iter().find(is_this).is_some_and(differs)
    }

    /// Reads the message that the source gave last.
    fn read(begins_at: u64, unique_id: Option<String>, source: &mut MboxSource) -> io::Result<Self> {
        let (mut octets, mut chunk) = (0_u64, Vec::new());
        source.read(&mut chunk)?;
        let first_line = chunk.strip_suffix(b"\r\n").unwrap_or(&chunk);
        let is_head = unique_id.is_none()
            && !first_line.contains(&b'\n')
            && (X_UIDL.as_bytes().starts_with(first_line) || first_line.starts_with(X_UIDL.as_bytes()));
        while !chunk.is_empty() {
            octets = octets.saturating_add(chunk.len() as u64);
            source.read(&mut chunk)?;
        }
        Ok(Self { begins_at, unique_id, octets, is_head })
    }
}

/// The last two octets of the file, behind which it stands then.
fn tail(mut file: &File) -> io::Result<Vec<u8>> {
    let end = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(end.saturating_sub(2)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    Ok(tail)
}

/// Reads the whole file.
fn exported(path: &Path) -> io::Result<Exported> {
    let mut source = MboxSource::open(path)?;
    let mut exported = Exported::default();
    let mut begins_at = source.next_begins_at();
    while let Some(next) = source.next() {
        let Item { carried, .. } = next.map_err(|Unreadable { source, .. }| about(path)(source))?;
        let last = Last::read(begins_at, carried, &mut source).map_err(about(path))?;
        exported.unique_ids.extend(last.unique_id.clone());
        exported.last = Some(last);
        begins_at = source.next_begins_at();
    }
    Ok(exported)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::super::files::tests::all;
    use super::super::sink::tests::{export, outgoing};
    use super::*;

    fn open(path: &Path, messages: &[(Outgoing, Vec<u8>)]) -> MboxSink {
        let messages: Vec<_> = messages.iter().map(|(message, _)| message.clone()).collect();
        MboxSink::open(path, &messages).unwrap()
    }

    fn messages() -> [(Outgoing, Vec<u8>); 3] {
        [
            outgoing("a/b:1", b"A: b\r\n\r\nFrom c\r\n>From d\r\n\rx\r\r\n\r\n"),
            outgoing("c", b"X-UIDL: other\r\n\r\n"),
            outgoing("d", b"From \r\n"),
        ]
    }

    fn read(path: &Path) -> Vec<(String, Vec<u8>)> {
        let read = all(&mut MboxSource::open(path).unwrap());
        read.into_iter().map(|(item, content)| (item.unwrap().carried.unwrap_or_default(), content)).collect()
    }

    #[test]
    fn what_is_exported_is_read_with_its_unique_id_octet_for_octet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mbox");
        let messages = messages();
        assert_eq!(export(&mut open(&path, &messages), &messages), 3);
        let text = fs::read_to_string(&path).unwrap();
        let head = "From MAILER-DAEMON Tue Nov 14 22:13:20 2023\nX-UIDL: a/b:1\nA: b\n\n>From c\n>>From d\n";
        assert!(text.starts_with(head), "{text}");
        let expected: Vec<_> = messages.map(|(message, content)| (message.unique_id, content)).into();
        assert_eq!(read(&path), expected);
    }

    #[test]
    fn a_second_export_adds_what_is_missing_behind_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mbox");
        fs::write(&path, "From x\nA: b\n\nno end").unwrap();
        let messages = messages();
        assert_eq!(export(&mut open(&path, &messages), &messages[1..]), 2);
        assert_eq!(export(&mut open(&path, &messages), &messages), 1);
        let before = fs::read(&path).unwrap();
        assert_eq!(export(&mut open(&path, &messages), &messages), 0);
        assert_eq!(fs::read(&path).unwrap(), before);
        let unique_ids: Vec<_> = read(&path).into_iter().map(|(unique_id, _)| unique_id).collect();
        assert_eq!(unique_ids, ["", "c", "d", "a/b:1"]);
    }

    #[test]
    fn an_export_that_was_cut_off_anywhere_is_completed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mbox");
        let messages = messages();
        export(&mut open(&path, &messages), &messages);
        let whole = fs::read(&path).unwrap();
        for cut in 5..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            export(&mut open(&path, &messages), &messages);
            let read = read(&path);
            for (message, content) in &messages {
                let found = read.iter().filter(|(unique_id, _)| *unique_id == message.unique_id);
                let found: Vec<_> = found.map(|(_, content)| content).collect();
                assert_eq!(found, [content], "cut off at {cut}");
            }
        }
    }

    #[test]
    fn a_message_that_is_not_ended_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mbox");
        let messages = messages();
        let mut sink = open(&path, &[]);
        sink.begin(&messages[0].0).unwrap();
        sink.write(&messages[0].1).unwrap();
        sink.begin(&messages[1].0).unwrap();
        sink.close().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
    }

    proptest! {
        #[test]
        fn any_content_comes_back(
            contents in proptest::collection::vec(
                "((>{0,2}(From a Tue Jul 21 08:00:00 2026|From |X-UIDL: |x|))?\r{0,2}\r\n){0,6}", 0..5,
            ),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("mbox");
            let messages: Vec<_> =
                contents.iter().zip('a'..).map(|(content, id)| outgoing(&id.to_string(), content.as_bytes())).collect();
            export(&mut open(&path, &messages), &messages);
            let expected: Vec<_> = messages.into_iter().map(|(message, content)| (message.unique_id, content)).collect();
            prop_assert_eq!(read(&path), expected);
        }
    }

    #[test]
    fn two_exports_at_once_do_not_mix() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mbox");
        let _first = open(&path, &[]);
        assert!(MboxSink::open(&path, &[]).is_err());
    }
}

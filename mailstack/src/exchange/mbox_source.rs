//! An mbox file as a source: messages behind lines of `From `, unquoted, never a whole file in memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::files::about;
use super::from_line::{self, FROM};
use super::line_ends::ToCrlf;
use super::quoting::Unquoter;
use super::source::{CHUNK_OCTETS, Item, Position, Source, Unreadable};

/// Octets of a line that are looked at together.
const PIECE_OCTETS: u64 = 8 << 10;
/// The field that an export puts before each message; see [`super::mbox_sink`].
pub(crate) const X_UIDL: &str = "X-UIDL: ";

/// The file, read up to some line.
#[derive(Debug)]
pub(crate) struct MboxSource {
    reader: BufReader<File>,
    /// Where in the file `piece` ends.
    offset: u64,
    end: u64,
    messages: u64,
    /// A line, or a part of a long one, that was read and belongs to nothing yet.
    piece: Vec<u8>,
    /// The piece begins a line.
    begins_line: bool,
    content: Option<Content>,
}

/// What has been seen of the message that is being read.
#[derive(Debug, Default)]
struct Content {
    converter: ToCrlf,
    unquoter: Unquoter,
    /// A blank line that belongs to the message if more of it follows.
    blank: Vec<u8>,
}

impl MboxSource {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path).map_err(about(path))?;
        let end = file.metadata().map_err(about(path))?.len();
        let mut source = Self {
            reader: BufReader::with_capacity(CHUNK_OCTETS, file),
            offset: 0,
            end,
            messages: 0,
            piece: Vec::new(),
            begins_line: true,
            content: None,
        };
        source.advance().map_err(about(path))?;
        if !source.piece.is_empty() && !source.piece.starts_with(FROM) {
            let problem = format!("{} is no mbox: it does not begin with \"From \"", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        Ok(source)
    }

    /// Where the message begins that [`Source::next`] will give.
    pub(crate) fn next_begins_at(&self) -> u64 {
        self.offset.saturating_sub(self.piece.len() as u64)
    }

    /// Reads the next piece; it is empty at the end of the file.
    fn advance(&mut self) -> io::Result<()> {
        self.begins_line = self.piece.last().is_none_or(|last| *last == b'\n');
        self.piece.clear();
        let count = (&mut self.reader).take(PIECE_OCTETS).read_until(b'\n', &mut self.piece)?;
        self.offset = self.offset.saturating_add(count as u64);
        Ok(())
    }

    /// The piece ends the message before it. The first one of a file has nothing before it, and may lack a date.
    fn ends_message(&self) -> bool {
        self.piece.is_empty() || (self.begins_line && from_line::received_at(&self.piece).is_some())
    }

    fn begin(&mut self) -> io::Result<Option<Item>> {
        let mut rest = Vec::new();
        while self.content.is_some() {
            self.read(&mut rest)?;
        }
        if self.piece.is_empty() {
            return Ok(None);
        }
        self.messages = self.messages.saturating_add(1);
        let name = format!("message {} at octet {}", self.messages, self.next_begins_at());
        let received_at = from_line::received_at(&self.piece);
        self.advance()?;
        while !self.begins_line && !self.piece.is_empty() {
            self.advance()?;
        }
        self.content = Some(Content::default());
        let carried = self.carried();
        if carried.is_some() {
            self.advance()?;
        }
        Ok(Some(Item { name, received_at, carried }))
    }

    /// The unique-id in the field that an export has put first. Fields of this name that stand elsewhere came from
    /// outside and say nothing certain.
    fn carried(&self) -> Option<String> {
        let line = std::str::from_utf8(&self.piece).ok()?;
        Some(line.strip_prefix(X_UIDL)?.strip_suffix('\n')?.trim_ascii().to_owned())
    }
}

impl Source for MboxSource {
    fn next(&mut self) -> Option<Result<Item, Unreadable>> {
        match self.begin() {
            Ok(item) => item.map(Ok),
            Err(source) => {
                let name = format!("what follows message {}", self.messages);
                self.piece.clear();
                self.content = None;
                Some(Err(Unreadable { name, source }))
            }
        }
    }

    fn read(&mut self, chunk: &mut Vec<u8>) -> io::Result<()> {
        chunk.clear();
        while chunk.len() < CHUNK_OCTETS {
            let ends_message = self.ends_message();
            let Some(content) = &mut self.content else { break };
            if ends_message {
                content.finish(chunk);
                self.content = None;
                break;
            }
            if self.begins_line && matches!(self.piece.as_slice(), b"\n" | b"\r\n") {
                content.blank(&self.piece, chunk);
            } else {
                content.text(&self.piece, chunk);
            }
            self.advance()?;
        }
        Ok(())
    }

    fn position(&self) -> Position {
        Position { at: self.offset, end: self.end }
    }
}

impl Content {
    fn blank(&mut self, line: &[u8], chunk: &mut Vec<u8>) {
        let before = std::mem::replace(&mut self.blank, line.to_owned());
        self.write(&before, chunk);
    }

    fn text(&mut self, piece: &[u8], chunk: &mut Vec<u8>) {
        let before = std::mem::take(&mut self.blank);
        self.write(&before, chunk);
        self.write(piece, chunk);
    }

    fn write(&mut self, octets: &[u8], chunk: &mut Vec<u8>) {
        let mut unquoted = Vec::with_capacity(octets.len());
        self.unquoter.convert(octets, &mut unquoted);
        self.converter.convert(&unquoted, chunk);
    }

    /// The blank line that is still kept belongs to the file.
    fn finish(&mut self, chunk: &mut Vec<u8>) {
        let mut rest = Vec::new();
        self.unquoter.finish(&mut rest);
        self.converter.convert(&rest, chunk);
        self.converter.finish(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::tests::all;
    use super::*;

    const DATE: &str = "Tue Jul 21 08:00:00 2026";

    fn read(text: &str) -> Vec<(Item, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mbox");
        std::fs::write(&path, text).unwrap();
        let mut source = MboxSource::open(&path).unwrap();
        let read = all(&mut source);
        let Position { at, end } = source.position();
        assert_eq!(at, end);
        read.into_iter().map(|(item, content)| (item.unwrap(), String::from_utf8(content).unwrap())).collect()
    }

    #[test]
    fn messages_stand_between_lines_of_from() {
        let [first, second] = read(&format!(
            "From a {DATE}\nA: b\n\n>From c\n>>From d\nFrom me to you\n\n\nFrom e {DATE}\nA: c\n\nend"
        ))
        .try_into()
        .unwrap();
        assert_eq!(first.1, "A: b\r\n\r\nFrom c\r\n>From d\r\nFrom me to you\r\n\r\n");
        assert_eq!(first.0.received_at, Some(1_784_620_800));
        assert_eq!(first.0.name, "message 1 at octet 0");
        assert_eq!(second.1, "A: c\r\n\r\nend\r\n");
        assert_eq!(second.0.name, "message 2 at octet 72");
    }

    #[test]
    fn line_ends_of_the_file_may_be_crlf() {
        let [first, second] =
            read(&format!("From a {DATE}\r\nA: b\r\n\r\n\r\nFrom e {DATE}\r\n\r\nx\r\n\r\n"))
                .try_into()
                .unwrap();
        assert_eq!((first.1.as_str(), second.1.as_str()), ("A: b\r\n\r\n", "\r\nx\r\n"));
    }

    #[test]
    fn the_unique_id_of_an_export_is_taken_out_and_others_are_content() {
        let [ours, other] =
            read(&format!("From a {DATE}\nX-UIDL: abc\nA: b\n\nFrom e {DATE}\nA: b\nX-UIDL: x\n\n"))
                .try_into()
                .unwrap();
        assert_eq!((ours.0.carried.as_deref(), ours.1.as_str()), (Some("abc"), "A: b\r\n"));
        assert_eq!((other.0.carried, other.1.as_str()), (None, "A: b\r\nX-UIDL: x\r\n"));
    }

    #[test]
    fn long_lines_are_read_in_pieces() {
        let (long, quotes) = ("x".repeat(20_000), ">".repeat(10_000));
        let [(_, content)] =
            read(&format!("From a {DATE}\n{long}From a {DATE}\n{quotes}From x\n")).try_into().unwrap();
        assert!(content == format!("{long}From a {DATE}\r\n{}From x\r\n", quotes.strip_prefix('>').unwrap()));
    }

    #[test]
    fn a_file_that_is_no_mbox_is_refused_and_an_empty_one_has_no_messages() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mbox");
        std::fs::write(&path, "Subject: x\n").unwrap();
        let refused = MboxSource::open(&path).unwrap_err().to_string();
        assert!(refused.ends_with("is no mbox: it does not begin with \"From \""), "{refused}");
        assert!(read("").is_empty());
        assert_eq!(read("From somebody\nA: b\n").len(), 1);
    }
}

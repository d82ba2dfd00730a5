//! A message on its way out, in a file without a name: line ends made CRLF, what it needs of a server found out.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;

use mailwire::smtp::client::Content;

use crate::random;

/// Octets of a message that are taken; more is a mistake.
const MESSAGE_OCTETS_MAX: u64 = 2 << 30;
/// Octets of a header field's name that are looked at.
const FIELD_NAME_OCTETS_MAX: usize = 16;

/// A message being written.
pub(crate) struct Spool {
    file: BufWriter<File>,
    octets: u64,
    ends: LineEnds,
    section: Section,
    content: Content,
    bcc: Bcc,
}

/// A message that is complete.
pub(crate) struct Spooled {
    file: File,
    octets: u64,
    content: Content,
    bcc: Bcc,
}

/// Whether a field shows whom the others should not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bcc {
    Absent,
    Present,
}

/// Where in a line the next octet stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LineEnds {
    LineStart,
    Middle,
    /// Behind a CR that has not been written.
    Cr,
}

enum Section {
    /// The first octets of the line.
    Header(Vec<u8>),
    Body,
}

impl Spool {
    /// An empty one.
    pub(crate) fn create() -> io::Result<Self> {
        let file = temporary_file()?;
        Ok(Self {
            file: BufWriter::new(file),
            octets: 0,
            ends: LineEnds::LineStart,
            section: Section::Header(Vec::new()),
            content: Content::SevenBit,
            bcc: Bcc::Absent,
        })
    }

    /// Ends the last line, where it has no end.
    pub(crate) fn finish(mut self) -> io::Result<Spooled> {
        match self.ends {
            LineEnds::LineStart => {}
            LineEnds::Middle | LineEnds::Cr => self.end_line()?,
        }
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Spooled { file, octets: self.octets, content: self.content, bcc: self.bcc })
    }

    fn octet(&mut self, octet: u8) -> io::Result<()> {
        match (self.ends, octet) {
            (_, b'\n') => return self.end_line(),
            // RFC 5321 §2.3.8: a CR alone never leaves us.
            (LineEnds::Cr, _) => self.end_line()?,
            (LineEnds::LineStart | LineEnds::Middle, _) => {}
        }
        if octet == b'\r' {
            self.ends = LineEnds::Cr;
            return Ok(());
        }
        self.ends = LineEnds::Middle;
        self.octets += 1;
        match &mut self.section {
            Section::Header(line) if line.len() < FIELD_NAME_OCTETS_MAX => line.push(octet),
            Section::Header(_) | Section::Body => {}
        }
        if !octet.is_ascii() {
            self.content = match (&self.section, self.content) {
                (Section::Header(_), _) | (_, Content::Utf8) => Content::Utf8,
                (Section::Body, Content::SevenBit | Content::EightBit) => Content::EightBit,
            };
        }
        self.file.write_all(&[octet])
    }

    fn end_line(&mut self) -> io::Result<()> {
        self.ends = LineEnds::LineStart;
        self.octets += 2;
        if self.octets > MESSAGE_OCTETS_MAX {
            return Err(io::Error::other(format!("the message has more than {MESSAGE_OCTETS_MAX} octets")));
        }
        match &mut self.section {
            Section::Header(line) if line.is_empty() => self.section = Section::Body,
            Section::Header(line) => {
                if is_bcc(line) {
                    self.bcc = Bcc::Present;
                }
                line.clear();
            }
            Section::Body => {}
        }
        self.file.write_all(b"\r\n")
    }
}

/// A file in the folder for temporary files, readable to nobody else, gone with the process.
pub(crate) fn temporary_file() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("mua-{}", random::name()?));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// `"Bcc:"`, RFC 5322 §3.6.3, with the blanks that its obsolete form allows (§4.5.3).
fn is_bcc(line: &[u8]) -> bool {
    let name = line.split(|octet| *octet == b':').next().unwrap_or_default();
    line.contains(&b':') && name.trim_ascii_end().eq_ignore_ascii_case(b"bcc")
}

impl Write for Spool {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        octets.iter().try_for_each(|octet| self.octet(*octet))?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Spooled {
    /// Octets of the message, before dot-stuffing.
    pub(crate) const fn octets(&self) -> u64 {
        self.octets
    }

    /// What it needs of a server.
    pub(crate) const fn content(&self) -> Content {
        self.content
    }

    /// Whether it has a Bcc field.
    pub(crate) const fn bcc(&self) -> Bcc {
        self.bcc
    }

    /// The message from its first octet.
    pub(crate) fn read(&mut self) -> io::Result<impl Read> {
        self.file.seek(SeekFrom::Start(0))?;
        Ok(&mut self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spooled(parts: &[&[u8]]) -> Spooled {
        let mut spool = Spool::create().unwrap();
        for part in parts {
            spool.write_all(part).unwrap();
        }
        spool.finish().unwrap()
    }

    fn text(parts: &[&[u8]]) -> String {
        let mut spooled = spooled(parts);
        let mut text = String::new();
        spooled.read().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(spooled.octets(), text.len() as u64);
        text
    }

    #[test]
    fn every_line_end_becomes_crlf_however_it_is_chopped() {
        assert_eq!(text(&[b"a\nb\r\nc\rd\r", b"\n\n\r\r\n", b"e"]), "a\r\nb\r\nc\r\nd\r\n\r\n\r\n\r\ne\r\n");
        assert_eq!(text(&[b""]), "");
        assert_eq!(text(&[b"a\r"]), "a\r\n");
    }

    #[test]
    fn what_the_content_needs_depends_on_where_it_is_not_ascii() {
        assert_eq!(spooled(&[b"A: b\n\nc\n"]).content(), Content::SevenBit);
        assert_eq!(spooled(&[b"A: b\n\n\xff\n"]).content(), Content::EightBit);
        assert_eq!(spooled(&["A: ä\n\nä\n".as_bytes()]).content(), Content::Utf8);
    }

    #[test]
    fn a_bcc_field_is_found_in_the_header_section_only() {
        assert_eq!(spooled(&[b"A: b\nbCC : x\n\n"]).bcc(), Bcc::Present);
        assert_eq!(spooled(&[b"Bcc: x"]).bcc(), Bcc::Present);
        assert_eq!(spooled(&[b"A: b\n Bcc: x\n\nBcc: x\n"]).bcc(), Bcc::Absent);
        assert_eq!(spooled(&[b"Bccx: b\n\n"]).bcc(), Bcc::Absent);
    }
}

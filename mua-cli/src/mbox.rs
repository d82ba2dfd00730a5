//! An mbox file (RFC 4155) with the reversible quoting of mboxrd: `>` before every line of `>*From `.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use mail_parser::DateTime;
use mailwire::clock;

/// Octets that are copied at a time.
const CHUNK_OCTETS: usize = 32 << 10;
/// What a line that separates messages begins with.
const FROM: &[u8] = b"From ";

/// The file; locked only while a message is appended.
#[derive(Debug)]
pub(crate) struct Mbox {
    path: PathBuf,
}

/// Where in a line the next octet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// At its start, behind any number of `>` and so many octets of `From `.
    Start(usize),
    Middle,
}

/// Quotes lines, whatever the chunks.
struct Quoter {
    at: Position,
}

impl Mbox {
    /// The file need not be there yet.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Appends a message; it is on disk when this returns, or not there at all.
    pub(crate) fn append(&self, message: &mut (impl Read + Seek)) -> io::Result<()> {
        let mut file = OpenOptions::new().read(true).append(true).open(&self.path)?;
        file.lock()?;
        let octets_before = file.seek(SeekFrom::End(0))?;
        let written = write(&mut file, octets_before, message).and_then(|()| file.sync_all());
        if written.is_err() {
            // Half a message would be joined by the next one.
            file.set_len(octets_before)?;
        }
        written
    }
}

fn write(file: &mut File, octets_before: u64, message: &mut (impl Read + Seek)) -> io::Result<()> {
    let separator = separator(file, octets_before)?;
    let mut output = BufWriter::new(file);
    output.write_all(separator)?;
    output.write_all(from_line(clock::unix_seconds()).as_bytes())?;
    message.seek(SeekFrom::Start(0))?;
    let mut quoter = Quoter { at: Position::Start(0) };
    let mut chunk = vec![0; CHUNK_OCTETS];
    loop {
        let count = message.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        quoter.quote(chunk.get(..count).unwrap_or_default(), &mut output)?;
    }
    quoter.finish(&mut output)?;
    output.flush()
}

/// What must stand before the next message, so that a blank line ends the one before.
fn separator(file: &mut File, octets: u64) -> io::Result<&'static [u8]> {
    let mut last = Vec::new();
    file.seek(SeekFrom::Start(octets.saturating_sub(2)))?;
    file.read_to_end(&mut last)?;
    Ok(match last.as_slice() {
        [] | b"\n\n" => b"",
        [.., b'\n'] => b"\n",
        _ => b"\n\n",
    })
}

/// `From MAILER-DAEMON Tue Jul 21 10:00:00 2026`, RFC 4155: the envelope's sender is not known to POP3.
fn from_line(unix_seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let date = DateTime::from_timestamp(i64::try_from(unix_seconds).unwrap_or(0));
    let day = DAYS.get(usize::from(date.day_of_week())).unwrap_or(&"Thu");
    let month = MONTHS.get(usize::from(date.month).saturating_sub(1)).unwrap_or(&"Jan");
    format!(
        "From MAILER-DAEMON {day} {month} {:2} {:02}:{:02}:{:02} {}\n",
        date.day, date.hour, date.minute, date.second, date.year
    )
}

impl Quoter {
    fn quote(&mut self, content: &[u8], output: &mut impl Write) -> io::Result<()> {
        for octet in content {
            self.octet(*octet, output)?;
        }
        Ok(())
    }

    fn octet(&mut self, octet: u8, output: &mut impl Write) -> io::Result<()> {
        match self.at {
            Position::Start(0) if octet == b'>' => {}
            Position::Start(matched) if FROM.get(matched) == Some(&octet) => {
                self.at = Position::Start(matched + 1);
                if matched + 1 < FROM.len() {
                    return Ok(());
                }
                self.at = Position::Middle;
                output.write_all(b">")?;
                return output.write_all(FROM);
            }
            Position::Start(matched) => {
                output.write_all(FROM.get(..matched).unwrap_or_default())?;
                self.at = if octet == b'\n' { Position::Start(0) } else { Position::Middle };
            }
            Position::Middle if octet == b'\n' => self.at = Position::Start(0),
            Position::Middle => {}
        }
        output.write_all(&[octet])
    }

    /// Ends the last line, and the message with a blank one.
    fn finish(self, output: &mut impl Write) -> io::Result<()> {
        match self.at {
            Position::Start(0) => {}
            Position::Start(matched) => {
                output.write_all(FROM.get(..matched).unwrap_or_default())?;
                output.write_all(b"\n")?;
            }
            Position::Middle => output.write_all(b"\n")?,
        }
        output.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn quoted(content: &[u8], size: usize) -> String {
        let mut output = Vec::new();
        let mut quoter = Quoter { at: Position::Start(0) };
        for chunk in content.chunks(size) {
            quoter.quote(chunk, &mut output).unwrap();
        }
        quoter.finish(&mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn every_line_that_could_separate_messages_is_quoted_however_chopped() {
        let content = b"From a\n>From b\n>>>From c\nFrom\n>x\nFro From d\n From e\nFrom f";
        let expected = ">From a\n>>From b\n>>>>From c\nFrom\n>x\nFro From d\n From e\n>From f\n\n";
        for size in 1..10 {
            assert_eq!(quoted(content, size), expected);
        }
        assert_eq!(quoted(b"Fro", 1), "Fro\n\n");
        assert_eq!(quoted(b"", 1), "\n");
    }

    #[test]
    fn messages_are_separated_by_a_blank_line_and_a_from_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mbox");
        std::fs::write(&path, "From x\nA: b\n\nno end").unwrap();
        let mbox = Mbox::open(&path).unwrap();
        mbox.append(&mut Cursor::new(b"A: c\n\nFrom d\n")).unwrap();
        mbox.append(&mut Cursor::new(b"A: e\n\n")).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let [first, second, third] = text.split("\nFrom ").collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(first, "From x\nA: b\n\nno end\n");
        assert_eq!(second.split_once('\n').unwrap().1, "A: c\n\n>From d\n");
        assert_eq!(third.split_once('\n').unwrap().1, "A: e\n\n\n");
    }

    #[test]
    fn a_message_that_cannot_be_read_leaves_the_file_as_it_was() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        impl Seek for Broken {
            fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
                Ok(0)
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mbox");
        std::fs::write(&path, "From x\nA: b\n\n").unwrap();
        assert!(Mbox::open(&path).unwrap().append(&mut Broken).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "From x\nA: b\n\n");
    }

    #[test]
    fn the_from_line_has_the_form_of_asctime() {
        assert_eq!(from_line(1_784_620_800), "From MAILER-DAEMON Tue Jul 21 08:00:00 2026\n");
    }
}

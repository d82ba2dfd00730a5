//! Where fetched mail goes: a Maildir or an mbox file, with the line ends of a Unix file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::failure::{Exit, Failure};
use crate::maildir::{Delivery, Maildir};
use crate::mbox::Mbox;
use crate::options::Fetch;
use crate::spool;

/// A place for mail, and the message that is being written into it.
pub(crate) struct Destination {
    place: PathBuf,
    kind: Kind,
    line_ends: LineEnds,
}

enum Kind {
    Maildir(Maildir, Option<Delivery>),
    /// The message waits in a file without a name, so that the mbox is not locked while it comes.
    Mbox(Mbox, Option<BufWriter<File>>),
}

/// Turns CRLF into LF, whatever the chunks. A CR that no LF follows stays.
#[derive(Default)]
struct LineEnds {
    cr: bool,
}

impl Destination {
    /// What the command line names, if anything.
    pub(crate) fn open(options: &Fetch) -> Result<Option<Self>, Failure> {
        let failed = |place: &Path, error: io::Error| {
            Failure::caused(
                Exit::CannotCreate,
                format!("mail cannot be put into {}", place.display()),
                &error,
            )
        };
        let (place, kind) = match (&options.maildir, &options.mbox) {
            (Some(place), _) => {
                (place, Kind::Maildir(Maildir::open(place).map_err(|error| failed(place, error))?, None))
            }
            (None, Some(place)) => {
                (place, Kind::Mbox(Mbox::open(place).map_err(|error| failed(place, error))?, None))
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Self { place: place.clone(), kind, line_ends: LineEnds::default() }))
    }

    /// The folder or file.
    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    /// What the names of files begin with that lie beside the mail: in the Maildir, next to the mbox.
    pub(crate) fn beside(&self) -> PathBuf {
        match self.kind {
            Kind::Maildir(..) => self.place.join(""),
            Kind::Mbox(..) => self.place.clone(),
        }
    }

    /// Begins a message.
    pub(crate) fn begin(&mut self) -> Result<(), Failure> {
        let begun = match &mut self.kind {
            Kind::Maildir(maildir, delivery) => maildir.begin().map(|begun| *delivery = Some(begun)),
            Kind::Mbox(_, message) => {
                spool::temporary_file().map(|file| *message = Some(BufWriter::new(file)))
            }
        };
        begun.map_err(|error| self.failed(&error))
    }

    /// Takes a piece of it.
    pub(crate) fn content(&mut self, octets: &[u8]) -> Result<(), Failure> {
        let converted = self.line_ends.converted(octets);
        self.write(&converted)
    }

    /// It is complete, and on disk when this returns.
    pub(crate) fn commit(&mut self) -> Result<(), Failure> {
        let rest = std::mem::take(&mut self.line_ends).finish();
        self.write(rest)?;
        let committed = match &mut self.kind {
            Kind::Maildir(maildir, delivery) => {
                delivery.take().map_or(Ok(()), |delivery| maildir.commit(delivery))
            }
            Kind::Mbox(mbox, message) => message.take().map_or(Ok(()), |message| {
                let mut file = message.into_inner().map_err(io::IntoInnerError::into_error)?;
                mbox.append(&mut file)
            }),
        };
        committed.map_err(|error| self.failed(&error))
    }

    fn write(&mut self, octets: &[u8]) -> Result<(), Failure> {
        let written = match &mut self.kind {
            Kind::Maildir(_, Some(delivery)) => delivery.write_all(octets),
            Kind::Mbox(_, Some(message)) => message.write_all(octets),
            Kind::Maildir(_, None) | Kind::Mbox(_, None) => Ok(()),
        };
        written.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::caused(Exit::Io, format!("writing into {} failed", self.place.display()), error)
    }
}

impl LineEnds {
    fn converted(&mut self, octets: &[u8]) -> Vec<u8> {
        let mut output = Vec::with_capacity(octets.len() + 1);
        for octet in octets {
            if self.cr && *octet != b'\n' {
                output.push(b'\r');
            }
            self.cr = *octet == b'\r';
            if !self.cr {
                output.push(*octet);
            }
        }
        output
    }

    /// What is held back at the end.
    const fn finish(self) -> &'static [u8] {
        if self.cr { b"\r" } else { b"" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crlf_becomes_lf_however_chopped() {
        let content = b"a\r\nb\rc\n\r\r\n\r";
        for size in 1..8 {
            let mut line_ends = LineEnds::default();
            let mut output: Vec<u8> =
                content.chunks(size).flat_map(|chunk| line_ends.converted(chunk)).collect();
            output.extend_from_slice(line_ends.finish());
            assert_eq!(output, b"a\nb\rc\n\r\n\r");
        }
    }

    #[test]
    fn both_kinds_hold_the_same_message() {
        let folder = tempfile::tempdir().unwrap();
        let maildir = folder.path().join("maildir");
        let mbox = folder.path().join("mbox");
        let kinds = [
            Kind::Maildir(Maildir::open(&maildir).unwrap(), None),
            Kind::Mbox(Mbox::open(&mbox).unwrap(), None),
        ];
        for kind in kinds {
            let place = folder.path().to_owned();
            let mut destination = Destination { place, kind, line_ends: LineEnds::default() };
            destination.begin().unwrap();
            destination.content(b"A: b\r").unwrap();
            destination.content(b"\n\r\nbody\r\n").unwrap();
            destination.commit().unwrap();
        }
        let [entry] = maildir.join("new").read_dir().unwrap().collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(std::fs::read(entry.unwrap().path()).unwrap(), b"A: b\n\nbody\n");
        let text = std::fs::read_to_string(mbox).unwrap();
        assert_eq!(text.split_once('\n').unwrap().1, "A: b\n\nbody\n\n");
    }
}

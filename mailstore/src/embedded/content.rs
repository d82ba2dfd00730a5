//! Octets of messages: read back by range from the journal and from content files, each block checked.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::error;

use super::files::{File, Files, Mode};
use super::journal::{Journal, Location};
use super::keys::Subject;
use super::record::{self, BLOCK_OCTETS, Event, FileContent, Frame, Message, Side};

/// Whether a read may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Only what is in memory: `None` otherwise. For the threads that serve the network.
    Once,
    /// As long as it takes.
    Wait,
}

/// Opens messages.
pub(crate) struct Contents {
    pub(crate) files: Arc<dyn Files>,
    pub(crate) journal: Arc<Journal>,
    /// Where content files are.
    pub(crate) folder: PathBuf,
}

/// One message, open for reading.
pub(crate) struct Content {
    subject: Subject,
    parts: Parts,
}

enum Parts {
    Whole {
        segment: Arc<dyn File>,
        /// Where the content in the record begins.
        offset: u64,
        octets: u64,
        checksums: Vec<u32>,
        /// What was read with the head: the first octets of the content.
        ahead: Vec<u8>,
        rest: Option<(Arc<dyn File>, FileContent)>,
    },
    /// The record's head is damaged: nothing of it can be found any more.
    Lost,
}

/// What became of the wish to open a message.
pub(crate) enum Opened {
    /// Here it is, or its substitute.
    Content(Content),
    /// It is not in memory, and waiting was not allowed.
    NotInMemory,
    /// There is no such segment: it was compacted away, or is lost.
    NoSegment,
}

/// A content file's name.
pub(crate) fn file_name(unique_id: [u8; 16]) -> String {
    crate::UniqueId::minted(unique_id).to_string()
}

impl Contents {
    /// Opens a message; one whose record is damaged gives its substitute.
    pub(crate) fn open(&self, subject: Subject, access: Access) -> io::Result<Opened> {
        let Subject { location, front_octets, .. } = subject;
        let first_block = usize::try_from(subject.inline_octets()).unwrap_or(BLOCK_OCTETS).min(BLOCK_OCTETS);
        let front_octets = usize::try_from(front_octets).map_err(io::Error::other)?;
        let segment = match self.journal.file(location.segment) {
            Ok(segment) => segment,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Opened::NoSegment),
            Err(error) => return Err(error),
        };
        let mut octets = vec![0; front_octets.saturating_add(first_block)];
        let Some(read) = read(&*segment, &mut octets, location.offset, access)? else {
            return Ok(Opened::NotInMemory);
        };
        if access == Access::Once && read < octets.len() {
            return Ok(Opened::NotInMemory);
        }
        octets.truncate(read);
        let found = match record::decode(&octets, Side::Front, self.journal.seed()) {
            Some(found) => Some(found),
            None if access == Access::Once => return Ok(Opened::NotInMemory),
            None => self.copy(&*segment, subject)?,
        };
        let message = found.and_then(|(frame, event)| Some((frame, event.message()?.clone())));
        let Some((frame, message)) = message else { return Ok(Opened::Content(Content::lost(subject))) };
        octets.drain(..front_octets.min(octets.len()));
        self.whole(subject, segment, frame, (message, octets)).map(Opened::Content)
    }

    /// The head of the record that holds a message; `None` where it is lost.
    pub(crate) fn head(&self, subject: Subject) -> io::Result<Option<Event>> {
        let segment = self.journal.file(subject.location.segment)?;
        let mut octets = vec![0; usize::try_from(subject.front_octets).map_err(io::Error::other)?];
        let read = segment.read_at(&mut octets, subject.location.offset)?;
        octets.truncate(read);
        let found = match record::decode(&octets, Side::Front, self.journal.seed()) {
            Some(found) => Some(found),
            None => self.copy(&*segment, subject)?,
        };
        Ok(found.map(|(_, event)| event))
    }

    /// The second front of a record whose first one is damaged.
    fn copy(&self, segment: &dyn File, subject: Subject) -> io::Result<Option<(Frame, Event)>> {
        let front_octets = u64::from(subject.front_octets);
        let skipped = front_octets.saturating_add(subject.inline_octets());
        let mut octets = vec![0; usize::try_from(front_octets).map_err(io::Error::other)?];
        segment.read_at(&mut octets, subject.location.offset.saturating_add(skipped))?;
        Ok(record::decode(&octets, Side::Copy, self.journal.seed()))
    }

    fn whole(
        &self,
        subject: Subject,
        segment: Arc<dyn File>,
        frame: Frame,
        (message, mut ahead): (Message, Vec<u8>),
    ) -> io::Result<Content> {
        ahead.truncate(usize::try_from(frame.content_octets).unwrap_or(usize::MAX));
        let rest = match (message.file, subject.file) {
            (Some(file), Some(named)) => {
                match self.files.open(&self.folder.join(file_name(named.name)), Mode::Read) {
                    Ok(open) => Some((open, file)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        return Ok(Content::lost(subject));
                    }
                    Err(error) => return Err(error),
                }
            }
            (_, _) => None,
        };
        let offset = subject.location.offset.saturating_add(frame.content_offset());
        let parts = Parts::Whole {
            segment,
            offset,
            octets: frame.content_octets,
            checksums: message.checksums,
            ahead,
            rest,
        };
        Ok(Content { subject, parts })
    }
}

/// The block of a run of content that holds `offset`: its begin, its length and its place among the checksums.
struct Block {
    begin: u64,
    octets: usize,
    number: usize,
}

fn block(offset: u64, run_octets: u64) -> Option<Block> {
    let size = BLOCK_OCTETS as u64;
    let number = offset / size;
    let begin = number * size;
    let octets = usize::try_from(run_octets.checked_sub(begin)?.min(size)).ok()?;
    Some(Block { begin, octets, number: usize::try_from(number).ok()? })
}

impl Content {
    /// The substitute for a message that cannot be found any more.
    pub(crate) fn lost(subject: Subject) -> Self {
        error!(location = ?subject.location, "a message is lost; `mailstack store check` says whose");
        Self { subject, parts: Parts::Lost }
    }

    /// True where nothing of it can be found any more.
    pub(crate) const fn is_lost(&self) -> bool {
        matches!(self.parts, Parts::Lost)
    }

    /// True where all of it is as it was written.
    pub(crate) fn is_whole(&self) -> io::Result<bool> {
        let Parts::Whole { segment, offset, octets, checksums, rest, .. } = &self.parts else {
            return Ok(false);
        };
        let in_file = rest.as_ref().map_or(0, |(_, content)| content.octets);
        if octets.saturating_add(in_file) != self.subject.octets {
            return Ok(false);
        }
        let mut damaged = damaged_blocks(&**segment, *offset, *octets, checksums)?;
        if let Some((file, content)) = rest {
            damaged.extend(damaged_blocks(&**file, 0, content.octets, &content.checksums)?);
        }
        Ok(damaged.is_empty())
    }

    /// At most `octets_max` octets from `offset` on, never more than the rest of one block; empty at the end.
    pub(crate) fn read(&self, offset: u64, octets_max: usize, access: Access) -> io::Result<Option<Vec<u8>>> {
        if offset >= self.subject.octets {
            return Ok(Some(Vec::new()));
        }
        let Parts::Whole { segment, offset: begin, octets, checksums, ahead, rest, .. } = &self.parts else {
            return Ok(Some(self.substitute(offset, octets_max)));
        };
        if offset < *octets {
            let Some(block) = block(offset, *octets) else { return Ok(Some(Vec::new())) };
            let first = if block.number == 0 { ahead.get(..block.octets) } else { None };
            let read = match first {
                Some(first) => Some(first.to_vec()),
                None => read_block(&**segment, begin.saturating_add(block.begin), block.octets, access)?,
            };
            let checksum = checksums.get(block.number).copied();
            return Ok(read.map(|read| self.checked(read, checksum, (block.begin, offset, octets_max))));
        }
        let Some((file, content)) = rest else { return Ok(Some(self.substitute(offset, octets_max))) };
        let within = offset - octets;
        let Some(block) = block(within, content.octets) else { return Ok(Some(Vec::new())) };
        let read = read_block(&**file, block.begin, block.octets, access)?;
        let checksum = content.checksums.get(block.number).copied();
        let begin = octets.saturating_add(block.begin);
        Ok(read.map(|read| self.checked(read, checksum, (begin, offset, octets_max))))
    }

    /// What was asked for, out of a block that is as it was written, or out of its substitute.
    fn checked(
        &self,
        block: Vec<u8>,
        checksum: Option<u32>,
        (begin, offset, octets_max): (u64, u64, usize),
    ) -> Vec<u8> {
        if checksum != Some(crc32c::crc32c(&block)) {
            let (location, octets) = (self.subject.location, block.len());
            error!(
                ?location,
                offset = begin,
                octets,
                "content of a message is damaged; `mailstack store check --deep` says whose"
            );
            let rest = (begin + block.len() as u64).saturating_sub(offset);
            return self.substitute(offset, octets_max.min(usize::try_from(rest).unwrap_or(octets_max)));
        }
        let start = usize::try_from(offset - begin).unwrap_or(usize::MAX);
        let mut block = block;
        if start > 0 {
            block.drain(..start.min(block.len()));
        }
        block.truncate(octets_max);
        block
    }

    /// A well-formed stand-in for damaged octets, of the same size: a reader that gets an error at one message
    /// never comes past it (common clients stop there at every attempt).
    fn substitute(&self, offset: u64, octets_max: usize) -> Vec<u8> {
        let left = self.subject.octets.saturating_sub(offset);
        let octets = octets_max.min(BLOCK_OCTETS).min(usize::try_from(left).unwrap_or(BLOCK_OCTETS));
        (0_u64..).take(octets).map(|at| self.substitute_octet(offset.saturating_add(at))).collect()
    }

    fn substitute_octet(&self, at: u64) -> u8 {
        const SUBJECT: &[u8] = b"Subject: [mailstack] This message was damaged on disk\r\n";
        const FILLER: &[u8] = b"X-Mailstack-Damaged: this part is lost\r\n";
        const TEXT: &[u8] = b"[This part of the message was damaged on disk and is lost.]\r\n";
        let header = self.subject.header_octets;
        let end = if at < header { header } else { self.subject.octets };
        let pick = |text: &[u8], at: u64| {
            let at = usize::try_from(at % (text.len() as u64)).unwrap_or(0);
            text.get(at).copied().unwrap_or(b' ')
        };
        let left = end - at;
        // Both sections end in line ends whatever their size: the header's blank line, the body's last line.
        let ending = if at < header { 4 } else { 2 };
        if left <= ending {
            return if left.is_multiple_of(2) { b'\r' } else { b'\n' };
        }
        let octet = if at >= header {
            pick(TEXT, at - header)
        } else if at < SUBJECT.len() as u64 {
            pick(SUBJECT, at)
        } else {
            pick(FILLER, at - SUBJECT.len() as u64)
        };
        if octet == b'\r' && left == ending + 1 { b' ' } else { octet }
    }
}

/// True where the content in the record, and its length, are as they were written.
pub(crate) fn is_whole(
    segment: &dyn File,
    location: Location,
    frame: &Frame,
    message: &Message,
) -> io::Result<bool> {
    let begin = location.offset.saturating_add(frame.content_offset());
    Ok(damaged_blocks(segment, begin, frame.content_octets, &message.checksums)?.is_empty())
}

/// Begin (in the file) and length of the blocks that are not as they were written, of a run of content that begins at
/// `begin`.
pub(crate) fn damaged_blocks(
    file: &dyn File,
    begin: u64,
    octets: u64,
    checksums: &[u32],
) -> io::Result<Vec<(u64, u64)>> {
    let mut damaged = Vec::new();
    let mut offset = 0;
    let mut checksums = checksums.iter();
    while offset < octets {
        let Some(block) = block(offset, octets) else { break };
        let at = begin.saturating_add(offset);
        let read = read_block(file, at, block.octets, Access::Wait)?;
        if checksums.next().copied() != read.as_deref().map(crc32c::crc32c) {
            damaged.push((at, block.octets as u64));
        }
        offset = offset.saturating_add(block.octets as u64);
    }
    if checksums.next().is_some() {
        damaged.push((begin, octets));
    }
    Ok(damaged)
}

/// A block; shorter where the file ends too early.
fn read_block(file: &dyn File, offset: u64, octets: usize, access: Access) -> io::Result<Option<Vec<u8>>> {
    let mut block = vec![0; octets];
    let read = read(file, &mut block, offset, access)?;
    Ok(read.filter(|read| access == Access::Wait || *read == octets).map(|_| block))
}

fn read(file: &dyn File, buffer: &mut [u8], offset: u64, access: Access) -> io::Result<Option<usize>> {
    match access {
        Access::Once => file.read_at_once(buffer, offset),
        Access::Wait => file.read_at(buffer, offset).map(Some),
    }
}

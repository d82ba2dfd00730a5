//! One message, as one milter after the other leaves it, and what has become of it in the end.

use std::io;

use mailwire::address::{Mailbox, ReversePath};

use super::super::spool::Spool;
use super::answer::{Change, MilterError};
use super::header::{Header, LeadingBlanks};
use crate::content::{Inspector, LineEnds, Rules, SpamFlags, Treatment};

/// Most octets of a header section that is shown to milters.
const HEADER_OCTETS_MAX: usize = 128 << 10;
/// What ends it.
const END: &[u8] = b"\r\n\r\n";

/// What there is of a message when milters hear of it.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// What stands in front of it.
    pub(crate) prefix: Vec<u8>,
    /// True where it has recipients elsewhere.
    pub(crate) leaves: bool,
}

/// One message.
pub(crate) struct Letter {
    header: Header,
    /// The content as it came.
    spool: Spool,
    /// Where the text begins in it; `None` where there is none.
    begins_at: Option<u64>,
    /// Another text.
    text: Option<Text>,
    sender: Option<ReversePath>,
    added: Vec<Mailbox>,
    removed: Vec<Mailbox>,
    pub(super) leaves: bool,
    is_revised: bool,
}

/// Another text, made of lines that end with CRLF.
pub(super) struct Text {
    spool: Spool,
    inspector: Inspector,
    octets_max: u64,
}

/// What has become of a message.
pub(crate) struct Revision {
    /// What stands in front of it.
    pub(crate) prefix: Vec<u8>,
    /// Another sender.
    pub(crate) sender: Option<ReversePath>,
    /// Recipients who get it besides.
    pub(crate) added: Vec<Mailbox>,
    /// Recipients who do not get it.
    pub(crate) removed: Vec<Mailbox>,
    /// Other content.
    pub(crate) content: Option<Content>,
    /// The header section of the content.
    pub(crate) header: Vec<u8>,
}

/// Content that is to be written in the place of what has been.
pub(crate) struct Content {
    header: Vec<u8>,
    text: Spool,
    begins_at: u64,
    is_begun: bool,
}

impl Letter {
    /// Reads the header section of what came in. `None` where it is too large to be shown.
    pub(in crate::gate::scan) async fn read(
        parts: Parts,
        mut spool: Spool,
    ) -> io::Result<Result<Self, (Parts, Spool)>> {
        spool.rewind().await?;
        let mut head = Vec::new();
        let is_text = parts.prefix.ends_with(END);
        let (header, begins_at) = loop {
            if is_text {
                break (Vec::new(), Some(0));
            }
            if head.starts_with(b"\r\n") {
                break (Vec::new(), Some(2));
            }
            if let Some(end) = memchr::memmem::find(&head, END) {
                let begins_at = u64::try_from(end.saturating_add(END.len())).unwrap_or(u64::MAX);
                head.truncate(end.saturating_add(2));
                break (head, Some(begins_at));
            }
            if head.len() > HEADER_OCTETS_MAX {
                return Ok(Err((parts, spool)));
            }
            let piece = spool.read().await?;
            if piece.is_empty() {
                break (head, None);
            }
            head.extend(piece);
        };
        if header.len() > HEADER_OCTETS_MAX {
            return Ok(Err((parts, spool)));
        }
        Ok(Ok(Self {
            header: Header::new(&parts.prefix, &header),
            spool,
            begins_at,
            text: None,
            sender: None,
            added: Vec::new(),
            removed: Vec::new(),
            leaves: parts.leaves,
            is_revised: false,
        }))
    }

    /// The content as it came.
    pub(in crate::gate::scan) const fn spool(&mut self) -> &mut Spool {
        &mut self.spool
    }

    pub(super) const fn header(&self) -> &Header {
        &self.header
    }

    /// Goes to the beginning of the text.
    pub(super) async fn rewind(&mut self) -> io::Result<()> {
        match (&mut self.text, self.begins_at) {
            (Some(text), _) => text.spool.rewind().await,
            (None, Some(at)) => self.spool.rewind_to(at).await,
            (None, None) => Ok(()),
        }
    }

    /// The next piece of the text; empty at its end.
    pub(super) async fn piece(&mut self) -> io::Result<Vec<u8>> {
        match (&mut self.text, self.begins_at) {
            (Some(text), _) => text.spool.read().await,
            (None, Some(_)) => self.spool.read().await,
            (None, None) => Ok(Vec::new()),
        }
    }

    /// Does what a milter wants done, its changes in their order and its text.
    pub(super) fn revise(
        &mut self,
        changes: &[Change],
        text: Option<Text>,
        leading_blanks: LeadingBlanks,
    ) -> Result<(), MilterError> {
        let mut header = self.header.clone();
        let (mut sender, mut added, mut removed) =
            (self.sender.clone(), self.added.clone(), self.removed.clone());
        for change in changes {
            if !header.change(change, leading_blanks) {
                return Err(MilterError::TooMuch);
            }
            match change {
                Change::Sender(path) => sender = Some(reverse_path(path)?),
                Change::AddRecipient(path) => {
                    let mailbox = mailbox(path)?;
                    removed.retain(|known| known != &mailbox);
                    added.push(mailbox);
                }
                Change::RemoveRecipient(path) => {
                    let mailbox = mailbox(path)?;
                    added.retain(|known| known != &mailbox);
                    removed.push(mailbox);
                }
                Change::Add(_)
                | Change::Insert(..)
                | Change::Alter(..)
                | Change::Text(_)
                | Change::Quarantine(_) => {}
            }
        }
        (self.header, self.sender, self.added, self.removed) = (header, sender, added, removed);
        self.is_revised |= !changes.is_empty() || text.is_some();
        self.text = text.or_else(|| self.text.take());
        Ok(())
    }

    /// What has become of it; `None` where it is what it was.
    pub(crate) fn revision(self) -> Option<Revision> {
        if !self.is_revised {
            return None;
        }
        let header = self.header.message();
        let content = match self.text {
            Some(text) => Some((text.spool, 0)),
            None if self.header.is_changed() => Some((self.spool, self.begins_at.unwrap_or(u64::MAX))),
            None => None,
        };
        let has_text = self.begins_at.is_some();
        let content = content.map(|(text, begins_at)| {
            let mut header = header.clone();
            // Where this server's fields are followed by a blank line, there is one already.
            if has_text && self.begins_at != Some(0) {
                header.extend_from_slice(b"\r\n");
            }
            Content { header, text, begins_at, is_begun: false }
        });
        Some(Revision {
            prefix: self.header.prefix(),
            sender: self.sender,
            added: self.added,
            removed: self.removed,
            content,
            header,
        })
    }
}

impl Text {
    /// Nothing yet, of at most so many octets.
    pub(super) fn new(octets_max: u64) -> Self {
        let mut inspector = Inspector::new(Rules {
            treatment: Treatment::PassedOn,
            line_ends: LineEnds::Repaired,
            spam_flags: SpamFlags::Kept,
            octets_max,
            octets_read_max: octets_max,
            header_octets_max: octets_max,
            received_max: u32::MAX,
            own_names: [].into(),
        });
        // It is all text, whatever it looks like.
        inspector.inspect(&mut Vec::from(b"\r\n"), 0);
        Self { spool: Spool::new(), inspector, octets_max }
    }

    /// The next piece.
    pub(super) async fn write(&mut self, mut piece: Vec<u8>) -> io::Result<bool> {
        self.inspector.inspect(&mut piece, 0);
        if self.inspector.octets() > self.octets_max {
            return Ok(false);
        }
        self.spool.write(&piece).await?;
        Ok(true)
    }
}

impl Content {
    /// The next piece; empty at the end.
    pub(crate) async fn piece(&mut self) -> io::Result<Vec<u8>> {
        if !self.is_begun {
            self.is_begun = true;
            if self.begins_at == u64::MAX {
                self.text = Spool::new();
            } else {
                self.text.rewind_to(self.begins_at).await?;
            }
            if !self.header.is_empty() {
                return Ok(std::mem::take(&mut self.header));
            }
        }
        self.text.read().await
    }
}

/// `<a@b.c>` or `a@b.c`, as milters write it.
fn bare(path: &str) -> &str {
    path.strip_prefix('<').and_then(|path| path.strip_suffix('>')).unwrap_or(path)
}

fn mailbox(path: &str) -> Result<Mailbox, MilterError> {
    Mailbox::parse(bare(path)).map_err(|_| MilterError::Address)
}

fn reverse_path(path: &str) -> Result<ReversePath, MilterError> {
    if bare(path).is_empty() { Ok(ReversePath::Null) } else { mailbox(path).map(ReversePath::Mailbox) }
}

#[cfg(test)]
mod tests {
    use super::super::answer::Answer;
    use super::*;

    async fn letter(prefix: &[u8], content: &[u8]) -> Letter {
        let mut spool = Spool::new();
        spool.write(content).await.unwrap();
        let parts = Parts { prefix: prefix.to_vec(), leaves: false };
        let Ok(letter) = Letter::read(parts, spool).await.unwrap() else { panic!() };
        letter
    }

    fn changes(packets: &[&[u8]]) -> Vec<Change> {
        let change = |packet: &&[u8]| match Answer::read(packet[0], &packet[1..]) {
            Ok(Answer::Change(change)) => change,
            other => panic!("{other:?}"),
        };
        packets.iter().map(change).collect()
    }

    async fn text(letter: &mut Letter) -> String {
        letter.rewind().await.unwrap();
        let mut text = Vec::new();
        loop {
            let piece = letter.piece().await.unwrap();
            if piece.is_empty() {
                return String::from_utf8(text).unwrap();
            }
            text.extend(piece);
        }
    }

    async fn written(revision: Revision) -> Option<String> {
        let mut content = revision.content?;
        let mut octets = Vec::new();
        loop {
            let piece = content.piece().await.unwrap();
            if piece.is_empty() {
                return Some(String::from_utf8(octets).unwrap());
            }
            octets.extend(piece);
        }
    }

    #[tokio::test]
    async fn a_letter_is_a_header_section_and_a_text() {
        for (prefix, content, fields, expected) in [
            (&b"R: x\r\n"[..], &b"A: b\r\nC: d\r\n\r\ntext\r\n"[..], 3, "text\r\n"),
            (b"R: x\r\n", b"A: b\r\n", 2, ""),
            (b"R: x\r\n", b"A: b\r\n\r\n", 2, ""),
            (b"R: x\r\n", b"\r\nA: b\r\n", 1, "A: b\r\n"),
            (b"R: x\r\n\r\n", b"text\r\n\r\nmore\r\n", 1, "text\r\n\r\nmore\r\n"),
            (b"R: x\r\n", b"", 1, ""),
        ] {
            let mut letter = letter(prefix, content).await;
            assert_eq!(letter.header().shown().count(), fields, "{}", content.escape_ascii());
            for _ in 0..2 {
                assert_eq!(text(&mut letter).await, expected);
            }
            assert!(letter.revision().is_none());
        }
    }

    #[tokio::test]
    async fn what_is_only_added_leaves_the_content_alone() {
        let mut letter = letter(b"R: x\r\n", b"A: b\r\n\r\ntext\r\n").await;
        letter.revise(&changes(&[b"hX-A\0b\0", b"e<c@d.example>\0"]), None, LeadingBlanks::Added).unwrap();
        let revision = letter.revision().unwrap();
        assert_eq!(revision.prefix, b"R: x\r\nX-A: b\r\n");
        assert_eq!(revision.sender.as_ref().unwrap().to_string(), "<c@d.example>");
        assert!(revision.content.is_none());
    }

    #[tokio::test]
    async fn a_changed_field_and_another_text_are_written() {
        let alter: &[u8] = b"m\0\0\0\x01A\0c\0";
        for (prefix, content, another, expected) in [
            (&b"R: x\r\n"[..], &b"A: b\r\n\r\ntext\r\n"[..], None, "A: c\r\n\r\ntext\r\n"),
            (b"R: x\r\n", b"A: b\r\n\r\ntext\r\n", Some("one\ntwo\r\n"), "A: c\r\n\r\none\r\ntwo\r\n"),
            (b"R: x\r\n", b"A: b\r\n", None, "A: c\r\n"),
            (
                b"R: x\r\n",
                b"A: b\r\n\r\ntext",
                Some("From: x\r\nX-Spam-Flag: YES\r\n"),
                "A: c\r\n\r\nFrom: x\r\nX-Spam-Flag: YES\r\n",
            ),
            (b"R: x\r\n\r\n", b"text\r\n", Some("other\r\n"), "other\r\n"),
        ] {
            let mut letter = letter(prefix, content).await;
            let text = match another {
                Some(another) => {
                    let mut text = Text::new(1000);
                    for piece in another.as_bytes().chunks(3) {
                        assert!(text.write(piece.to_vec()).await.unwrap());
                    }
                    Some(text)
                }
                None => None,
            };
            letter.revise(&changes(&[alter]), text, LeadingBlanks::Added).unwrap();
            assert_eq!(written(letter.revision().unwrap()).await.as_deref(), Some(expected));
        }
    }

    #[tokio::test]
    async fn recipients_come_and_go() {
        let mut letter = letter(b"", b"").await;
        let wanted = changes(&[b"+<a@b.example>\0", b"-c@d.example\0", b"-<a@b.example>\0"]);
        letter.revise(&wanted, None, LeadingBlanks::Added).unwrap();
        let revision = letter.revision().unwrap();
        assert_eq!(revision.added.len(), 0);
        let removed: Vec<_> = revision.removed.iter().map(ToString::to_string).collect();
        assert_eq!(removed, ["c@d.example", "a@b.example"]);
    }

    #[tokio::test]
    async fn what_cannot_be_done_changes_nothing() {
        let mut letter = letter(b"R: x\r\n", b"A: b\r\n").await;
        for wrong in [&b"+<a b@c>\0"[..], b"-x\0", b"ex@\0", b"+<>\0"] {
            let wanted = changes(&[b"hX-A\0b\0", wrong]);
            assert_eq!(letter.revise(&wanted, None, LeadingBlanks::Added), Err(MilterError::Address));
        }
        assert!(letter.revision().is_none());
        let mut text = Text::new(10);
        assert!(text.write(vec![b'x'; 8]).await.unwrap() && !text.write(vec![b'x'; 3]).await.unwrap());
    }

    #[tokio::test]
    async fn a_header_section_that_is_too_large_is_not_shown() {
        for (octets, is_shown) in [(HEADER_OCTETS_MAX - 10, true), (HEADER_OCTETS_MAX + 10, false)] {
            let mut spool = Spool::new();
            let content = [b"A: ".as_slice(), &b"x".repeat(octets), b"\r\n\r\ntext\r\n"].concat();
            spool.write(&content).await.unwrap();
            assert_eq!(Letter::read(Parts::default(), spool).await.unwrap().is_ok(), is_shown);
        }
    }
}

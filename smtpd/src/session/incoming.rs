//! Content on its way: where it ends, whether it is as it must be, and what of it waits to be written.

use std::fmt;

use mailstore::{Draft, IntakeError};
use mailwire::dot::{Unstuffed, Unstuffer};

use super::envelope::Envelope;
use super::filtering::HeaderCopy;
use crate::checks::Reading;
use crate::content::{Inspector, Problem, Rules};
use crate::gate::Scan;

/// Octets of content that are gathered before they go to the draft. What waits is at most this and one chunk read.
const WRITE_OCTETS: usize = 32 << 10;

/// How the end of content is found.
#[derive(Debug)]
pub(super) enum Framing {
    /// DATA: a line with a single dot.
    Dots(Unstuffer),
    /// BDAT: so many octets.
    Chunk {
        /// As the command said.
        octets: u64,
        /// Still to come.
        octets_left: u64,
        /// `LAST`.
        is_last: bool,
    },
}

/// Where content goes.
pub(super) enum Storage {
    /// Into the store.
    Draft(Box<dyn Draft>),
    /// Nowhere; the draft is dropped as soon as that is known.
    Nowhere(Reason),
}

/// Why content goes nowhere.
pub(super) enum Reason {
    /// We cannot take it.
    Failed(Failure),
    /// It is not as it must be.
    Refused(Problem),
}

/// Why we cannot take content.
pub(super) enum Failure {
    /// The store does not.
    Store(IntakeError),
    /// There is no memory for more now.
    TooMuchAtOnce,
}

/// Content on its way from the client to the store.
pub struct Incoming {
    pub(super) envelope: Envelope,
    pub(super) framing: Framing,
    pub(super) inspector: Inspector,
    pub(super) storage: Storage,
    /// Where a recipient has rules.
    header: Option<HeaderCopy>,
    /// The programs that look at it on its way.
    pub(super) scan: Option<Scan>,
    unwritten: Vec<u8>,
    /// Watches the message pass, where it comes from outside.
    pub(super) reading: Option<Box<Reading>>,
}

/// What [`Incoming::receive`] did with the octets it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Octets that belonged to the content.
    pub consumed: usize,
    /// True when the content, or the chunk, has ended, or is so long that the rest is not read.
    pub ended: bool,
    /// True when it is time to write [`Incoming::unwritten`] to the draft.
    pub write: bool,
}

impl Framing {
    pub(super) fn dots() -> Self {
        Self::Dots(Unstuffer::new())
    }

    /// True where no more content follows this.
    const fn is_last(&self) -> bool {
        match self {
            Self::Dots(_) => true,
            Self::Chunk { is_last, .. } => *is_last,
        }
    }

    /// Moves content from `received` to `output`.
    fn take(&mut self, received: &[u8], output: &mut Vec<u8>) -> Unstuffed {
        match self {
            Self::Dots(unstuffer) => unstuffer.unstuff(received, output),
            Self::Chunk { octets_left, .. } => {
                let most = usize::try_from(*octets_left).unwrap_or(usize::MAX);
                let content = received.get(..most).unwrap_or(received);
                output.extend_from_slice(content);
                *octets_left = octets_left.saturating_sub(u64::try_from(content.len()).unwrap_or(u64::MAX));
                Unstuffed { consumed: content.len(), ended: *octets_left == 0 }
            }
        }
    }
}

impl Incoming {
    pub(super) fn new(envelope: Envelope, framing: Framing, rules: Rules, storage: Storage) -> Self {
        let header = (!envelope.filtered.is_empty()).then(HeaderCopy::default);
        let inspector = Inspector::new(rules);
        Self {
            envelope,
            framing,
            inspector,
            storage,
            header,
            scan: None,
            unwritten: Vec::new(),
            reading: None,
        }
    }

    /// The same, with somebody who watches the message pass.
    pub(super) fn watched_by(self, reading: Option<Box<Reading>>) -> Self {
        Self { reading, ..self }
    }

    /// Takes what was received, up to the end of the content. Refused content is followed to its end and dropped.
    pub fn receive(&mut self, received: &[u8]) -> Progress {
        let before = self.unwritten.len();
        let Unstuffed { consumed, ended } = self.framing.take(received, &mut self.unwritten);
        if let Some(reading) = &mut self.reading {
            // As it was sent and signed: fields may go, and binary parts be converted.
            reading.pass(self.unwritten.get(before..).unwrap_or_default());
        }
        self.inspector.inspect(&mut self.unwritten, before);
        if ended && self.framing.is_last() {
            // What was held back has its end now, and a CR at the very end can no longer become a CRLF.
            self.inspector.finish(&mut self.unwritten);
        }
        if let Some(header) = &mut self.header {
            header.take(self.unwritten.get(before..).unwrap_or_default());
        }
        if let Some(problem) = self.inspector.problem() {
            self.storage = Storage::Nowhere(Reason::Refused(problem));
        }
        let ended = ended || self.inspector.is_endless();
        match self.storage {
            Storage::Draft(_) => {}
            Storage::Nowhere(_) => {
                self.unwritten.clear();
                self.reading = None;
            }
        }
        let write = !self.unwritten.is_empty() && (ended || self.unwritten.len() >= WRITE_OCTETS);
        Progress { consumed, ended, write }
    }

    /// True where the content or chunk has no octets at all, so that none must be waited for (`BDAT 0 LAST`).
    #[must_use]
    pub const fn is_empty_chunk(&self) -> bool {
        matches!(self.framing, Framing::Chunk { octets: 0, .. })
    }

    /// The draft, and what is to be written to it before [`Self::written`].
    pub fn unwritten(&mut self) -> Option<(&mut dyn Draft, &[u8])> {
        match &mut self.storage {
            Storage::Draft(draft) => Some((draft.as_mut(), &self.unwritten)),
            Storage::Nowhere(_) => None,
        }
    }

    /// True where other programs look at the content.
    pub(super) const fn is_scanned(&self) -> bool {
        self.scan.is_some()
    }

    /// Has these programs look at it from its beginning.
    pub fn scan_with(&mut self, scan: Scan) {
        self.scan = Some(scan);
    }

    /// Those who look at the content, and what is to pass to them before [`Self::written`].
    pub fn unscanned(&mut self) -> Option<(&mut Scan, &[u8])> {
        match (&self.storage, &mut self.scan) {
            (Storage::Draft(_), Some(scan)) => Some((scan, &self.unwritten)),
            (Storage::Draft(_) | Storage::Nowhere(_), _) => None,
        }
    }

    /// How writing went. The buffer goes, since the next octets may be long in coming.
    pub fn written(&mut self, result: Result<(), IntakeError>) {
        self.unwritten = Vec::new();
        if let Err(error) = result {
            self.storage = Storage::Nowhere(Reason::Failed(Failure::Store(error)));
        }
    }

    /// The header section, where a recipient has rules.
    pub(super) fn take_header(&mut self) -> Option<Vec<u8>> {
        self.header.take().map(HeaderCopy::into_octets)
    }

    /// A chunk has ended, and the next may be long in coming: no buffer is held meanwhile.
    pub(super) fn rest(&mut self) {
        self.unwritten = Vec::new();
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("envelope", &self.envelope).finish_non_exhaustive()
    }
}

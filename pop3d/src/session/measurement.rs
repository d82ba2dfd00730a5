//! What a message becomes for a client that has not said UTF8: read once, to know how many octets that is.

use mailstore::{Entry, Repertoire};
use mailwire::pop3::Command;

use super::Range;
use super::forms::{Form, Scope};
use super::retrieval::to_u64;
use crate::downgrade::Downgrader;

/// Octets of a message that are read at one time.
const PIECE_OCTETS_MAX: u64 = 64 << 10;

/// A message being measured, so that a command can be answered.
#[derive(Debug)]
pub struct Measurement {
    index: usize,
    command: Command,
    octets: u64,
    header_octets: u64,
    /// Up to here the message is read.
    offset: u64,
    /// Up to here it has to be.
    end: u64,
    downgrader: Downgrader,
    form: Form,
    /// What a piece has become.
    output: Vec<u8>,
}

impl Measurement {
    /// Of the message at `index`, for `command`.
    pub(super) fn new(index: usize, entry: &Entry, command: Command) -> Self {
        let end = match entry.repertoire {
            Repertoire::Utf8 => entry.header_octets,
            Repertoire::Ascii | Repertoire::Utf8Within | Repertoire::Unknown => entry.octets,
        };
        Self {
            index,
            command,
            octets: entry.octets,
            header_octets: entry.header_octets,
            offset: 0,
            end,
            downgrader: Downgrader::new(),
            form: Form { scope: Scope::Nothing, octets: 0, header_octets: 0 },
            output: Vec::new(),
        }
    }

    /// What to read next; `None` when all is known, and [`super::Transaction::measured`] is due.
    #[must_use]
    pub fn wanted(&self) -> Option<Range> {
        // The header section first: mostly nothing more is needed.
        let end = if self.offset < self.header_octets { self.header_octets } else { self.end };
        let left = end.saturating_sub(self.offset).min(PIECE_OCTETS_MAX);
        let octets_max = usize::try_from(left).unwrap_or(usize::MAX);
        (left > 0).then_some(Range { index: self.index, offset: self.offset, octets_max })
    }

    /// Takes `content`, which was read as [`Self::wanted`] said.
    pub fn piece(&mut self, content: &[u8]) {
        let before = self.downgrader.changes();
        self.downgrader.pass(content, &mut self.output);
        self.offset = self.offset.saturating_add(to_u64(content.len()));
        if self.downgrader.is_over() {
            self.end = self.offset;
        }
        let is_done = self.offset >= self.end;
        if is_done {
            self.downgrader.finish(&mut self.output);
        }
        self.form.octets = self.form.octets.saturating_add(to_u64(self.output.len()));
        self.output.clear();
        let is_header = self.offset <= self.header_octets;
        if is_header {
            self.form.header_octets = self.form.octets;
        }
        if self.downgrader.changes() > before {
            self.form.scope = if is_header { Scope::Header } else { Scope::Message };
        }
        if is_done {
            let rest = self.octets.saturating_sub(self.offset);
            self.form.octets = self.form.octets.saturating_add(rest);
        }
    }

    pub(super) const fn index(&self) -> usize {
        self.index
    }

    /// What was found out.
    pub(super) const fn form(&self) -> Form {
        self.form
    }

    /// What is to be answered.
    pub(super) fn into_command(self) -> Command {
        self.command
    }
}

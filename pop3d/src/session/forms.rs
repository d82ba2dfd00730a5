//! In which form each message goes to the client, and how many octets that has (RFC 6856 §2.1).
//!
//! In UTF-8 mode, and wherever header fields are in ASCII, that is the form in which it is stored. All others go in the
//! form of RFC 6857, which is made when the message is sent. How many octets it has is found when somebody asks, and kept
//! for the session.

use std::collections::BTreeMap;

use mailstore::{Entry, Repertoire};

use super::Measurement;

/// What the client takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// Header fields in ASCII.
    #[default]
    Ascii,
    /// Whatever is stored: the client has said UTF8.
    Utf8,
}

/// What is downgraded of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Nothing: it goes as it is stored.
    Nothing,
    /// Its header section.
    Header,
    /// Its header section, and what else in it is fields.
    Message,
}

/// The form of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) scope: Scope,
    /// Octets of the message in this form.
    pub(super) octets: u64,
    /// Octets of its header section in this form, with the empty line.
    pub(super) header_octets: u64,
}

impl Form {
    /// As it is stored.
    pub(super) const fn stored(entry: &Entry) -> Self {
        Self { scope: Scope::Nothing, octets: entry.octets, header_octets: entry.header_octets }
    }
}

/// The forms of a maildrop's messages, by their positions.
#[derive(Debug)]
pub(super) struct Forms {
    mode: Mode,
    /// Of messages whose form had to be looked for.
    measured: BTreeMap<usize, Form>,
    /// All in front of this one are known.
    known: usize,
}

impl Forms {
    pub(super) const fn new(mode: Mode) -> Self {
        Self { mode, measured: BTreeMap::new(), known: 0 }
    }

    /// `None` where the message has to be measured first.
    pub(super) fn form(&self, index: usize, entry: &Entry) -> Option<Form> {
        match (self.mode, entry.repertoire) {
            (Mode::Utf8, _) | (Mode::Ascii, Repertoire::Ascii) => Some(Form::stored(entry)),
            (Mode::Ascii, Repertoire::Unknown | Repertoire::Utf8 | Repertoire::Utf8Within) => {
                self.measured.get(&index).copied()
            }
        }
    }

    /// Octets of the message in its form, or of the stored one as long as nobody has asked.
    pub(super) fn octets(&self, index: usize, entry: &Entry) -> u64 {
        self.form(index, entry).map_or(entry.octets, |form| form.octets)
    }

    /// The first message that has to be measured before all are known.
    pub(super) fn first_unknown(&mut self, entries: &[Entry]) -> Option<usize> {
        let rest = entries.iter().enumerate().skip(self.known);
        let unknown =
            rest.filter(|(index, entry)| self.form(*index, entry).is_none()).map(|(index, _)| index).next();
        self.known = unknown.unwrap_or(entries.len());
        unknown
    }

    /// Keeps what was found out.
    pub(super) fn found(&mut self, measurement: &Measurement) {
        self.measured.insert(measurement.index(), measurement.form());
    }
}

#[cfg(test)]
mod tests {
    use mailstore::UniqueId;

    use super::*;

    fn entry(repertoire: Repertoire) -> Entry {
        Entry {
            unique_id: UniqueId::minted([0; 16]),
            octets: 100,
            header_octets: 10,
            repertoire,
            received_at: 0,
            release_at: None,
        }
    }

    const ALL: [Repertoire; 4] =
        [Repertoire::Ascii, Repertoire::Utf8, Repertoire::Utf8Within, Repertoire::Unknown];

    #[test]
    fn in_utf_8_mode_every_message_goes_as_it_is_stored() {
        let mut forms = Forms::new(Mode::Utf8);
        let entries = ALL.map(entry);
        assert_eq!(forms.first_unknown(&entries), None);
        for (index, entry) in entries.iter().enumerate() {
            assert_eq!(forms.form(index, entry), Some(Form::stored(entry)));
        }
    }

    #[test]
    fn otherwise_all_but_those_in_ascii_have_to_be_measured() {
        let mut forms = Forms::new(Mode::Ascii);
        let entries = ALL.map(entry);
        for (index, entry) in entries.iter().enumerate() {
            assert_eq!(forms.form(index, entry).is_none(), index > 0);
            assert_eq!(forms.octets(index, entry), 100);
        }
        assert_eq!(forms.first_unknown(&entries), Some(1));
    }
}

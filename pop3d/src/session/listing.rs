//! LIST and UIDL of a whole maildrop (RFC 1939 §5 and §7), written in pieces so that a large one fits in little memory.

use mailstore::Entry;
use mailwire::pop3::Reply;

use super::deletions::Deletions;
use super::forms::Forms;
use crate::replies;

/// Messages looked at for one piece, which is then at most about 40 KiB.
const MESSAGES_PER_PIECE: usize = 1_000;
/// Room for the usual line, taken at once.
const USUAL_LINE_OCTETS: usize = 36;

/// What is listed of each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// LIST.
    Octets,
    /// UIDL.
    UniqueId,
}

/// Whether there is more to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Ask for the next piece.
    More,
    /// The final dot is written.
    Done,
}

/// A listing on its way out.
#[derive(Debug)]
pub struct Listing {
    status: Reply,
    column: Column,
    next: usize,
}

impl Listing {
    /// Nothing of it is written yet.
    pub(super) const fn new(column: Column, status: Reply) -> Self {
        Self { status, column, next: 0 }
    }

    /// Appends the next piece to `output`.
    pub(super) fn piece(
        &mut self,
        entries: &[Entry],
        forms: &Forms,
        deletions: &Deletions,
        output: &mut Vec<u8>,
    ) -> Progress {
        if self.next == 0 {
            self.status.encode(output);
        }
        let messages = entries.iter().enumerate().skip(self.next).take(MESSAGES_PER_PIECE);
        output.reserve(messages.len() * USUAL_LINE_OCTETS);
        for (index, entry) in messages.filter(|(index, _)| !deletions.contains(*index)) {
            match self.column {
                Column::Octets => {
                    replies::scan_listing_line(index + 1, forms.octets(index, entry), output);
                }
                Column::UniqueId => replies::unique_id_listing_line(index + 1, &entry.unique_id, output),
            }
        }
        self.next += MESSAGES_PER_PIECE;
        if self.next < entries.len() {
            return Progress::More;
        }
        replies::end_of_lines(output);
        Progress::Done
    }
}

#[cfg(test)]
mod tests {
    use mailstore::{Repertoire, UniqueId};

    use super::super::forms::Mode;
    use super::*;

    fn entries(count: u8) -> Vec<Entry> {
        (0..count)
            .map(|n| Entry {
                unique_id: UniqueId::minted([n; 16]),
                octets: u64::from(n) + 10,
                header_octets: 5,
                repertoire: Repertoire::Unknown,
                received_at: 0,
                release_at: None,
            })
            .collect()
    }

    fn whole(column: Column, entries: &[Entry], deletions: &Deletions) -> String {
        let mut listing = Listing::new(column, Reply::ok("x"));
        let mut output = Vec::new();
        while listing.piece(entries, &Forms::new(Mode::Utf8), deletions, &mut output) == Progress::More {}
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn numbers_do_not_shift_behind_a_deleted_message() {
        let mut deletions = Deletions::default();
        deletions.mark(1, 11);
        assert_eq!(whole(Column::Octets, &entries(3), &deletions), "+OK x\r\n1 10\r\n3 12\r\n.\r\n");
    }

    #[test]
    fn an_empty_maildrop_is_listed_as_nothing() {
        assert_eq!(whole(Column::UniqueId, &[], &Deletions::default()), "+OK x\r\n.\r\n");
    }

    #[test]
    fn a_large_maildrop_comes_in_bounded_pieces() {
        let entries: Vec<Entry> = entries(250).into_iter().cycle().take(2 * MESSAGES_PER_PIECE).collect();
        let mut listing = Listing::new(Column::UniqueId, Reply::ok("x"));
        let forms = Forms::new(Mode::Utf8);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        assert_eq!(listing.piece(&entries, &forms, &Deletions::default(), &mut first), Progress::More);
        assert_eq!(listing.piece(&entries, &forms, &Deletions::default(), &mut second), Progress::Done);
        assert!(first.len() < 40 << 10 && second.len() < 40 << 10);
        assert_eq!(String::from_utf8(first).unwrap().lines().count(), 1 + MESSAGES_PER_PIECE);
        assert!(second.starts_with(b"1001 ") && second.ends_with(b"\r\n.\r\n"));
    }
}

//! RETR and TOP (RFC 1939 §5 and §7): a message on its way from the store to the client, a piece at a time.

use mailstore::Entry;
use mailwire::dot::Stuffer;
use mailwire::pop3::Reply;

use super::forms::{Form, Scope};
use crate::downgrade::Downgrader;
use crate::replies::{self, Language};

/// Octets of a message that are read at one time.
const PIECE_OCTETS_MAX: u64 = 64 << 10;
/// Octets that may come on top of the last piece, so that the end of a message is not a tiny piece of its own and
/// `CRLF.CRLF` leaves in one write (node-pop3 takes every chunk for a whole reply).
const LAST_PIECE_EXTRA_OCTETS_MAX: u64 = 2 << 10;

/// What to read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Which message.
    pub index: usize,
    /// From where.
    pub offset: u64,
    /// At most how much.
    pub octets_max: usize,
}

/// Where a message is cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// At its end, or at the end of its header section.
    AtEnd,
    /// Behind so many more lines of its body.
    BehindLines { left: u64, body_offset: u64, previous: u8 },
}

/// A message, or its top, on its way out.
#[derive(Debug)]
pub struct Retrieval {
    index: usize,
    status: Reply,
    /// What is read of the message as it is stored.
    offset: u64,
    end: u64,
    /// Octets of the message that were written.
    written: u64,
    /// Octets of the whole message in the form that is sent.
    whole_octets: u64,
    cut: Cut,
    downgrade: Option<Box<Downgrade>>,
    stuffer: Stuffer,
    begun: bool,
}

/// What turns the message into the form that the client takes.
#[derive(Debug)]
struct Downgrade {
    downgrader: Downgrader,
    /// Up to here the stored message is downgraded; behind that it passes as it is.
    end: u64,
    /// What a piece has become.
    output: Vec<u8>,
}

impl Retrieval {
    /// RETR.
    pub(super) fn whole(language: Language, index: usize, entry: &Entry, form: Form) -> Self {
        let downgraded =
            |end| Some(Box::new(Downgrade { downgrader: Downgrader::new(), end, output: Vec::new() }));
        Self {
            index,
            status: replies::message_follows(language, form.octets),
            offset: 0,
            end: entry.octets,
            written: 0,
            whole_octets: form.octets,
            cut: Cut::AtEnd,
            downgrade: match form.scope {
                Scope::Nothing => None,
                Scope::Header => downgraded(entry.header_octets),
                Scope::Message => downgraded(entry.octets),
            },
            stuffer: Stuffer::new(),
            begun: false,
        }
    }

    /// TOP: the header section with its blank line, and `lines` lines of the body (RFC 1939 §7).
    pub(super) fn top(language: Language, index: usize, entry: &Entry, form: Form, lines: u64) -> Self {
        let body_octets = form.octets.saturating_sub(form.header_octets);
        let whole =
            Self { status: replies::top_follows(language), ..Self::whole(language, index, entry, form) };
        if lines == 0 {
            return Self { end: entry.header_octets.min(entry.octets), ..whole };
        }
        // A line has two octets at least, so there are not that many lines: fetchmail's `TOP n 99999999`, which
        // stands for RETR, needs no counting.
        if lines >= body_octets {
            return whole;
        }
        let cut = Cut::BehindLines { left: lines, body_offset: form.header_octets, previous: 0 };
        Self { cut, ..whole }
    }

    /// What to read next; `None` when all is there, and [`Self::finish`] is due.
    #[must_use]
    pub fn wanted(&self) -> Option<Range> {
        let left = self.end.saturating_sub(self.offset);
        if left == 0 {
            return None;
        }
        let octets =
            if left <= PIECE_OCTETS_MAX + LAST_PIECE_EXTRA_OCTETS_MAX { left } else { PIECE_OCTETS_MAX };
        let octets_max = usize::try_from(octets).unwrap_or(usize::MAX);
        Some(Range { index: self.index, offset: self.offset, octets_max })
    }

    /// True where something was written; after that a failure can only be shown by closing the connection.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.begun
    }

    /// The message, where all of it was written.
    #[must_use]
    pub fn whole_message(&self) -> Option<usize> {
        (self.written >= self.whole_octets).then_some(self.index)
    }

    /// Octets of the message written so far, stuffed dots not counted.
    #[must_use]
    pub const fn octets(&self) -> u64 {
        self.written
    }

    /// Appends `content`, which was read as [`Self::wanted`] said, to `output`; the status line comes before it.
    pub fn piece(&mut self, content: &[u8], output: &mut Vec<u8>) {
        // One allocation for the usual message: few of its lines begin with a dot.
        output.reserve(content.len() + content.len() / 64 + 128);
        self.begin(output);
        let left = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let content = content.get(..left).unwrap_or(content);
        let offset = self.offset;
        self.offset = offset.saturating_add(to_u64(content.len()));
        let Some(mut downgrade) = self.downgrade.take() else { return self.write(content, output) };
        let downgraded = usize::try_from(downgrade.end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (content, behind) = content.split_at_checked(downgraded).unwrap_or((content, &[]));
        downgrade.downgrader.pass(content, &mut downgrade.output);
        let is_over = self.offset >= self.end.min(downgrade.end);
        if is_over {
            downgrade.downgrader.finish(&mut downgrade.output);
        }
        self.write(&downgrade.output, output);
        downgrade.output.clear();
        if is_over {
            self.write(behind, output);
        } else {
            self.downgrade = Some(downgrade);
        }
    }

    /// Appends the final dot to `output`.
    pub fn finish(mut self, output: &mut Vec<u8>) {
        self.begin(output);
        self.stuffer.finish(output);
    }

    /// Writes the status line, once.
    fn begin(&mut self, output: &mut Vec<u8>) {
        if !self.begun {
            self.begun = true;
            self.status.encode(output);
        }
    }

    /// Writes what comes next of the message, up to where it is cut.
    fn write(&mut self, content: &[u8], output: &mut Vec<u8>) {
        let (content, _) = content.split_at(self.octets_before_cut(content));
        self.stuffer.stuff(content, output);
        self.written = self.written.saturating_add(to_u64(content.len()));
        if let Cut::BehindLines { left: 0, .. } = self.cut {
            self.end = self.offset;
        }
    }

    /// How much of `content` is to be sent; counts the lines of the body in it.
    fn octets_before_cut(&mut self, content: &[u8]) -> usize {
        let Cut::BehindLines { left, body_offset, previous } = &mut self.cut else {
            return content.len();
        };
        if *left == 0 {
            return 0;
        }
        let header_octets = usize::try_from(body_offset.saturating_sub(self.written)).unwrap_or(usize::MAX);
        for (position, octet) in content.iter().enumerate().skip(header_octets) {
            // Only CRLF ends a line: a bare LF in an old message is content.
            if *octet == b'\n' && *previous == b'\r' {
                *left -= 1;
                if *left == 0 {
                    return position + 1;
                }
            }
            *previous = *octet;
        }
        content.len()
    }
}

/// A length as the store counts.
pub(super) fn to_u64(octets: usize) -> u64 {
    u64::try_from(octets).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use mailstore::{Repertoire, UniqueId};
    use mailwire::dot::Unstuffer;
    use mailwire::pop3::Command;
    use proptest::prelude::*;

    use super::super::Measurement;
    use super::*;

    fn entry(header: &[u8], body: &[u8]) -> Entry {
        Entry {
            unique_id: UniqueId::minted([0; 16]),
            octets: to_u64(header.len() + body.len()),
            header_octets: to_u64(header.len()),
            repertoire: Repertoire::Unknown,
            received_at: 0,
            release_at: None,
        }
    }

    fn whole(index: usize, entry: &Entry) -> Retrieval {
        Retrieval::whole(Language::English, index, entry, Form::stored(entry))
    }

    fn top(index: usize, entry: &Entry, lines: u64) -> Retrieval {
        Retrieval::top(Language::English, index, entry, Form::stored(entry), lines)
    }

    /// What goes over the wire for `content`, which the store hands out in pieces of at most `octets_max`.
    fn sent(mut retrieval: Retrieval, content: &[u8], octets_max: usize) -> Vec<u8> {
        let mut output = Vec::new();
        while let Some(range) = retrieval.wanted() {
            let offset = usize::try_from(range.offset).unwrap();
            let end = content.len().min(offset + range.octets_max.min(octets_max));
            retrieval.piece(&content[offset..end], &mut output);
        }
        retrieval.finish(&mut output);
        output
    }

    /// The content behind the status line, as a client understands it.
    fn understood(sent: &[u8]) -> Vec<u8> {
        let status_octets = sent.iter().position(|octet| *octet == b'\n').unwrap() + 1;
        assert!(sent.starts_with(b"+OK ") && sent[..status_octets].ends_with(b"\r\n"));
        let mut content = Vec::new();
        let unstuffed = Unstuffer::new().unstuff(&sent[status_octets..], &mut content);
        assert!(unstuffed.ended);
        assert_eq!(unstuffed.consumed, sent.len() - status_octets);
        content
    }

    /// The first `lines` lines of `body`, found the slow way.
    fn first_lines(body: &[u8], lines: usize) -> &[u8] {
        let ends = body.windows(2).enumerate().filter(|(_, octets)| *octets == b"\r\n");
        match lines {
            0 => &[],
            _ => ends.map(|(position, _)| position + 2).nth(lines - 1).map_or(body, |end| &body[..end]),
        }
    }

    /// A line as mail has them, and as it should not: dots in front, nothing, NUL, bare CR and LF.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(Vec::new()),
            Just(b".".to_vec()),
            Just(b"..".to_vec()),
            "\\.{0,3}[a-z]{1,20}".prop_map(String::into_bytes),
            prop::collection::vec(prop::sample::select(b"\0\r\n.a\xff".to_vec()), 1..8),
        ]
    }

    fn lines() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(line(), 0..12)
            .prop_map(|lines| lines.into_iter().flat_map(|line| [line, b"\r\n".to_vec()].concat()).collect())
    }

    proptest! {
        #[test]
        fn a_whole_message_is_understood_as_it_is_stored(content in lines(), octets_max in 1_usize..40) {
            let retrieval = whole(3, &entry(&content, b""));
            let sent = sent(retrieval, &content, octets_max);
            let status = format!("+OK {} octets\r\n", content.len());
            prop_assert!(sent.starts_with(status.as_bytes()));
            prop_assert_eq!(understood(&sent), content);
        }

        #[test]
        fn a_top_is_the_header_section_and_so_many_lines(
            body in lines(),
            lines in 0_usize..15,
            octets_max in 1_usize..40,
        ) {
            let header = b"Subject: top\r\n.x: y\r\n\r\n";
            let content = [header.as_slice(), &body].concat();
            let retrieval = top(3, &entry(header, &body), to_u64(lines));
            let expected = [header.as_slice(), first_lines(&body, lines)].concat();
            prop_assert_eq!(understood(&sent(retrieval, &content, octets_max)), expected);
        }

        #[test]
        fn a_top_of_many_lines_is_the_whole_message(body in lines(), more in 0_u64..9) {
            let header = b"Subject: top\r\n\r\n";
            let content = [header.as_slice(), &body].concat();
            let entry = entry(header, &body);
            let some = top(3, &entry, to_u64(body.len()) + more + 1);
            let all = whole(3, &entry);
            prop_assert_eq!(
                understood(&sent(some, &content, usize::MAX)),
                understood(&sent(all, &content, usize::MAX))
            );
        }
    }

    /// What is found of a message whose header fields are not in ASCII.
    fn measured(entry: &Entry, content: &[u8], octets_max: usize) -> Form {
        let mut measurement = Measurement::new(3, entry, Command::Stat);
        while let Some(range) = measurement.wanted() {
            let offset = usize::try_from(range.offset).unwrap();
            measurement.piece(&content[offset..content.len().min(offset + range.octets_max.min(octets_max))]);
        }
        measurement.form()
    }

    /// The whole of it, in the form that has header fields in ASCII.
    fn downgraded(content: &[u8]) -> Vec<u8> {
        let (mut downgrader, mut output) = (Downgrader::new(), Vec::new());
        downgrader.pass(content, &mut output);
        downgrader.finish(&mut output);
        output
    }

    /// A header section, a body, and what is known of the fields in them.
    fn message() -> impl Strategy<Value = (Vec<u8>, Vec<u8>, Repertoire)> {
        let field = prop_oneof![
            Just("Subject: x\r\n"),
            Just("Subject: Gr\u{fc}\u{df}e\r\n"),
            Just("Message-ID: <\u{fc}@b>\r\n"),
            Just(".\u{fc}\r\n \u{fc}\r\n"),
        ];
        let part = prop_oneof![
            Just("--b\r\nContent-Description: \u{fc}\u{fc}\u{fc}\r\n x\r\n\r\n"),
            Just("--b\r\n.A: \u{fc}\r\n\r\n"),
            Just("--b\r\n\r\n"),
            Just("\u{fc}\r\n"),
            Just(".\r\n"),
            Just("\r\n"),
            Just("--b--\r\n"),
        ];
        let sections =
            (prop::collection::vec(field, 0..4), prop::collection::vec(part, 0..12), any::<bool>());
        sections.prop_flat_map(|(fields, parts, has_parts)| {
            let media_type = if has_parts { "Content-Type: multipart/mixed; boundary=b\r\n" } else { "" };
            let header = (fields.concat() + media_type + "\r\n").into_bytes();
            let known = if has_parts { Repertoire::Utf8Within } else { Repertoire::Utf8 };
            let known = prop::sample::select(vec![Repertoire::Unknown, known]);
            (Just(header), Just(parts.concat().into_bytes()), known)
        })
    }

    proptest! {
        #[test]
        fn sizes_and_tops_are_of_the_form_that_is_sent(
            (header, body, repertoire) in message(),
            octets_max in 1_usize..40,
        ) {
            let content = [header.as_slice(), &body].concat();
            let entry = Entry { repertoire, ..entry(&header, &body) };
            let form = measured(&entry, &content, octets_max);
            prop_assert_eq!(form, measured(&entry, &content, usize::MAX));
            let expected = downgraded(&content);
            let (expected_header, expected_body) = expected.split_at(downgraded(&header).len());
            prop_assert_eq!(form.octets, to_u64(expected.len()));
            prop_assert_eq!(form.header_octets, to_u64(expected_header.len()));
            prop_assert_eq!(form.scope == Scope::Nothing, expected == content);
            let retrieval = Retrieval::whole(Language::English, 3, &entry, form);
            let whole = sent(retrieval, &content, octets_max);
            let status = format!("+OK {} octets\r\n", expected.len());
            prop_assert!(whole.starts_with(status.as_bytes()));
            prop_assert_eq!(understood(&whole), expected.clone());
            for lines in 0..body.len() {
                let top = Retrieval::top(Language::English, 3, &entry, form, to_u64(lines));
                let expected = [expected_header, first_lines(expected_body, lines)].concat();
                prop_assert_eq!(understood(&sent(top, &content, octets_max)), expected, "{} lines", lines);
            }
        }
    }

    #[test]
    fn of_a_large_message_no_more_is_measured_than_its_header_section() {
        let header = "Subject: \u{fc}\r\n\r\n".as_bytes();
        for repertoire in [Repertoire::Utf8, Repertoire::Unknown] {
            let entry = Entry { octets: 50 << 20, repertoire, ..entry(header, b"") };
            let mut measurement = Measurement::new(3, &entry, Command::Stat);
            assert_eq!(measurement.wanted(), Some(Range { index: 3, offset: 0, octets_max: header.len() }));
            measurement.piece(header);
            assert_eq!(measurement.wanted(), None);
            let form = measurement.form();
            assert_eq!(form.octets - form.header_octets, entry.octets - entry.header_octets);
            assert_eq!(form.scope, Scope::Header);
        }
    }

    #[test]
    fn a_message_without_body_has_a_top_that_is_all_of_it() {
        for content in [&b"Subject: x\r\n\r\n"[..], b"Subject: x\r\n", b""] {
            for lines in [0, 1, u64::MAX] {
                let some = top(0, &entry(content, b""), lines);
                assert_eq!(understood(&sent(some, content, 5)), content);
            }
        }
    }

    #[test]
    fn content_without_a_last_line_end_gets_one() {
        let all = whole(0, &entry(b"a\r\n\r\n", b"b"));
        assert_eq!(sent(all, b"a\r\n\r\nb", 9), b"+OK 6 octets\r\na\r\n\r\nb\r\n.\r\n");
    }

    #[test]
    fn a_line_of_a_mebioctet_passes() {
        let content = [&b"a: b\r\n\r\n."[..], &vec![b'x'; 1 << 20], b"\r\n"].concat();
        let all = whole(0, &entry(&content[..8], &content[8..]));
        assert_eq!(understood(&sent(all, &content, usize::MAX)), content);
    }

    #[test]
    fn pieces_are_bounded_and_the_last_one_is_not_tiny() {
        let piece = usize::try_from(PIECE_OCTETS_MAX).unwrap();
        for (octets, pieces) in [
            (0, vec![]),
            (1, vec![1]),
            (piece + 1, vec![piece + 1]),
            (3 * piece, vec![piece, piece, piece]),
            (2 * piece + 1, vec![piece, piece + 1]),
            (piece + 4096, vec![piece, 4096]),
        ] {
            let content = vec![b'x'; octets];
            let mut retrieval = whole(7, &entry(&content, b""));
            let mut wanted = Vec::new();
            while let Some(range) = retrieval.wanted() {
                assert_eq!(range.index, 7);
                assert_eq!(range.offset, to_u64(wanted.iter().sum()));
                wanted.push(range.octets_max);
                retrieval.piece(&content[..range.octets_max], &mut Vec::new());
            }
            assert_eq!(wanted, pieces);
        }
    }

    #[test]
    fn the_top_of_a_large_message_reads_no_more_than_it_needs() {
        let entry = Entry { octets: 50 << 20, ..entry(&[b'x'; 900], b"") };
        let some = top(0, &entry, 0);
        assert_eq!(some.wanted(), Some(Range { index: 0, offset: 0, octets_max: 900 }));
    }
}

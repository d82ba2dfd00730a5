//! Looks at content as it passes, whatever the chunks: its size, its line ends, and what trace must know of its header.
//!
//! Nothing is kept of the content but a field name being read, so a header section may be of any size.

use memchr::memchr2;

/// Received fields over which a message goes round in circles (RFC 5321 §6.3).
pub(crate) const RECEIVED_FIELDS_MAX: u32 = 100;

/// Most octets that are read of content for which `octets_max` is the limit: a client that sends somewhat too much hears
/// why at its end, and one that goes on for ever is not listened to.
pub(crate) const fn octets_read_max(octets_max: u64) -> u64 {
    octets_max.saturating_mul(2)
}

/// Why content cannot be taken. Of several problems the first in this order is told, however the content was chopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Problem {
    /// A CR or LF that is not part of a CRLF (RFC 5321 §2.3.8): different hosts would see different messages.
    BareLineEnd,
    /// More octets than announced with SIZE (RFC 1870 §6.3).
    TooBig,
    /// A NUL in the header section (RFC 5322 §4.1 names it obsolete; THREATS of truncated names and values).
    NulInHeader,
    /// More than [`RECEIVED_FIELDS_MAX`] Received fields (RFC 5321 §6.3).
    Loop,
}

/// How content begins, which decides what may stand directly in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beginning {
    /// Not enough has come.
    Unknown,
    /// With a field or with the blank line that ends an empty header section.
    Header,
    /// With a line that is no field: all of it is body (RFC 5322 §3.5).
    Body,
}

/// Where the header scanner stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In a line, at an octet that may belong to a field name.
    Name(FieldName),
    /// In a line whose rest says nothing.
    Rest,
    /// Behind the header section.
    Body,
}

/// The beginning of a field name in lower case; long enough to tell the names that matter from all others.
#[derive(Clone, Copy, Debug, Default)]
struct FieldName {
    octets: [u8; FieldName::OCTETS_MAX],
    length: usize,
    blank_behind: bool,
}

/// Watches content pass.
#[derive(Debug)]
pub(crate) struct Inspector {
    octets_max: u64,
    octets: u64,
    ends_in_cr: bool,
    place: Place,
    beginning: Beginning,
    received_fields: u32,
    has_date: bool,
    has_message_id: bool,
    problem: Option<Problem>,
}

impl Inspector {
    /// For content of at most `octets_max`.
    pub(crate) fn new(octets_max: u64) -> Self {
        Self {
            octets_max,
            octets: 0,
            ends_in_cr: false,
            place: Place::Name(FieldName::default()),
            beginning: Beginning::Unknown,
            received_fields: 0,
            has_date: false,
            has_message_id: false,
            problem: None,
        }
    }

    /// Looks at the next octets of the content.
    pub(crate) fn inspect(&mut self, content: &[u8]) {
        let octets = u64::try_from(content.len()).unwrap_or(u64::MAX);
        self.octets = self.octets.saturating_add(octets);
        if self.octets > self.octets_max {
            self.found(Problem::TooBig);
        }
        if self.problem == Some(Problem::BareLineEnd) {
            return;
        }
        if self.line_ends_are_sound(content) {
            self.header(content);
        } else {
            self.found(Problem::BareLineEnd);
        }
    }

    /// The content has ended.
    pub(crate) fn finish(&mut self) {
        if self.ends_in_cr {
            self.found(Problem::BareLineEnd);
        }
    }

    /// What is wrong with the content so far.
    pub(crate) const fn problem(&self) -> Option<Problem> {
        self.problem
    }

    /// True where so much has come that the rest is not read.
    pub(crate) const fn is_endless(&self) -> bool {
        self.octets > octets_read_max(self.octets_max)
    }

    /// Octets of content so far.
    pub(crate) const fn octets(&self) -> u64 {
        self.octets
    }

    /// True where a Date field was seen.
    pub(crate) const fn has_date(&self) -> bool {
        self.has_date
    }

    /// True where a Message-ID field was seen.
    pub(crate) const fn has_message_id(&self) -> bool {
        self.has_message_id
    }

    /// True where fields put in front of the content need a blank line behind them, or its text would become part of
    /// them (RFC 5322 §2.1).
    pub(crate) fn begins_with_text(&self) -> bool {
        match self.beginning {
            Beginning::Header => false,
            Beginning::Body => true,
            Beginning::Unknown => self.octets > 0,
        }
    }

    fn found(&mut self, problem: Problem) {
        self.problem = Some(self.problem.map_or(problem, |known| known.min(problem)));
    }

    /// True while every CR is followed by an LF and every LF preceded by a CR.
    fn line_ends_are_sound(&mut self, content: &[u8]) -> bool {
        let mut rest = content;
        if self.ends_in_cr {
            match rest.split_first() {
                Some((b'\n', after)) => rest = after,
                Some(_) => return false,
                None => return true,
            }
            self.ends_in_cr = false;
        }
        while let Some(at) = memchr2(b'\r', b'\n', rest) {
            match rest.get(at..) {
                Some([b'\r', b'\n', after @ ..]) => rest = after,
                Some([b'\r']) => {
                    self.ends_in_cr = true;
                    return true;
                }
                _ => return false,
            }
        }
        true
    }

    /// Follows the header section through these octets, up to its end.
    fn header(&mut self, content: &[u8]) {
        let mut rest = content;
        while !rest.is_empty() {
            rest = match self.place {
                Place::Name(name) => self.name(name, rest),
                Place::Rest => self.rest_of_line(rest),
                Place::Body => return,
            };
        }
    }

    /// `field-name = 1*ftext`, RFC 5322 §3.6.8; §4.5 lets blanks stand before the colon.
    fn name<'a>(&mut self, mut name: FieldName, content: &'a [u8]) -> &'a [u8] {
        let mut rest = content;
        while let Some((&octet, after)) = rest.split_first() {
            match octet {
                b':' if !name.is_empty() => {
                    self.place = Place::Rest;
                    self.field(name);
                    return after;
                }
                b' ' | b'\t' if !name.is_empty() => name.blank_behind = true,
                33..=126 if octet != b':' && !name.blank_behind => name.push(octet),
                // Line ends are sound, so this is a CRLF; that its LF counts as body does no harm.
                b'\r' if name.is_empty() => {
                    self.begin(Beginning::Header);
                    self.place = Place::Body;
                    return after;
                }
                _ => {
                    self.no_field();
                    return rest;
                }
            }
            rest = after;
        }
        self.place = Place::Name(name);
        rest
    }

    /// Goes on to the end of the line, or to a NUL.
    fn rest_of_line<'a>(&mut self, content: &'a [u8]) -> &'a [u8] {
        match memchr2(b'\n', 0, content).and_then(|at| content.get(at..)).and_then(<[u8]>::split_first) {
            Some((b'\n', after)) => {
                self.place = Place::Name(FieldName::default());
                after
            }
            Some((_, after)) => {
                self.found(Problem::NulInHeader);
                after
            }
            None => &[],
        }
    }

    fn field(&mut self, name: FieldName) {
        self.begin(Beginning::Header);
        match name.octets.get(..name.length) {
            Some(b"received") => {
                self.received_fields = self.received_fields.saturating_add(1);
                if self.received_fields > RECEIVED_FIELDS_MAX {
                    self.found(Problem::Loop);
                }
            }
            Some(b"date") => self.has_date = true,
            Some(b"message-id") => self.has_message_id = true,
            Some(_) | None => {}
        }
    }

    /// A line that is no field: a continuation, or damage; as first line it says that there is no header section.
    fn no_field(&mut self) {
        self.place = match self.beginning {
            Beginning::Unknown => Place::Body,
            Beginning::Header | Beginning::Body => Place::Rest,
        };
        self.begin(Beginning::Body);
    }

    fn begin(&mut self, beginning: Beginning) {
        if self.beginning == Beginning::Unknown {
            self.beginning = beginning;
        }
    }
}

impl FieldName {
    /// `message-id` is the longest name that matters.
    const OCTETS_MAX: usize = 10;

    const fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn push(&mut self, octet: u8) {
        if let Some(place) = self.octets.get_mut(self.length) {
            *place = octet.to_ascii_lowercase();
        }
        // One over the limit is enough to be none of the names that matter.
        self.length = (self.length + 1).min(Self::OCTETS_MAX + 1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn inspected(content: &[u8]) -> Inspector {
        chopped(content, content.len().max(1))
    }

    fn chopped(content: &[u8], chunk: usize) -> Inspector {
        let mut inspector = Inspector::new(1000);
        content.chunks(chunk).for_each(|chunk| inspector.inspect(chunk));
        inspector.finish();
        inspector
    }

    type Facts = (bool, bool, bool);

    /// What a session asks about; nothing but the problem where there is one.
    fn facts(inspector: &Inspector) -> Result<Facts, Problem> {
        match inspector.problem() {
            Some(problem) => Err(problem),
            None => Ok((inspector.has_date(), inspector.has_message_id(), inspector.begins_with_text())),
        }
    }

    #[test]
    fn a_usual_message_has_no_problem_and_its_fields_are_seen() {
        let message = inspected(b"Date: x\r\nmessage-ID : <a@b>\r\nSubject: y\r\n\r\nbody\r\n");
        assert_eq!(facts(&message), Ok((true, true, false)));
    }

    #[test]
    fn fields_in_the_body_or_folded_lines_do_not_count() {
        let message =
            inspected(b"Subject: y\r\n Date: x\r\nDates: 1\r\n\r\nDate: x\r\nMessage-ID: <a@b>\r\n");
        assert_eq!(facts(&message), Ok((false, false, false)));
    }

    #[test]
    fn the_size_is_checked_at_its_edge() {
        assert_eq!(inspected(&[b'x'; 1000]).problem(), None);
        assert_eq!(inspected(&[b'x'; 1001]).problem(), Some(Problem::TooBig));
        assert_eq!(chopped(&[b'x'; 1001], 7).problem(), Some(Problem::TooBig));
    }

    #[test]
    fn content_is_endless_over_twice_the_limit() {
        assert!(!inspected(&[b'x'; 2000]).is_endless());
        assert!(chopped(&[b'x'; 2001], 7).is_endless());
    }

    #[test]
    fn bare_line_ends_are_found_anywhere() {
        for content in
            ["a\nb\r\n", "a\rb\r\n", "a\r\n\n", "a\r\r\n", "\nA: b\r\n", "A: b\r\n\r\nx\r", "A: b\r\n\rx\r\n"]
        {
            for chunk in 1..content.len() {
                let problem = chopped(content.as_bytes(), chunk).problem();
                assert_eq!(problem, Some(Problem::BareLineEnd), "{content:?} in chunks of {chunk}");
            }
        }
    }

    #[test]
    fn a_nul_is_refused_in_the_header_section_and_kept_in_the_body() {
        assert_eq!(inspected(b"A: b\0\r\n\r\n").problem(), Some(Problem::NulInHeader));
        assert_eq!(inspected(b"A: b\r\nB\0: c\r\n\r\n").problem(), Some(Problem::NulInHeader));
        assert_eq!(inspected(b"A: b\r\n\r\n\0\r\n").problem(), None);
        assert_eq!(inspected(b"\0 no header at all\r\n").problem(), None);
    }

    #[test]
    fn a_hundred_received_fields_pass_and_one_more_is_a_loop() {
        let fields = "Received:\r\n";
        let mut inspector = Inspector::new(10_000);
        inspector.inspect(fields.repeat(100).as_bytes());
        assert_eq!(inspector.problem(), None);
        inspector.inspect(fields.as_bytes());
        assert_eq!(inspector.problem(), Some(Problem::Loop));
    }

    #[test]
    fn of_several_problems_the_same_is_told_however_the_content_is_chopped() {
        for chunk in 1..8 {
            assert_eq!(chopped(b"A: \0\r\nx\n", chunk).problem(), Some(Problem::BareLineEnd));
            let long = [b"A: b\r\n\r\n".repeat(200).as_slice(), b"\n"].concat();
            assert_eq!(chopped(&long, chunk).problem(), Some(Problem::BareLineEnd));
        }
    }

    #[test]
    fn text_without_a_header_section_is_noticed() {
        for text in [
            "hello\r\n",
            " folded\r\n",
            "From a@b Mon\r\n",
            ": x\r\n",
            "hello",
            "\u{e9}: x\r\n",
            "a b: c\r\n",
        ] {
            assert!(inspected(text.as_bytes()).begins_with_text(), "{text:?}");
        }
        for header in ["", "A: b\r\n", "\r\nbody\r\n", "A:b", "A :b", "a-long-field-name: b"] {
            assert!(!inspected(header.as_bytes()).begins_with_text(), "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn the_chunks_make_no_difference(
            content in "([Dd]ate|Received|Message-ID|x)? ?:?[a:\0 ]?(\r\n|\r|\n)?(Date: |\r\n|\0){0,3}",
            chunk in 1usize..9,
        ) {
            prop_assert_eq!(facts(&chopped(content.as_bytes(), chunk)), facts(&inspected(content.as_bytes())));
        }
    }
}

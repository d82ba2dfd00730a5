//! Looks at content as it passes, whatever the chunks: its size, its line ends, and by its header section all else. Binary
//! content is made into lines first, so that what is looked at is what will be stored.

use mailwire::address::Mailbox;
use memchr::memchr2;

use super::header::{Beginning, HeaderSection};
use super::mime::Converter;
use super::{Field, LineEnds, MimeField, Rules};

/// Why content cannot be taken. Of several problems the first in this order is told, however the content was chopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Problem {
    /// A CR or LF that is not part of a CRLF (RFC 5321 §2.3.8): different hosts would see different messages.
    BareLineEnd,
    /// More octets than announced with SIZE (RFC 1870 §6.3), or than a recipient's domain takes.
    TooBig,
    /// More octets than that once it has been converted.
    TooBigEncoded,
    /// A NUL in the header section (RFC 5322 §4.1 names it obsolete; THREATS of truncated names and values).
    NulInHeader,
    /// A header section of more octets than are taken.
    HeaderTooBig,
    /// Too many Received fields (RFC 5321 §6.3).
    Loop,
    /// A submission, or an entity of binary content, with a line among its fields that is none.
    NoField,
    /// A submission with a field twice that may be there once (RFC 5322 §3.6).
    Twice(Field),
    /// A submission with more fields that name originators than are asked about.
    TooManyOriginators,
    /// A submission with an originator field that does not hold one mailbox.
    NotOneMailbox(Field),
    /// A submission with an originator field that shows an address which is not its mailbox.
    HiddenAddress(Field),
    /// An entity of binary content of which this field does not say what it is: there twice, too long, or a Content-Type
    /// whose boundary is missing or could be taken for several (RFC 2045 §5, RFC 2046 §5.1.1).
    Unclear(MimeField),
    /// Binary content with more parts than are looked at, or deeper within each other.
    TooManyParts,
    /// Binary data within signed parts, which must not be converted (RFC 1847 §2.1) and could not be carried as it is.
    SignedBinary,
}

/// Watches content pass.
#[derive(Debug)]
pub(crate) struct Inspector {
    octets: u64,
    ends_in_cr: bool,
    /// All of it so far, as it is stored.
    is_ascii: bool,
    repairs: u64,
    /// Of binary content.
    converter: Option<Converter>,
    header: HeaderSection,
    problem: Option<Problem>,
}

impl Inspector {
    /// For content under these rules.
    pub(crate) fn new(rules: Rules) -> Self {
        let converter = match rules.line_ends {
            LineEnds::Binary => Some(Converter::new(rules.header_octets_max)),
            LineEnds::Strict | LineEnds::Repaired => None,
        };
        let header = HeaderSection::new(rules);
        Self { octets: 0, ends_in_cr: false, is_ascii: true, repairs: 0, converter, header, problem: None }
    }

    /// Looks at the next octets of the content, which stand in `content` behind `before`, and takes out of them what is
    /// not to be passed on or not yet.
    pub(crate) fn inspect(&mut self, content: &mut Vec<u8>, before: usize) {
        let new_octets = content.len().saturating_sub(before);
        self.octets = self.octets.saturating_add(u64::try_from(new_octets).unwrap_or(u64::MAX));
        if self.octets > self.octets_max() {
            self.found(Problem::TooBig);
        }
        if self.problem == Some(Problem::BareLineEnd) {
            return;
        }
        if let Some(converter) = &mut self.converter {
            let received = content.split_off(before.min(content.len()));
            converter.convert(&received, content);
        }
        self.pass(content, before);
    }

    /// The content has ended; what was held back of it goes behind `content`.
    pub(crate) fn finish(&mut self, content: &mut Vec<u8>) {
        let before = content.len();
        if let Some(converter) = &mut self.converter {
            converter.finish(content);
            self.pass(content, before);
        }
        self.header.finish(content);
        if self.ends_in_cr && self.header.rules().line_ends != LineEnds::Repaired {
            self.found(Problem::BareLineEnd);
        }
    }

    /// Line ends and the header section of what stands in `content` behind `before`.
    fn pass(&mut self, content: &mut Vec<u8>, before: usize) {
        if self.converter.as_ref().is_some_and(|converter| converter.octets() > self.octets_max()) {
            self.found(Problem::TooBigEncoded);
        }
        self.is_ascii = self.is_ascii && content.get(before..).unwrap_or_default().is_ascii();
        let line_ends = self.header.rules().line_ends;
        match line_ends {
            LineEnds::Strict | LineEnds::Binary => {
                if !self.line_ends_are_sound(content.get(before..).unwrap_or_default()) {
                    return self.found(Problem::BareLineEnd);
                }
            }
            LineEnds::Repaired => {
                let received = content.split_off(before.min(content.len()));
                self.repair(&received, content);
            }
        }
        if !self.header.is_over() {
            let sound = content.split_off(before.min(content.len()));
            self.header.pass(&sound, content);
        }
    }

    /// What is wrong with the content so far.
    pub(crate) fn problem(&self) -> Option<Problem> {
        let converted = self.converter.as_ref().and_then(Converter::problem);
        self.problem.into_iter().chain(self.header.problem()).chain(converted).min()
    }

    /// Parts that were binary, the message itself among them; `None` where there was nothing to convert.
    pub(crate) fn parts_converted(&self) -> Option<u64> {
        self.converter.as_ref().map(Converter::parts_converted).filter(|parts| *parts > 0)
    }

    /// True where so much has come that the rest is not read.
    pub(crate) const fn is_endless(&self) -> bool {
        self.octets > self.header.rules().octets_read_max
    }

    /// Octets of content so far, as they were received.
    pub(crate) const fn octets(&self) -> u64 {
        self.octets
    }

    /// Most octets of this content.
    pub(crate) const fn octets_max(&self) -> u64 {
        self.header.rules().octets_max
    }

    /// Line ends that were not CRLF and have become so.
    pub(crate) const fn repairs(&self) -> u64 {
        self.repairs
    }

    /// True where no octet has its eighth bit set.
    pub(crate) const fn is_ascii(&self) -> bool {
        self.is_ascii
    }

    /// True where this field was seen.
    pub(crate) const fn has(&self, field: Field) -> bool {
        self.header.has(field)
    }

    /// True where a submission says that it needs no TLS (RFC 8689 §3).
    pub(crate) const fn is_relaxed(&self) -> bool {
        self.header.is_relaxed()
    }

    /// Who a submission claims to be from, and in which fields.
    pub(crate) fn take_originators(&mut self) -> Vec<(Field, Mailbox)> {
        self.header.take_originators()
    }

    /// True where fields put in front of the content need a blank line behind them, or its text would become part of
    /// them (RFC 5322 §2.1).
    pub(crate) fn begins_with_text(&self) -> bool {
        match self.header.beginning() {
            Beginning::Header => false,
            Beginning::Body => true,
            Beginning::Unknown => self.octets > 0,
        }
    }

    fn found(&mut self, problem: Problem) {
        self.problem = Some(self.problem.map_or(problem, |known| known.min(problem)));
    }

    /// True while every CR is followed by an LF and every LF preceded by a CR. Each octet is compared with the one before
    /// it, without a branch, which compilers turn into comparisons of many octets at once.
    fn line_ends_are_sound(&mut self, content: &[u8]) -> bool {
        let Some((&first, behind_first)) = content.split_first() else { return true };
        let begins_sound = self.ends_in_cr == (first == b'\n');
        self.ends_in_cr = content.last() == Some(&b'\r');
        let bare = content.iter().zip(behind_first).fold(0_u8, |bare, (&before, &octet)| {
            bare | (u8::from(before == b'\r') ^ u8::from(octet == b'\n'))
        });
        begins_sound && bare == 0
    }

    /// Makes a CRLF of each CR and LF that has not been one.
    fn repair(&mut self, content: &[u8], output: &mut Vec<u8>) {
        let mut rest = content;
        while let Some((&first, behind_first)) = rest.split_first() {
            // The line end was written with its CR.
            if self.ends_in_cr && first == b'\n' {
                rest = behind_first;
                self.repairs = self.repairs.saturating_sub(1);
            }
            self.ends_in_cr = false;
            let Some(at) = memchr2(b'\r', b'\n', rest) else {
                output.extend_from_slice(rest);
                return;
            };
            let (line, end) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            output.extend_from_slice(line);
            output.extend_from_slice(b"\r\n");
            // Until an LF behind it says otherwise, a CR is bare.
            self.repairs = self.repairs.saturating_add(1);
            self.ends_in_cr = end.first() == Some(&b'\r');
            rest = end.get(1..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::content::{SpamFlags, Treatment, octets_read_max};

    fn rules() -> Rules {
        Rules {
            treatment: Treatment::PassedOn,
            line_ends: LineEnds::Strict,
            spam_flags: SpamFlags::Dropped,
            octets_max: 1000,
            octets_read_max: octets_read_max(1000),
            header_octets_max: 10_000,
            received_max: 100,
            own_names: ["mail.example.test".to_owned()].into(),
        }
    }

    fn inspected(content: &[u8]) -> Inspector {
        chopped(content, content.len().max(1))
    }

    fn chopped(content: &[u8], chunk: usize) -> Inspector {
        passed(rules(), content, chunk).0
    }

    /// What there is to say of content in such chunks, and what is left of it.
    fn passed(rules: Rules, content: &[u8], chunk: usize) -> (Inspector, Vec<u8>) {
        let mut inspector = Inspector::new(rules);
        let mut output = Vec::new();
        for chunk in content.chunks(chunk) {
            let before = output.len();
            output.extend_from_slice(chunk);
            inspector.inspect(&mut output, before);
        }
        inspector.finish(&mut output);
        (inspector, output)
    }

    type Facts = (bool, bool, bool);

    /// What a session asks about; nothing but the problem where there is one.
    fn facts(inspector: &Inspector) -> Result<Facts, Problem> {
        let (date, message_id) = (inspector.has(Field::Date), inspector.has(Field::MessageId));
        inspector.problem().map_or(Ok((date, message_id, inspector.begins_with_text())), Err)
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
    fn only_a_submission_that_says_no_needs_no_tls() {
        let submitted = Rules { treatment: Treatment::Submitted, ..rules() };
        for (content, expected) in [
            ("TLS-Required: No\r\n\r\n", true),
            ("tls-required:\r\n nO \r\n\r\n", true),
            ("TLS-Required: No", true),
            ("TLS-Required: None\r\n\r\n", false),
            ("TLS-Required: Yes\r\nSubject: No\r\n\r\n", false),
            ("TLS-Required:\r\n\r\nNo\r\n", false),
            ("Subject: x\r\n\r\nTLS-Required: No\r\n", false),
        ] {
            for chunk in 1..=content.len() {
                let (inspector, output) = passed(submitted.clone(), content.as_bytes(), chunk);
                assert_eq!(inspector.is_relaxed(), expected, "{content:?} by {chunk}");
                assert_eq!(output, content.as_bytes());
            }
            assert!(!inspected(content.as_bytes()).is_relaxed(), "{content:?} from elsewhere");
        }
    }

    #[test]
    fn octets_beyond_ascii_are_seen_wherever_they_stand() {
        for (content, expected) in
            [("A: b\r\n\r\nx\r\n", true), ("A: \u{e4}\r\n", false), ("A: b\r\n\r\n\u{e4}", false)]
        {
            for chunk in 1..=content.len() {
                assert_eq!(chopped(content.as_bytes(), chunk).is_ascii(), expected, "{content:?} by {chunk}");
            }
        }
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
    fn bare_line_ends_are_repaired_where_that_is_allowed() {
        let rules = || Rules { line_ends: LineEnds::Repaired, ..rules() };
        for (content, repaired, repairs) in [
            ("A: b\r\n\r\nx\r\n", "A: b\r\n\r\nx\r\n", 0),
            ("A: b\n\nx\ny", "A: b\r\n\r\nx\r\ny", 3),
            ("A: b\r\rx\r", "A: b\r\n\r\nx\r\n", 3),
            ("A: b\n\r\n\n\r\r\n", "A: b\r\n\r\n\r\n\r\n\r\n", 3),
        ] {
            for chunk in 1..=content.len() {
                let (inspector, output) = passed(rules(), content.as_bytes(), chunk);
                assert_eq!(String::from_utf8_lossy(&output), repaired, "{content:?} in chunks of {chunk}");
                assert_eq!((inspector.repairs(), inspector.problem()), (repairs, None), "{content:?}");
                assert_eq!(inspector.octets(), u64::try_from(content.len()).unwrap());
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
        let fields = |count: usize| "Received:\r\n".repeat(count).into_bytes();
        let rules = || Rules { octets_max: 10_000, ..rules() };
        assert_eq!(passed(rules(), &fields(100), 9000).0.problem(), None);
        assert_eq!(passed(rules(), &fields(101), 9000).0.problem(), Some(Problem::Loop));
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
        assert!(inspected("y".repeat(1500).as_bytes()).begins_with_text());
    }

    /// RFC 5321 §2.3.8, written naively.
    fn has_bare_line_end(content: &str) -> bool {
        content.replace("\r\n", "").contains(['\r', '\n'])
    }

    proptest! {
        #[test]
        fn line_ends_are_judged_as_the_rule_says(content in "[\r\nax]{0,60}", chunk in 1_usize..20) {
            let problem = chopped(content.as_bytes(), chunk).problem();
            prop_assert_eq!(problem == Some(Problem::BareLineEnd), has_bare_line_end(&content));
        }

        #[test]
        fn the_chunks_make_no_difference(
            content in "([Dd]ate|Received|Message-ID|x)? ?:?[a:\0 ]?(\r\n|\r|\n)?(Date: |\r\n|\0){0,3}",
            chunk in 1usize..9,
        ) {
            prop_assert_eq!(facts(&chopped(content.as_bytes(), chunk)), facts(&inspected(content.as_bytes())));
        }
    }
}

//! The header section as it passes: which fields there are, which of them go, and who the originators are.
//!
//! ```text
//!             first octet                    colon                  LF
//! LineStart ─────────────► Name, held back ────────► Value, by fate ──► LineStart
//!     │ ▲ blank: the field goes on ────────────────────►│
//!     └─── empty line, or text where the first field should be ──► Body
//! ```
//!
//! Only what may have to go is held back, and no more than a line of it.

use memchr::memchr2;

use mailwire::address::{Mailbox, ORIGINATOR_OCTETS_MAX, OriginatorError};

use super::authserv::claims_to_be_ours;
use super::field::{Field, FieldName, Fields};
use super::inspector::Problem;
use super::rules::{Rules, SpamFlags, Treatment};

/// Most octets that are held back: the longest line of RFC 5322 §2.1.1. A name that goes on longer is none, and an
/// Authentication-Results that has not said its name by then is not worth keeping.
const HELD_OCTETS_MAX: usize = 998;
/// Most originator fields of a submission: each is read and asked about.
pub(crate) const ORIGINATOR_FIELDS_MAX: usize = 20;

/// How content begins, which decides what may stand directly in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Not enough has come.
    Unknown,
    /// With a field or with the blank line that ends an empty header section.
    Header,
    /// With a line that is no field: all of it is body (RFC 5322 §3.5).
    Body,
}

/// Where the next octet stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// At the beginning of a line.
    LineStart,
    /// In what may be a field name.
    Name(FieldName),
    /// Behind a field's colon, or in its further lines.
    Value,
    /// Behind the header section.
    Body,
}

/// What becomes of the field that is passing.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It passes.
    Keep,
    /// It passes, and is read at its end: who is named in it, or whether it says `No`.
    Read(Field),
    /// It goes.
    Drop,
    /// It is held back until it has said whom it claims to be from; its body begins so far behind its name.
    Weigh(usize),
}

/// Watches the header section pass.
#[derive(Debug)]
pub(super) struct HeaderSection {
    rules: Rules,
    place: Place,
    fate: Fate,
    /// Held back: a name, or a field that is weighed.
    held: Vec<u8>,
    /// The body of a field that is read, as far as it may be long.
    body: Vec<u8>,
    octets: u64,
    beginning: Beginning,
    received_fields: u32,
    fields: Fields,
    originators: Vec<(Field, Mailbox)>,
    /// A submission says that it needs no TLS.
    is_relaxed: bool,
    problem: Option<Problem>,
}

impl HeaderSection {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            place: Place::LineStart,
            fate: Fate::Keep,
            held: Vec::new(),
            body: Vec::new(),
            octets: 0,
            beginning: Beginning::Unknown,
            received_fields: 0,
            fields: Fields::default(),
            originators: Vec::new(),
            is_relaxed: false,
            problem: None,
        }
    }

    /// True once everything passes as it is.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.place, Place::Body)
    }

    pub(super) const fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) const fn beginning(&self) -> Beginning {
        self.beginning
    }

    pub(super) const fn problem(&self) -> Option<Problem> {
        self.problem
    }

    pub(super) const fn has(&self, field: Field) -> bool {
        self.fields.contain(field)
    }

    /// True where a submission says `TLS-Required: No`.
    pub(super) const fn is_relaxed(&self) -> bool {
        self.is_relaxed
    }

    /// Who a submission claims to be from, and in which fields.
    pub(super) fn take_originators(&mut self) -> Vec<(Field, Mailbox)> {
        std::mem::take(&mut self.originators)
    }

    /// Lets `content`, whose line ends are sound, pass to `output`, but for what goes.
    pub(super) fn pass(&mut self, content: &[u8], output: &mut Vec<u8>) {
        let mut rest = content;
        while !rest.is_empty() {
            let before = rest.len();
            rest = match self.place {
                Place::LineStart => self.line_start(rest, output),
                Place::Name(name) => self.name(name, rest, output),
                Place::Value => self.value(rest, output),
                Place::Body => return output.extend_from_slice(rest),
            };
            let passed = u64::try_from(before - rest.len()).unwrap_or(u64::MAX);
            self.octets = self.octets.saturating_add(passed);
            if self.octets > self.rules.header_octets_max {
                self.found(Problem::HeaderTooBig);
            }
        }
    }

    /// The content has ended.
    pub(super) fn finish(&mut self, output: &mut Vec<u8>) {
        match self.place {
            Place::Name(_) => self.no_field(output),
            Place::LineStart | Place::Value | Place::Body => {}
        }
        self.end_field(output);
    }

    /// A blank at the beginning of a line carries the field before it on (RFC 5322 §2.2.3).
    fn line_start<'a>(&mut self, content: &'a [u8], output: &mut Vec<u8>) -> &'a [u8] {
        match content.first() {
            Some(b' ' | b'\t') if self.beginning != Beginning::Unknown => self.place = Place::Value,
            Some(_) | None => {
                self.end_field(output);
                self.place = Place::Name(FieldName::default());
            }
        }
        content
    }

    /// `field-name = 1*ftext`, RFC 5322 §3.6.8; §4.5 lets blanks stand before the colon.
    fn name<'a>(&mut self, mut name: FieldName, content: &'a [u8], output: &mut Vec<u8>) -> &'a [u8] {
        let mut rest = content;
        while let Some((&octet, after)) = rest.split_first() {
            match octet {
                b':' if !name.is_empty() => {
                    self.held.push(octet);
                    self.field(name, output);
                    return after;
                }
                b' ' | b'\t' if !name.is_empty() => name.is_ended = true,
                33..=126 if octet != b':' && !name.is_ended => name.push(octet),
                // Line ends are sound, so this is a CRLF; that its LF counts as body does no harm.
                b'\r' if name.is_empty() => {
                    self.begin(Beginning::Header);
                    self.place = Place::Body;
                    output.push(octet);
                    return after;
                }
                _ => {
                    self.no_field(output);
                    return rest;
                }
            }
            if self.held.len() >= HELD_OCTETS_MAX {
                // With so many blanks behind it, a name that matters is taken for a field: some reader may do so.
                if name.field() == Field::Other {
                    self.no_field(output);
                } else {
                    self.field(name, output);
                }
                return rest;
            }
            self.held.push(octet);
            rest = after;
        }
        self.place = Place::Name(name);
        rest
    }

    /// Goes on to the end of the line, or to a NUL.
    fn value<'a>(&mut self, content: &'a [u8], output: &mut Vec<u8>) -> &'a [u8] {
        let end = memchr2(b'\n', 0, content).map_or(content.len(), |at| at + 1);
        let (part, rest) = content.split_at_checked(end).unwrap_or((content, &[]));
        match part.last() {
            Some(b'\n') => self.place = Place::LineStart,
            Some(0) => self.found(Problem::NulInHeader),
            Some(_) | None => {}
        }
        match self.fate {
            Fate::Keep => output.extend_from_slice(part),
            Fate::Read(_) => {
                output.extend_from_slice(part);
                // One octet more tells that it is too long.
                let most = (ORIGINATOR_OCTETS_MAX + 1).saturating_sub(self.body.len());
                self.body.extend_from_slice(part.get(..most).unwrap_or(part));
            }
            Fate::Drop => {}
            Fate::Weigh(_) => {
                self.held.extend_from_slice(part);
                if self.held.len() >= HELD_OCTETS_MAX {
                    self.weigh(output);
                }
            }
        }
        rest
    }

    /// A field begins, and its name is held back.
    fn field(&mut self, name: FieldName, output: &mut Vec<u8>) {
        self.begin(Beginning::Header);
        self.place = Place::Value;
        let field = name.field();
        if !self.fields.insert(field) && field.is_single() && self.is_submitted() {
            self.found(Problem::Twice(field));
        }
        self.fate = match field {
            Field::AuthenticationResults => Fate::Weigh(self.held.len()),
            // RFC 5322 §3.6.3: nobody is to see it. RFC 5321 §4.4: a submission has come from nowhere yet.
            Field::Bcc | Field::ResentBcc | Field::ReturnPath if self.is_submitted() => Fate::Drop,
            Field::From | Field::Sender | Field::ResentFrom | Field::ResentSender if self.is_submitted() => {
                // RFC 5322 §4.5: obsolete, and no field to some readers.
                if name.is_ended {
                    self.found(Problem::NotOneMailbox(field));
                }
                Fate::Read(field)
            }
            Field::TlsRequired if self.is_submitted() => Fate::Read(field),
            Field::SpamFlag => match self.rules.spam_flags {
                SpamFlags::Kept => Fate::Keep,
                SpamFlags::Dropped => Fate::Drop,
            },
            Field::Received => {
                self.received_fields = self.received_fields.saturating_add(1);
                if self.received_fields > self.rules.received_max {
                    self.found(Problem::Loop);
                }
                Fate::Keep
            }
            Field::Bcc
            | Field::Date
            | Field::From
            | Field::MessageId
            | Field::ReplyTo
            | Field::ResentBcc
            | Field::ResentFrom
            | Field::ResentSender
            | Field::ReturnPath
            | Field::Sender
            | Field::Subject
            | Field::TlsRequired
            | Field::Other => Fate::Keep,
        };
        match self.fate {
            Fate::Keep | Fate::Read(_) => output.append(&mut self.held),
            Fate::Drop => self.held.clear(),
            Fate::Weigh(_) => {}
        }
    }

    /// The field before has ended.
    fn end_field(&mut self, output: &mut Vec<u8>) {
        match self.fate {
            Fate::Keep | Fate::Drop => {}
            Fate::Read(Field::TlsRequired) => {
                let body = std::mem::take(&mut self.body);
                self.is_relaxed |= body.trim_ascii().eq_ignore_ascii_case(b"No");
            }
            Fate::Read(field) => self.originator(field),
            Fate::Weigh(_) => self.weigh(output),
        }
        self.fate = Fate::Keep;
    }

    /// Decides by what is held back of an Authentication-Results field.
    fn weigh(&mut self, output: &mut Vec<u8>) {
        let Fate::Weigh(body_at) = self.fate else { return };
        let body = self.held.get(..HELD_OCTETS_MAX).unwrap_or(&self.held).get(body_at..).unwrap_or_default();
        if claims_to_be_ours(body, &self.rules.own_names) {
            self.held.clear();
            self.fate = Fate::Drop;
        } else {
            output.append(&mut self.held);
            self.fate = Fate::Keep;
        }
    }

    fn originator(&mut self, field: Field) {
        let body = std::mem::take(&mut self.body);
        if self.originators.len() >= ORIGINATOR_FIELDS_MAX {
            return self.found(Problem::TooManyOriginators);
        }
        match Mailbox::of_originator(&body) {
            Ok(mailbox) => self.originators.push((field, mailbox)),
            Err(OriginatorError::Hidden) => self.found(Problem::HiddenAddress(field)),
            Err(OriginatorError::NotOne | OriginatorError::Syntax | OriginatorError::TooLong) => {
                self.found(Problem::NotOneMailbox(field));
            }
        }
    }

    /// A line that is no field; as first line it says that there is no header section. Within one, readers disagree
    /// whether it ends there, so a submission may not have it.
    fn no_field(&mut self, output: &mut Vec<u8>) {
        output.append(&mut self.held);
        self.place = match self.beginning {
            Beginning::Unknown => Place::Body,
            Beginning::Header | Beginning::Body => {
                if self.is_submitted() {
                    self.found(Problem::NoField);
                }
                Place::Value
            }
        };
        self.begin(Beginning::Body);
    }

    fn is_submitted(&self) -> bool {
        match self.rules.treatment {
            Treatment::Submitted => true,
            Treatment::PassedOn => false,
        }
    }

    fn begin(&mut self, beginning: Beginning) {
        if self.beginning == Beginning::Unknown {
            self.beginning = beginning;
        }
    }

    fn found(&mut self, problem: Problem) {
        self.problem = Some(self.problem.map_or(problem, |known| known.min(problem)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::content::LineEnds;

    fn rules(treatment: Treatment) -> Rules {
        Rules {
            treatment,
            line_ends: LineEnds::Strict,
            spam_flags: SpamFlags::Dropped,
            octets_max: u64::MAX,
            octets_read_max: u64::MAX,
            header_octets_max: 20_000,
            received_max: 100,
            own_names: ["mail.example.test".to_owned()].into(),
        }
    }

    /// What is left of content in such chunks, and what was found.
    fn passed(treatment: Treatment, content: &[u8], chunk: usize) -> (HeaderSection, Vec<u8>) {
        let mut header = HeaderSection::new(rules(treatment));
        let mut output = Vec::new();
        content.chunks(chunk).for_each(|chunk| header.pass(chunk, &mut output));
        header.finish(&mut output);
        (header, output)
    }

    /// What is left of content, whatever its chunks.
    fn left(treatment: Treatment, content: &str) -> String {
        let (_, whole) = passed(treatment, content.as_bytes(), content.len().max(1));
        for chunk in 1..content.len().min(40) {
            assert_eq!(passed(treatment, content.as_bytes(), chunk).1, whole, "{content:?} by {chunk}");
        }
        String::from_utf8(whole).unwrap()
    }

    fn problem(content: &str) -> Option<Problem> {
        passed(Treatment::Submitted, content.as_bytes(), content.len().max(1)).0.problem()
    }

    fn originators(content: &str) -> Vec<String> {
        let (mut header, _) = passed(Treatment::Submitted, content.as_bytes(), content.len());
        assert_eq!(header.problem(), None, "{content:?}");
        let shown = |(field, mailbox): (Field, Mailbox)| format!("{field} {mailbox}");
        header.take_originators().into_iter().map(shown).collect()
    }

    const OURS: &str = "Authentication-Results: mail.example.test;\r\n\tspf=pass\r\n";
    const THEIRS: &str = "Authentication-Results: (mail.example.test)\r\n\tmx.example.org;\r\n\tspf=pass\r\n";

    #[test]
    fn bcc_goes_from_a_submission_with_all_its_lines() {
        for (content, expected) in [
            ("A: b\r\nBcc: c@d\r\nE: f\r\n\r\nBcc: g\r\n", "A: b\r\nE: f\r\n\r\nBcc: g\r\n"),
            ("bcc: c@d,\r\n\te@f,\r\n \r\n g@h\r\n\r\n", "\r\n"),
            ("BCC :\r\nResent-Bcc: c\r\n d\r\nA: b\r\n", "A: b\r\n"),
            ("A: b\r\nBcc:", "A: b\r\n"),
            ("Bcc", "Bcc"),
            ("Bccs: x\r\nX-Bcc: y\r\n\r\n", "Bccs: x\r\nX-Bcc: y\r\n\r\n"),
            ("Return-Path: <a@b>\r\nA: b\r\n", "A: b\r\n"),
        ] {
            assert_eq!(left(Treatment::Submitted, content), expected);
            assert_eq!(left(Treatment::PassedOn, content), content);
        }
    }

    #[test]
    fn results_that_claim_to_be_ours_go_and_no_others() {
        let long = format!("Authentication-Results:{}mx.example.org;\r\n", " ".repeat(2000));
        for treatment in [Treatment::Submitted, Treatment::PassedOn] {
            for (before, behind) in [("", "\r\n"), ("A: b\r\n", "C: d\r\n\r\ntext"), ("A: b\r\n c\r\n", "")] {
                assert_eq!(left(treatment, &format!("{before}{OURS}{behind}")), format!("{before}{behind}"));
                let others = format!("{before}{THEIRS}{behind}");
                assert_eq!(left(treatment, &others), others);
                let both = format!("{before}{OURS}{THEIRS}{OURS}{behind}");
                assert_eq!(left(treatment, &both), others);
                assert_eq!(left(treatment, &format!("{before}{long}{behind}")), format!("{before}{behind}"));
            }
            let blanks = format!("authentication-RESULTS{}: mail.example.test;\r\n\r\n", " ".repeat(2000));
            assert_eq!(left(treatment, &blanks), "\r\n");
            let body = format!("\r\n{OURS}");
            assert_eq!(left(treatment, &body), body);
        }
    }

    #[test]
    fn what_a_filter_says_stays_where_the_filter_is_ours() {
        let content =
            "A: b\r\nx-spam-FLAG: YES\r\n and more\r\nX-Spam-Status: No\r\n\r\nX-Spam-Flag: YES\r\n";
        let without = "A: b\r\nX-Spam-Status: No\r\n\r\nX-Spam-Flag: YES\r\n";
        for treatment in [Treatment::Submitted, Treatment::PassedOn] {
            assert_eq!(left(treatment, content), without);
        }
        let rules = Rules { spam_flags: SpamFlags::Kept, ..rules(Treatment::PassedOn) };
        let (mut header, mut output) = (HeaderSection::new(rules), Vec::new());
        header.pass(content.as_bytes(), &mut output);
        header.finish(&mut output);
        assert_eq!(output, content.as_bytes());
    }

    #[test]
    fn originators_are_read_from_every_field_that_names_them() {
        let content = "Sender: c@d\r\nFROM:\r\n\t\"A\r\n B\"\r\n <a@b>\r\nresent-from: e@f\r\nResent-Sender: g@h\r\n\
                       Resent-From: i@j\r\nReply-To: x@y\r\n\r\nFrom: x@y\r\n";
        let expected = ["Sender c@d", "From a@b", "Resent-From e@f", "Resent-Sender g@h", "Resent-From i@j"];
        assert_eq!(originators(content), expected);
        assert_eq!(originators("From: a@b"), ["From a@b"]);
    }

    #[test]
    fn forged_forms_are_found_on_submission_and_left_alone_on_reception() {
        for (content, expected) in [
            ("From: a@b\r\nFrom: c@d\r\n\r\n", Problem::Twice(Field::From)),
            ("From: a@b\r\nfRoM :\r\n", Problem::Twice(Field::From)),
            ("Sender: a@b\r\nSender: a@b\r\n", Problem::Twice(Field::Sender)),
            ("Date: a\r\nDate: a\r\n", Problem::Twice(Field::Date)),
            ("Message-ID: <a@b>\r\nMessage-ID: <a@b>\r\n", Problem::Twice(Field::MessageId)),
            ("Subject: a\r\nSubject: a\r\n", Problem::Twice(Field::Subject)),
            ("Reply-To: a@b\r\nReply-To: a@b\r\n", Problem::Twice(Field::ReplyTo)),
            ("From : a@b\r\n", Problem::NotOneMailbox(Field::From)),
            ("From\t: a@b\r\n", Problem::NotOneMailbox(Field::From)),
            ("From:\r\n", Problem::NotOneMailbox(Field::From)),
            ("From: a@b, c@d\r\n", Problem::NotOneMailbox(Field::From)),
            ("Sender: all:a@b;\r\n", Problem::NotOneMailbox(Field::Sender)),
            ("Resent-From: x\r\n", Problem::NotOneMailbox(Field::ResentFrom)),
            ("From: =?utf-8?q?c=40d?= <a@b>\r\n", Problem::HiddenAddress(Field::From)),
            ("A: b\r\nhello\r\nFrom: a@b\r\n", Problem::NoField),
            ("A: b\r\nFrom\r\n : a@b\r\n", Problem::NoField),
            ("A: b\r\nFro", Problem::NoField),
        ] {
            assert_eq!(problem(content), Some(expected), "{content:?}");
            for chunk in 1..content.len() {
                let (header, _) = passed(Treatment::Submitted, content.as_bytes(), chunk);
                assert_eq!(header.problem(), Some(expected), "{content:?} by {chunk}");
            }
            assert_eq!(left(Treatment::PassedOn, content), content);
            assert_eq!(passed(Treatment::PassedOn, content.as_bytes(), 7).0.problem(), None);
        }
    }

    #[test]
    fn an_originator_field_has_a_limit() {
        let padded = |octets: usize| format!("From:{}a@b\r\n", " ".repeat(octets - "a@b\r\n".len()));
        assert_eq!(problem(&padded(ORIGINATOR_OCTETS_MAX)), None);
        let over = Some(Problem::NotOneMailbox(Field::From));
        assert_eq!(problem(&padded(ORIGINATOR_OCTETS_MAX + 1)), over);
        assert_eq!(problem(&padded(ORIGINATOR_OCTETS_MAX * 3)), over);
        let fields = |count: usize| "Resent-From: a@b\r\n".repeat(count);
        assert_eq!(problem(&fields(ORIGINATOR_FIELDS_MAX)), None);
        assert_eq!(problem(&fields(ORIGINATOR_FIELDS_MAX + 1)), Some(Problem::TooManyOriginators));
    }

    #[test]
    fn a_header_section_has_a_limit_and_a_body_has_none_here() {
        for treatment in [Treatment::Submitted, Treatment::PassedOn] {
            let header =
                |octets: usize| format!("A:{}\r\n\r\n{}", "x".repeat(octets - 5), "y".repeat(30_000));
            // The CR of the empty line counts as well.
            assert_eq!(passed(treatment, header(20_000).as_bytes(), 4096).0.problem(), None);
            let over = passed(treatment, header(20_001).as_bytes(), 4096).0.problem();
            assert_eq!(over, Some(Problem::HeaderTooBig));
        }
    }

    fn fields() -> impl Strategy<Value = Vec<String>> {
        let name = "(Bcc|bcc|Resent-BCC|Return-Path|From|Authentication-Results|A|Bccx|To)[ \t]{0,2}:";
        let body = "( mail\\.example\\.test;| mx\\.example\\.org ;|a@b| x|\\(|\"|\r\n |\r\n\t){0,5}\r\n";
        proptest::collection::vec((name, body).prop_map(|(name, body)| name + &body), 0..8)
    }

    proptest! {
        #[test]
        fn what_passes_is_the_content_without_whole_fields(fields in fields(), chunk in 1_usize..40, submit in any::<bool>()) {
            let treatment = if submit { Treatment::Submitted } else { Treatment::PassedOn };
            let content = fields.concat() + "\r\nbody\r\nBcc: x\r\n";
            let (_, output) = passed(treatment, content.as_bytes(), chunk);
            let goes = |field: &&String| {
                let (name, body) = field.split_once(':').unwrap();
                match name.trim_end().to_ascii_lowercase().as_str() {
                    "bcc" | "resent-bcc" | "return-path" => submit,
                    "authentication-results" => {
                        claims_to_be_ours(body.as_bytes(), &rules(treatment).own_names)
                    }
                    _ => false,
                }
            };
            let kept: String = fields.iter().filter(|field| !goes(field)).cloned().collect();
            prop_assert_eq!(String::from_utf8(output).unwrap(), kept + "\r\nbody\r\nBcc: x\r\n");
        }
    }
}

//! What an answer is made of: its header section and its text (RFC 3834 §3, RFC 5230 §5).

use mail_parser::{HeaderValue, MessageParser};
use mailwire::address::Mailbox;
use mailwire::header::{self, encoded_words};
use mailwire::sasl;

use crate::filing::rules::Vacation;
use crate::trace;

/// Characters of the subject that is answered.
const SUBJECT_CHARACTERS_MAX: usize = 200;
/// Octets of a name of a message, and how many of them the answer refers to.
const ID_OCTETS_MAX: usize = 250;
const REFERENCES_MAX: usize = 20;
/// Octets of a line without its end (RFC 5322 §2.1.1), and of one in base64 (RFC 2045 §6.8).
const LINE_OCTETS_MAX: usize = 998;
const BASE64_LINE_OCTETS: usize = 76;

/// Everything that an answer is made of.
pub(super) struct Letter<'a> {
    pub(super) account: &'a Mailbox,
    pub(super) sender: &'a Mailbox,
    pub(super) vacation: &'a Vacation,
    /// The header section of what is answered.
    pub(super) answered: &'a [u8],
    pub(super) hostname: &'a str,
    /// Unique within the second.
    pub(super) id: &'a str,
    /// Seconds since 1970.
    pub(super) now: u64,
}

impl Letter<'_> {
    /// The whole message.
    pub(super) fn text(&self) -> String {
        let Self { account, sender, vacation, hostname, id, now, .. } = self;
        let answered = MessageParser::new().parse_headers(self.answered);
        // RFC 3834 §3.1.5, RFC 5230 §4.3.
        let subject = vacation.subject.clone().unwrap_or_else(|| {
            let subject = answered.as_ref().and_then(|answered| answered.subject()).unwrap_or_default();
            let words: Vec<_> = subject.split_whitespace().collect();
            let subject: String = words.join(" ").chars().take(SUBJECT_CHARACTERS_MAX).collect();
            format!("Auto: {subject}")
        });
        let name = answered.as_ref().and_then(|answered| answered.message_id()).and_then(named);
        let before = answered.as_ref().map(|answered| {
            let references = ids(answered.references());
            if references.is_empty() { ids(answered.in_reply_to()) } else { references }
        });
        let (encoding, body) = body(&vacation.text);
        let fields = [
            header::field("From", &format!("<{account}>")),
            header::field("To", &format!("<{sender}>")),
            trace::date(*now),
            trace::message_id(id, hostname, *now),
            header::field("Subject", &shown(subject.trim_end())),
            name.as_ref().map(|name| header::field("In-Reply-To", name)).unwrap_or_default(),
            references(before.unwrap_or_default(), name),
            // RFC 3834 §5: nobody answers an answer.
            "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n".to_owned(),
            format!(
                "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}"
            ),
        ];
        fields.concat()
    }
}

/// Text as a field's value (RFC 2047 §5).
fn shown(text: &str) -> String {
    let is_plain = text.bytes().all(|octet| matches!(octet, b' '..=b'~')) && !text.contains("=?");
    if is_plain { text.to_owned() } else { encoded_words(text) }
}

/// `msg-id`, RFC 5322 §3.6.4, where it can stand in a field as it is.
fn named(id: &str) -> Option<String> {
    let is_safe =
        !id.is_empty() && id.len() <= ID_OCTETS_MAX && id.bytes().all(|octet| octet.is_ascii_graphic());
    (is_safe && !id.contains(['<', '>'])).then(|| format!("<{id}>"))
}

fn ids(value: &HeaderValue<'_>) -> Vec<String> {
    value.as_text_list().unwrap_or_default().iter().filter_map(|id| named(id)).collect()
}

/// RFC 5322 §3.6.4: what the answered message refers to, and that message. Of many the first one and the last ones.
fn references(mut before: Vec<String>, name: Option<String>) -> String {
    let Some(name) = name else { return String::new() };
    before.push(name);
    if before.len() > REFERENCES_MAX {
        let last = before.len().saturating_sub(REFERENCES_MAX).saturating_add(1);
        before.drain(1..last);
    }
    header::field("References", &before.join(" "))
}

/// The text with the encoding that every server takes: as it is, or in base64.
fn body(text: &str) -> (&'static str, String) {
    let lines: Vec<_> = text.trim().lines().map(str::trim_end).collect();
    let lines = lines.join("\r\n") + "\r\n";
    if text.is_ascii() && text.lines().all(|line| line.len() <= LINE_OCTETS_MAX) {
        return ("7bit", lines);
    }
    let mut encoded = String::new();
    let mut octets = sasl::encode(lines.as_bytes());
    while octets.len() > BASE64_LINE_OCTETS {
        let rest = octets.split_off(BASE64_LINE_OCTETS);
        encoded.push_str(&octets);
        encoded.push_str("\r\n");
        octets = rest;
    }
    ("base64", encoded + &octets + "\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).unwrap()
    }

    fn written(subject: Option<&str>, text: &str, answered: &str) -> String {
        let vacation = Vacation {
            text: text.to_owned(),
            subject: subject.map(str::to_owned),
            days: 7,
            from: None,
            until: None,
            addresses: Vec::new(),
        };
        let (account, sender) = (mailbox("alice@example.test"), mailbox("bob@x.example"));
        let answered = answered.as_bytes();
        let (hostname, id, now) = ("mail.example.test", "abc", 1_763_764_020);
        Letter { account: &account, sender: &sender, vacation: &vacation, answered, hostname, id, now }.text()
    }

    #[test]
    fn an_answer_says_what_it_answers_and_that_a_program_has_written_it() {
        let answered = "Subject: the\r\n plan\r\nMessage-ID: <3@x.example>\r\nReferences: <1@x> <2@x>\r\n";
        assert_eq!(
            written(None, "I am away.\n\n-- \nAlice\n", answered),
            "From: <alice@example.test>\r\nTo: <bob@x.example>\r\nDate: Fri, 21 Nov 2025 22:27:00 +0000\r\n\
             Message-ID: <1763764020.abc@mail.example.test>\r\nSubject: Auto: the plan\r\n\
             In-Reply-To: <3@x.example>\r\nReferences: <1@x> <2@x> <3@x.example>\r\n\
             Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
             I am away.\r\n\r\n--\r\nAlice\r\n"
        );
        let only_reply = written(None, "x", "Message-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\n");
        assert!(
            only_reply.contains("References: <1@x> <2@x>\r\n") && only_reply.contains("Subject: Auto:\r\n")
        );
        let nameless = written(Some("Away"), "x", "Subject: hello\r\n");
        assert!(!nameless.contains("In-Reply-To") && !nameless.contains("References"));
        assert!(nameless.contains("Subject: Away\r\n"));
    }

    #[test]
    fn text_beyond_ascii_is_read_everywhere() {
        let text = "Ich bin f\u{fc}r \u{20ac} verreist.\n".repeat(20);
        let answered = "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <3@x.example>\r\n";
        let written = written(None, &text, answered);
        assert!(written.is_ascii() && written.lines().all(|line| line.len() <= 78), "{written}");
        let read = MessageParser::new().parse(&written).unwrap();
        assert_eq!(read.subject(), Some("Auto: Gr\u{fc}\u{df}e"));
        assert_eq!(read.body_text(0).unwrap().replace("\r\n", "\n"), text);
    }

    #[test]
    fn nothing_of_what_is_answered_ends_a_field() {
        let ids = " <1@x>\r\n".repeat(1000);
        let long = "x".repeat(10_000);
        for answered in [
            format!("Subject: a\rBcc: x@y\r\nMessage-ID: <3@x>\r\nReferences:{ids}"),
            format!("Subject: {long}\r\nMessage-ID: <{long}@x>\r\n"),
            "Subject: =?utf-8?q?a=0D=0ABcc:_x=40y?=\r\nMessage-ID: <a\tb c@x>\r\n".to_owned(),
            "Message-ID: <=?utf-8?q?=0D=0ABcc:_x=40y?=@x>\r\n".to_owned(),
        ] {
            let written = written(None, "x", &answered);
            let (header, _) = written.split_once("\r\n\r\n").unwrap();
            assert!(
                !header.contains("\r\nBcc") && !header.replace("\r\n", "").contains(['\r', '\n']),
                "{header}"
            );
            assert!(header.len() < 3000 && header.lines().all(|line| line.len() < 998), "{header}");
        }
        let many = references((0..100).map(|number| format!("<{number}@x>")).collect(), named("last@x"));
        let found: Vec<_> = many.split_whitespace().skip(1).collect();
        assert_eq!((found.len(), found[0], found[1]), (REFERENCES_MAX, "<0@x>", "<82@x>"));
    }
}

//! A report as a message: words for people, and the report itself, in gzip (RFC 8460 §5.3, RFC 9990 §3.5.2).

use std::fmt::Write as _;
use std::io::{self, Write as _};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use mailwire::address::Mailbox;
use mailwire::header;

use super::head::Head;
use super::tally::Kind;
use crate::trace;

/// Octets of a line of base64 (RFC 2045 §6.8).
const LINE_OCTETS: usize = 76;

/// A report that goes to somebody.
pub(super) struct Message<'a> {
    pub(super) head: &'a Head,
    pub(super) from: &'a Mailbox,
    /// One at least.
    pub(super) to: &'a [Mailbox],
    /// In gzip.
    pub(super) content: &'a [u8],
    pub(super) now: u64,
}

/// `content` in gzip (RFC 1952).
pub(super) fn compressed(content: &str) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_bytes())?;
    encoder.finish()
}

impl Message<'_> {
    /// All of it, in ASCII.
    pub(super) fn text(&self) -> String {
        let Self { head, from, now, .. } = self;
        let boundary = format!("report-{}", head.unique_id);
        let to: Vec<_> = self.to.iter().map(|mailbox| format!("<{mailbox}>")).collect();
        let mut text = [
            header::field("From", &format!("{} <{from}>", header::encoded_words(&head.organization))),
            header::field("To", &to.join(", ")),
            trace::date(*now),
            format!("Message-ID: <{}>\r\n", head.report_id()),
            header::field("Subject", &head.subject()),
            // RFC 3834 §5: nobody answers an automatic message.
            "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n".to_owned(),
            self.fields(&boundary),
        ]
        .concat();
        // A string takes whatever is written to it.
        let _ = write!(
            text,
            "\r\n--{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n{}\r\n--{boundary}\r\n\
             Content-Type: {}\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment;\r\n\tfilename=\"{}\"\r\n\r\n",
            self.words(),
            media_type(head.kind),
            head.file_name(),
        );
        let encoded = STANDARD.encode(self.content);
        for line in encoded.as_bytes().chunks(LINE_OCTETS) {
            text.extend(line.iter().map(|octet| char::from(*octet)));
            text.push_str("\r\n");
        }
        let _ = write!(text, "--{boundary}--\r\n");
        text
    }

    /// Those that the kinds of reports have not in common.
    fn fields(&self, boundary: &str) -> String {
        let Head { domain, submitter, kind, .. } = self.head;
        match kind {
            // RFC 8460 §5.3; that such reports are to arrive whatever is wrong with TLS, RFC 8689 §5 says to all on their way.
            Kind::Tls => format!(
                "TLS-Report-Domain: {domain}\r\nTLS-Report-Submitter: {submitter}\r\nTLS-Required: No\r\n\
                 Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n\tboundary=\"{boundary}\"\r\n"
            ),
        }
    }

    fn words(&self) -> String {
        let Head { domain, submitter, contact, .. } = self.head;
        let (day, what) = (
            self.head.day(),
            match self.head.kind {
                Kind::Tls => "how TLS went when mail was brought to",
            },
        );
        format!(
            "This is a report of {submitter} on {day} (UTC): {what}\r\n{domain}. The domain asks for such \
             reports in its DNS.\r\nQuestions about it go to {contact}.\r\n"
        )
    }
}

/// What the report itself is said to be.
pub(super) const fn media_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Tls => "application/tlsrpt+gzip",
    }
}

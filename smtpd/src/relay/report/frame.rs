//! The header of a report and its parts (RFC 6522, and RFC 3462 before it; RFC 3464 §2; RFC 6533 §6).

use std::fmt::Write;

use mailwire::address::Mailbox;
use mailwire::header;

use super::returned::HeaderSection;
use super::{Kind, Subject, status, words};
use crate::trace;

/// Everything that a report is made of, but for what comes back.
pub(super) struct Frame<'a> {
    pub(super) kind: Kind,
    /// At least one, all of one message.
    pub(super) subjects: &'a [Subject<'a>],
    pub(super) sender: &'a Mailbox,
    pub(super) from: &'a Mailbox,
    pub(super) hostname: &'a str,
    /// Random, so that no content has the boundary in it.
    pub(super) id: String,
    /// In the form of RFC 6533.
    pub(super) is_utf8: bool,
    pub(super) now: u64,
}

/// What comes back with a report.
pub(super) enum Returned {
    Headers(HeaderSection),
    /// All of it.
    Message(Form),
}

/// What a returned message is (RFC 6532 §3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    /// With UTF-8 in its header section.
    Global,
}

impl Frame<'_> {
    /// Up to where the returned message begins.
    pub(super) fn beginning(&self, returned: &Returned) -> String {
        let boundary = self.boundary();
        let mut text = self.header();
        let (machine, addresses) = if self.is_utf8 {
            ("message/global-delivery-status", "8bit")
        } else {
            ("message/delivery-status", "7bit")
        };
        // A string takes whatever is written to it.
        let _ = write!(
            text,
            "\r\nThis is a report about a message of yours, in the form of RFC 3464.\r\n\r\n--{boundary}\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{}\r\n\
             --{boundary}\r\nContent-Type: {machine}\r\nContent-Transfer-Encoding: {addresses}\r\n\r\n{}\r\n\
             --{boundary}\r\n{}\r\n",
            words::text(self),
            status::fields(self),
            self.returned_header(returned),
        );
        text
    }

    /// Behind the returned message.
    pub(super) fn end(&self) -> String {
        format!("\r\n--{}--\r\n", self.boundary())
    }

    fn boundary(&self) -> String {
        format!("report-{}", self.id)
    }

    /// RFC 3834 §5: nobody answers an automatic message.
    fn header(&self) -> String {
        let (now, id) = (self.now, &self.id);
        let fields = [
            header::field("From", &format!("Mail delivery on {} <{}>", self.hostname, self.from)),
            header::field("To", &format!("<{}>", self.sender)),
            trace::date(now),
            trace::message_id(id, self.hostname, now),
            header::field("Subject", &words::subject(self)),
            "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n".to_owned(),
            format!(
                "Content-Type: multipart/report; report-type={};\r\n\tboundary=\"{}\"\r\n",
                if self.is_utf8 { "global-delivery-status" } else { "delivery-status" },
                self.boundary()
            ),
        ];
        fields.concat()
    }

    fn returned_header(&self, returned: &Returned) -> &'static str {
        match (returned, self.is_utf8) {
            (Returned::Headers(_), true) => {
                "Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n"
            }
            (Returned::Headers(_), false) => {
                "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 8bit\r\n"
            }
            (Returned::Message(Form::Global), _) => {
                "Content-Type: message/global\r\nContent-Transfer-Encoding: 8bit\r\n"
            }
            (Returned::Message(Form::Plain), _) => {
                "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n"
            }
        }
    }
}

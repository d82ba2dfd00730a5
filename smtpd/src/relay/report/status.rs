//! The part of a report that programs read: `delivery-status-content`, RFC 3464 §2.1, and its UTF-8 form (RFC 6533 §6).

use mailwire::address::Mailbox;
use mailwire::escape::without_controls;
use mailwire::smtp::utf8_addr_xtext;

use super::frame::Frame;
use super::{Kind, Subject};
use crate::trace;

/// All fields: those of the message, and those of each recipient behind an empty line.
pub(super) fn fields(frame: &Frame<'_>) -> String {
    let mut text = per_message(frame);
    for subject in frame.subjects {
        text.push_str("\r\n");
        text.push_str(&per_recipient(frame, subject));
    }
    text
}

/// `per-message-fields`, RFC 3464 §2.2.
fn per_message(frame: &Frame<'_>) -> String {
    let Some(first) = frame.subjects.first() else { return String::new() };
    let envelope_id = first.entry.terms.envelope_id.as_deref();
    let fields = [
        envelope_id.map(|id| field("Original-Envelope-Id", id)),
        Some(field("Reporting-MTA", &format!("dns; {}", frame.hostname))),
        Some(field("Arrival-Date", &trace::date_time(first.entry.accepted_at))),
    ];
    fields.into_iter().flatten().collect()
}

/// `per-recipient-fields`, RFC 3464 §2.3. Action and Status always.
fn per_recipient(frame: &Frame<'_>, subject: &Subject<'_>) -> String {
    let action = match frame.kind {
        Kind::Failed => "failed",
        Kind::Delayed => "delayed",
        Kind::Delivered => "delivered",
        Kind::Relayed => "relayed",
    };
    let original = subject.entry.recipient_terms.original();
    let original = original.map(|original| match original.address_type.as_str() {
        "utf-8" => format!("utf-8; {}", utf8_address(frame, &original.address)),
        other => format!("{other}; {}", original.address),
    });
    let said = &subject.finding.said;
    let diagnostic =
        (subject.finding.is_reply && frame.kind != Kind::Relayed).then(|| format!("smtp; {said}"));
    let fields = [
        original.map(|original| field("Original-Recipient", &original)),
        Some(field("Final-Recipient", &final_recipient(frame, &subject.entry.recipient))),
        Some(field("Action", action)),
        Some(field("Status", &subject.status.to_string())),
        (!subject.host.is_empty()).then(|| field("Remote-MTA", &format!("dns; {}", subject.host))),
        diagnostic.map(|diagnostic| field("Diagnostic-Code", &diagnostic)),
        Some(field("Last-Attempt-Date", &trace::date_time(frame.now))),
        subject.retry_until.map(|until| field("Will-Retry-Until", &trace::date_time(until))),
    ];
    fields.into_iter().flatten().collect()
}

fn final_recipient(frame: &Frame<'_>, recipient: &Mailbox) -> String {
    let text = recipient.text();
    if text.is_ascii() { format!("rfc822; {text}") } else { format!("utf-8; {}", utf8_address(frame, &text)) }
}

/// RFC 6533 §3: as it is where UTF-8 may be, else in the form for ASCII.
fn utf8_address(frame: &Frame<'_>, address: &str) -> String {
    if frame.is_utf8 { address.to_owned() } else { utf8_addr_xtext(address) }
}

/// One field in one line, or several that are folded: another server's words cannot end it.
fn field(name: &str, value: &str) -> String {
    mailwire::header::field(name, &without_controls(value))
}

#[cfg(test)]
mod tests {
    use mailstore::OriginalRecipient;
    use mailwire::smtp::Enhanced;

    use super::super::super::testing::entry;
    use super::super::super::verdict::{Fate, Finding};
    use super::super::Cause;
    use super::*;

    #[test]
    fn programs_learn_what_became_of_each_recipient() {
        let (mut one, mut other) = (entry(1, 0, "b@b.example"), entry(1, 1, "c@b.example"));
        one.terms.envelope_id = Some("my id".to_owned());
        let (address_type, address) = ("rfc822".to_owned(), "x@x.example".to_owned());
        other.recipient_terms.original = Some(OriginalRecipient { address_type, address });
        let finding = Finding {
            fate: Fate::Never,
            status: Enhanced(5, 1, 1),
            said: "550 5.1.1 no\r\nInjected: field".to_owned(),
            is_reply: true,
        };
        let subject = |entry| Subject {
            entry,
            finding: &finding,
            status: finding.status,
            cause: Cause::Attempt,
            host: "mx.b.example",
            retry_until: None,
        };
        let (sender, from) = (Mailbox::parse("a@a.example").unwrap(), Mailbox::parse("p@a.example").unwrap());
        let frame = Frame {
            kind: Kind::Failed,
            subjects: &[subject(&one), subject(&other)],
            sender: &sender,
            from: &from,
            hostname: "mail.a.example",
            id: "0".to_owned(),
            is_utf8: false,
            now: 2000,
        };
        assert_eq!(
            fields(&frame),
            "Original-Envelope-Id: my id\r\nReporting-MTA: dns; mail.a.example\r\n\
             Arrival-Date: Thu, 1 Jan 1970 00:16:40 +0000\r\n\r\n\
             Final-Recipient: rfc822; b@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\
             Remote-MTA: dns; mx.b.example\r\nDiagnostic-Code: smtp; 550 5.1.1 no??Injected: field\r\n\
             Last-Attempt-Date: Thu, 1 Jan 1970 00:33:20 +0000\r\n\r\n\
             Original-Recipient: rfc822; x@x.example\r\nFinal-Recipient: rfc822; c@b.example\r\nAction: failed\r\n\
             Status: 5.1.1\r\nRemote-MTA: dns; mx.b.example\r\n\
             Diagnostic-Code: smtp; 550 5.1.1 no??Injected: field\r\n\
             Last-Attempt-Date: Thu, 1 Jan 1970 00:33:20 +0000\r\n"
        );
    }
}

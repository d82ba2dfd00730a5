//! What a person reads in a report: what happened, to whom, and what they can do about it.

use std::fmt::Write;

use mailstore::QueueEntry;
use mailwire::smtp::Enhanced;

use super::frame::Frame;
use super::{Cause, Kind, Subject};
use crate::trace;

/// Recipients that are named in words; the others are counted, and programs find all of them.
const NAMED_MAX: usize = 50;

/// The subject of the report.
pub(super) fn subject(frame: &Frame<'_>) -> String {
    let whom = match frame.subjects {
        [only] if only.entry.recipient.text().is_ascii() => format!(" to {}", only.entry.recipient),
        _ => String::new(),
    };
    match frame.kind {
        Kind::Failed => format!("Not delivered: your message{whom}"),
        Kind::Delayed => format!("Delayed: your message{whom}"),
        Kind::Delivered => format!("Delivered: your message{whom}"),
        Kind::Relayed => format!("Handed on: your message{whom}"),
    }
}

/// The part for people, in lines of text.
pub(super) fn text(frame: &Frame<'_>) -> String {
    let mut text = String::new();
    let since = frame.subjects.first().map_or(frame.now, |first| first.entry.accepted_at);
    let opening = match frame.kind {
        Kind::Failed => "Your message could not be delivered to:",
        Kind::Delayed => {
            "Your message has not been delivered yet. You need not send it again: we go on trying. It is for:"
        }
        Kind::Delivered => "Your message has been delivered, as you wanted to know, to:",
        Kind::Relayed => {
            "Your message has been handed on to a server that does not say when it arrives. It is for:"
        }
    };
    line(&mut text, opening);
    for subject in frame.subjects.iter().take(NAMED_MAX) {
        line(&mut text, "");
        recipient(&mut text, frame.kind, subject);
    }
    let more = frame.subjects.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        line(&mut text, "");
        line(&mut text, &format!("and {more} more, of whom the next part of this report tells."));
    }
    line(&mut text, "");
    line(&mut text, &format!("We took it from you on {}.", trace::date_time(since)));
    line(&mut text, &format!("This report was made by {}; nobody reads answers to it.", frame.hostname));
    text
}

fn recipient(text: &mut String, kind: Kind, subject: &Subject<'_>) {
    let entry = subject.entry;
    line(text, &format!("    {}", entry.recipient));
    if let Some(original) = entry.recipient_terms.original()
        && original.address != entry.recipient.text()
    {
        line(text, &format!("    (where mail for {} goes)", original.address));
    }
    match (kind, subject.cause) {
        (Kind::Delivered | Kind::Relayed, _) => return,
        (Kind::Failed, Cause::Time) => {
            line(text, "    We have tried until its time was over. The last time:");
        }
        (Kind::Failed | Kind::Delayed, Cause::Postmaster) => return ended(text, subject),
        (Kind::Failed, Cause::Attempt) | (Kind::Delayed, Cause::Attempt | Cause::Time) => {}
    }
    if let Some(words) = entry.recipient_terms.refusal() {
        line(text, "    The recipient does not take this message, and says:");
        return line(text, &format!("    {words}"));
    }
    line(text, &format!("    {}", meaning(subject.finding.status)));
    let said = &subject.finding.said;
    let whose = match (subject.finding.is_reply, subject.host) {
        (true, "") => "The other server said: ".to_owned(),
        (true, host) => format!("The server {host} said: "),
        (false, _) => "What happened: ".to_owned(),
    };
    line(text, &format!("    {whose}{said}"));
    if let Some(until) = subject.retry_until {
        line(text, &format!("    We try until {}.", trace::date_time(until)));
    }
}

/// No other server has refused it.
fn ended(text: &mut String, subject: &Subject<'_>) {
    line(text, &format!("    What happened: {}.", subject.finding.said.trim_end_matches('.')));
    let QueueEntry { attempts, last_result, .. } = subject.entry;
    if *attempts > 0 && !last_result.is_empty() {
        line(text, &format!("    What the last attempt had met: {last_result}"));
    }
}

/// What a code means to whoever has sent the message (RFC 3463, and the registry of RFC 5248).
fn meaning(status: Enhanced) -> &'static str {
    let Enhanced(class, subject, detail) = status;
    match (class, subject, detail) {
        (_, 1, 1 | 3 | 6) => {
            "There is no such address there. Check how it is spelt, or ask its owner for the right one."
        }
        (_, 1, 2) => "There is no such domain: check what stands behind the @.",
        (_, 1, 10) => "That domain takes no mail at all.",
        (_, 1, _) => "The other server does not take the address of the sender or of the recipient.",
        (_, 2, 1) => "The mailbox is closed.",
        (_, 2, 2) => "The mailbox is full. Its owner has to make room first.",
        (_, 2, 3) | (_, 3, 4) => "The message is too large for the other side: send less, or a link to it.",
        (_, 2, _) => "The mailbox does not take it.",
        (4, 3, _) => "The other server cannot take mail at the moment.",
        (_, 3, _) => "The other server does not take this mail.",
        (_, 4, 1 | 2) => "The other server could not be reached, or broke off.",
        (_, 4, 3 | 4) => "It could not be found out where mail for that domain goes.",
        (_, 4, 6) => "The message would go in circles. Tell the administrator of that domain.",
        (_, 4, 7) => "It could not be delivered within the time that it had.",
        (_, 6, 7) => {
            "The other server takes no addresses or header fields beyond ASCII. Use an ASCII address, if there is one."
        }
        (_, 6, _) => "The other server cannot carry what the message is made of.",
        (4, 7, 10) | (_, 7, 4 | 5 | 30) => {
            "The connection to the other server could not be made safe as it must be, so the message was not sent."
        }
        (5, 7, _) => "The other server refuses the message by its rules. Its words below may say what to do.",
        (4, 7, _) => "The other server puts the message off by its rules.",
        (4, ..) => "The other server did not take it for the time being.",
        _ => "The other server did not take it.",
    }
}

/// One line or several of at most 76 characters, broken at blanks; control characters do nothing.
fn line(text: &mut String, words: &str) {
    const CHARACTERS_MAX: usize = 76;
    let words = mailwire::escape::without_controls(words);
    let indent = words.len().saturating_sub(words.trim_start().len());
    let indent = words.get(..indent).unwrap_or_default();
    let mut characters = 0_usize;
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if characters > 0 && characters.saturating_add(1).saturating_add(length) > CHARACTERS_MAX {
            text.push_str("\r\n");
            characters = 0;
        }
        let before = if characters == 0 { indent } else { " " };
        // A string takes whatever is written to it.
        let _ = write!(text, "{before}{word}");
        characters = characters.saturating_add(before.len()).saturating_add(length);
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_short_and_keep_their_indent() {
        let mut text = String::new();
        line(&mut text, &format!("    {}", "word ".repeat(40)));
        assert!(text.lines().count() > 2);
        assert!(text.lines().all(|line| line.starts_with("    word") && line.len() <= 76));
        line(&mut text, "");
        assert!(text.ends_with("\r\n\r\n"));
    }

    #[test]
    fn every_class_has_words() {
        for class in [4, 5] {
            for subject in 0..8 {
                for detail in 0..12 {
                    assert!(meaning(Enhanced(class, subject, detail)).ends_with('.'));
                }
            }
        }
        assert!(meaning(Enhanced(5, 1, 1)).contains("no such address"));
    }
}

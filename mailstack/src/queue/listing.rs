//! Entries of the queue as lines: for people, or as JSON for programs.

use mailstore::{Attempt, DomainCounts, Ending, QueueEntry, QueueState, TracedRecipient};
use mailwire::address::ReversePath;
use serde::Serialize;
use smtpd::filing::answers;

use super::entry_name::EntryName;
use crate::listing::size;
use crate::maildrop::moment::shown;

/// Who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    People,
    /// One JSON object a line.
    Program,
}

/// An entry for programs. Times are seconds since 1970.
#[derive(Serialize)]
struct EntryObject<'a> {
    entry: String,
    message: u64,
    recipient: u32,
    from: String,
    to: String,
    state: &'static str,
    octets: u64,
    accepted_at: u64,
    due: u64,
    expires: u64,
    attempts: u32,
    last_result: &'a str,
    warned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tried: Option<Vec<AttemptObject<'a>>>,
}

/// What was tried, for programs.
#[derive(Serialize)]
struct AttemptObject<'a> {
    number: u32,
    #[serde(flatten)]
    attempt: &'a Attempt,
}

/// A domain for programs.
#[derive(Serialize)]
struct DomainObject {
    domain: String,
    waiting: u64,
    held: u64,
}

const fn state(entry: &QueueEntry) -> &'static str {
    match (entry.is_leased, entry.state) {
        (true, _) => "trying",
        (false, QueueState::Waiting) => "waiting",
        (false, QueueState::Held) => "held",
    }
}

/// One line of JSON, with what was tried where it is known.
pub(super) fn object(
    entry: &QueueEntry,
    traced: Option<&TracedRecipient>,
) -> Result<String, serde_json::Error> {
    let attempt = |(number, attempt): &'_ (u32, Attempt)| (*number, attempt.clone());
    let tried: Option<Vec<_>> = traced.map(|traced| traced.attempts.iter().map(attempt).collect());
    let tried = tried.as_ref().map(|tried| {
        tried.iter().map(|(number, attempt)| AttemptObject { number: *number, attempt }).collect()
    });
    serde_json::to_string(&EntryObject {
        entry: EntryName::from(entry.id).to_string(),
        message: entry.id.message.0,
        recipient: entry.id.recipient,
        from: entry.reverse_path.text(),
        to: entry.recipient.to_string(),
        state: state(entry),
        octets: entry.octets,
        accepted_at: entry.accepted_at,
        due: entry.due,
        expires: entry.expires,
        attempts: entry.attempts,
        last_result: &entry.last_result,
        warned: entry.is_warned,
        priority: entry.terms.priority,
        envelope_id: entry.terms.envelope_id.as_deref(),
        tried,
    })
}

/// One line for people.
pub(super) fn line(entry: &QueueEntry) -> String {
    let when = match state(entry) {
        "waiting" => format!("due {}", shown(entry.due)),
        "trying" => "being tried now         ".to_owned(),
        held => format!("{held:24}"),
    };
    let result =
        if entry.last_result.is_empty() { String::new() } else { format!(": {}", entry.last_result) };
    format!(
        "{:>10}  {:>10}  {when}  {}  {} to {}{result}",
        EntryName::from(entry.id).to_string(),
        size(entry.octets),
        attempts(entry.attempts),
        path(&entry.reverse_path),
        entry.recipient,
    )
}

/// Several lines that tell all of it.
pub(super) fn details(entry: &QueueEntry, traced: Option<&TracedRecipient>) -> Vec<String> {
    let mut lines = vec![
        format!("{}: {} to {}", EntryName::from(entry.id), path(&entry.reverse_path), entry.recipient),
        format!("  accepted {}, {}", shown(entry.accepted_at), size(entry.octets)),
        format!("  {}; expires {}", waits(entry), shown(entry.expires)),
    ];
    if entry.is_warned {
        lines.push("  the sender has been told that it takes long".to_owned());
    }
    match traced {
        Some(traced) => lines.extend(tried(traced)),
        None if entry.last_result.is_empty() => {}
        None => lines.push(format!("  {}, the last one: {}", attempts(entry.attempts), entry.last_result)),
    }
    lines
}

fn waits(entry: &QueueEntry) -> String {
    match state(entry) {
        "waiting" => format!("the next attempt is due {}", shown(entry.due)),
        "trying" => "an attempt is being made now".to_owned(),
        _ => "held until it is released (`mailstack queue release`)".to_owned(),
    }
}

/// What was tried for a recipient, and how it ended.
pub(crate) fn tried(traced: &TracedRecipient) -> Vec<String> {
    let mut lines = Vec::new();
    let mut before = 0_u32;
    for (number, attempt) in &traced.attempts {
        let left_out = number.saturating_sub(before).saturating_sub(1);
        if left_out > 0 {
            lines.push(format!("    ({} are not kept)", attempts(left_out)));
        }
        before = *number;
        let place = if attempt.place.is_empty() { String::new() } else { format!("{}: ", attempt.place) };
        lines.push(format!("  {}  attempt {number}: {place}{}", shown(attempt.at), attempt.said));
        lines.extend(attempt.dialogue.lines().map(|line| format!("      {line}")));
    }
    if let Some((at, how)) = traced.ended {
        let is_answer = traced.attempts.iter().any(|(_, attempt)| attempt.place.starts_with(answers::PLACE));
        let how = match how {
            Ending::Relayed if traced.attempts.last().is_some_and(is_here) => "done",
            Ending::Relayed | Ending::Removed if is_answer => "done",
            Ending::Relayed => "relayed",
            Ending::Failed => "failed for good",
            Ending::Expired => "expired",
            Ending::Removed => "removed by the administrator",
        };
        lines.push(format!("  {}  {how}", shown(at)));
    }
    lines
}

/// Nothing had to leave for that.
fn is_here((_, attempt): &(u32, Attempt)) -> bool {
    attempt.place == Attempt::HERE
}

/// A domain for people.
pub(super) fn domain_line(counted: &DomainCounts) -> String {
    let DomainCounts { domain, counts } = counted;
    format!("{domain}  {} waiting, {} held", counts.waiting, counts.held)
}

/// A domain as one line of JSON.
pub(super) fn domain_object(counted: &DomainCounts) -> Result<String, serde_json::Error> {
    let DomainCounts { domain, counts } = counted;
    let domain = domain.to_string();
    serde_json::to_string(&DomainObject { domain, waiting: counts.waiting, held: counts.held })
}

fn attempts(count: u32) -> String {
    if count == 1 { "1 attempt".to_owned() } else { format!("{count} attempts") }
}

/// A sender; reports have none.
pub(crate) fn path(path: &ReversePath) -> String {
    match path {
        ReversePath::Null => "<>".to_owned(),
        ReversePath::Mailbox(mailbox) => mailbox.to_string(),
    }
}

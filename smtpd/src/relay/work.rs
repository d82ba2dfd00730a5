//! A job under way: of whom nothing is known yet, and what a server's verdicts come to.

use mailstore::QueueEntry;
use mailwire::smtp::Enhanced;
use mailwire::smtp::client::{Reason, Verdict};

use super::verdict::{Fate, Finding};

/// A job under way.
pub(super) struct Work {
    /// Of whom nothing is known yet.
    pub(super) left: Vec<QueueEntry>,
    pub(super) findings: Vec<(QueueEntry, Finding)>,
    /// The server has said something of some.
    pub(super) is_begun: bool,
    /// What was wrong with the server, if anything was.
    pub(super) trouble: Option<Finding>,
}

/// What is said of an entry for which nobody was asked, since the destination could not be reached just before.
pub(super) fn not_tried(finding: &Finding) -> Finding {
    match finding.fate {
        Fate::Never => finding.clone(),
        Fate::Later | Fate::Taken => {
            let said = format!("not tried, since the last attempt had failed: {}", finding.said);
            Finding { said, is_reply: false, ..finding.clone() }
        }
    }
}

/// The server closed without a word.
pub(super) fn gone() -> Finding {
    Finding::later(Enhanced(4, 4, 2), "the server has closed the connection")
}

/// What tells that a server is in trouble: that it puts off a whole transaction, or goes away.
fn worst(verdicts: &[Verdict]) -> Option<Finding> {
    let is_trouble = |verdict: &&Verdict| matches!(verdict, Verdict::Deferred(_));
    let all = verdicts.iter().all(|verdict| is_trouble(&verdict));
    let farewell = verdicts.iter().find(|verdict| code(verdict) == Some(421));
    let first = verdicts.first().filter(|_| all);
    farewell.or(first).map(Finding::of_verdict)
}

impl Work {
    /// The same for all of `part`.
    pub(super) fn found(&mut self, part: Vec<QueueEntry>, finding: &Finding) {
        self.findings.extend(part.into_iter().map(|entry| (entry, finding.clone())));
    }

    /// Nothing more is tried.
    pub(super) fn give_up(&mut self, finding: Finding) {
        let left = std::mem::take(&mut self.left);
        self.found(left, &finding);
        self.trouble = Some(finding);
    }

    /// Notes what became of each recipient. Those that were one too many are tried at once, since the server took as many
    /// as it takes (RFC 5321 §4.5.3.1.10).
    pub(super) fn sort(&mut self, part: Vec<QueueEntry>, verdicts: &[Verdict]) {
        self.is_begun = true;
        self.trouble = self.trouble.take().or_else(|| worst(verdicts));
        let any_accepted = verdicts.iter().any(|verdict| matches!(verdict, Verdict::Accepted(_)));
        let mut again = Vec::new();
        for (entry, verdict) in part.into_iter().zip(verdicts) {
            if any_accepted && is_one_too_many(verdict) {
                again.push(entry);
            } else {
                self.findings.push((entry, Finding::of_verdict(verdict)));
            }
        }
        self.left.splice(0..0, again);
    }
}

fn is_one_too_many(verdict: &Verdict) -> bool {
    let is_rcpt = matches!(verdict, Verdict::Deferred(Reason::Reply { command: "RCPT", .. }));
    is_rcpt && matches!(code(verdict), Some(452 | 552))
}

/// True where the server has said goodbye before it was given the message.
pub(super) fn is_farewell(verdicts: &[Verdict]) -> bool {
    let before = |verdict: &Verdict| {
        matches!(verdict, Verdict::Deferred(Reason::Reply { command: "RSET" | "MAIL", .. }))
    };
    verdicts.iter().all(|verdict| before(verdict) && code(verdict) == Some(421))
}

fn code(verdict: &Verdict) -> Option<u16> {
    match verdict {
        Verdict::Accepted(reply)
        | Verdict::Deferred(Reason::Reply { reply, .. })
        | Verdict::Refused(Reason::Reply { reply, .. }) => Some(reply.code()),
        Verdict::Deferred(_) | Verdict::Refused(_) => None,
    }
}

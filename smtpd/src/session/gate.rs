//! The gate: what strangers hear of it when they name a recipient, and what stays of it with their messages.

use std::net::IpAddr;

use mailstore::{Recipient, RecipientTerms, TraceStep};
use mailwire::address::{Mailbox, ReversePath};

use super::consulting::Candidate;
use super::life::step;
use super::machine::Phase;
use super::reason::Refused;
use super::{Class, Kind, Session, Step};
use crate::gate::{Greylisting, Judgement, Mark, Measure, Sender, is_stranger};
use crate::replies;
use crate::trace;

/// Most rows of a message's trace that tell of this; recipients may differ.
const ROWS_MAX: usize = 4;

/// A recipient that exists, and who wants to reach it.
#[derive(Debug)]
pub struct GateQuestion {
    pub(super) recipient: Found,
    address: IpAddr,
    sender: Sender,
}

/// A recipient that exists.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) mailbox: Mailbox,
    pub(super) terms: RecipientTerms,
    pub(super) reached: Recipient,
}

/// What was found out about a transaction's sender before its content.
#[derive(Debug, Default)]
pub(super) struct Passage {
    steps: Vec<TraceStep>,
    marks: Vec<Mark>,
    class: Class,
    /// Seconds before which the sender is not to come again, where it must.
    put_off: Option<u64>,
}

impl GateQuestion {
    /// Where the client is.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Who is to get the mail.
    #[must_use]
    pub const fn mailbox(&self) -> &Mailbox {
        &self.recipient.mailbox
    }

    /// What the client has said of itself.
    #[must_use]
    pub const fn sender(&self) -> &Sender {
        &self.sender
    }
}

impl Session {
    /// The client's address, where the gate is about it: strangers who bring mail, and nobody else.
    #[must_use]
    pub fn stranger(&self) -> Option<IpAddr> {
        let is_stranger = |address: &IpAddr| is_stranger(*address) && !self.policy.relay.trusts(*address);
        match self.kind {
            Kind::Reception if self.policy.gate.strangers => self.peer.address.filter(is_stranger),
            Kind::Reception | Kind::Submission | Kind::Lmtp => None,
        }
    }

    /// A recipient exists: strangers are looked at, everybody else is let in.
    pub(super) fn found(&mut self, recipient: Found) -> Step {
        match (self.stranger(), &self.phase) {
            (Some(address), Phase::Transaction(envelope)) => {
                let hello = envelope.client.hello.clone();
                let sender = Sender { reverse_path: envelope.reverse_path.clone(), hello };
                Step::Gate(Box::new(GateQuestion { recipient, address, sender }))
            }
            (Some(_) | None, _) => self.consult(Candidate::Here(recipient)),
        }
    }

    /// What is said of the recipient that a stranger has named.
    #[must_use]
    pub fn gated(&mut self, question: Box<GateQuestion>, judgement: Judgement) -> Step {
        let GateQuestion { recipient, .. } = *question;
        match (judgement.measure, &judgement.listing) {
            // RFC 5321 §4.5.1: whoever is refused must be able to tell the postmaster.
            (Measure::Refuse, Some(listing)) if !is_postmaster(&recipient.mailbox) => {
                let reply = replies::listed(listing);
                self.because(judgement.row);
                return self.no_recipient(&recipient.mailbox, reply);
            }
            _ => {}
        }
        let (now, greylisting) = (self.now, judgement.greylisting);
        let rows = [judgement.row.clone(), greylisting.row().unwrap_or_default()];
        let row =
            rows.iter().filter(|row| !row.is_empty()).map(String::as_str).collect::<Vec<_>>().join("; ");
        if !row.is_empty() {
            self.because(row);
        }
        let Phase::Transaction(envelope) = &mut self.phase else {
            return self.consult(Candidate::Here(recipient));
        };
        envelope.passage.note(judgement, now);
        match greylisting {
            Greylisting::Off | Greylisting::Passes(_) => {}
            Greylisting::PutOff { seconds } => {
                let put_off = envelope.passage.put_off.unwrap_or(0).max(seconds);
                envelope.passage.put_off = Some(put_off);
                match envelope.reverse_path {
                    // Servers look by such a transaction whether there is somebody to answer, and send no content then: a
                    // message of theirs is put off when its content is to come (RFC 6647 §2.5).
                    ReversePath::Null => {}
                    ReversePath::Mailbox(_) => {
                        envelope.refused = envelope.refused.saturating_add(1);
                        let reply = replies::greylisted(seconds);
                        self.note_recipient_refused(&recipient.mailbox, &reply);
                        return Step::Reply(reply);
                    }
                }
            }
        }
        self.consult(Candidate::Here(recipient))
    }
}

impl Passage {
    /// What was found out about the sender is the same for each recipient, and is kept once.
    fn note(&mut self, judgement: Judgement, now: u64) {
        let Judgement { measure, marks, row, greylisting, .. } = judgement;
        let greylisted = greylisting.row().unwrap_or_default();
        for row in [&row, &greylisted] {
            let is_known = self.steps.iter().any(|step| step.detail == *row);
            if !row.is_empty() && !is_known && self.steps.len() < ROWS_MAX {
                self.steps.push(step(now, "check", row.clone()));
            }
        }
        if measure == Measure::Junk {
            self.class.take_for_junk(row);
        }
        self.marks = marks;
    }

    /// For the trace of the message.
    pub(super) fn steps(&self) -> &[TraceStep] {
        &self.steps
    }

    /// For the header of the message.
    pub(super) fn fields(&self) -> String {
        self.marks.iter().map(trace::listed).collect()
    }

    /// What is said to content while the sender is to come again: to all of it where it is of nobody, else where all of
    /// its recipients were put off.
    pub(super) fn content_put_off(&self, reverse_path: &ReversePath, recipients: usize) -> Option<Refused> {
        let is_meant = recipients == 0 || *reverse_path == ReversePath::Null;
        self.put_off.filter(|_| is_meant).map(|seconds| {
            let reason = Greylisting::PutOff { seconds }.row().unwrap_or_default();
            Refused::by(replies::greylisted(seconds), reason)
        })
    }

    /// What the message is taken for.
    pub(super) fn class(&self) -> Class {
        self.class.clone()
    }
}

/// The same in any case (RFC 5321 §4.5.1).
fn is_postmaster(mailbox: &Mailbox) -> bool {
    mailbox.local_part().to_string().eq_ignore_ascii_case("postmaster")
}

//! The gate: what strangers hear of it when they name a recipient, and what stays of it with their messages.

use std::net::IpAddr;

use mailstore::{Recipient, RecipientTerms, TraceStep};
use mailwire::address::Mailbox;

use super::life::step;
use super::machine::Phase;
use super::{Class, Kind, Session, Step};
use crate::gate::{Judgement, Mark, Measure, Sender, is_stranger};
use crate::replies;
use crate::trace;

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
}

impl GateQuestion {
    /// Where the client is.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
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
            Kind::Reception if self.policy.keeps_gate => self.peer.address.filter(is_stranger),
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
            (Some(_) | None, _) => self.admit(recipient),
        }
    }

    /// What is said of the recipient that a stranger has named.
    #[must_use]
    pub fn gated(&mut self, question: Box<GateQuestion>, judgement: Judgement) -> Step {
        let GateQuestion { recipient, .. } = *question;
        match (judgement.measure, &judgement.listing) {
            // RFC 5321 §4.5.1: whoever is refused must be able to tell the postmaster.
            (Measure::Refuse, Some(listing)) if !is_postmaster(&recipient.mailbox) => {
                return self.no_recipient(&recipient.mailbox, replies::listed(listing));
            }
            _ => {}
        }
        let now = self.now;
        if let Phase::Transaction(envelope) = &mut self.phase {
            envelope.passage.note(judgement, now);
        }
        self.admit(recipient)
    }
}

impl Passage {
    /// What was found out about the sender is the same for each recipient, and is kept once.
    fn note(&mut self, judgement: Judgement, now: u64) {
        let Judgement { measure, marks, row, .. } = judgement;
        if row.is_empty() || self.steps.iter().any(|step| step.detail == row) {
            return;
        }
        if measure == Measure::Junk {
            self.class.take_for_junk(row.clone());
        }
        self.steps.push(step(now, "check", row));
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

    /// What the message is taken for.
    pub(super) fn class(&self) -> Class {
        self.class.clone()
    }
}

/// The same in any case (RFC 5321 §4.5.1).
fn is_postmaster(mailbox: &Mailbox) -> bool {
    mailbox.local_part().to_string().eq_ignore_ascii_case("postmaster")
}

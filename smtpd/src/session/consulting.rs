//! Milters: what they are told of a recipient, and what the client hears of it then.

use mailstore::{Body, RecipientTerms};
use mailwire::address::Mailbox;

use super::envelope::Envelope;
use super::gate::Found;
use super::machine::Phase;
use super::{Kind, Session, Step};
use crate::gate::{Consent, Facts};

/// A reply behind which this server closes the connection (RFC 5321 §3.8).
pub(super) const CLOSING: u16 = 421;

/// Whether milters let a recipient have the message.
#[derive(Debug)]
pub struct ConsultQuestion {
    recipient: Candidate,
    facts: Facts,
}

/// A recipient that nobody else has refused.
#[derive(Debug)]
pub(super) enum Candidate {
    Here(Found),
    Elsewhere(Mailbox, RecipientTerms),
}

impl ConsultQuestion {
    /// Who is to get the message.
    #[must_use]
    pub const fn mailbox(&self) -> &Mailbox {
        match &self.recipient {
            Candidate::Here(found) => &found.mailbox,
            Candidate::Elsewhere(mailbox, _) => mailbox,
        }
    }

    /// What is known of the transaction. It names no recipient.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl Session {
    /// True where milters hear of each transaction.
    #[must_use]
    pub fn is_consulted(&self) -> bool {
        match self.kind {
            Kind::Reception => self.policy.gate.milters.reception,
            Kind::Submission => self.policy.gate.milters.submission,
            // Those who deliver here are at home, and had it looked at where it came in.
            Kind::Lmtp => false,
        }
    }

    /// Nobody else has anything against this recipient.
    pub(super) fn consult(&mut self, recipient: Candidate) -> Step {
        match &self.phase {
            Phase::Transaction(envelope) if self.is_consulted() => {
                let facts = self.facts(envelope, Vec::new());
                Step::Consult(Box::new(ConsultQuestion { recipient, facts }))
            }
            Phase::Transaction(_) | Phase::Ready | Phase::Authenticating(_) | Phase::Chunks(_) => {
                self.take(recipient)
            }
        }
    }

    /// What milters say of the recipient.
    #[must_use]
    pub fn consulted(&mut self, question: ConsultQuestion, consent: Consent) -> Step {
        let reply = match consent {
            Consent::Given => return self.take(question.recipient),
            Consent::Refused { reply, row } => {
                self.because(row);
                reply
            }
        };
        match reply.code() {
            CLOSING => {
                self.note_recipient_refused(question.mailbox(), &reply);
                Step::Close(reply)
            }
            500.. => self.no_recipient(question.mailbox(), reply),
            // Its sender has done nothing wrong.
            _ => {
                self.note_recipient_refused(question.mailbox(), &reply);
                if let Phase::Transaction(envelope) = &mut self.phase {
                    envelope.refused = envelope.refused.saturating_add(1);
                }
                Step::Reply(reply)
            }
        }
    }

    fn take(&mut self, recipient: Candidate) -> Step {
        match recipient {
            Candidate::Here(found) => self.admit(found),
            Candidate::Elsewhere(mailbox, terms) => self.admit_elsewhere(mailbox, terms),
        }
    }

    /// What scanners are told of a transaction.
    pub(super) fn facts(&self, envelope: &Envelope, recipients: Vec<Mailbox>) -> Facts {
        let size = (envelope.octets_declared > 0).then(|| format!("SIZE={}", envelope.octets_declared));
        let body = envelope.terms.body.map(|body| match body {
            Body::SevenBit => "BODY=7BIT",
            Body::EightBit => "BODY=8BITMIME",
            Body::Binary => "BODY=BINARYMIME",
        });
        let is_utf8 = envelope.terms.is_utf8.then_some("SMTPUTF8");
        let words = body.into_iter().chain(is_utf8).map(str::to_owned);
        Facts {
            reverse_path: envelope.reverse_path.clone(),
            parameters: size.into_iter().chain(words).collect(),
            recipients,
            address: self.peer.address,
            port: None,
            tls: self.peer.tls_details().cloned(),
            hello: envelope.client.hello.clone(),
            login: self.account.as_ref().map(|account| account.address.clone()),
            mechanism: self.mechanism,
            number: self.transactions,
            id: self.message_id(),
            hostname: self.policy.hostname.clone(),
            is_submission: self.kind == Kind::Submission,
        }
    }
}

//! Mail that is not taken, noted for whoever asks later why something has not come.

use std::mem;
use std::slice;

use mailstore::Refusal;
use mailwire::address::{Mailbox, ReversePath};
use mailwire::smtp::Reply;

use super::Session;
use super::envelope::Envelope;
use super::life::shown;
use super::machine::Phase;

/// Refusals that a session keeps until they are taken; of more the first ones are told.
pub(super) const REFUSALS_MAX: usize = 100;
/// Replies from here on mean that something was not taken (RFC 5321 §4.2.1).
const REFUSING: u16 = 400;

/// Whose content it is that is to be answered.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) reverse_path: ReversePath,
    pub(super) recipients: Vec<Mailbox>,
    /// Those of them who do not get it whatever is said, each with what has decided that.
    pub(super) untaken: Vec<(Mailbox, String)>,
}

impl Unanswered {
    pub(super) fn of(envelope: &Envelope) -> Self {
        let Envelope { reverse_path, recipients, .. } = envelope;
        Self { reverse_path: reverse_path.clone(), recipients: recipients.clone(), untaken: Vec::new() }
    }

    /// What has decided that a recipient does not get it.
    fn why(&self, recipient: &Mailbox) -> Option<&str> {
        self.untaken.iter().find(|(untaken, _)| untaken == recipient).map(|(_, why)| why.as_str())
    }
}

impl Session {
    /// Takes note of what was said to the client: once, or by LMTP once for each recipient.
    pub fn answered(&mut self, replies: &[Reply]) {
        let Some(unanswered) = self.unanswered.take() else { return };
        let Unanswered { reverse_path, recipients, .. } = &*unanswered;
        match replies {
            [reply] if reply.code() >= REFUSING && unanswered.untaken.is_empty() => {
                self.note_refusal(reverse_path, recipients, reply);
            }
            [reply] => {
                for recipient in recipients {
                    self.answered_for(&unanswered, recipient, reply);
                }
            }
            replies => {
                for (reply, recipient) in replies.iter().zip(recipients) {
                    self.answered_for(&unanswered, recipient, reply);
                }
            }
        }
    }

    /// A recipient may not get what was accepted: then only this tells of it.
    fn answered_for(&mut self, unanswered: &Unanswered, recipient: &Mailbox, reply: &Reply) {
        let recipients = slice::from_ref(recipient);
        match unanswered.why(recipient) {
            Some(why) => {
                let said = format!("{reply}; {why}");
                let refusal = self.refusal(&unanswered.reverse_path, recipients, &said);
                self.keep(refusal);
            }
            None if reply.code() >= REFUSING => {
                self.note_refusal(&unanswered.reverse_path, recipients, reply);
            }
            None => {}
        }
    }

    /// Notes that mail was answered with `reply`.
    pub(super) fn note_refusal(&mut self, reverse_path: &ReversePath, recipients: &[Mailbox], reply: &Reply) {
        let refusal = self.refusal(reverse_path, recipients, &self.with_reason(reply));
        self.keep(refusal);
    }

    /// A reply, and what has decided it, which the client is not told.
    fn with_reason(&self, reply: &Reply) -> String {
        match &self.reason {
            Some(reason) => format!("{reply}; why: {reason}"),
            None => reply.to_string(),
        }
    }

    /// The same of a recipient of this transaction.
    pub(super) fn note_recipient_refused(&mut self, recipient: &Mailbox, reply: &Reply) {
        if let Phase::Transaction(envelope) = &self.phase {
            let recipients = slice::from_ref(recipient);
            let refusal = self.refusal(&envelope.reverse_path, recipients, &self.with_reason(reply));
            self.keep(refusal);
        }
    }

    fn refusal(&self, reverse_path: &ReversePath, recipients: &[Mailbox], said: &str) -> Refusal {
        let peer = shown(self.peer.address);
        let client = (self.now, self.peer.session.as_str(), peer.as_str());
        Refusal::new(client, reverse_path, recipients, said)
    }

    fn keep(&mut self, refusal: Refusal) {
        if self.refusals.len() < REFUSALS_MAX && self.refusals.last() != Some(&refusal) {
            self.refusals.push(refusal);
        }
    }

    /// What was not taken since the last time.
    #[must_use]
    pub fn take_refusals(&mut self) -> Vec<Refusal> {
        mem::take(&mut self.refusals)
    }
}

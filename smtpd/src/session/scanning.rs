//! What other programs say of content: what they are told, and what becomes of the message.

use mailstore::TraceStep;

use super::content::filing;
use super::{Acceptance, Incoming, Kind, Session, Step};
use crate::gate::{Added, Decision, Facts, Outcome};
use crate::replies;

impl Session {
    /// What scanners are told of a message whose content begins; `None` where none looks at it.
    #[must_use]
    pub fn scan_facts(&self, incoming: &Incoming) -> Option<Facts> {
        let envelope = &incoming.envelope;
        match self.kind {
            // Those who deliver here are at home, and had it looked at where it came in.
            Kind::Lmtp => return None,
            Kind::Reception | Kind::Submission if !self.policy.gate.content || incoming.is_scanned() => {
                return None;
            }
            Kind::Reception | Kind::Submission => {}
        }
        Some(Facts {
            reverse_path: envelope.reverse_path.clone(),
            recipients: envelope.recipients.clone(),
            address: self.peer.address,
            hello: envelope.client.hello.clone(),
            login: self.account.as_ref().map(|account| account.address.clone()),
            id: self.message_id(),
            hostname: self.policy.hostname.clone(),
            is_submission: self.kind == Kind::Submission,
        })
    }

    /// What the scanners say: the severest of them counts.
    #[must_use]
    pub fn scanned(&mut self, mut acceptance: Box<Acceptance>, decisions: Vec<Decision>) -> Step {
        acceptance.scan = None;
        let outcome = decisions.iter().map(|decision| decision.outcome).max().unwrap_or_default();
        if let Some(decision) = decisions.iter().find(|decision| decision.outcome == outcome) {
            self.because(decision.row.clone());
        }
        match outcome {
            // Its sender has done nothing wrong by our rules, so it is no error.
            Outcome::Refuse => return Step::Reply(replies::taken_for_junk()),
            Outcome::Defer => return Step::Reply(replies::scanner_put_off()),
            Outcome::Pass | Outcome::Junk => {}
        }
        for Decision { outcome, row, fields } in decisions {
            let delivery = &mut acceptance.delivery;
            // Above the trace fields, where what stands in front of the content may have its end already.
            let lines: String = fields.iter().map(Added::line).collect();
            delivery.prefix.splice(0..0, lines.into_bytes());
            let at = delivery.trace.at;
            delivery.steps.push(TraceStep { at, event: "check".into(), detail: row.clone() });
            if outcome == Outcome::Junk {
                acceptance.class.take_for_junk(row);
            }
        }
        filing(acceptance)
    }
}

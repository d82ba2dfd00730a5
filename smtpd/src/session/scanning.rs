//! What other programs say of content: what they are told, and what becomes of the message.

use mailstore::{Delivery, TraceStep};

use super::consulting::CLOSING;
use super::content::filing;
use super::refusals::REFUSALS_MAX;
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
        Some(self.facts(envelope, envelope.recipients.clone()))
    }

    /// What the scanners say: the severest of them counts.
    #[must_use]
    pub fn scanned(&mut self, mut acceptance: Box<Acceptance>, decisions: Vec<Decision>) -> Step {
        acceptance.scan = None;
        // The first of them that is as severe as any.
        let decisive = decisions.iter().rev().max_by_key(|decision| decision.outcome);
        if let Some(decision) = decisive {
            self.because(decision.row.clone());
        }
        let otherwise = match decisive.map(|decision| decision.outcome).unwrap_or_default() {
            // Its sender has done nothing wrong by our rules, so it is no error.
            Outcome::Refuse => Some(replies::taken_for_junk()),
            Outcome::Defer => Some(replies::scanner_put_off()),
            Outcome::Discard => return self.thrown_away(&acceptance, &decisions),
            Outcome::Pass | Outcome::Junk => None,
        };
        match (otherwise, decisive.and_then(|decision| decision.reply.clone())) {
            (None, _) => {}
            (Some(_), Some(reply)) if reply.code() == CLOSING => return Step::Close(reply),
            (Some(otherwise), reply) => return Step::Reply(reply.unwrap_or(otherwise)),
        }
        let Delivery { maildrops, relay, .. } = &acceptance.delivery;
        if maildrops.is_empty() && relay.is_empty() {
            // A milter has taken out all who would get it.
            return self.thrown_away(&acceptance, &decisions);
        }
        for Decision { outcome, row, fields, .. } in decisions {
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

    /// A scanner has the message accepted for nobody. Only what is noted of it then tells of it.
    fn thrown_away(&mut self, acceptance: &Acceptance, decisions: &[Decision]) -> Step {
        let decisive = decisions.iter().rev().max_by_key(|decision| decision.outcome);
        if let (Some(unanswered), Some(Decision { row, .. })) = (&mut self.unanswered, decisive) {
            let recipients = unanswered.recipients.iter().take(REFUSALS_MAX);
            unanswered.untaken = recipients.map(|recipient| (recipient.clone(), row.clone())).collect();
        }
        self.unwanted(acceptance)
    }
}

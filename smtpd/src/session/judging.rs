//! What is found out about a message from outside, between the end of its content and its commit.

use std::net::IpAddr;
use std::sync::Arc;

use mailstore::TraceStep;

use super::content::filing;
use super::machine::Client;
use super::{Acceptance, Kind, Session, Step};
use crate::checks::{Checks, Judgement, Reading, Seen, Verdict, called};
use crate::replies;

impl Session {
    /// What is looked at of a message that has come here; `None` for mail of users, of this machine, and of networks that are
    /// trusted.
    pub(super) fn seen(&self, client: &Client, reading: Option<Box<Reading>>) -> Option<Box<Seen>> {
        let ip = self.looked_at()?;
        let helo = called(&client.hello);
        let read = reading.map(|reading| reading.read()).unwrap_or_default();
        Some(Box::new(Seen { ip, helo, read: Arc::new(read) }))
    }

    /// True where a message that comes now is watched as it passes, which takes memory for its header section.
    #[must_use]
    pub fn reads(&self) -> bool {
        self.looked_at().is_some() && self.policy.checks.as_deref().is_some_and(Checks::reads)
    }

    /// Who watches it, if anybody does.
    pub(super) fn reading(&self) -> Option<Box<Reading>> {
        self.reads().then(Box::default)
    }

    /// The client's address, where its mail is looked at.
    fn looked_at(&self) -> Option<IpAddr> {
        let checks = self.policy.checks.as_deref()?;
        let peer = self.peer.address.filter(|peer| checks.covers(*peer))?.to_canonical();
        match self.kind {
            Kind::Reception if self.account.is_none() && !self.policy.relay.trusts(peer) => Some(peer),
            Kind::Reception | Kind::Submission | Kind::Lmtp => None,
        }
    }

    /// What the checks have come to, where they were made. The field with their results stands in front of all that was added here, so that it is
    /// clear who has written it (RFC 8601 §4.1).
    #[must_use]
    pub fn judged(&mut self, mut acceptance: Box<Acceptance>, judgement: Option<Judgement>) -> Step {
        let Some(Judgement { decision, field, told, doubt }) = judgement else { return filing(acceptance) };
        let delivery = &mut acceptance.delivery;
        let at = delivery.trace.at;
        let step = |detail| TraceStep { at, event: "check".into(), detail };
        delivery.steps.extend(told.into_iter().map(step));
        delivery.prefix.splice(0..0, field.into_bytes());
        acceptance.doubt = doubt;
        match decision.verdict {
            Verdict::Accept => filing(acceptance),
            Verdict::Junk => {
                acceptance.class.take_for_junk(decision.because);
                filing(acceptance)
            }
            Verdict::PutOff(method) => {
                self.because(decision.because);
                Step::Reply(replies::checks::not_checked(method))
            }
            Verdict::Refuse(refusal) => {
                self.because(decision.because);
                self.refuse(replies::checks::check_failed(&refusal))
            }
        }
    }
}

//! What is said at the end of content: once by SMTP, and by LMTP once for each recipient, in their order (RFC 2033 §4.2).

use std::collections::BTreeMap;
use std::iter;

use mailstore::{IntakeError, Receipt};
use mailwire::smtp::Reply;

use super::incoming::Failure;
use super::reason::not_stored_by;
use super::{Acceptance, Kind, Session, Step, Then};
use crate::replies;

impl Session {
    /// What the commit came to for so many recipients, some of whom did not want it before that. The one place from which a
    /// 250 to content comes that anybody gets (RFC 5321 §4.2.5).
    #[must_use]
    pub fn committed(
        &mut self,
        result: Result<Receipt, IntakeError>,
        recipients: usize,
        settled: &BTreeMap<usize, Reply>,
    ) -> Step {
        self.commands = 0;
        if let (Err(_), Some(unanswered)) = (&result, &mut self.unanswered) {
            // It comes again, and then something else may decide.
            unanswered.untaken.clear();
        }
        if let Err(error) = &result {
            self.because(not_stored_by(error));
        }
        match (result, self.kind) {
            (Ok(receipt), Kind::Reception | Kind::Submission) => {
                Step::Reply(replies::message_accepted(receipt.message))
            }
            (Err(error), Kind::Reception | Kind::Submission) => Step::Reply(not_stored(&error)),
            (Ok(Receipt { message, verdicts, .. }), Kind::Lmtp) => {
                let accepted = |()| replies::message_accepted(message);
                let verdict = |verdict: Result<(), _>| verdict.map_or_else(replies::over_quota, accepted);
                among(settled, recipients, verdicts.into_iter().map(verdict))
            }
            (Err(IntakeError::OverQuota { groups, .. }), Kind::Lmtp) => {
                among(settled, recipients, groups.into_iter().map(replies::over_quota))
            }
            (Err(error), Kind::Lmtp) => among(settled, recipients, iter::repeat(not_stored(&error))),
        }
    }

    /// Nobody wants the message, so there is nothing to be committed.
    pub(super) fn unwanted(&mut self, acceptance: &Acceptance) -> Step {
        self.commands = 0;
        let rules = acceptance.delivery.steps.iter().filter(|step| step.event == "rule");
        self.because(rules.map(|step| step.detail.as_str()).collect::<Vec<_>>().join("; "));
        let reply = || acceptance.refusal.clone().unwrap_or_else(replies::message_discarded);
        match self.kind {
            Kind::Reception | Kind::Submission => Step::Reply(reply()),
            Kind::Lmtp => among(&acceptance.settled, acceptance.recipients, iter::repeat_with(reply)),
        }
    }

    /// A reply to the end of content, as often as it must be said. What ends the session is said once.
    pub(super) fn verdict(&self, step: Step, recipients: usize) -> Step {
        match (step, self.kind) {
            (Step::Reply(reply), Kind::Lmtp) => {
                Step::Verdicts(iter::repeat_n(reply, recipients).collect(), Then::GoOn)
            }
            (step, Kind::Reception | Kind::Submission | Kind::Lmtp) => step,
        }
    }

    /// A reply to the end of content behind which nothing more is read.
    pub(super) fn last_verdict(&self, reply: Reply, recipients: usize) -> Step {
        match self.kind {
            Kind::Reception | Kind::Submission => Step::Close(reply),
            Kind::Lmtp => Step::Verdicts(iter::repeat_n(reply, recipients).collect(), Then::Close),
        }
    }
}

/// The replies to all recipients: those to whoever does not want it stand between those to the others.
fn among(
    settled: &BTreeMap<usize, Reply>,
    recipients: usize,
    mut others: impl Iterator<Item = Reply>,
) -> Step {
    let reply = |number: usize| settled.get(&number).cloned().or_else(|| others.next());
    Step::Verdicts((0..recipients).filter_map(reply).collect(), Then::GoOn)
}

/// We cannot take content now.
pub(super) fn failed(failure: &Failure) -> Reply {
    match failure {
        Failure::Store(error) => not_stored(error),
        Failure::TooMuchAtOnce => replies::too_much_at_once(),
    }
}

/// The store's failure is never the client's fault, and neither is a recipient's full mailbox.
fn not_stored(error: &IntakeError) -> Reply {
    match error {
        IntakeError::Full { .. } => replies::disk_full(),
        IntakeError::OverQuota { why, .. } => replies::over_quota(*why),
        // Nobody who submits anything reports on the queue.
        IntakeError::Concluded | IntakeError::Unavailable(_) => replies::store_unavailable(),
    }
}

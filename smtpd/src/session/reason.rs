//! What has decided a reply: a line of the configuration, a rule, or what the store knows.

use std::borrow::Cow;

use mailstore::{IntakeError, TooMuch};
use mailwire::smtp::Reply;

use super::Session;
use super::incoming::Failure;
use crate::content::Problem;

/// Words for whoever asks why: `[smtp] recipients_max = 100`.
pub(super) type Reason = Cow<'static, str>;

/// A refusal, with what has decided it.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) reply: Reply,
    pub(super) reason: Option<Reason>,
}

impl Refused {
    pub(super) fn by(reply: Reply, reason: impl Into<Reason>) -> Self {
        Self { reply, reason: Some(reason.into()) }
    }
}

impl From<Reply> for Refused {
    /// A standard has decided it, and the reply says how.
    fn from(reply: Reply) -> Self {
        Self { reply, reason: None }
    }
}

impl Session {
    /// Says what decides the reply that is about to be given.
    pub(super) fn because(&mut self, reason: impl Into<Reason>) {
        self.reason = Some(reason.into());
    }

    /// The reply of a refusal whose reason is kept.
    pub(super) fn refused_by(&mut self, Refused { reply, reason }: Refused) -> Reply {
        self.reason = reason;
        reply
    }

    /// What has decided the last reply, where that was no standard.
    #[must_use]
    pub fn take_reason(&mut self) -> Option<String> {
        self.reason.take().map(Cow::into_owned)
    }

    /// Who has sent too much, by the limits of the guard.
    pub(super) fn sends_too_much_by(&self, what: TooMuch) -> Reason {
        let reason = match (self.account.is_some(), what) {
            (true, TooMuch::Messages) => "[guard] account_messages_per_hour or account_messages_per_day",
            (true, TooMuch::Recipients) => {
                "[guard] account_recipients_per_hour or account_recipients_per_day"
            }
            (false, TooMuch::Messages) => "[guard] address_messages_per_minute",
            (false, TooMuch::Recipients) => "[guard] address_recipients_per_minute",
        };
        reason.into()
    }

    /// The limit of a message's octets.
    pub(super) fn octets_max_by(&self, octets_max: u64) -> Reason {
        if octets_max == self.policy.content_octets_max {
            format!("[smtp] content_octets_max = {octets_max}").into()
        } else {
            format!("content_octets_max = {octets_max} in [smtp.domains] of a recipient's domain").into()
        }
    }

    /// What of the configuration a message does not keep to; `None` where it is no message by the standards.
    pub(super) fn problem_by(&self, problem: Problem, octets_max: u64) -> Option<Reason> {
        match problem {
            Problem::TooBig | Problem::TooBigEncoded => Some(self.octets_max_by(octets_max)),
            Problem::HeaderTooBig => {
                Some(format!("[smtp] header_octets_max = {}", self.policy.header_octets_max).into())
            }
            Problem::Loop => Some(format!("[smtp] received_max = {}", self.policy.received_max).into()),
            Problem::BareLineEnd => Some("[smtp] bare_line_ends".into()),
            Problem::NulInHeader
            | Problem::NoField
            | Problem::Twice(_)
            | Problem::TooManyOriginators
            | Problem::NotOneMailbox(_)
            | Problem::HiddenAddress(_)
            | Problem::Unclear(_)
            | Problem::TooManyParts
            | Problem::SignedBinary => None,
        }
    }
}

/// Why we cannot take content.
pub(super) fn failed_by(failure: &Failure) -> Reason {
    match failure {
        Failure::Store(error) => not_stored_by(error),
        Failure::TooMuchAtOnce => "[smtp] receiving_octets_max".into(),
    }
}

/// Why the store does not take it.
pub(super) fn not_stored_by(error: &IntakeError) -> Reason {
    match error {
        IntakeError::Full { .. } => "[store] reserve_octets".into(),
        IntakeError::OverQuota { .. } => QUOTA.into(),
        IntakeError::Concluded | IntakeError::Unavailable(_) => STORE.into(),
    }
}

/// Where limits of accounts stand.
pub(super) const QUOTA: &str =
    "the quota of the account: its own, or [store] quota_octets and quota_messages";
/// What is for reports, and for a while.
pub(super) const REWRITTEN: &str = "it is a sender under which mail was forwarded (SRS)";
/// Whoever cannot be asked.
pub(super) const STORE: &str = "the store does not answer";

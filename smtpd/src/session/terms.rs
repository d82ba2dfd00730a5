//! What MAIL and RCPT ask by their parameters: whether it is offered here and now, and what of it is kept.
//!
//! RFC 8689 §4.1: REQUIRETLS and a header field `TLS-Required: No` are for whoever relays the message, and where it has
//! both, the field means nothing.

use mail_parser::DateTime;
use mailstore::{Body, ByMode, DeliverBy, Notify, OriginalRecipient, RecipientTerms, Returns, Terms};
use mailwire::smtp::{self, Hold, MailParameters, RcptParameters, Reply};

use super::{Kind, Session};
use crate::replies;

impl Session {
    /// What MAIL asks for all recipients, or why that cannot be.
    pub(super) fn mail_terms(&self, parameters: &MailParameters) -> Result<Terms, Reply> {
        let MailParameters { body, auth, hold, by, mt_priority, requiretls, .. } = parameters;
        let not_offered = [
            // RFC 4954 §5: taken and not trusted where AUTH is offered.
            (auth.is_some() && self.kind != Kind::Submission, "AUTH"),
            (hold.is_some() && !self.offers_future_release(), "HOLDFOR and HOLDUNTIL"),
            (mt_priority.is_some() && !self.offers_priorities(), "MT-PRIORITY"),
            (*requiretls && !self.offers_requiretls(), "REQUIRETLS"),
        ];
        refuse_first(&not_offered, &parameters.unknown)?;
        let release_at = hold.as_ref().map(|hold| self.release_at(hold)).transpose()?;
        let deliver_by = by.map(|by| self.deliver_by(by)).transpose()?;
        // RFC 4865 §5.2.2, in either mode: to honour one of them would be to ignore the other.
        if release_at.zip(deliver_by).is_some_and(|(release, by)| release > by.at) {
            return Err(replies::over_before_its_release());
        }
        Ok(Terms {
            returns: parameters.ret.map(returns),
            envelope_id: parameters.envid.clone(),
            release_at,
            deliver_by,
            priority: *mt_priority,
            requires_tls: *requiretls,
            body: body.map(self::body),
            is_utf8: parameters.smtputf8,
        })
    }

    /// FUTURERELEASE is for those who submit (RFC 4865 §3, §4.2), where the owner wants it at all.
    pub(super) fn offers_future_release(&self) -> bool {
        self.is_submission() && self.policy.future_release_seconds_max > 0
    }

    /// RFC 6710 §4.1: only of those who have logged in, which submission asks of everybody before MAIL.
    pub(super) const fn offers_priorities(&self) -> bool {
        self.is_submission()
    }

    /// RFC 8689 §2: only within TLS.
    pub(super) const fn offers_requiretls(&self) -> bool {
        self.peer.tls_details().is_some()
    }

    const fn is_submission(&self) -> bool {
        match self.kind {
            Kind::Submission => true,
            Kind::Reception | Kind::Lmtp => false,
        }
    }

    /// The moment up to which mail may be held (RFC 4865 §3).
    pub(super) fn latest_release(&self) -> u64 {
        self.now.saturating_add(self.policy.future_release_seconds_max.into())
    }

    /// RFC 4865 §4.2: what is beyond the announced limits is refused, and so is a time that has passed.
    fn release_at(&self, hold: &Hold) -> Result<u64, Reply> {
        let at = match hold {
            Hold::For(seconds) => self.now.saturating_add(seconds.get().into()),
            Hold::Until(text) => {
                let at = DateTime::parse_rfc3339(text).map(|at| at.to_timestamp());
                let at = at.ok_or_else(|| replies::parameter_value("HOLDUNTIL"))?;
                u64::try_from(at).unwrap_or_default()
            }
        };
        if at < self.now {
            return Err(replies::release_has_passed());
        }
        if at > self.latest_release() {
            return Err(replies::release_too_late(self.policy.future_release_seconds_max));
        }
        Ok(at)
    }

    /// RFC 2852 §4: the time runs from now on.
    fn deliver_by(&self, by: smtp::DeliverBy) -> Result<DeliverBy, Reply> {
        let mode = match by.mode {
            smtp::ByMode::Return => ByMode::Return,
            smtp::ByMode::Notify => ByMode::Notify,
        };
        let seconds_min = self.policy.deliver_by_seconds_min;
        if mode == ByMode::Return && i64::from(by.seconds) < i64::from(seconds_min) {
            return Err(replies::deliver_by_too_soon(seconds_min));
        }
        Ok(DeliverBy { at: self.now.saturating_add_signed(by.seconds.into()), mode, trace: by.trace })
    }
}

/// What RCPT asks for one recipient, or why that cannot be.
pub(super) fn rcpt_terms(parameters: RcptParameters) -> Result<RecipientTerms, Reply> {
    let RcptParameters { notify, original_recipient, unknown } = parameters;
    refuse_first(&[], &unknown)?;
    let original = original_recipient
        .map(|original| OriginalRecipient { address_type: original.address_type, address: original.address });
    Ok(RecipientTerms { notify: notify.map(self::notify), original })
}

/// Refuses the first of `names` that is given (RFC 5321 §4.1.1.11), or else a keyword that no standard names.
fn refuse_first(names: &[(bool, &'static str)], unknown: &[String]) -> Result<(), Reply> {
    if let Some((_, name)) = names.iter().find(|(is_given, _)| *is_given) {
        return Err(replies::parameter_not_announced(name));
    }
    if unknown.is_empty() { Ok(()) } else { Err(replies::parameter_not_known()) }
}

const fn returns(ret: smtp::Return) -> Returns {
    match ret {
        smtp::Return::Full => Returns::Full,
        smtp::Return::Headers => Returns::Headers,
    }
}

const fn body(body: smtp::Body) -> Body {
    match body {
        smtp::Body::SevenBit => Body::SevenBit,
        smtp::Body::EightBitMime => Body::EightBit,
        smtp::Body::BinaryMime => Body::Binary,
    }
}

const fn notify(notify: smtp::Notify) -> Notify {
    match notify {
        smtp::Notify::Never => Notify::Never,
        smtp::Notify::On { success, failure, delay } => Notify::On { success, failure, delay },
    }
}

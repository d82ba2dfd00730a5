//! What all reports begin with, and what they are called.

use super::day::{Day, hashed};
use super::tally::{Collected, Kind};

/// What a report says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) organization: String,
    pub(super) contact: String,
    /// What this server is called.
    pub(super) submitter: String,
    /// What the report is about.
    pub(super) domain: String,
    /// The first second that it tells of, since 1970.
    pub(super) begin: u64,
    /// The last one.
    pub(super) end: u64,
    /// Letters and digits: the same for the same report, be it sent twice.
    pub(super) unique_id: String,
}

/// Who reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reporter {
    pub(super) organization: String,
    pub(super) contact: String,
    pub(super) submitter: String,
}

impl Head {
    /// Of what was collected up to `now`: of the whole day, where that is over.
    pub(super) fn new(reporter: &Reporter, collected: &Collected, now: u64) -> Self {
        let (kind, day) = (collected.kind, collected.day);
        let (begin, end) = (day.begin(), day.end().min(now.max(day.begin().saturating_add(1))) - 1);
        let words = [kind.word(), &reporter.submitter, &collected.domain, &format!("{begin} {end}")];
        Self {
            kind,
            organization: reporter.organization.clone(),
            contact: reporter.contact.clone(),
            submitter: reporter.submitter.clone(),
            domain: collected.domain.clone(),
            begin,
            end,
            unique_id: format!("{:016x}", hashed(&words)),
        }
    }

    /// `dot-atom-text "@" dot-atom-text` (RFC 9990 §3.5.1): it is a msg-id as well (RFC 8460 §5.3).
    pub(super) fn report_id(&self) -> String {
        format!("{}.{}@{}", self.begin, self.unique_id, self.submitter)
    }

    /// RFC 8460 §5.1, RFC 9990 §3.5.2.
    pub(super) fn file_name(&self) -> String {
        let Self { submitter, domain, begin, end, unique_id, .. } = self;
        let extension = match self.kind {
            Kind::Tls => "json.gz",
        };
        format!("{submitter}!{domain}!{begin}!{end}!{unique_id}.{extension}")
    }

    /// RFC 8460 §5.3, RFC 9990 §3.5.2: `Report Domain: … Submitter: … Report-ID: <…>`.
    pub(super) fn subject(&self) -> String {
        format!(
            "Report Domain: {} Submitter: {} Report-ID: <{}>",
            self.domain,
            self.submitter,
            self.report_id()
        )
    }

    /// The day that it tells of, for people.
    pub(super) fn day(&self) -> Day {
        Day::of(self.begin)
    }
}

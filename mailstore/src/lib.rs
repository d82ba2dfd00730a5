//! Accounts, maildrops, messages and the outbound queue, kept durably.
//!
//! [`open`] gives a [`Store`]. Its parts are small traits, by who needs them: [`Directory`] (who is this),
//! [`Administration`] (accounts and aliases change), [`AccessAdministration`] (what accounts may log in with and send as),
//! [`Intake`] (draft, commit), [`Maildrops`] (lease, list, read, expunge), [`MaildropAdministration`] (what was expunged
//! comes back), [`Queue`] (due, lease, settle, hold), [`Traces`] (what became of mail that left), [`Sightings`] (who fetched mail, and
//! what was refused), [`Notes`] (what could be found out anew) and [`Guard`] (who guesses too often, or sends too much), which [`Logins`] asks for a session.
//! Whatever answers `Ok` here is on disk.
//!
//! Invariant: the store knows no SMTP and no POP3; it keeps octets and says when they are safe.

mod access;
mod addresses;
#[cfg(test)]
mod contract;
mod directory;
mod dry;
mod embedded;
mod filing;
mod finding;
mod guard;
mod identity;
mod intake;
mod login;
mod maildrops;
mod maintenance;
mod marks;
mod notes;
mod queue;
mod recollections;
mod repair;
mod rules;
mod shared;
mod sightings;
mod store;
mod subaddress;
mod terms;
mod trace;

pub use access::{
    APP_PASSWORD_NAME_OCTETS_MAX, APP_PASSWORDS_MAX, AccessAdministration, AppPassword, AppPasswordName,
    GRANTS_MAX, NoAppPasswordName,
};
pub use addresses::Addresses;
pub use directory::{
    Account, AccountUsage, Administration, AdministrationError, Alias, Directory, Login, OverQuota, Quota,
    QuotaSource, Recipient, Unavailable,
};
pub use dry::{Committed, Dry};
#[cfg(feature = "bench")]
pub use embedded::bench;
pub use embedded::{
    Backup, BackupError, BackupPlan, Flaw, ListedSnapshot, PastContent, PastMessage, PastStore, Pruned,
    Reading, Restored, SnapshotContent, Taken, Verified, Which, back_up,
};
pub use embedded::{Proof, ProofError, ProofPlan, Sabotage, prove};
pub use filing::{Filing, NoRuleFile, RULE_FILE_OCTETS_MAX, RuleFile, RuleFiles};
pub use finding::{Depth, Finding, Owner, Problem, Progress};
pub use guard::{
    Admission, Arrival, Forgiven, Guard, GuardOptions, Measure, Outcome, Reason, Sending, Throttled, TooMuch,
    Turn, Verdict, door,
};
pub use identity::{MaildropId, MessageId, NoUniqueId, QueueId, UniqueId};
pub use intake::{
    Carried, Delivery, Draft, Fate, Intake, IntakeError, Life, Receipt, RelayRecipient, TraceRow, TraceStep,
};
pub use login::{Logins, NoLogin};
pub use maildrops::{
    Entry, Kept, Lease, MaildropAdministration, MaildropError, Maildrops, Repertoire, ReturnAs,
};
pub use maintenance::{HeldState, Hold, Maintenance};
pub use marks::Marks;
pub use notes::{NOTE_OCTETS_MAX, NOTES_OCTETS_MAX, Note, Notes};
pub use queue::{
    Attempt, DomainCounts, DuePlace, QUEUE_CHANGES_MAX, Queue, QueueCounts, QueueEntry, QueueError,
    QueueFilter, QueueOutcome, QueueState, Then,
};
pub use recollections::{
    RECOLLECTION_OCTETS_MAX, RECOLLECTION_TOPICS_MAX, RECOLLECTIONS_OCTETS_MAX, Recollections,
};
pub use repair::{Gain, Repair, Seen, Speed};
pub use rules::{CommonRules, Expiry, LOGIN_DELAY_SECONDS_MAX, OwnRules, Rules, Strictest, Takeover};
pub use sightings::{Deed, REFUSED_NAMED_MAX, Refusal, RefusalFilter, Sightings, Visit, Visited};
pub use store::{HostedBy, OpenError, Options, Store, host, open};
pub use subaddress::{
    DETAIL_OCTETS_MAX, Detail, NoDetail, SUBADDRESS_MAILDROPS_MAX, SubaddressMaildrop, WithMail,
};
pub use terms::{
    Body, ByMode, DeliverBy, LocalRecipient, Notify, OriginalRecipient, RecipientTerms, Returns, Terms,
};
pub use trace::{Ending, Trace, TracedAs, TracedRecipient, Traces};

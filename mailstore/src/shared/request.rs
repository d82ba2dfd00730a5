//! What a sharer asks the host. Each answer is the `Result` of the trait's method, in a form that can be sent.

use std::time::Duration;

use mailwire::address::{Mailbox, ReversePath};
use mailwire::sasl::ScramKeys;
use serde::{Deserialize, Serialize};

use super::access::AccessRequest;
use super::frame::Octets;
use super::guard::GuardRequest;
use super::notes::NotesRequest;
use super::queue::QueueRequest;
use super::recollections::RecollectionsRequest;
use super::rule_files::RuleFilesRequest;
use super::sightings::SightingsRequest;
use super::traces::TracesRequest;
use crate::{
    Account, AccountUsage, Addresses, Alias, Carried, Delivery, Depth, Detail, Fate, Filing, Life,
    LocalRecipient, Login, MaildropId, MessageId, OwnRules, QueueEntry, QueueId, QueueOutcome, QueueState,
    Quota, QuotaSource, RecipientTerms, RelayRecipient, ReturnAs, RuleFile, Rules, Seen, Speed,
    SubaddressMaildrop, Terms, TraceRow, TraceStep, Unavailable, Visit, WithMail,
};

/// One question, by the trait it belongs to.
#[derive(Serialize, Deserialize)]
pub(crate) enum Request {
    Directory(DirectoryRequest),
    Administration(AdministrationRequest),
    Access(AccessRequest),
    Intake(IntakeRequest),
    Maildrop(MaildropRequest),
    MaildropAdministration(MaildropAdministrationRequest),
    Queue(QueueRequest),
    Traces(TracesRequest),
    Repair(RepairRequest),
    Maintenance(MaintenanceRequest),
    Guard(GuardRequest),
    Notes(NotesRequest),
    RuleFiles(RuleFilesRequest),
    Sightings(SightingsRequest),
    Recollections(RecollectionsRequest),
}

#[derive(Serialize, Deserialize)]
pub(crate) enum DirectoryRequest {
    Authenticate { login: String, password: String },
    Account { login: String },
    ScramKeys { login: String },
    Recipient { mailbox: String, octets: u64 },
    MaySendAs { account: AccountText, mailbox: String },
    CommonRules,
    Filing { maildrop: MaildropId },
    ForwardingSecret,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum AdministrationRequest {
    Accounts,
    AddAccount {
        address: String,
        password: String,
    },
    RemoveAccount {
        address: String,
    },
    SetPassword {
        address: String,
        password: String,
    },
    SetQuota {
        address: String,
        quota: Option<Quota>,
    },
    SetRules {
        address: String,
        own: OwnRules,
    },
    /// A page of the accounts.
    Usage {
        from: u64,
    },
    AddMaildrop {
        address: String,
        detail: Detail,
    },
    RemoveMaildrop {
        address: String,
        detail: Detail,
        with_mail: WithMail,
    },
    Aliases,
    AddAlias(AliasText),
    RemoveAlias {
        address: String,
    },
}

#[derive(Serialize, Deserialize)]
pub(crate) enum IntakeRequest {
    /// This connection is a draft from now on, until it is committed.
    Draft {
        octets_expected: u64,
    },
    Write(Octets),
    Commit(Box<DeliveryText>),
}

#[derive(Serialize, Deserialize)]
pub(crate) enum MaildropRequest {
    /// This connection is a lease from now on, until it ends; the answer says how many entries there are, and what
    /// holds.
    Lease {
        maildrop: MaildropId,
        patience: Duration,
    },
    /// A page of the lease's entries.
    Entries {
        from: u64,
    },
    Read {
        index: u64,
        offset: u64,
        octets_max: u64,
    },
    Expunge {
        indices: Vec<u64>,
    },
    Visited {
        visit: Visit,
    },
}

#[derive(Serialize, Deserialize)]
pub(crate) enum MaildropAdministrationRequest {
    Messages { maildrop: MaildropId, after: Option<MessageId>, messages_max: u64 },
    Read { maildrop: MaildropId, message: MessageId, offset: u64, octets_max: u64 },
    Life { maildrop: MaildropId, message: MessageId },
    BringBack { maildrop: MaildropId, messages: Vec<MessageId>, how: ReturnAs },
    Purge { maildrop: MaildropId, messages: Vec<MessageId> },
}

#[derive(Serialize, Deserialize)]
pub(crate) enum RepairRequest {
    /// Answered by many [`WatchAnswer`]s.
    Check {
        depth: Depth,
        speed: Speed,
    },
    /// As well.
    Rebuild,
    Compact,
}

/// One of the answers to a check or a rebuild.
#[derive(Serialize, Deserialize)]
pub(crate) enum WatchAnswer {
    Seen(Seen),
    /// The last one.
    Ended(Result<(), Unavailable>),
}

#[derive(Serialize, Deserialize)]
pub(crate) enum MaintenanceRequest {
    /// This connection is a hold from now on, until it ends.
    Hold,
    Confirm,
}

/// An [`Account`].
#[derive(Serialize, Deserialize)]
pub(crate) struct AccountText {
    address: String,
    maildrop: MaildropId,
}

/// A [`Login`].
#[derive(Serialize, Deserialize)]
pub(crate) struct LoginText {
    account: AccountText,
    maildrop: MaildropId,
    address: String,
}

/// A [`Filing`].
#[derive(Serialize, Deserialize)]
pub(crate) struct FilingText {
    account: AccountText,
    further: Vec<(Detail, MaildropId)>,
    rules: Option<RuleFile>,
}

/// Some [`ScramKeys`].
#[derive(Serialize, Deserialize)]
pub(crate) struct ScramKeysText {
    salt: Vec<u8>,
    iterations: u32,
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

/// An [`AccountUsage`].
#[derive(Serialize, Deserialize)]
pub(crate) struct UsageText {
    account: AccountText,
    messages: u64,
    octets: u64,
    quota: Quota,
    source: QuotaSource,
    rules: Rules,
    own_rules: OwnRules,
    /// Detail, maildrop, messages and octets of each.
    further: Vec<(Detail, MaildropId, u64, u64)>,
}

/// An [`Alias`].
#[derive(Serialize, Deserialize)]
pub(crate) struct AliasText {
    address: String,
    targets: Vec<String>,
}

/// A [`Delivery`].
#[derive(Serialize, Deserialize)]
pub(crate) struct DeliveryText {
    delivery_prefix: Vec<u8>,
    prefix: Vec<u8>,
    reverse_path: String,
    maildrops: Vec<MaildropId>,
    fate: Fate,
    relay: Vec<RelayText>,
    terms: Terms,
    local: Vec<(String, RecipientTerms)>,
    steps: Vec<TraceStep>,
    trace: TraceRow,
    carried: Option<Carried>,
    concludes: Vec<QueueOutcome>,
}

/// A [`RelayRecipient`].
#[derive(Serialize, Deserialize)]
struct RelayText {
    mailbox: String,
    due: u64,
    expires: u64,
    terms: RecipientTerms,
}

/// A [`Life`].
#[derive(Serialize, Deserialize)]
pub(crate) struct LifeText {
    rows: Vec<TraceRow>,
    terms: Terms,
    local: Vec<(String, RecipientTerms)>,
}

/// A [`QueueEntry`].
#[derive(Serialize, Deserialize)]
pub(crate) struct QueueEntryText {
    id: QueueId,
    reverse_path: String,
    recipient: String,
    accepted_at: u64,
    due: u64,
    expires: u64,
    attempts: u32,
    last_result: String,
    held: bool,
    is_leased: bool,
    is_warned: bool,
    octets: u64,
    terms: Terms,
    recipient_terms: RecipientTerms,
}

impl From<&Account> for AccountText {
    fn from(account: &Account) -> Self {
        Self { address: account.address.to_string(), maildrop: account.maildrop }
    }
}

impl AccountText {
    /// `None` where the address does not parse, which only another release could cause.
    pub(crate) fn account(self) -> Option<Account> {
        Some(Account { address: Mailbox::parse(&self.address).ok()?, maildrop: self.maildrop })
    }
}

impl From<&Login> for LoginText {
    fn from(login: &Login) -> Self {
        let Login { account, maildrop, address } = login;
        Self { account: account.into(), maildrop: *maildrop, address: address.to_string() }
    }
}

impl LoginText {
    /// As [`AccountText::account`].
    pub(crate) fn login(self) -> Option<Login> {
        let Self { account, maildrop, address } = self;
        Some(Login { account: account.account()?, maildrop, address: Mailbox::parse(&address).ok()? })
    }
}

impl From<Filing> for FilingText {
    fn from(Filing { account, further, rules }: Filing) -> Self {
        Self { account: (&account).into(), further, rules }
    }
}

impl FilingText {
    /// As [`AccountText::account`].
    pub(crate) fn filing(self) -> Option<Filing> {
        let Self { account, further, rules } = self;
        Some(Filing { account: account.account()?, further, rules })
    }
}

impl From<ScramKeys> for ScramKeysText {
    fn from(keys: ScramKeys) -> Self {
        let ScramKeys { salt, iterations, stored_key, server_key } = keys;
        Self { salt, iterations, stored_key, server_key }
    }
}

impl From<ScramKeysText> for ScramKeys {
    fn from(text: ScramKeysText) -> Self {
        let ScramKeysText { salt, iterations, stored_key, server_key } = text;
        Self { salt, iterations, stored_key, server_key }
    }
}

impl From<AccountUsage> for UsageText {
    fn from(usage: AccountUsage) -> Self {
        let AccountUsage { account, messages, octets, quota, source, rules, own_rules, further } = usage;
        let text = |one: SubaddressMaildrop| (one.detail, one.maildrop, one.messages, one.octets);
        let further = further.into_iter().map(text).collect();
        Self { account: (&account).into(), messages, octets, quota, source, rules, own_rules, further }
    }
}

impl UsageText {
    /// As [`AccountText::account`].
    pub(crate) fn usage(self) -> Option<AccountUsage> {
        let Self { account, messages, octets, quota, source, rules, own_rules, further } = self;
        let one =
            |(detail, maildrop, messages, octets)| SubaddressMaildrop { detail, maildrop, messages, octets };
        let further = further.into_iter().map(one).collect();
        let account = account.account()?;
        Some(AccountUsage { account, messages, octets, quota, source, rules, own_rules, further })
    }
}

impl From<&Alias> for AliasText {
    fn from(alias: &Alias) -> Self {
        let targets = alias.targets.iter().map(ToString::to_string).collect();
        Self { address: alias.address.to_string(), targets }
    }
}

impl AliasText {
    /// As [`AccountText::account`].
    pub(crate) fn alias(self) -> Option<Alias> {
        let targets: Option<_> = self.targets.iter().map(|target| Mailbox::parse(target).ok()).collect();
        Some(Alias { address: Addresses::parse(&self.address).ok()?, targets: targets? })
    }
}

/// Empty for the null reverse-path.
pub(super) fn reverse_path_text(reverse_path: &ReversePath) -> String {
    match reverse_path {
        ReversePath::Null => String::new(),
        ReversePath::Mailbox(mailbox) => mailbox.to_string(),
    }
}

pub(super) fn reverse_path(text: &str) -> Option<ReversePath> {
    if text.is_empty() {
        return Some(ReversePath::Null);
    }
    Mailbox::parse(text).ok().map(ReversePath::Mailbox)
}

impl From<Delivery> for DeliveryText {
    fn from(delivery: Delivery) -> Self {
        let relay = delivery.relay.into_iter().map(|to| RelayText {
            mailbox: to.mailbox.to_string(),
            due: to.due,
            expires: to.expires,
            terms: to.terms,
        });
        Self {
            relay: relay.collect(),
            terms: delivery.terms,
            local: local_text(delivery.local),
            steps: delivery.steps,
            reverse_path: reverse_path_text(&delivery.reverse_path),
            delivery_prefix: delivery.delivery_prefix,
            prefix: delivery.prefix,
            maildrops: delivery.maildrops,
            fate: delivery.fate,
            trace: delivery.trace,
            carried: delivery.carried,
            concludes: delivery.concludes.into_iter().map(QueueOutcome::shortened).collect(),
        }
    }
}

impl DeliveryText {
    /// As [`AccountText::account`].
    pub(crate) fn delivery(self) -> Option<Delivery> {
        let relay = self.relay.into_iter().map(|RelayText { mailbox, due, expires, terms }| {
            Some(RelayRecipient { mailbox: Mailbox::parse(&mailbox).ok()?, due, expires, terms })
        });
        Some(Delivery {
            terms: self.terms,
            local: local(self.local)?,
            steps: self.steps,
            relay: relay.collect::<Option<_>>()?,
            reverse_path: reverse_path(&self.reverse_path)?,
            delivery_prefix: self.delivery_prefix,
            prefix: self.prefix,
            maildrops: self.maildrops,
            fate: self.fate,
            trace: self.trace,
            carried: self.carried,
            concludes: self.concludes,
        })
    }
}

fn local_text(local: Vec<LocalRecipient>) -> Vec<(String, RecipientTerms)> {
    local.into_iter().map(|to| (to.mailbox.to_string(), to.terms)).collect()
}

fn local(text: Vec<(String, RecipientTerms)>) -> Option<Vec<LocalRecipient>> {
    let local = text
        .into_iter()
        .map(|(mailbox, terms)| Some(LocalRecipient { mailbox: Mailbox::parse(&mailbox).ok()?, terms }));
    local.collect()
}

impl From<Life> for LifeText {
    fn from(Life { rows, terms, local }: Life) -> Self {
        Self { rows, terms, local: local_text(local) }
    }
}

impl LifeText {
    /// As [`AccountText::account`].
    pub(crate) fn life(self) -> Option<Life> {
        let Self { rows, terms, local } = self;
        Some(Life { rows, terms, local: self::local(local)? })
    }
}

impl From<QueueEntry> for QueueEntryText {
    fn from(entry: QueueEntry) -> Self {
        Self {
            id: entry.id,
            reverse_path: reverse_path_text(&entry.reverse_path),
            recipient: entry.recipient.to_string(),
            accepted_at: entry.accepted_at,
            due: entry.due,
            expires: entry.expires,
            attempts: entry.attempts,
            last_result: entry.last_result,
            held: entry.state == QueueState::Held,
            is_leased: entry.is_leased,
            is_warned: entry.is_warned,
            octets: entry.octets,
            terms: entry.terms,
            recipient_terms: entry.recipient_terms,
        }
    }
}

impl QueueEntryText {
    /// As [`AccountText::account`].
    pub(crate) fn entry(self) -> Option<QueueEntry> {
        Some(QueueEntry {
            id: self.id,
            reverse_path: reverse_path(&self.reverse_path)?,
            recipient: Mailbox::parse(&self.recipient).ok()?,
            accepted_at: self.accepted_at,
            due: self.due,
            expires: self.expires,
            attempts: self.attempts,
            last_result: self.last_result,
            state: if self.held { QueueState::Held } else { QueueState::Waiting },
            is_leased: self.is_leased,
            is_warned: self.is_warned,
            octets: self.octets,
            terms: self.terms,
            recipient_terms: self.recipient_terms,
        })
    }
}

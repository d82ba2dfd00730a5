//! The store on a simulated disk: asked, looked at, and left.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mailwire::cause::chain;
use tokio::task::JoinHandle;

use super::super::access::AccessChange;
use super::super::backup::simulated;
use super::super::change::{Change, DirectoryChange};
use super::super::checkpoint::Ending;
use super::super::compaction::{CompactionError, Memory};
use super::super::files::Files;
use super::super::host::{Background, Core, Host};
use super::super::index::{Index, IndexError};
use super::super::journal::Location;
use super::super::keys::Usage;
use super::super::layout::Layout;
use super::super::record::AccountRecord;
use super::super::replay::Replay;
use super::super::rule_files::RuleFiles;
use super::super::segment::HEADER_OCTETS;
use super::super::subaddresses::{MaildropChange, subaddress};
use super::super::survey::{self, Survey};
use super::super::upkeep::Upkeep;
use super::disk::SimulatedDisk;
use super::messages::{DELIVERY_PREFIX, TOKEN_FIELD, delivery, recipient, repertoire, sent, steps, terms};
use super::model::{Asked, Found, Model};
use super::outbound::{self, outcome};
use super::view::{AccountView, QueueChanges, Step, Token};
use crate::{
    Delivery, Draft, Intake, Kept, Lease, MaildropAdministration, MaildropId, Maildrops, Maintenance,
    MessageId, Options, ReturnAs, Speed, WithMail,
};

/// The store's folder on the simulated disk.
pub(super) const ROOT: &str = "/srv/store";
/// Content above this goes to files of its own.
const INLINE_OCTETS_MAX: u64 = 6 << 10;
pub(super) const READ_OCTETS: usize = 64 << 10;

/// A store that is open.
pub(super) struct Session {
    pub(super) disk: Arc<SimulatedDisk>,
    host: Host,
}

/// A step that only waits to be asked.
enum Ready {
    Deliver(Box<dyn Draft>, Box<Delivery>),
    Expunge(Box<dyn Lease>, Vec<usize>),
    Return(MaildropId, Vec<MessageId>, ReturnAs),
    Purge(MaildropId, Vec<MessageId>),
    Directory(DirectoryChange),
    Queue(QueueChanges),
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` calls")]
pub(super) fn text(error: impl ToString) -> String {
    error.to_string()
}

impl Session {
    /// Opens the store, which must always work.
    pub(super) fn open(disk: Arc<SimulatedDisk>, layout: Layout) -> Result<Self, String> {
        let options = Options {
            path: layout.root.clone(),
            reserve_octets: 0,
            draft_memory_octets_max: INLINE_OCTETS_MAX,
            ..Options::default()
        };
        let files: Arc<dyn Files> = Arc::clone(&disk) as _;
        let host = Host::open(&files, options, layout, Background::Nothing);
        let host = host.map_err(|error| format!("the store did not open: {}", chain(&error)))?;
        Ok(Self { disk, host })
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.host.core
    }

    async fn lease(&self, maildrop: u64) -> Result<Box<dyn Lease>, String> {
        Maildrops::lease(self.core(), MaildropId(maildrop), Duration::ZERO).await.map_err(text)
    }

    /// Asks all of `batch` at one time; every step must be answered for.
    pub(super) async fn ask(&self, batch: Vec<Step>, model: &Model) -> Result<Vec<Asked>, String> {
        let mut ready = Vec::new();
        for step in batch {
            ready.push((self.prepare(&step, model).await?, step));
        }
        self.disk.shut_gate();
        let begin = self.disk.operations();
        let waiting: Vec<_> = ready.into_iter().map(|(ready, step)| self.begin(ready, step, begin)).collect();
        // The committer finds them all when it looks.
        tokio::task::yield_now().await;
        self.disk.open_gate();
        let mut answers = Vec::new();
        for task in waiting {
            answers.push(task.await.map_err(text)??);
        }
        Ok(answers)
    }

    async fn prepare(&self, step: &Step, model: &Model) -> Result<Ready, String> {
        let maildrop = |address: &String| model.view().maildrop(address).map(MaildropId);
        Ok(match step {
            Step::Deliver { token, maildrops, relay, concludes } => {
                let sent = model.sent(*token).ok_or("a message without content")?;
                let maildrops = maildrops.iter().filter_map(maildrop).collect();
                let prefix = format!("{TOKEN_FIELD}{token}\r\n");
                let front = DELIVERY_PREFIX.len().saturating_add(prefix.len());
                let mut draft = self.core().draft(0).await.map_err(text)?;
                for piece in sent.content.get(front..).unwrap_or_default().chunks(READ_OCTETS) {
                    draft.write(piece).await.map_err(text)?;
                }
                let relay = relay.iter().map(|relay| recipient(relay, *token)).collect::<Result<_, _>>()?;
                let concludes = concludes.iter().filter_map(outcome).collect();
                let delivery = Delivery { concludes, ..delivery(*token, prefix, maildrops, relay) };
                Ready::Deliver(draft, Box::new(delivery))
            }
            Step::Expunge { maildrop: address, tokens } => {
                let MaildropId(maildrop) = maildrop(address).ok_or("no such maildrop")?;
                let messages = model.view().maildrops.get(address).map(Vec::as_slice).unwrap_or_default();
                let indices = (0..).zip(messages).filter(|(_, (_, token))| tokens.contains(token));
                let indices = indices.map(|(index, _)| index).collect();
                let lease = self.lease(maildrop).await?;
                Ready::Expunge(lease, indices)
            }
            Step::Return { maildrop: address, tokens, how } => {
                let maildrop = maildrop(address).ok_or("no such maildrop")?;
                Ready::Return(maildrop, expunged(model, address, tokens), *how)
            }
            Step::Purge { maildrop: address, tokens } => {
                let maildrop = maildrop(address).ok_or("no such maildrop")?;
                Ready::Purge(maildrop, expunged(model, address, tokens))
            }
            Step::Queue { changes } => Ready::Queue(changes.clone()),
            Step::AddAccount { .. }
            | Step::SetPassword { .. }
            | Step::RemoveAccount { .. }
            | Step::SetQuota { .. }
            | Step::SetRules { .. }
            | Step::SetRuleFile { .. }
            | Step::SetAppPassword { .. }
            | Step::Grant { .. }
            | Step::AddMaildrop { .. }
            | Step::RemoveMaildrop { .. }
            | Step::AddAlias { .. }
            | Step::RemoveAlias { .. } => {
                Ready::Directory(directory(step).ok_or("no change of the directory")?)
            }
        })
    }

    fn begin(&self, ready: Ready, step: Step, begin: usize) -> JoinHandle<Result<Asked, String>> {
        let (core, disk) = (Arc::clone(self.core()), Arc::clone(&self.disk));
        tokio::spawn(async move {
            let sequence = commit(&core, ready).await;
            let sequence = sequence.map_err(|why| format!("{step:?} was refused: {why}"))?;
            Ok(Asked { step, begin, answered: disk.operations(), sequence })
        })
    }

    /// Everything that the store holds, compared with what was sent as it is read.
    pub(super) async fn look(&self, model: &Model) -> Result<Found, String> {
        let mut found = Found::default();
        let accounts = self.core().index.ask(Index::accounts).map_err(text)?;
        found.view.aliases = self.core().index.ask(Index::aliases).map_err(text)?.into_iter().collect();
        let quotas = self.core().index.ask(Index::quotas).map_err(text)?;
        let rules = self.core().index.ask(Index::rules).map_err(text)?;
        let rule_files = self.core().index.ask(Index::rule_files).map_err(text)?;
        let rule_files = RuleFiles::new(rule_files);
        let mut scram = self.core().index.ask(Index::scram).map_err(text)?;
        let app_passwords = self.core().index.ask(Index::app_passwords).map_err(text)?;
        let grants = self.core().index.ask(Index::grants).map_err(text)?;
        let subaddresses = self.core().index.ask(Index::subaddresses).map_err(text)?;
        let mut owners: Vec<u64> = scram.keys().copied().chain(app_passwords.maildrops()).collect();
        owners.extend(
            grants
                .maildrops()
                .chain(rules.keys().copied())
                .chain(rule_files.maildrops())
                .chain(subaddresses.accounts()),
        );
        owners.retain(|owner| accounts.iter().all(|account| account.maildrop != *owner));
        if !owners.is_empty() {
            return Err(format!("something is left of accounts that are gone: {owners:?}"));
        }
        for account in accounts {
            self.look_at_maildrop(&account.address, account.maildrop, model, &mut found).await?;
            let further = subaddresses.of(account.maildrop);
            let further: BTreeMap<_, _> =
                further.map(|(detail, further)| (detail.to_owned(), further)).collect();
            for (detail, maildrop) in &further {
                let address = subaddress(&account.address, detail);
                self.look_at_maildrop(&address, *maildrop, model, &mut found).await?;
            }
            let AccountRecord { address, maildrop, password_hash, .. } = account;
            let view = AccountView {
                maildrop,
                password_hash,
                scram: scram.remove(&maildrop),
                quota: quotas.get(&maildrop).copied(),
                rules: rules.get(&maildrop).copied().unwrap_or_default(),
                rule_file: rule_files.get(maildrop).cloned(),
                app_passwords: app_passwords.hashes(maildrop),
                grants: grants.keys(maildrop),
                further,
            };
            found.view.accounts.insert(address, view);
        }
        self.look_at_queue(model, &mut found).await?;
        self.look_at_traces(&mut found)?;
        let live = self.core().index.ask(Index::count_live).map_err(text)?;
        if live != found.view.live() as u64 {
            return Err(format!("the index counts {live} entries and shows {}", found.view.live()));
        }
        Ok(found)
    }

    async fn look_at_maildrop(
        &self,
        address: &str,
        maildrop: u64,
        model: &Model,
        found: &mut Found,
    ) -> Result<(), String> {
        let usage = self.core().index.ask(|index| Ok(index.usage(maildrop))).map_err(text)?;
        let lease = self.lease(maildrop).await?;
        let maildrop = MaildropId(maildrop);
        let kept = self.core().messages(maildrop, None, usize::MAX).await.map_err(text)?;
        let live = kept.iter().filter(|kept| kept.expunged_at.is_none()).map(|kept| &kept.entry);
        if !live.eq(lease.entries()) {
            return Err(format!("a lease on the maildrop of {address} shows other messages"));
        }
        let mut counted = Usage::default();
        lease
            .entries()
            .iter()
            .for_each(|entry| counted = counted.plus(Usage { messages: 1, octets: entry.octets }));
        if usage != counted {
            return Err(format!("the maildrop of {address} holds {counted:?}, not {usage:?}"));
        }
        let (mut messages, mut expunged) = (Vec::new(), Vec::new());
        for Kept { message, entry, expunged_at, .. } in kept {
            let what = format!("message {} of {address}", message.0);
            let mut content = Vec::new();
            loop {
                let offset = content.len() as u64;
                let read = MaildropAdministration::read(self.core(), maildrop, message, offset, READ_OCTETS);
                let read = read.await.map_err(text)?;
                if read.is_empty() {
                    break;
                }
                content.extend(read);
            }
            let (token, sent) = sent(&content, model).ok_or_else(|| format!("{what} is damaged"))?;
            if content != *sent.content {
                return Err(format!("{what} is not what was sent"));
            }
            let way = self.core().life(maildrop, message).await.map_err(text)?;
            if way.terms != terms(token) || way.rows.len() != steps(token).len().saturating_add(1) {
                return Err(format!("{what} came on other terms, or another way: {way:?}"));
            }
            if entry.repertoire != repertoire(token) {
                return Err(format!("the header fields of {what} hold {:?}", entry.repertoire));
            }
            if entry.release_at != way.terms.release_at {
                return Err(format!("{what} is held until {:?}", entry.release_at));
            }
            found.unique_ids.insert((address.to_owned(), token), entry.unique_id);
            let list = if expunged_at.is_some() { &mut expunged } else { &mut messages };
            list.push((message.0, token));
        }
        found.view.maildrops.insert(address.to_owned(), messages);
        found.view.expunged.insert(address.to_owned(), expunged);
        Ok(())
    }

    /// Compares the index with one that is made anew from the journal in `folder`.
    pub(super) fn compare_with_rebuild(&self, folder: &Path) -> Result<(), String> {
        let journal = &self.core().contents.journal;
        let rebuilt = Index::open(&*self.disk, folder).map_err(text)?;
        let segment = *journal.segments().first().ok_or("no journal")?;
        let begin = Location { segment, offset: HEADER_OCTETS };
        let mut replay = Replay::run(journal, &rebuilt, begin, (1, 0)).map_err(text)?;
        replay.apply_last_group(&rebuilt, &[]).map_err(text)?;
        if let Some(gap) = replay.gaps.first() {
            return Err(format!("a crash counts as damage: {gap:?}"));
        }
        let rebuilt = contents(&rebuilt).map_err(text)?;
        let used = self.core().index.ask(contents).map_err(text)?;
        if used == rebuilt { Ok(()) } else { Err(format!("the index is {used}, a rebuild gives {rebuilt}")) }
    }

    /// Takes a snapshot to a folder of another disk. Gives its name.
    pub(super) async fn back_up(
        &self,
        (files, root): (&Arc<dyn Files>, &Path),
        now: u64,
    ) -> Result<String, String> {
        let hold = Maintenance::hold(self.core()).await.map_err(text)?;
        let taken = simulated::take(&*self.disk, hold.state(), (files, root), now);
        taken.map_err(|error| format!("a backup failed: {}", chain(&error)))
    }

    /// The numbers of the journal's segments.
    pub(super) fn segments(&self) -> Vec<u32> {
        self.core().contents.journal.segments()
    }

    /// Compacts a segment, and removes content files that nobody needs. Tells whether the segment is gone.
    pub(super) async fn compact(&self, segment: u32, memory: Memory) -> Result<bool, String> {
        let core = Arc::clone(self.core());
        let compacted = tokio::task::spawn_blocking(move || {
            let gone = match Upkeep(&core).compact_segment(segment, memory, Speed::Full) {
                Ok(_) => true,
                // Nothing in the last one, or a crash explains that it must stay.
                Err(CompactionError::Growing | CompactionError::Explains) => false,
                Err(error) => return Err(format!("compacting segment {segment} failed: {}", chain(&error))),
            };
            let swept = survey::sweep_content(&core, || core.index.ask(Survey::of));
            swept.map(|_| gone).map_err(text)
        });
        compacted.await.map_err(text)?
    }

    /// Says up to where the index is complete.
    pub(super) fn checkpoint(&self) -> Result<(), String> {
        self.host.checkpoint().map_err(text)
    }

    /// Ends everything that works on the store.
    pub(super) async fn end(self, ending: Ending) -> Arc<SimulatedDisk> {
        self.host.end(ending).await;
        self.disk
    }
}

/// Everything in an index, as text.
fn contents(index: &Index) -> Result<String, IndexError> {
    let accounts = index.accounts()?;
    let mut entries = Vec::new();
    let mut expunged = Vec::new();
    let subaddresses = index.subaddresses()?;
    for account in accounts.iter().map(|account| account.maildrop) {
        let further = subaddresses.of(account).map(|(_, maildrop)| maildrop);
        for maildrop in further.chain([account]) {
            for found in index.entries(maildrop) {
                let (message, entry) = found?;
                entries.push((message, index.stays_since(maildrop, message, &entry)?, entry));
            }
            expunged.push(index.expunged(maildrop).collect::<Result<Vec<_>, _>>()?);
        }
    }
    let mut queue = Vec::new();
    for waiting in index.queued(None) {
        queue.push(waiting?);
    }
    let due = index.due(None).collect::<Result<Vec<_>, _>>()?;
    let domains = index.queued_domains(None, usize::MAX)?;
    let traces = index.traces_checksum()?;
    let (aliases, live) = (index.aliases()?, index.count_live()?);
    let quotas: BTreeMap<_, _> = index.quotas()?.into_iter().collect();
    let rules: BTreeMap<_, _> = index.rules()?.into_iter().collect();
    let scram: BTreeMap<_, _> = index.scram()?.into_iter().collect();
    let access = (scram, index.app_passwords()?, index.grants()?, subaddresses);
    let rule_files: BTreeMap<_, _> = index.rule_files()?.into_iter().collect();
    let limits = (quotas, rules, rule_files);
    Ok(format!(
        "{live} {accounts:?} {access:?} {aliases:?} {limits:?} {entries:?} {expunged:?} {queue:?} {due:?} \
         {domains:?} {traces}"
    ))
}

/// The expunged messages with these tokens.
fn expunged(model: &Model, address: &str, tokens: &[Token]) -> Vec<MessageId> {
    let messages = model.view().expunged.get(address).map(Vec::as_slice).unwrap_or_default();
    let chosen = messages.iter().filter(|(_, token)| tokens.contains(token));
    chosen.map(|(message, _)| MessageId(*message)).collect()
}

fn directory(step: &Step) -> Option<DirectoryChange> {
    let step = step.clone();
    match step {
        Step::AddAccount { address, password } => Some(DirectoryChange::AddAccount { address, password }),
        Step::SetPassword { address, password } => Some(DirectoryChange::SetPassword { address, password }),
        Step::RemoveAccount { address } => Some(DirectoryChange::RemoveAccount { address }),
        Step::SetQuota { address, quota } => Some(DirectoryChange::SetQuota { address, quota }),
        Step::SetRules { address, own } => Some(DirectoryChange::SetRules { address, own }),
        Step::SetRuleFile { address, rules } => Some(DirectoryChange::SetRuleFile { address, rules }),
        Step::SetAppPassword { address, name, hash: Some(hash) } => {
            Some(DirectoryChange::Access(AccessChange::AddAppPassword { address, name, hash }))
        }
        Step::SetAppPassword { address, name, hash: None } => {
            Some(DirectoryChange::Access(AccessChange::RemoveAppPassword { address, name }))
        }
        Step::Grant { address, addresses, grant } => {
            Some(DirectoryChange::Access(AccessChange::Grant { address, addresses, grant }))
        }
        Step::AddMaildrop { account: address, detail } => {
            Some(DirectoryChange::Maildrops(MaildropChange::Add { address, detail }))
        }
        Step::RemoveMaildrop { account: address, detail } => {
            let with_mail = WithMail::GivenUp;
            Some(DirectoryChange::Maildrops(MaildropChange::Remove { address, detail, with_mail }))
        }
        Step::AddAlias { address, target } => {
            Some(DirectoryChange::AddAlias { address, targets: vec![target] })
        }
        Step::RemoveAlias { address } => Some(DirectoryChange::RemoveAlias { address }),
        Step::Deliver { .. }
        | Step::Expunge { .. }
        | Step::Return { .. }
        | Step::Purge { .. }
        | Step::Queue { .. } => None,
    }
}

/// The number of the commit, where it names something.
async fn commit(core: &Arc<Core>, ready: Ready) -> Result<u64, String> {
    match ready {
        Ready::Deliver(draft, delivery) => {
            draft.commit(*delivery).await.map(|receipt| receipt.message.0).map_err(text)
        }
        Ready::Expunge(mut lease, indices) => lease.expunge(&indices).await.map(|()| 0).map_err(text),
        Ready::Return(maildrop, messages, how) => {
            core.bring_back(maildrop, &messages, how).await.map(|()| 0).map_err(text)
        }
        Ready::Purge(maildrop, messages) => core.purge(maildrop, &messages).await.map(|()| 0).map_err(text),
        Ready::Directory(change) => {
            let committed = core.commit(Change::Directory(change)).await;
            committed.map_err(|refused| format!("{refused:?}"))
        }
        Ready::Queue(changes) => outbound::ask(core, changes).await.map(|()| 0),
    }
}

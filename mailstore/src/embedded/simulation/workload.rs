//! What the simulated store is asked: deliveries, expunges, accounts, aliases and the queue, mixed by a seed.

use std::num::NonZeroU16;

use mailwire::sasl::ScramKeys;

use super::super::app_passwords::Hash;
use super::super::credentials::NewPassword;
use super::super::grants::Grant;
use super::super::subaddresses::subaddress;
use super::random::Random;
use super::view::{AccountView, QueueChange, QueueChanges, Relay, Step, View};
use crate::{Expiry, OwnRules, Quota, ReturnAs, RuleFile, Takeover};

/// Names of accounts; each may come and go.
const ACCOUNTS: [&str; 4] = ["ann", "bob", "cleo", "dan"];
/// Names of aliases; the one without a name is the catch-all of the domain.
const ALIASES: [&str; 4] = ["all", "info", "sales", ""];
/// Names of application passwords.
const APP_PASSWORDS: [&str; 2] = ["phone", "laptop"];
/// What may be granted: nobody's own address, so that every account can go.
const GRANTED: [&str; 3] = ["press@example.test", "@example.org", "@example.test"];
/// Details of further maildrops.
const DETAILS: [&str; 2] = ["junk", "lists"];
/// Most deliveries at one time.
const DELIVERIES_MAX: usize = 5;
/// A maildrop, or the queue, that has more than this is emptied before anything else.
const ENTRIES_MAX: usize = 8;

/// Chooses what is asked.
pub(super) struct Workload<'a> {
    pub(super) random: &'a mut Random,
    /// Of the last message.
    pub(super) last_token: &'a mut u64,
}

fn is_target(view: &View, address: &str) -> bool {
    view.aliases.values().flatten().any(|target| target == address)
}

fn address(name: &str) -> String {
    format!("{name}@example.test")
}

impl Workload<'_> {
    /// Steps that are asked at one time, none of which depends on another.
    pub(super) fn batch(&mut self, view: &View) -> Vec<Step> {
        if view.accounts.is_empty() {
            return self.directory(view).into_iter().collect();
        }
        match self.random.below(9) {
            8 => self.second_thoughts(view),
            0 => self.directory(view).into_iter().collect(),
            1 => vec![self.delivery(view)],
            2 => {
                let mut delivery = self.delivery(view);
                if let Step::Deliver { concludes, .. } = &mut delivery {
                    *concludes = self.settled(view);
                }
                vec![delivery]
            }
            3 => self.expunges(view),
            4 => self.queue_steps(view),
            _ => {
                let mut batch = self.expunges(view);
                batch.truncate(1);
                batch.extend(self.queue_steps(view));
                let deliveries = self.random.below(DELIVERIES_MAX).saturating_add(1);
                batch.extend((0..deliveries).map(|_| self.delivery(view)));
                batch
            }
        }
    }

    fn delivery(&mut self, view: &View) -> Step {
        *self.last_token = self.last_token.saturating_add(1);
        let names: Vec<_> = view.maildrops.keys().cloned().collect();
        let mut maildrops = self.random.some(&names);
        let mut relay = Vec::new();
        if self.random.one_in(3) && view.queue.len() < ENTRIES_MAX {
            for number in 0..=self.random.below(2) {
                let due = 1000_u64.saturating_add(self.random.number() % 1000);
                relay.push(Relay { mailbox: format!("to{number}@elsewhere.test"), due });
            }
        }
        if maildrops.is_empty() && relay.is_empty() {
            maildrops.extend(self.random.pick(&names).cloned());
        }
        Step::Deliver { token: *self.last_token, maildrops, relay, concludes: Vec::new() }
    }

    /// Of at most one maildrop each.
    fn expunges(&mut self, view: &View) -> Vec<Step> {
        let mut steps = Vec::new();
        for (maildrop, messages) in &view.maildrops {
            let tokens: Vec<_> = messages.iter().map(|(_, token)| *token).collect();
            let full = tokens.len() > ENTRIES_MAX;
            let tokens = if full { tokens } else { self.random.some(&tokens) };
            if !tokens.is_empty() && (full || self.random.one_in(2)) {
                steps.push(Step::Expunge { maildrop: maildrop.clone(), tokens });
            }
        }
        steps
    }

    /// Of at most one maildrop each: what was expunged comes back, or goes for good.
    fn second_thoughts(&mut self, view: &View) -> Vec<Step> {
        let mut steps = Vec::new();
        for (maildrop, messages) in &view.expunged {
            let tokens: Vec<_> = messages.iter().map(|(_, token)| *token).collect();
            let tokens = self.random.some(&tokens);
            if tokens.is_empty() {
                continue;
            }
            let maildrop = maildrop.clone();
            steps.push(match self.random.below(4) {
                0 => Step::Return { maildrop, tokens, how: ReturnAs::Known },
                1 => Step::Return { maildrop, tokens, how: ReturnAs::New },
                _ => Step::Purge { maildrop, tokens },
            });
        }
        steps
    }

    /// Of each entry at most once: what becomes of several at one time, and what is held or released.
    fn queue_steps(&mut self, view: &View) -> Vec<Step> {
        let changes = self.settled(view);
        let mut steps = Vec::new();
        for (id, entry) in &view.queue {
            if changes.iter().all(|(settled, _)| settled != id) && self.random.one_in(4) {
                let change = if entry.held { QueueChange::Release } else { QueueChange::Hold };
                steps.push(Step::Queue { changes: vec![(*id, change)] });
            }
        }
        if !changes.is_empty() {
            steps.push(Step::Queue { changes });
        }
        steps
    }

    /// What workers have done about some entries.
    fn settled(&mut self, view: &View) -> QueueChanges {
        let full = view.queue.len() > ENTRIES_MAX;
        let mut changes = Vec::new();
        for id in view.queue.keys() {
            if !full && !self.random.one_in(3) {
                continue;
            }
            let change = if full || self.random.one_in(2) {
                QueueChange::Finish
            } else {
                QueueChange::Defer {
                    due: 2000_u64.saturating_add(self.random.number() % 1000),
                    result: format!("451 not now, {}", self.random.number()),
                    warned: self.random.one_in(4),
                }
            };
            changes.push((*id, change));
        }
        changes
    }

    /// So much that no delivery is refused.
    fn quota(&mut self) -> Quota {
        let limit = |number: u64| if number.is_multiple_of(4) { 0 } else { (1 << 40).max(number) };
        Quota { octets: limit(self.random.number()), messages: limit(self.random.number()) }
    }

    /// None that would make a lease wait.
    fn rules(&mut self) -> OwnRules {
        let number = self.random.number();
        let [day, kind, ..] = number.to_le_bytes();
        let days = NonZeroU16::new(u16::from(day)).map_or(Expiry::Never, Expiry::Days);
        OwnRules {
            login_delay_seconds: (kind % 2 == 0).then_some(0),
            expiry: (kind % 3 == 0).then_some(days),
            takeover: (kind % 5 == 0).then_some(Takeover::Allowed),
        }
    }

    /// None, or some of one piece of the index or of several.
    fn rule_file(&mut self) -> Option<RuleFile> {
        let number = self.random.number();
        let [repeats, ..] = number.to_le_bytes();
        RuleFile::new(number.to_string().repeat(usize::from(repeats) * 3)).ok()
    }

    fn password(&mut self) -> NewPassword {
        let number = self.random.number();
        let key = |octet| [octet; 32];
        let [stored_key, server_key, ..] = number.to_le_bytes().map(key);
        let scram =
            ScramKeys { salt: number.to_be_bytes().to_vec(), iterations: 4096, stored_key, server_key };
        NewPassword { hash: format!("hash {number}"), scram: scram.into() }
    }

    /// Adds an application password, or removes it where it is there.
    fn app_password(&mut self, view: &View, address: String) -> Option<Step> {
        let name = self.random.pick(&APP_PASSWORDS).copied()?.to_owned();
        let [octet, ..] = self.random.number().to_le_bytes();
        let is_there = view.accounts.get(&address)?.app_passwords.contains_key(&name);
        let hash = (!is_there).then_some(Hash([octet; 32]));
        Some(Step::SetAppPassword { address, name, hash })
    }

    /// Grants something, or takes it back where it was granted.
    fn grant(&mut self, view: &View, address: String) -> Option<Step> {
        let addresses = self.random.pick(&GRANTED).copied()?.to_owned();
        let is_there = view.accounts.get(&address)?.grants.contains(&addresses);
        let grant = if is_there { Grant::Taken } else { Grant::Given };
        Some(Step::Grant { address, addresses, grant })
    }

    /// Adds a further maildrop, or removes it with its mail where it is there and no alias leads to it.
    fn maildrop(&mut self, view: &View, account: String) -> Option<Step> {
        let detail = self.random.pick(&DETAILS).copied()?.to_owned();
        if !view.accounts.get(&account)?.further.contains_key(&detail) {
            return Some(Step::AddMaildrop { account, detail });
        }
        let is_free = !is_target(view, &subaddress(&account, &detail));
        is_free.then_some(Step::RemoveMaildrop { account, detail })
    }

    /// A change of accounts or aliases that is allowed.
    fn directory(&mut self, view: &View) -> Option<Step> {
        let password = self.password();
        let present: Vec<_> = view.accounts.keys().cloned().collect();
        let absent: Vec<_> =
            ACCOUNTS.map(address).into_iter().filter(|name| !present.contains(name)).collect();
        let is_free = |(name, account): &(&String, &AccountView)| {
            let mut further = account.further.keys().map(|detail| subaddress(name, detail));
            !is_target(view, name) && !further.any(|address| is_target(view, &address))
        };
        let removable = view.accounts.iter().filter(is_free);
        let removable: Vec<_> = removable.map(|(name, _)| name.clone()).collect();
        let targets: Vec<_> = view.maildrops.keys().cloned().collect();
        let aliases: Vec<_> = view.aliases.keys().cloned().collect();
        let new_alias = self.random.pick(&ALIASES).map(|name| address(name))?;
        let pick = |random: &mut Random, from: &[String]| random.pick(from).cloned();
        match self.random.below(16) {
            12 | 13 => {
                let account = pick(self.random, &present)?;
                self.maildrop(view, account)
            }
            11 => {
                let rules = self.rule_file();
                pick(self.random, &present).map(|address| Step::SetRuleFile { address, rules })
            }
            8 => {
                let address = pick(self.random, &present)?;
                self.app_password(view, address)
            }
            9 => {
                let address = pick(self.random, &present)?;
                self.grant(view, address)
            }
            10 => {
                let own = self.rules();
                pick(self.random, &present).map(|address| Step::SetRules { address, own })
            }
            0 => pick(self.random, &removable).map(|address| Step::RemoveAccount { address }),
            1 => pick(self.random, &present).map(|address| Step::SetPassword { address, password }),
            2 => {
                let target = pick(self.random, &targets)?;
                Some(Step::AddAlias { address: new_alias, target })
            }
            6 | 7 => {
                let quota = self.random.one_in(2).then(|| self.quota());
                pick(self.random, &present).map(|address| Step::SetQuota { address, quota })
            }
            3 => pick(self.random, &aliases).map(|address| Step::RemoveAlias { address }),
            _ => pick(self.random, &absent).map(|address| Step::AddAccount { address, password }),
        }
    }
}

//! What the store has answered for, and what it was asked and did not answer: the first must be there, the second
//! may be, whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::view::{Step, Token, View};
use crate::{ReturnAs, UniqueId};

/// A message as it was sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// What a reader of a maildrop gets.
    pub(super) content: Arc<[u8]>,
    /// Octets at its front that are not relayed.
    pub(super) delivery_prefix_octets: usize,
}

/// What a store was found to hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) view: View,
    pub(super) unique_ids: BTreeMap<(String, Token), UniqueId>,
}

/// A step, and what is known of its fate.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) step: Step,
    /// Operations of the disk before it was asked.
    pub(super) begin: usize,
    /// Operations of the disk before it was answered.
    pub(super) answered: usize,
    /// The number of its commit.
    pub(super) sequence: u64,
}

/// What must be there, and what may be.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    view: View,
    /// Asked and not answered.
    maybe: Vec<Step>,
    sent: BTreeMap<Token, Sent>,
    /// Of each message in each maildrop.
    unique_ids: BTreeMap<(String, Token), UniqueId>,
    tokens: BTreeMap<UniqueId, Token>,
    /// Numbers of commits that name a message or a maildrop.
    sequences: BTreeSet<u64>,
}

impl Model {
    /// What must be there; all of it, once [`Self::settle`] has decided.
    pub(super) const fn view(&self) -> &View {
        &self.view
    }

    /// A message as it was sent.
    pub(super) fn sent(&self, token: Token) -> Option<&Sent> {
        self.sent.get(&token)
    }

    /// Forgets what came after `earlier`, but for the messages that were sent meanwhile: they may have arrived.
    pub(super) fn go_back_to(&mut self, earlier: Self) {
        let sent = std::mem::take(&mut self.sent);
        *self = Self { sent, ..earlier };
    }

    /// A message is about to be delivered.
    pub(super) fn send(&mut self, token: Token, sent: Sent) {
        self.sent.insert(token, sent);
    }

    /// A step was answered for.
    pub(super) fn answered(&mut self, step: &Step, sequence: u64) -> Result<(), String> {
        self.view.apply(step, sequence);
        self.note(step, sequence)
    }

    /// The number of a commit names a message or a maildrop, and no other one ever again.
    fn note(&mut self, step: &Step, sequence: u64) -> Result<(), String> {
        if let Step::Return { maildrop, tokens, how: ReturnAs::New } = step {
            self.unique_ids.retain(|(name, token), _| name != maildrop || !tokens.contains(token));
        }
        let names = match step {
            Step::Deliver { .. } | Step::AddAccount { .. } | Step::AddMaildrop { .. } => true,
            Step::Expunge { .. }
            | Step::Return { .. }
            | Step::Purge { .. }
            | Step::SetPassword { .. }
            | Step::RemoveAccount { .. }
            | Step::SetQuota { .. }
            | Step::SetRules { .. }
            | Step::SetRuleFile { .. }
            | Step::SetAppPassword { .. }
            | Step::Grant { .. }
            | Step::RemoveMaildrop { .. }
            | Step::AddAlias { .. }
            | Step::RemoveAlias { .. }
            | Step::Queue { .. } => false,
        };
        if names && !self.sequences.insert(sequence) {
            return Err(format!("the number {sequence} was given away again, for {step:?}"));
        }
        Ok(())
    }

    /// A step was asked, and the crash came before its answer.
    pub(super) fn unanswered(&mut self, step: Step) {
        self.maybe.push(step);
    }

    /// Decides, by what was found, which steps without answers were done; then everything must be as it is known.
    pub(super) fn settle(&mut self, found: &Found) -> Result<(), String> {
        for step in std::mem::take(&mut self.maybe) {
            if let Some(sequence) = self.done(&step, &found.view) {
                self.view.apply(&step, sequence);
                self.note(&step, sequence)?;
            }
        }
        if let Some(difference) = self.view.difference(&found.view) {
            return Err(difference);
        }
        for ((maildrop, token), unique_id) in &found.unique_ids {
            let before = self.unique_ids.insert((maildrop.clone(), *token), unique_id.clone());
            if before.is_some_and(|before| before != *unique_id) {
                return Err(format!("message {token} of {maildrop} has another unique-id than before"));
            }
            if self.tokens.insert(unique_id.clone(), *token).is_some_and(|other| other != *token) {
                return Err(format!("message {token} has the unique-id of another message"));
            }
        }
        Ok(())
    }

    /// The number of the step's commit (0 where it does not matter) if any of it was done.
    fn done(&self, step: &Step, found: &View) -> Option<u64> {
        match step {
            Step::Deliver { token, .. } => found.sequence(*token),
            Step::Expunge { maildrop, tokens } => gone(tokens, found.maildrops.get(maildrop)?).then_some(0),
            Step::Return { maildrop, tokens, .. } | Step::Purge { maildrop, tokens } => {
                gone(tokens, found.expunged.get(maildrop)?).then_some(0)
            }
            Step::AddAccount { address, .. } => found.accounts.get(address).map(|account| account.maildrop),
            Step::AddMaildrop { account, detail } => {
                found.accounts.get(account)?.further.get(detail).copied()
            }
            Step::SetPassword { .. }
            | Step::RemoveAccount { .. }
            | Step::SetQuota { .. }
            | Step::SetRules { .. }
            | Step::SetRuleFile { .. }
            | Step::SetAppPassword { .. }
            | Step::Grant { .. }
            | Step::RemoveMaildrop { .. }
            | Step::AddAlias { .. }
            | Step::RemoveAlias { .. }
            | Step::Queue { .. } => {
                let mut after = self.view.clone();
                after.apply(step, 0);
                let same = after.accounts == found.accounts && after.aliases == found.aliases;
                let queue = match step {
                    // It is all of it or nothing, which whoever compares everything finds out.
                    Step::Queue { changes } => {
                        changes.iter().any(|(id, _)| after.queue.get(id) == found.queue.get(id))
                    }
                    Step::Deliver { .. }
                    | Step::Expunge { .. }
                    | Step::Return { .. }
                    | Step::Purge { .. }
                    | Step::AddAccount { .. }
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
                    | Step::RemoveAlias { .. } => true,
                };
                (same && queue).then_some(0)
            }
        }
    }
}

/// True where any of `tokens` is not among `left`.
fn gone(tokens: &[Token], left: &[(u64, Token)]) -> bool {
    tokens.iter().any(|token| left.iter().all(|(_, found)| found != token))
}

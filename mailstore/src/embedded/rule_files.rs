//! The rules of accounts for their mail, as text: in memory, and in the index in pieces.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use mailwire::address::Mailbox;

use super::change::DirectoryChange;
use super::host::Core;
use super::index::{Index, IndexError, decoded, put};
use super::keys;
use crate::{AdministrationError, RuleFile};

/// Octets of a piece in the index, whose values stay small.
const PIECE_OCTETS: usize = 4000;

/// The rules of accounts that have some, by the accounts' own maildrops.
#[derive(Debug, Default)]
pub(crate) struct RuleFiles(HashMap<u64, RuleFile>);

impl RuleFiles {
    /// What the index holds.
    pub(crate) fn new(texts: HashMap<u64, String>) -> Self {
        // They were within the limit when they were set.
        let rules = |(maildrop, text)| Some((maildrop, RuleFile::new(text).ok()?));
        Self(texts.into_iter().filter_map(rules).collect())
    }

    /// An account has these rules from now on, or none.
    pub(crate) fn set(&mut self, maildrop: u64, text: Option<&str>) {
        match text.and_then(|text| RuleFile::new(text.to_owned()).ok()) {
            Some(rules) => self.0.insert(maildrop, rules),
            None => self.0.remove(&maildrop),
        };
    }

    /// Those of an account.
    pub(crate) fn get(&self, maildrop: u64) -> Option<&RuleFile> {
        self.0.get(&maildrop)
    }

    /// Maildrops of the accounts that have some.
    pub(crate) fn maildrops(&self) -> impl Iterator<Item = u64> {
        self.0.keys().copied()
    }

    /// True where nobody has any.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Index {
    /// The rules of all accounts that have some, by maildrop.
    pub(crate) fn rule_files(&self) -> Result<HashMap<u64, String>, IndexError> {
        let mut texts: HashMap<u64, String> = HashMap::new();
        for pair in decoded::<String>(self.rule_files.iter()) {
            let (key, piece) = pair?;
            if let Some(maildrop) = keys::piece_maildrop(&key) {
                texts.entry(maildrop).or_default().push_str(&piece);
            }
        }
        Ok(texts)
    }

    /// Whatever was there before goes.
    pub(super) fn put_rule_file(&self, maildrop: u64, text: Option<&str>) -> Result<(), IndexError> {
        for key in self.rule_files.scan_prefix(keys::maildrop(maildrop)).keys() {
            self.rule_files.remove(key?)?;
        }
        let mut rest = text.unwrap_or_default();
        for number in 0_u16.. {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at(rest.floor_char_boundary(PIECE_OCTETS));
            put(&self.rule_files, &keys::piece(maildrop, number), &piece)?;
            rest = behind;
        }
        Ok(())
    }
}

#[async_trait]
impl crate::RuleFiles for Arc<Core> {
    async fn set_rule_file(
        &self,
        address: &Mailbox,
        rules: Option<RuleFile>,
    ) -> Result<(), AdministrationError> {
        let address = self.kept_key(address);
        self.change_directory(DirectoryChange::SetRuleFile { address, rules }).await
    }

    async fn rule_file(&self, address: &Mailbox) -> Result<Option<RuleFile>, AdministrationError> {
        let address = self.kept_key(address);
        self.with_accounts(|accounts| {
            let maildrop = accounts.existing(&address)?.maildrop;
            Ok(accounts.rule_files.get(maildrop).cloned())
        })
    }
}

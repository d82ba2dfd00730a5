//! EXPN (RFC 5321 §3.5.1): who is behind an alias, where the owner lets users ask that.
//!
//! RFC 5321 §7.3: it tells strangers whom to write to, so it is off unless switched on, and for those who have logged in.

use mailstore::{Addresses, AdministrationError, Alias};
use mailwire::address::Mailbox;
use mailwire::smtp::Reply;

use super::{ExpansionQuestion, Kind, Session, Step};
use crate::replies;

/// Most targets that are shown; the whole answer stays far below what clients read.
const TARGETS_MAX: usize = 100;

impl Session {
    /// True where EXPN is announced.
    pub(super) fn offers_expansion(&self) -> bool {
        match self.kind {
            Kind::Submission => self.policy.expand_aliases,
            Kind::Reception | Kind::Lmtp => false,
        }
    }

    pub(super) fn expn(&mut self, name: &str) -> Step {
        match self.alias_named(name) {
            Ok(mailbox) => Step::Expand(ExpansionQuestion { mailbox }),
            Err(reply) => self.refuse(reply),
        }
    }

    fn alias_named(&self, name: &str) -> Result<Mailbox, Reply> {
        if !self.offers_expansion() {
            return Err(replies::not_implemented());
        }
        if self.account.is_none() {
            return Err(self.why_no_transaction());
        }
        // People type the address as it stands in a path, or the name alone.
        let name = name.strip_prefix('<').and_then(|name| name.strip_suffix('>')).unwrap_or(name);
        let within = || Mailbox::parse(&format!("{name}@{}", self.policy.postmaster.domain()));
        Mailbox::parse(name).or_else(|_| within()).map_err(|_| replies::no_such_alias())
    }

    /// What the store says of the aliases.
    #[must_use]
    pub fn expanded(
        &mut self,
        question: &ExpansionQuestion,
        answer: Result<Vec<Alias>, AdministrationError>,
    ) -> Step {
        let Ok(aliases) = answer else { return Step::Reply(replies::store_unavailable()) };
        let key = question.mailbox.key_in_a_labels();
        let found = aliases.into_iter().find(|alias| match &alias.address {
            Addresses::One(mailbox) => mailbox.key_in_a_labels() == key,
            // A catch-all has no name that could be asked for.
            Addresses::Domain(_) => false,
        });
        match found {
            Some(alias) if alias.targets.len() > TARGETS_MAX => {
                self.refuse(replies::alias_too_long(TARGETS_MAX))
            }
            Some(alias) => match replies::expanded(&alias.targets) {
                Some(reply) => Step::Reply(reply),
                None => self.refuse(replies::no_such_alias()),
            },
            None => self.refuse(replies::no_such_alias()),
        }
    }
}

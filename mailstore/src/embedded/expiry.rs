//! Mail whose days are over is expunged as its readers would do it; found without looking at every maildrop all the time.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU16;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mailwire::cause::chain;
use mailwire::clock;
use tracing::{debug, info, warn};

use super::accounts::Accounts;
use super::change::Change;
use super::index::{Index, IndexError};
use super::keys::EntryValue;
use super::subaddresses::subaddress;
use super::upkeep::Upkeep;
use crate::{Expiry, Speed};

/// Messages that go from a maildrop in one commit; if there are more, they go a moment later.
const EXPUNGED_TOGETHER_MAX: usize = 10_000;
/// Messages that are looked at together.
const PAGE_MESSAGES: usize = 10_000;
/// Octets of the index for each of them, roughly.
const LOOK_OCTETS: u64 = 100;
/// A maildrop is not looked at more often, nor the list of accounts less often.
const LOOK_SECONDS: u64 = 60 * 60;
const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// When maildrops are to be looked at next. Nothing is due sooner, since what comes into a maildrop stays for a day at least.
#[derive(Debug, Default)]
pub(crate) struct NextLooks(Mutex<Looks>);

#[derive(Debug, Default)]
struct Looks {
    /// Seconds since 1970.
    by_maildrop: HashMap<u64, u64>,
    /// The first of them; 0 where nobody knows.
    soonest: u64,
    /// Another rule holds for these since the look began that goes on.
    forgotten: HashSet<u64>,
}

impl NextLooks {
    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another rule holds for the maildrop.
    pub(crate) fn forget(&self, maildrop: u64) {
        let mut looks = self.looks();
        looks.by_maildrop.remove(&maildrop);
        looks.forgotten.insert(maildrop);
        looks.soonest = 0;
    }

    /// What is known, where something may be due.
    fn begin(&self, now: u64, which: Which) -> Option<HashMap<u64, u64>> {
        let mut looks = self.looks();
        if which == Which::Due && now < looks.soonest {
            return None;
        }
        looks.forgotten.clear();
        Some(std::mem::take(&mut looks.by_maildrop))
    }

    fn end(&self, mut next: HashMap<u64, u64>, now: u64) {
        let mut looks = self.looks();
        next.retain(|maildrop, _| !looks.forgotten.contains(maildrop));
        let soonest = next.values().copied().min().unwrap_or(u64::MAX);
        let is_known = looks.forgotten.is_empty();
        looks.soonest = if is_known { soonest.min(now.saturating_add(LOOK_SECONDS)) } else { 0 };
        looks.by_maildrop = next;
    }
}

/// Which maildrops are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Those in which something may be due.
    Due,
    /// All from which mail expires: somebody has asked for it.
    All,
}

/// A maildrop from which mail expires.
struct Expiring {
    address: String,
    maildrop: u64,
    days: NonZeroU16,
}

impl Expiring {
    const fn stay_seconds(&self) -> u64 {
        SECONDS_PER_DAY.saturating_mul(self.days.get() as u64)
    }
}

/// What is due in a maildrop.
#[derive(Debug, PartialEq, Eq)]
struct Due {
    messages: Vec<u64>,
    /// When more may be, seconds since 1970.
    next: u64,
}

impl Accounts {
    /// The maildrops from which mail expires, and for which `wanted` is true.
    fn expiring(&self, mut wanted: impl FnMut(u64) -> bool) -> Vec<Expiring> {
        let mut expiring = Vec::new();
        for account in self.records() {
            let Expiry::Days(days) = self.rules.of(account.maildrop).expiry else { continue };
            if wanted(account.maildrop) {
                expiring.push(Expiring {
                    address: account.address.clone(),
                    maildrop: account.maildrop,
                    days,
                });
            }
            for (detail, maildrop) in self.subaddresses.of(account.maildrop) {
                if wanted(maildrop) {
                    let address = subaddress(&account.address, detail);
                    expiring.push(Expiring { address, maildrop, days });
                }
            }
        }
        expiring
    }
}

impl Index {
    /// From when on the stay of a message in its maildrop counts, seconds since 1970.
    pub(crate) fn stays_since(
        &self,
        maildrop: u64,
        message: u64,
        entry: &EntryValue,
    ) -> Result<u64, IndexError> {
        Ok(shown_at(entry).max(self.came_at(maildrop, message)?.unwrap_or(0)))
    }
}

/// The same, as far as the entry alone tells: it may be later.
fn shown_at(entry: &EntryValue) -> u64 {
    entry.received_at.max(entry.release_at.unwrap_or(0))
}

impl Upkeep<'_> {
    /// Expunges what has been in its maildrop for long enough. Tells how many messages.
    pub(super) fn expire(&self, which: Which, speed: Speed) -> u64 {
        let now = clock::unix_seconds();
        let Some(known) = self.0.next_looks.begin(now, which) else { return 0 };
        let mut next = HashMap::new();
        let due = self.0.with_accounts(|accounts| {
            accounts.expiring(|maildrop| match known.get(&maildrop) {
                Some(at) if which == Which::Due && now < *at => {
                    next.insert(maildrop, *at);
                    false
                }
                Some(_) | None => true,
            })
        });
        let mut expunged: u64 = 0;
        for expiring in due {
            let (count, at) = self.expire_in(&expiring, now, speed);
            expunged = expunged.saturating_add(count);
            next.insert(expiring.maildrop, at);
            if self.0.progress.stopped_within(Duration::ZERO) {
                break;
            }
        }
        self.0.next_looks.end(next, now);
        expunged
    }

    /// How many messages have gone from a maildrop, and when it is to be looked at next.
    fn expire_in(&self, expiring: &Expiring, now: u64, speed: Speed) -> (u64, u64) {
        let Expiring { address, maildrop, days } = expiring;
        // Looked at in vain otherwise, since a session must not find that what it counts has gone; it ends one day.
        if self.0.leases.has(*maildrop) {
            return (0, now);
        }
        let Due { messages, next } = match self.due(expiring, now, speed) {
            Ok(due) => due,
            Err(error) => {
                warn!(account = address, error = chain(&error), "looking for expired mail failed");
                return (0, now);
            }
        };
        if messages.is_empty() {
            return (0, next);
        }
        let Some(taken) = self.0.leases.try_take(*maildrop) else {
            debug!(account = address, "expired mail stays while a session has the maildrop");
            return (0, now);
        };
        let count = messages.len() as u64;
        let change = Change::Expunge { maildrop: *maildrop, messages };
        match self.commit(change, Some(Box::new(taken))) {
            Ok(_) => {
                info!(account = address, messages = count, days, "mail has expired");
                (count, next)
            }
            Err(refused) => {
                debug!(account = address, ?refused, "expired mail stays for now");
                (0, now)
            }
        }
    }

    /// What is due in a maildrop, the first ones of many.
    fn due(&self, expiring: &Expiring, now: u64, speed: Speed) -> Result<Due, IndexError> {
        let (maildrop, stay) = (expiring.maildrop, expiring.stay_seconds());
        // What comes from now on.
        let mut next = now.saturating_add(stay);
        let mut messages = Vec::new();
        let mut after = None;
        loop {
            let page = self.0.index.ask(|index| {
                let entries = index.entries_behind(maildrop, after).take(PAGE_MESSAGES);
                let ends = entries.map(|found| {
                    let (message, entry) = found?;
                    let mut end = shown_at(&entry).saturating_add(stay);
                    if end <= now {
                        end = index.stays_since(maildrop, message, &entry)?.saturating_add(stay);
                    }
                    Ok((message, end))
                });
                ends.collect::<Result<Vec<_>, IndexError>>()
            })?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            for (message, end) in &page {
                if *end > now {
                    next = next.min(*end);
                } else if messages.len() == EXPUNGED_TOGETHER_MAX {
                    return Ok(Due { messages, next: now });
                } else {
                    messages.push(*message);
                }
            }
            if self.0.pause(LOOK_OCTETS.saturating_mul(page.len() as u64), speed).is_break() {
                break;
            }
        }
        Ok(Due { messages, next: next.max(now.saturating_add(LOOK_SECONDS)) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mailwire::address::Mailbox;
    use mailwire::secret::Secret;
    use tokio::task::spawn_blocking;

    use super::super::files::{Disk, Files};
    use super::super::host::{Background, Core, Host};
    use super::super::layout::Layout;
    use super::*;
    use crate::contract::{old, options};
    use crate::{Administration, OwnRules};

    const HOUR: u64 = LOOK_SECONDS;

    /// What the upkeep does by itself, once.
    async fn expired(core: &Arc<Core>, which: Which) -> u64 {
        let core = Arc::clone(core);
        spawn_blocking(move || Upkeep(&core).expire(which, Speed::Budgeted)).await.unwrap()
    }

    #[tokio::test]
    async fn the_upkeep_finds_by_itself_what_is_due_and_looks_only_where_that_can_be() {
        let root = tempfile::tempdir().unwrap();
        let files: Arc<dyn Files> = Arc::new(Disk);
        let layout = Layout::new(root.path());
        let host = Host::open(&files, options(root.path()), layout, Background::Nothing).unwrap();
        let core = &host.core;
        let address = Mailbox::parse("alice@example.test").unwrap();
        let maildrop = core.add_account(&address, &Secret::new("x".to_owned())).await.unwrap().maildrop;
        old(core, maildrop, 31).await;
        assert_eq!(expired(core, Which::Due).await, 0);
        let days = |days| OwnRules { expiry: NonZeroU16::new(days).map(Expiry::Days), ..OwnRules::default() };
        core.set_rules(&address, days(30)).await.unwrap();
        assert_eq!(expired(core, Which::Due).await, 1);
        // Nobody has told of it, so it is found when somebody looks at everything.
        old(core, maildrop, 32).await;
        assert_eq!(expired(core, Which::Due).await, 0);
        assert_eq!(expired(core, Which::All).await, 1);
        old(core, maildrop, 29).await;
        assert_eq!(expired(core, Which::Due).await, 0);
        core.set_rules(&address, days(20)).await.unwrap();
        assert_eq!(expired(core, Which::Due).await, 1);
        host.close().await;
    }

    fn looked(looks: &NextLooks, now: u64, next: &[(u64, u64)]) {
        looks.begin(now, Which::Due).unwrap();
        looks.end(next.iter().copied().collect(), now);
    }

    #[test]
    fn nothing_is_looked_at_before_something_may_be_due() {
        let looks = NextLooks::default();
        assert!(looks.begin(0, Which::Due).is_some(), "nobody knows yet");
        looks.end(HashMap::from([(1, 1000), (2, 500)]), 0);
        assert_eq!(looks.begin(499, Which::Due), None);
        assert!(looks.begin(0, Which::All).is_some_and(|known| known.len() == 2));
        looks.end(HashMap::from([(1, 1000), (2, 500)]), 0);
        assert!(looks.begin(500, Which::Due).is_some_and(|known| known.get(&2) == Some(&500)));
    }

    #[test]
    fn accounts_that_are_new_are_seen_within_the_hour() {
        let looks = NextLooks::default();
        looked(&looks, 0, &[]);
        assert_eq!(looks.begin(HOUR - 1, Which::Due), None);
        assert!(looks.begin(HOUR, Which::Due).is_some());
    }

    #[test]
    fn another_rule_is_seen_at_once_even_where_it_comes_during_a_look() {
        let looks = NextLooks::default();
        looked(&looks, 0, &[(1, 1000), (2, 1000)]);
        looks.forget(1);
        let known = looks.begin(1, Which::Due).unwrap();
        assert_eq!(known, HashMap::from([(2, 1000)]));
        looks.forget(2);
        looks.end(HashMap::from([(1, 1000), (2, 1000)]), 1);
        assert_eq!(looks.begin(2, Which::Due), Some(HashMap::from([(1, 1000)])));
    }
}

//! Which messages a quota lets in: asked when a recipient is named, and exactly when the message is committed.

use std::collections::{HashMap, HashSet};

use super::change::{Change, Refused, State};
use super::index::IndexError;
use super::keys::Usage;
use super::record::{Event, Message};
use crate::{OverQuota, Quota};

impl Quota {
    /// Refuses a message of `octets` for a maildrop that holds `usage`.
    pub(crate) fn check(self, usage: Usage, octets: u64) -> Result<(), OverQuota> {
        let is_over = |limit: u64, amount: u64| limit != 0 && amount > limit;
        if is_over(self.octets, octets) {
            return Err(OverQuota::TooLarge);
        }
        let is_full = is_over(self.octets, usage.octets.saturating_add(octets))
            || is_over(self.messages, usage.messages.saturating_add(1));
        if is_full { Err(OverQuota::Full) } else { Ok(()) }
    }

    /// The same where these are known by their numbers.
    pub(crate) fn room(self, messages: u64, octets_held: u64, octets: u64) -> Result<(), OverQuota> {
        self.check(Usage { messages, octets: octets_held }, octets)
    }
}

/// What the records of a group add to accounts with a quota, which the index does not know yet. What they expunge
/// makes room once it is on disk, and not before.
#[derive(Debug, Default)]
pub(crate) struct Added(HashMap<u64, Usage>);

impl Added {
    fn to(&self, account: u64) -> Usage {
        self.0.get(&account).copied().unwrap_or_default()
    }

    /// A record that adds so much has joined the group.
    pub(crate) fn join(&mut self, added: Vec<(u64, Usage)>) {
        for (account, usage) in added {
            let sum = self.to(account).plus(usage);
            self.0.insert(account, sum);
        }
    }
}

/// For each group of maildrops that stands for itself, whether it gets the message.
pub(crate) type Verdicts = Vec<Result<(), OverQuota>>;

impl State<'_> {
    /// Refuses a message that one of its maildrops may not hold; it costs nothing where there is no quota.
    pub(crate) fn check_quotas(&self, message: &Message) -> Result<(), Refused> {
        // What will never fit says more than what does not fit now.
        let worst = self.over_quota(message)?.into_iter().map(|(maildrop, why)| (why, maildrop)).max();
        worst.map_or(Ok(()), |(why, maildrop)| Err(Refused::OverQuota { maildrop, why, groups: Vec::new() }))
    }

    /// Takes the maildrops out of a message that are only in groups of which one may not hold it, and tells of each
    /// group. A message that would reach nobody is refused.
    pub(crate) fn leave_out(&self, change: &mut Change) -> Result<Verdicts, Refused> {
        let Change::Message { message, groups, .. } = change else { return Ok(Vec::new()) };
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let over = self.over_quota(message)?;
        let why = |group: &Vec<u64>| group.iter().filter_map(|maildrop| over.get(maildrop)).max().copied();
        let verdicts: Verdicts = groups.iter().map(|group| why(group).map_or(Ok(()), Err)).collect();
        let served = groups.iter().zip(&verdicts).filter(|(_, verdict)| verdict.is_ok());
        let served: HashSet<u64> = served.flat_map(|(group, _)| group).copied().collect();
        message.maildrops.retain(|maildrop| served.contains(maildrop));
        match over.into_iter().map(|(maildrop, why)| (why, maildrop)).max() {
            Some((why, maildrop)) if message.maildrops.is_empty() && message.relay.is_empty() => {
                let groups = verdicts.into_iter().filter_map(Result::err).collect();
                Err(Refused::OverQuota { maildrop, why, groups })
            }
            Some(_) | None => Ok(verdicts),
        }
    }

    /// The message's maildrops that may not hold it. Where several of one account get it, each takes its room.
    fn over_quota(&self, message: &Message) -> Result<HashMap<u64, OverQuota>, Refused> {
        let mut over = HashMap::new();
        let mut taken = Added::default();
        let copy = Usage { messages: 1, octets: self.octets(message) };
        for maildrop in &message.maildrops {
            let account = self.accounts.owner(*maildrop);
            let Some(quota) = self.accounts.limits(account) else { continue };
            let of_account = self.accounts.maildrops_of(account);
            let usage = self.index.ask(|index| Ok(index.usage_of(of_account)))?;
            let usage = usage.plus(self.added.to(account)).plus(taken.to(account));
            match quota.check(usage, copy.octets) {
                Ok(()) => taken.join(vec![(account, copy)]),
                Err(why) => drop(over.insert(*maildrop, why)),
            }
        }
        Ok(over)
    }

    /// What `event` adds to accounts that have a quota.
    pub(crate) fn added(&self, event: &Event) -> Result<Vec<(u64, Usage)>, IndexError> {
        let has_quota = |account: &u64| self.accounts.limits(*account).is_some();
        let arrived = |message: &Message| {
            let usage = Usage { messages: 1, octets: self.octets(message) };
            let accounts = message.maildrops.iter().map(|maildrop| self.accounts.owner(*maildrop));
            accounts.filter(has_quota).map(|account| (account, usage)).collect()
        };
        match event {
            Event::Message(message) | Event::Imported { message, .. } => Ok(arrived(message)),
            Event::Accepted(accepted) => Ok(arrived(&accepted.message)),
            Event::Taken(taken) => Ok(arrived(&taken.accepted.message)),
            Event::Returned { maildrop, messages } | Event::ReturnedAt { maildrop, messages, .. } => {
                let account = self.accounts.owner(*maildrop);
                if !has_quota(&account) {
                    return Ok(Vec::new());
                }
                let mut usage = Usage::default();
                for (message, _) in messages {
                    if let Some(expunged) =
                        self.index.ask(|index| index.expunged_entry(*maildrop, *message))?
                    {
                        usage.add(&expunged.entry);
                    }
                }
                Ok(vec![(account, usage)])
            }
            // Nothing comes into a maildrop with these; what is carried was there before.
            Event::Expunge { .. }
            | Event::Account(_)
            | Event::KeyedAccount { .. }
            | Event::AppPassword { .. }
            | Event::Grant { .. }
            | Event::AccountRemoved { .. }
            | Event::AccountRemovedWith { .. }
            | Event::MaildropAdded { .. }
            | Event::MaildropRemoved { .. }
            | Event::Alias { .. }
            | Event::AliasRemoved { .. }
            | Event::QueueChanged { .. }
            | Event::QueueFinished { .. }
            | Event::Settled { .. }
            | Event::Traced { .. }
            | Event::MovedOn(_)
            | Event::Torn { .. }
            | Event::Purged { .. }
            | Event::Moved(_)
            | Event::MovedWith { .. }
            | Event::Restated { .. }
            | Event::Segments { .. }
            | Event::Quota { .. }
            | Event::Rules { .. }
            | Event::RuleFile { .. }
            | Event::Closed => Ok(Vec::new()),
        }
    }

    /// Octets of the message as its readers will get it.
    fn octets(&self, message: &Message) -> u64 {
        self.content_octets.saturating_add(message.file.as_ref().map_or(0, |file| file.octets))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use mailwire::address::Mailbox;
    use mailwire::secret::Secret;
    use tokio::sync::oneshot;

    use super::super::change::Change;
    use super::super::committer::{Request, Work};
    use super::super::host::{self, Core};
    use super::*;
    use crate::contract::options;
    use crate::{Administration, Maildrops, UniqueId};

    const USAGE: Usage = Usage { messages: 3, octets: 900 };

    #[test]
    fn a_message_fits_up_to_the_last_octet() {
        let quota = Quota { octets: 1000, messages: 0 };
        assert_eq!(quota.check(USAGE, 100), Ok(()));
        assert_eq!(quota.check(USAGE, 101), Err(OverQuota::Full));
        assert_eq!(quota.check(USAGE, 1000), Err(OverQuota::Full));
        assert_eq!(quota.check(USAGE, 1001), Err(OverQuota::TooLarge));
        assert_eq!(quota.check(Usage::default(), 1000), Ok(()));
    }

    #[test]
    fn the_last_message_fits_and_no_further_one() {
        let quota = |messages| Quota { octets: 0, messages };
        assert_eq!(quota(4).check(USAGE, u64::MAX), Ok(()));
        assert_eq!(quota(3).check(USAGE, 0), Err(OverQuota::Full));
        assert_eq!(quota(1).check(USAGE, 0), Err(OverQuota::Full));
    }

    #[test]
    fn no_limit_is_none() {
        let usage = Usage { messages: u64::MAX, octets: u64::MAX };
        assert_eq!(Quota::default().check(usage, u64::MAX), Ok(()));
    }

    /// Asks for all of `changes` at one time: they are one group. Tells which were refused.
    async fn group(core: &Arc<Core>, changes: Vec<Change>) -> Vec<Option<OverQuota>> {
        let (mut requests, mut answers) = (Vec::new(), Vec::new());
        for change in changes {
            let (answer, answered) = oneshot::channel();
            let content = vec![b"A: b\r\n\r\n".to_vec()];
            requests.push(Request { change, content, held: None, answer });
            answers.push(answered);
        }
        let core = Arc::clone(core);
        let asked = tokio::task::spawn_blocking(move || core.ask_committer(Work::Carry(requests)));
        asked.await.unwrap().unwrap();
        let mut refused = Vec::new();
        for answer in answers {
            refused.push(match answer.await.unwrap() {
                Ok(_) => None,
                Err(Refused::OverQuota { why, .. }) => Some(why),
                Err(other) => panic!("{other:?}"),
            });
        }
        refused
    }

    #[tokio::test]
    async fn the_messages_of_one_group_count_for_those_behind_them() {
        let root = tempfile::tempdir().unwrap();
        let host = host::open(options(root.path())).unwrap();
        let core = &host.core;
        let alice = Mailbox::parse("alice@example.test").unwrap();
        let maildrop = core.add_account(&alice, &Secret::new("x".to_owned())).await.unwrap().maildrop;
        core.set_quota(&alice, Some(Quota { octets: 0, messages: 3 })).await.unwrap();
        let message =
            |maildrops: &[u64]| Box::new(Message { maildrops: maildrops.to_vec(), ..Message::default() });
        let new = || Change::Message {
            message: message(&[maildrop.0]),
            circumstances: None,
            groups: Vec::new(),
            further: Box::default(),
        };
        let import = || Change::Import(message(&[maildrop.0]), UniqueId::minted([7; 16]), None);
        let full = Some(OverQuota::Full);

        assert_eq!(
            group(core, vec![new(), import(), new(), new(), import()]).await,
            [None, None, None, full, None]
        );
        let mut lease = core.lease(maildrop, Duration::ZERO).await.unwrap();
        lease.expunge(&[0, 1]).await.unwrap();
        let all = core.index.ask(|index| index.expunged(maildrop.0).collect::<Result<Vec<_>, _>>()).unwrap();
        let messages: Vec<_> = all.iter().map(|(message, _)| (*message, None)).collect();
        let expunge = Change::Expunge { maildrop: maildrop.0, messages: Vec::new() };
        // What comes back takes the last place from the message behind it.
        let back = Change::Return { maildrop: maildrop.0, messages: messages[..1].to_vec() };
        assert_eq!(group(core, vec![expunge, back, new()]).await, [None, None, full]);
        let octets = core.index.ask(|index| Ok(index.usage(maildrop.0).octets)).unwrap();
        core.set_quota(&alice, Some(Quota { octets: octets + 8, messages: 0 })).await.unwrap();
        assert_eq!(group(core, vec![new(), new()]).await, [None, full]);
        host.close().await;
    }
}

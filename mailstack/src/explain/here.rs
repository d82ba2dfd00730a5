//! Messages in maildrops here: found by their number, their Message-ID or their recipient, with how they came.

use std::collections::BTreeMap;

use mail_parser::MessageParser;
use mailstore::{AccountUsage, Deed, Kept, Life, MaildropError, MaildropId, MessageId, Store, Visited};
use mailwire::address::Mailbox;

use crate::exchange::maildrop::Pages;
use crate::maildrop::listing::header_section;
use crate::maildrop::moment::shown;

/// A message in one maildrop.
pub(super) struct Here {
    pub(super) address: Mailbox,
    maildrop: MaildropId,
    pub(super) kept: Kept,
}

/// Messages of maildrops here, by their numbers.
pub(super) type ByMessage = BTreeMap<MessageId, Vec<Here>>;

/// All maildrops with their addresses.
async fn maildrops(store: &Store) -> Result<Vec<(Mailbox, MaildropId)>, Box<dyn std::error::Error>> {
    let accounts = store.administration.usage().await?;
    Ok(accounts.iter().flat_map(AccountUsage::maildrops).collect())
}

/// The message with a number, in each maildrop that has it.
pub(super) async fn by_number(
    store: &Store,
    message: MessageId,
) -> Result<ByMessage, Box<dyn std::error::Error>> {
    let mut found = ByMessage::new();
    let before = message.0.checked_sub(1).map(MessageId);
    for (address, maildrop) in maildrops(store).await? {
        let kept = store.maildrop_administration.messages(maildrop, before, 1).await?;
        let kept = kept.into_iter().filter(|kept| kept.message == message);
        found.entry(message).or_default().extend(kept.map(|kept| Here {
            address: address.clone(),
            maildrop,
            kept,
        }));
    }
    found.retain(|_, here| !here.is_empty());
    Ok(found)
}

/// Messages with this Message-ID that came at `since` or later. Nothing finds them but a look at each.
pub(super) async fn by_message_id(
    store: &Store,
    message_id: &str,
    since: u64,
) -> Result<ByMessage, Box<dyn std::error::Error>> {
    let wanted = message_id.trim().trim_start_matches('<').trim_end_matches('>');
    let mut found = ByMessage::new();
    for (address, maildrop) in maildrops(store).await? {
        let mut pages = Pages::new(store, maildrop);
        while let Some(page) = pages.next().await? {
            for kept in page.into_iter().filter(|kept| kept.entry.received_at >= since) {
                let section = match header_section(store, maildrop, &kept).await {
                    // Its time is over since the page was asked for.
                    Err(MaildropError::Ended) => continue,
                    section => section?,
                };
                let message = MessageParser::new().parse_headers(section.as_slice());
                if message.as_ref().and_then(|message| message.message_id()) == Some(wanted) {
                    let here = Here { address: address.clone(), maildrop, kept };
                    found.entry(here.kept.message).or_default().push(here);
                }
            }
        }
    }
    Ok(found)
}

/// The last `count` messages for a recipient here that came at `since` or later.
pub(super) async fn by_recipient(
    store: &Store,
    recipient: &Mailbox,
    since: u64,
    count: usize,
) -> Result<ByMessage, Box<dyn std::error::Error>> {
    let mut found = ByMessage::new();
    let mut reached = store.directory.recipient(recipient, 0).await?.maildrops().to_vec();
    for maildrop in reached.clone() {
        // It may lie where the account has its junk, or where its rules have put it.
        let filing = store.directory.filing(maildrop).await?;
        reached.extend(filing.iter().flat_map(|filing| &filing.further).map(|(_, further)| *further));
    }
    for (address, maildrop) in maildrops(store).await?.into_iter().filter(|(_, one)| reached.contains(one)) {
        let mut pages = Pages::new(store, maildrop);
        while let Some(page) = pages.next().await? {
            for kept in page.into_iter().filter(|kept| kept.entry.received_at >= since) {
                let here = Here { address: address.clone(), maildrop, kept };
                found.entry(here.kept.message).or_default().push(here);
                while found.len() > count {
                    found.pop_first();
                }
            }
        }
    }
    Ok(found)
}

impl Here {
    /// How it came here.
    pub(super) async fn life(&self, store: &Store) -> Result<Life, MaildropError> {
        store.maildrop_administration.life(self.maildrop, self.kept.message).await
    }

    /// Who fetched it and who deleted it, with the time of each.
    pub(super) fn visits(&self, visited: &[Visited]) -> Vec<String> {
        let here = visited.iter().filter(|one| one.maildrop == self.maildrop);
        let line = |one: &Visited| {
            let deed = match one.deed {
                Deed::Retrieved => "fetched from",
                Deed::Expunged => "deleted from",
            };
            format!("{}  {deed} the maildrop of {} by {}", shown(one.at), self.address, one.by)
        };
        here.map(line).collect()
    }

    /// Where it is now.
    pub(super) fn line(&self) -> String {
        let Kept { entry, expunged_at, .. } = &self.kept;
        let (address, id) = (&self.address, &entry.unique_id);
        match expunged_at {
            None => format!("in the maildrop of {address}, unique-id {id}"),
            Some(at) => format!(
                "deleted from the maildrop of {address} at {}, can be brought back (`mailstack maildrop undelete {address} {id}`)",
                shown(*at)
            ),
        }
    }
}

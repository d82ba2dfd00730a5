//! Maildrops as their administrator sees them: what was expunged is listed, read, brought back, or given up.

use std::iter::Peekable;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use mailwire::cause::chain;

use super::change::{Change, Refused};
use super::circumstances::life;
use super::holdings::entry;
use super::host::Core;
use super::index::{Holder, Index, IndexError};
use super::reading::read_content;
use crate::{Kept, Life, MaildropAdministration, MaildropError, MaildropId, MessageId, ReturnAs, UniqueId};

type Found = Result<(MessageId, Kept), IndexError>;

impl Core {
    fn kept(
        &self,
        maildrop: u64,
        after: Option<MessageId>,
        messages_max: usize,
    ) -> Result<Vec<Kept>, IndexError> {
        self.index.ask(|index| {
            let kept = |message, value, expunged_at| {
                let stays_since = index.stays_since(maildrop, message, &value)?;
                let message = MessageId(message);
                Ok((message, Kept { message, entry: entry(value), expunged_at, stays_since }))
            };
            let entries = index.entries_behind(maildrop, after.map(|after| after.0));
            let entries = entries.map(|found| found.and_then(|(message, value)| kept(message, value, None)));
            let expunged = index.expunged_behind(maildrop, after.map(|after| after.0));
            let expunged = expunged
                .map(|found| found.and_then(|(message, value)| kept(message, value.entry, Some(value.at))));
            merged(entries.peekable(), expunged.peekable()).take(messages_max).collect()
        })
    }

    /// Read anew once where the message was moved meanwhile.
    fn life_of(&self, maildrop: u64, message: u64) -> Result<Life, MaildropError> {
        let holder = Holder::Maildrop { maildrop, message };
        let find = || self.index.ask(|index: &Index| index.subject(holder));
        let mut subject = find().map_err(|error| unavailable(&error))?.ok_or(MaildropError::Ended)?;
        loop {
            match self.contents.head(subject) {
                Ok(Some(event)) => {
                    let message = event.message().ok_or(MaildropError::Ended)?;
                    return Ok(life(message, event.circumstances()));
                }
                Ok(None) => return Err(MaildropError::Ended),
                Err(error) => {
                    let now = find().map_err(|error| unavailable(&error))?.ok_or(MaildropError::Ended)?;
                    if now == subject {
                        return Err(MaildropError::Unavailable(error.to_string()));
                    }
                    subject = now;
                }
            }
        }
    }

    async fn change_maildrop(&self, change: Change) -> Result<(), MaildropError> {
        self.commit(change).await.map(|_| ()).map_err(maildrop_error)
    }
}

/// Both in the order of their messages.
fn merged<A: Iterator<Item = Found>, B: Iterator<Item = Found>>(
    mut entries: Peekable<A>,
    mut expunged: Peekable<B>,
) -> impl Iterator<Item = Result<Kept, IndexError>> {
    std::iter::from_fn(move || {
        let first = match (entries.peek(), expunged.peek()) {
            (Some(Ok((entry, _))), Some(Ok((gone, _)))) if gone < entry => expunged.next(),
            (None, Some(_)) => expunged.next(),
            (Some(_) | None, _) => entries.next(),
        };
        first.map(|found| found.map(|(_, kept)| kept))
    })
}

/// Why a maildrop was not changed.
pub(crate) fn maildrop_error(refused: Refused) -> MaildropError {
    match refused {
        Refused::Missing | Refused::Concluded => MaildropError::Ended,
        Refused::Full => MaildropError::Unavailable("the disk is full".to_owned()),
        Refused::Unavailable(why) => MaildropError::Unavailable(why),
        Refused::OverQuota { why, .. } => MaildropError::Unavailable(why.to_string()),
        Refused::Administration(error) => MaildropError::Unavailable(error.to_string()),
    }
}

fn unavailable(error: &IndexError) -> MaildropError {
    MaildropError::Unavailable(chain(error))
}

#[async_trait]
impl MaildropAdministration for Arc<Core> {
    async fn messages(
        &self,
        maildrop: MaildropId,
        after: Option<MessageId>,
        messages_max: usize,
    ) -> Result<Vec<Kept>, MaildropError> {
        let exists = self.accounts.read().unwrap_or_else(PoisonError::into_inner).has_maildrop(maildrop.0);
        if !exists {
            return Err(MaildropError::Ended);
        }
        let core = Self::clone(self);
        let listed = tokio::task::spawn_blocking(move || core.kept(maildrop.0, after, messages_max)).await;
        let listed = listed.map_err(|error| MaildropError::Unavailable(error.to_string()))?;
        listed.map_err(|error| unavailable(&error))
    }

    async fn read(
        &self,
        maildrop: MaildropId,
        message: MessageId,
        offset: u64,
        octets_max: usize,
    ) -> Result<Vec<u8>, MaildropError> {
        let holder = Holder::Maildrop { maildrop: maildrop.0, message: message.0 };
        let subject = self.index.ask(|index: &Index| index.subject(holder));
        let subject = subject.map_err(|error| unavailable(&error))?.ok_or(MaildropError::Ended)?;
        let content = self.open_content(holder, subject).await.map_err(MaildropError::Unavailable)?;
        read_content(content, offset, octets_max).await.map_err(MaildropError::Unavailable)
    }

    async fn life(&self, maildrop: MaildropId, message: MessageId) -> Result<Life, MaildropError> {
        let core = Self::clone(self);
        let life = tokio::task::spawn_blocking(move || core.life_of(maildrop.0, message.0)).await;
        life.map_err(|error| MaildropError::Unavailable(error.to_string()))?
    }

    async fn bring_back(
        &self,
        maildrop: MaildropId,
        messages: &[MessageId],
        how: ReturnAs,
    ) -> Result<(), MaildropError> {
        let mut returned = Vec::with_capacity(messages.len());
        for message in messages {
            let fresh = match how {
                ReturnAs::Known => None,
                ReturnAs::New => Some(fresh()?),
            };
            returned.push((message.0, fresh));
        }
        self.change_maildrop(Change::Return { maildrop: maildrop.0, messages: returned }).await
    }

    async fn purge(&self, maildrop: MaildropId, messages: &[MessageId]) -> Result<(), MaildropError> {
        let messages = messages.iter().map(|message| message.0).collect();
        self.change_maildrop(Change::Purge { maildrop: maildrop.0, messages }).await
    }
}

fn fresh() -> Result<UniqueId, MaildropError> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|error| MaildropError::Unavailable(error.to_string()))?;
    Ok(UniqueId::minted(bits))
}

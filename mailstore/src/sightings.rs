//! What happened that no commit tells: who fetched and deleted mail, and what was refused.

use async_trait::async_trait;
use mailwire::address::{Mailbox, ReversePath};
use serde::{Deserialize, Serialize};

use crate::{MaildropId, Marks, MessageId, Unavailable};

/// Recipients that a refusal names.
pub const REFUSED_NAMED_MAX: usize = 20;
/// Octets that are kept of each text of a sighting.
const TEXT_OCTETS_MAX: usize = 512;

/// What one session did with the messages of its lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Which session, and where its client is, for people.
    pub by: String,
    /// Messages that were sent whole.
    pub retrieved: Marks,
    /// Messages that were expunged.
    pub expunged: Marks,
}

/// What was done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// It was sent whole.
    Retrieved,
    /// It was expunged.
    Expunged,
}

/// Somebody had to do with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visited {
    /// Seconds since 1970 when the session was over.
    pub at: u64,
    /// Where.
    pub maildrop: MaildropId,
    /// As in [`Visit`].
    pub by: String,
    /// What they did.
    pub deed: Deed,
}

/// Mail that was not taken, for good or for now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Seconds since 1970.
    pub at: u64,
    /// Which session.
    pub session: String,
    /// Who was at the other end, for people.
    pub peer: String,
    /// Where reports would have gone, with brackets.
    pub reverse_path: String,
    /// Who was to get it, as far as it had come to that; [`REFUSED_NAMED_MAX`] at most.
    pub recipients: Vec<String>,
    /// What the client was told.
    pub said: String,
}

/// Which refusals are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusalFilter {
    /// Of mail from this sender.
    pub from: Option<Mailbox>,
    /// Of mail to this recipient.
    pub to: Option<Mailbox>,
    /// Of mail that calls itself so, without brackets, where that was noted: see [`Refusal::named`].
    pub message_id: Option<String>,
    /// At this time or later, in seconds since 1970.
    pub since: u64,
}

impl RefusalFilter {
    /// True where `refusal` is meant.
    #[must_use]
    pub fn takes(&self, refusal: &Refusal) -> bool {
        let is = |wanted: &Mailbox, text: &str| {
            Mailbox::parse(text).is_ok_and(|mailbox| mailbox.key_in_a_labels() == wanted.key_in_a_labels())
        };
        let sender = refusal.reverse_path.trim_start_matches('<').trim_end_matches('>');
        let is_named = |id: &String| refusal.said.contains(&Refusal::named(id));
        refusal.at >= self.since
            && self.message_id.as_ref().is_none_or(is_named)
            && self.from.as_ref().is_none_or(|from| is(from, sender))
            && self.to.as_ref().is_none_or(|to| refusal.recipients.iter().any(|one| is(to, one)))
    }
}

impl Refusal {
    /// How it stands in [`Self::said`] what the header section of a message calls it, without brackets.
    #[must_use]
    pub fn named(message_id: &str) -> String {
        format!("Message-ID <{message_id}>")
    }

    /// Of what a client wanted to send, and `said` in answer; the texts as short as they are kept.
    #[must_use]
    pub fn new<'a>(
        (at, session, peer): (u64, &str, &str),
        reverse_path: &ReversePath,
        recipients: impl IntoIterator<Item = &'a Mailbox>,
        said: &str,
    ) -> Self {
        let recipients = recipients.into_iter().take(REFUSED_NAMED_MAX);
        Self {
            at,
            session: session.to_owned(),
            peer: shortened(peer.to_owned()),
            reverse_path: shortened(reverse_path.to_string()),
            recipients: recipients.map(|recipient| shortened(recipient.to_string())).collect(),
            said: shortened(said.to_owned()),
        }
    }
}

/// As much of a text as is kept.
pub(crate) fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_OCTETS_MAX));
    text
}

/// What was seen, and is told to administrators. It is kept within a bound, the newest of it, survives restarts, and is in no
/// backup; a crash may cost what was seen in the last second.
#[async_trait]
pub trait Sightings: Send + Sync {
    /// Takes note of refusals.
    ///
    /// # Errors
    /// Where they cannot be noted now.
    async fn refused(&self, refusals: Vec<Refusal>) -> Result<(), Unavailable>;

    /// Refusals, the newest first; at most `refusals_max`.
    ///
    /// # Errors
    /// Where they cannot be read now.
    async fn refusals(
        &self,
        filter: &RefusalFilter,
        refusals_max: usize,
    ) -> Result<Vec<Refusal>, Unavailable>;

    /// Who had to do with a message, in the order of time.
    ///
    /// # Errors
    /// Where that cannot be read now.
    async fn visited(&self, message: MessageId) -> Result<Vec<Visited>, Unavailable>;
}

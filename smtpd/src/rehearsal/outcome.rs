//! What was said and why, and what would be in the store.

use mailstore::Committed;
use mailwire::smtp::Reply;

use crate::filing;

/// A command of the client and its answer.
#[derive(Clone, Debug)]
pub struct Said {
    /// The command; what stands for one where there is none: the connection, or the end of the message.
    pub command: String,
    /// The answer.
    pub reply: Reply,
    /// The line of the configuration, the rule or the fact that has decided it; `None` where a standard has.
    pub because: Option<String>,
}

/// What became of the whole message.
#[derive(Clone, Debug, Default)]
pub enum End {
    /// It would be committed.
    Committed(Box<Committed>),
    /// It would be accepted and thrown away, as its recipients want it.
    Discarded,
    /// It would not be taken.
    #[default]
    NotTaken,
}

/// What became of it for one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It is accepted.
    Accepted,
    /// It may come again (4yz).
    PutOff,
    /// It is refused (5yz).
    Refused,
}

/// A rehearsal from its beginning to its end.
#[derive(Clone, Debug, Default)]
pub struct Rehearsed {
    /// What was said before a recipient was named.
    pub opening: Vec<Said>,
    /// The answer for each recipient, in their order; fewer where the session has ended before.
    pub recipients: Vec<Said>,
    /// What was said to DATA and to the content.
    pub content: Vec<Said>,
    /// What became of the message.
    pub end: End,
}

impl Said {
    /// What this answer alone comes to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.reply.code() {
            0..400 => Verdict::Accepted,
            400..500 => Verdict::PutOff,
            500.. => Verdict::Refused,
        }
    }
}

impl Rehearsed {
    /// True where readers would find it marked as junk.
    #[must_use]
    pub fn is_marked_as_junk(&self) -> bool {
        match &self.end {
            End::Committed(committed) => filing::is_marked(&committed.delivery.delivery_prefix),
            End::Discarded | End::NotTaken => false,
        }
    }

    /// The answer that has decided about a recipient, by its number.
    #[must_use]
    pub fn decisive(&self, recipient: usize) -> Option<&Said> {
        let opening = self.opening.last().filter(|said| said.verdict() != Verdict::Accepted);
        let own = || self.recipients.get(recipient);
        match opening.or_else(own) {
            Some(said) if said.verdict() != Verdict::Accepted => Some(said),
            Some(said) => Some(self.content.last().unwrap_or(said)),
            // The session has ended with one before.
            None => self.recipients.last(),
        }
    }

    /// What has become of a recipient's mail.
    #[must_use]
    pub fn verdict(&self, recipient: usize) -> Verdict {
        self.decisive(recipient).map_or(Verdict::Refused, Said::verdict)
    }
}

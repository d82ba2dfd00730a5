//! Reading messages from the threads that serve the network: at once where the octets are in memory, and on a thread
//! made for waiting where they are not.

use std::sync::Arc;

use super::content::{Access, Content, Opened};
use super::host::Core;
use super::index::{Holder, Index, IndexError};
use super::keys::Subject;
use mailwire::cause::chain;

impl Core {
    /// Opens the message that `holder` has, which was at `subject` when somebody looked: it may lie elsewhere now.
    pub(crate) async fn open_content(
        self: &Arc<Self>,
        holder: Holder,
        subject: Subject,
    ) -> Result<Arc<Content>, String> {
        if let Some(content) = self.open_at(subject).await? {
            return Ok(Arc::new(content));
        }
        let now = self.index.ask(|index| index.subject(holder)).map_err(|error| chain(&error))?;
        let content = match now {
            Some(subject) => self.open_at(subject).await?,
            None => None,
        };
        Ok(Arc::new(content.unwrap_or_else(|| Content::lost(subject))))
    }

    /// Waits for the disk, where it must, on a thread made for waiting. `None` where the segment is gone.
    async fn open_at(self: &Arc<Self>, subject: Subject) -> Result<Option<Content>, String> {
        let mut opened = self.contents.open(subject, Access::Once).map_err(|error| error.to_string())?;
        if matches!(opened, Opened::NotInMemory) {
            let core = Arc::clone(self);
            let waited = tokio::task::spawn_blocking(move || core.contents.open(subject, Access::Wait)).await;
            opened = waited.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        }
        match opened {
            Opened::Content(content) => Ok(Some(content)),
            Opened::NoSegment => Ok(None),
            Opened::NotInMemory => Err("the message could not be read".to_owned()),
        }
    }
}

impl Index {
    /// Where the content is that `holder` has; `None` where it has none any more.
    pub(crate) fn subject(&self, holder: Holder) -> Result<Option<Subject>, IndexError> {
        Ok(match holder {
            Holder::Maildrop { maildrop, message } => match self.entry(maildrop, message)? {
                Some(entry) => Some(entry.subject),
                None => self.expunged_entry(maildrop, message)?.map(|expunged| expunged.entry.subject),
            },
            Holder::Queue { message, recipient } => {
                self.queue_value(message, recipient)?.map(|value| value.subject)
            }
        })
    }
}

/// Reads of a message; waits for the disk, where it must, on a thread made for waiting.
pub(crate) async fn read_content(
    content: Arc<Content>,
    offset: u64,
    octets_max: usize,
) -> Result<Vec<u8>, String> {
    let now = content.read(offset, octets_max, Access::Once).map_err(|error| error.to_string())?;
    if let Some(octets) = now {
        return Ok(octets);
    }
    let waited = tokio::task::spawn_blocking(move || content.read(offset, octets_max, Access::Wait)).await;
    let octets = waited.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    octets.ok_or_else(|| "the message could not be read".to_owned())
}

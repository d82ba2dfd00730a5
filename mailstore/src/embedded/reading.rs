//! Reading messages from the threads that serve the network: at once where the octets are in memory, and on a thread
//! made for waiting where they are not.

use std::sync::Arc;

use super::content::{Access, Content, Subject};
use super::host::Core;

impl Core {
    /// Opens a message; waits for the disk, where it must, on a thread made for waiting.
    pub(crate) async fn open_content(self: &Arc<Self>, subject: Subject) -> Result<Arc<Content>, String> {
        let now = self.contents.open(subject, Access::Once).map_err(|error| error.to_string())?;
        if let Some(content) = now {
            return Ok(Arc::new(content));
        }
        let core = Arc::clone(self);
        let waited = tokio::task::spawn_blocking(move || core.contents.open(subject, Access::Wait)).await;
        let content = waited.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        content.map(Arc::new).ok_or_else(|| "the message could not be read".to_owned())
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

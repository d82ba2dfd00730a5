//! Short notes that whoever uses the store could do without: what took effort to find out, and should survive a restart.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Unavailable;

/// Most octets of a note, with its topic and its name.
pub const NOTE_OCTETS_MAX: usize = 64 << 10;
/// Most octets of all notes together.
pub const NOTES_OCTETS_MAX: usize = 32 << 20;

/// A note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What it is about, such as `mta-sts`.
    pub topic: String,
    /// Its name; one topic has one note of a name.
    pub name: String,
    /// What it says.
    pub text: String,
    /// Until when it is of use, in seconds since 1970.
    pub until: u64,
}

impl Note {
    /// What it takes of [`NOTES_OCTETS_MAX`].
    pub(crate) fn octets(&self) -> usize {
        self.topic.len() + self.name.len() + self.text.len()
    }
}

/// Notes. They outlive the process and survive power cuts once the answer is there; they are in no backup, and damage to
/// them is no damage to the store: they are gone then.
#[async_trait]
pub trait Notes: Send + Sync {
    /// Takes a note, in the place of the one of the same topic and name. One that is longer than [`NOTE_OCTETS_MAX`] is not
    /// taken. Where there are as many octets as may be, those of the soonest end go.
    ///
    /// # Errors
    /// Where it cannot be kept now.
    async fn note(&self, note: Note) -> Result<(), Unavailable>;

    /// Notes about a topic that are of use at `now`, in the order of their names, those behind `after`. It is a page: the
    /// next one begins behind its last name, and an empty one is the end.
    ///
    /// # Errors
    /// Where they cannot be read now.
    async fn notes(&self, topic: &str, after: &str, now: u64) -> Result<Vec<Note>, Unavailable>;
}

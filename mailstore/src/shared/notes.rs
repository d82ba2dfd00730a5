//! Notes: asked of the host, or answered here where this process is the host.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use super::frame;
use super::member::{Member, Way, ask};
use super::request::Request;
use crate::embedded::Core;
use crate::{Note, Notes, Unavailable};

#[derive(Serialize, Deserialize)]
pub(crate) enum NotesRequest {
    Note(Note),
    Notes { topic: String, after: String, now: u64 },
}

/// The host's side.
pub(super) async fn serve(
    stream: &mut UnixStream,
    core: &Arc<Core>,
    request: NotesRequest,
) -> io::Result<()> {
    match request {
        NotesRequest::Note(note) => frame::write(stream, &core.note(note).await).await,
        NotesRequest::Notes { topic, after, now } => {
            frame::write(stream, &core.notes(&topic, &after, now).await).await
        }
    }
}

#[async_trait]
impl Notes for Member {
    async fn note(&self, note: Note) -> Result<(), Unavailable> {
        match self.way().await? {
            Way::Here(core) => core.note(note).await,
            // What is too long for a frame would not be taken there either.
            Way::Host(_) if note.octets() > crate::NOTE_OCTETS_MAX => Ok(()),
            Way::Host(connection) => ask(connection, Request::Notes(NotesRequest::Note(note))).await?,
        }
    }

    async fn notes(&self, topic: &str, after: &str, now: u64) -> Result<Vec<Note>, Unavailable> {
        match self.way().await? {
            Way::Here(core) => core.notes(topic, after, now).await,
            Way::Host(connection) => {
                let (topic, after) = (topic.to_owned(), after.to_owned());
                ask(connection, Request::Notes(NotesRequest::Notes { topic, after, now })).await?
            }
        }
    }
}

//! Recollections: asked of the host, or answered here where this process is the host.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use super::frame;
use super::member::{Member, Way, ask};
use super::request::Request;
use crate::embedded::Core;
use crate::{Note, Recollections, Unavailable};

#[derive(Serialize, Deserialize)]
pub(crate) enum RecollectionsRequest {
    Recall { topic: String, names: Vec<String>, now: u64 },
    Remember(Vec<Note>),
    Recollections { topic: String, after: String, now: u64 },
}

/// The host's side.
pub(super) async fn serve(
    stream: &mut UnixStream,
    core: &Arc<Core>,
    request: RecollectionsRequest,
) -> io::Result<()> {
    match request {
        RecollectionsRequest::Recall { topic, names, now } => {
            frame::write(stream, &core.recall(&topic, &names, now).await).await
        }
        RecollectionsRequest::Remember(notes) => frame::write(stream, &core.remember(notes).await).await,
        RecollectionsRequest::Recollections { topic, after, now } => {
            frame::write(stream, &core.recollections(&topic, &after, now).await).await
        }
    }
}

#[async_trait]
impl Recollections for Member {
    async fn recall(&self, topic: &str, names: &[String], now: u64) -> Result<Vec<Note>, Unavailable> {
        match self.way().await? {
            Way::Here(core) => core.recall(topic, names, now).await,
            Way::Host(connection) => {
                let (topic, names) = (topic.to_owned(), names.to_vec());
                let request = RecollectionsRequest::Recall { topic, names, now };
                ask(connection, Request::Recollections(request)).await?
            }
        }
    }

    async fn remember(&self, recollections: Vec<Note>) -> Result<(), Unavailable> {
        match self.way().await? {
            Way::Here(core) => core.remember(recollections).await,
            Way::Host(connection) => {
                let request = RecollectionsRequest::Remember(recollections);
                ask(connection, Request::Recollections(request)).await?
            }
        }
    }

    async fn recollections(&self, topic: &str, after: &str, now: u64) -> Result<Vec<Note>, Unavailable> {
        match self.way().await? {
            Way::Here(core) => core.recollections(topic, after, now).await,
            Way::Host(connection) => {
                let (topic, after) = (topic.to_owned(), after.to_owned());
                let request = RecollectionsRequest::Recollections { topic, after, now };
                ask(connection, Request::Recollections(request)).await?
            }
        }
    }
}

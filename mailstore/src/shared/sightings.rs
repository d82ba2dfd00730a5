//! Sightings: told to the host, or to this process where it is the host.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use mailwire::address::Mailbox;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use super::frame;
use super::member::{Member, Way, ask};
use super::request::Request;
use super::server;
use crate::embedded::Core;
use crate::{Deed, MaildropId, MessageId, Refusal, RefusalFilter, Sightings, Unavailable, Visited};

/// Refusals in one request or answer: each has some kilooctets at most.
const REFUSALS_TOGETHER_MAX: usize = 100;

#[derive(Serialize, Deserialize)]
pub(crate) enum SightingsRequest {
    Refused(Vec<Refusal>),
    Refusals {
        from: Option<String>,
        to: Option<String>,
        message_id: Option<String>,
        since: u64,
        refusals_max: u64,
    },
    Visited {
        message: MessageId,
    },
}

/// A [`Visited`]: when, where, by whom, and whether it was expunged.
type VisitedText = (u64, MaildropId, String, bool);

/// The host's side.
pub(super) async fn serve(
    stream: &mut UnixStream,
    core: &Arc<Core>,
    request: SightingsRequest,
) -> io::Result<()> {
    match request {
        SightingsRequest::Refused(refusals) => frame::write(stream, &core.refused(refusals).await).await,
        SightingsRequest::Refusals { from, to, message_id, since, refusals_max } => {
            let mailbox = |text: Option<String>| text.as_deref().map(server::address).transpose();
            let filter = RefusalFilter { from: mailbox(from)?, to: mailbox(to)?, message_id, since };
            let refusals_max = server::index(refusals_max).min(REFUSALS_TOGETHER_MAX);
            frame::write(stream, &core.refusals(&filter, refusals_max).await).await
        }
        SightingsRequest::Visited { message } => {
            let visited = core.visited(message).await;
            let text = |one: Visited| (one.at, one.maildrop, one.by, one.deed == Deed::Expunged);
            let answer: Result<Vec<VisitedText>, Unavailable> =
                visited.map(|visited| visited.into_iter().map(text).collect());
            frame::write(stream, &answer).await
        }
    }
}

#[async_trait]
impl Sightings for Member {
    async fn refused(&self, refusals: Vec<Refusal>) -> Result<(), Unavailable> {
        for refusals in refusals.chunks(REFUSALS_TOGETHER_MAX) {
            let refusals = refusals.to_vec();
            match self.way().await? {
                Way::Here(core) => core.refused(refusals).await?,
                Way::Host(connection) => {
                    let request = Request::Sightings(SightingsRequest::Refused(refusals));
                    ask::<Result<(), Unavailable>>(connection, request).await??;
                }
            }
        }
        Ok(())
    }

    async fn refusals(
        &self,
        filter: &RefusalFilter,
        refusals_max: usize,
    ) -> Result<Vec<Refusal>, Unavailable> {
        match self.way().await? {
            Way::Here(core) => core.refusals(filter, refusals_max).await,
            Way::Host(connection) => {
                let RefusalFilter { from, to, message_id, since } = filter;
                let text = |mailbox: &Option<Mailbox>| mailbox.as_ref().map(ToString::to_string);
                let request = SightingsRequest::Refusals {
                    from: text(from),
                    to: text(to),
                    message_id: message_id.clone(),
                    since: *since,
                    refusals_max: refusals_max as u64,
                };
                ask(connection, Request::Sightings(request)).await?
            }
        }
    }

    async fn visited(&self, message: MessageId) -> Result<Vec<Visited>, Unavailable> {
        match self.way().await? {
            Way::Here(core) => core.visited(message).await,
            Way::Host(connection) => {
                let request = Request::Sightings(SightingsRequest::Visited { message });
                let answer: Result<Vec<VisitedText>, Unavailable> = ask(connection, request).await?;
                let visited = |(at, maildrop, by, is_expunged)| {
                    let deed = if is_expunged { Deed::Expunged } else { Deed::Retrieved };
                    Visited { at, maildrop, by, deed }
                };
                Ok(answer?.into_iter().map(visited).collect())
            }
        }
    }
}

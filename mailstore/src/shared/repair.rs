//! Checks, rebuilds and compactions by another process: what is asked of the host, and how the host answers.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::frame;
use super::member::{Member, Way, ask};
use super::objects::lost;
use super::pool::Connection;
use super::request::{RepairRequest, Request, WatchAnswer};
use crate::embedded::Core;
use crate::{Depth, Gain, Repair, Seen, Speed, Unavailable};

/// Things seen that wait to be sent; the check waits then.
const SEEN_MAX: usize = 64;

/// Asks the host for a work that tells of itself, and hands on what it tells.
async fn watch(
    mut connection: Connection,
    request: RepairRequest,
    seen: mpsc::Sender<Seen>,
) -> Result<(), Unavailable> {
    let mut answer = connection.ask(&Request::Repair(request)).await;
    loop {
        match answer.map_err(|error| Unavailable(lost(&error)))? {
            WatchAnswer::Ended(ended) => {
                connection.give_back();
                return ended;
            }
            WatchAnswer::Seen(saw) => {
                if seen.send(saw).await.is_err() {
                    // The host ends a check when the connection ends.
                    return Ok(());
                }
                answer = connection.hear().await;
            }
        }
    }
}

#[async_trait]
impl Repair for Member {
    async fn check(&self, depth: Depth, speed: Speed, seen: mpsc::Sender<Seen>) -> Result<(), Unavailable> {
        match self.way().await? {
            Way::Here(core) => core.check(depth, speed, seen).await,
            Way::Host(connection) => watch(connection, RepairRequest::Check { depth, speed }, seen).await,
        }
    }

    async fn rebuild(&self, seen: mpsc::Sender<Seen>) -> Result<(), Unavailable> {
        match self.way().await? {
            Way::Here(core) => core.rebuild(seen).await,
            Way::Host(connection) => watch(connection, RepairRequest::Rebuild, seen).await,
        }
    }

    async fn compact(&self) -> Result<Gain, Unavailable> {
        match self.way().await? {
            Way::Here(core) => core.compact().await,
            Way::Host(connection) => ask(connection, Request::Repair(RepairRequest::Compact)).await?,
        }
    }
}

/// The host's side.
pub(super) async fn serve(
    stream: &mut UnixStream,
    core: &Arc<Core>,
    request: RepairRequest,
) -> io::Result<()> {
    if let RepairRequest::Compact = request {
        return frame::write(stream, &core.compact().await).await;
    }
    let (tell, mut seen) = mpsc::channel(SEEN_MAX);
    let core = Arc::clone(core);
    let work = tokio::spawn(async move {
        match request {
            RepairRequest::Check { depth, speed } => core.check(depth, speed, tell).await,
            RepairRequest::Rebuild | RepairRequest::Compact => core.rebuild(tell).await,
        }
    });
    // When the other side has gone, this ends, and with the receiver the check.
    while let Some(saw) = seen.recv().await {
        frame::write(stream, &WatchAnswer::Seen(saw)).await?;
    }
    let ended = work.await.map_err(io::Error::other)?;
    frame::write(stream, &WatchAnswer::Ended(ended)).await
}

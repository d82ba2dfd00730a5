//! Checks, rebuilds and compactions by another process: what is asked of the host, and how the host answers.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::frame;
use super::member::{Member, Way, ask};
use super::objects::lost;
use super::request::{CheckAnswer, RepairRequest, Request};
use crate::embedded::Core;
use crate::{Depth, Gain, Repair, Seen, Speed, Unavailable};

/// Things seen that wait to be sent; the check waits then.
const SEEN_MAX: usize = 64;

#[async_trait]
impl Repair for Member {
    async fn check(&self, depth: Depth, speed: Speed, seen: mpsc::Sender<Seen>) -> Result<(), Unavailable> {
        let mut connection = match self.way().await? {
            Way::Here(core) => return core.check(depth, speed, seen).await,
            Way::Host(connection) => connection,
        };
        let request = Request::Repair(RepairRequest::Check { depth, speed });
        let mut answer = connection.ask(&request).await;
        loop {
            match answer.map_err(|error| Unavailable(lost(&error)))? {
                CheckAnswer::Ended(ended) => {
                    connection.give_back();
                    return ended;
                }
                CheckAnswer::Seen(saw) => {
                    if seen.send(saw).await.is_err() {
                        // The host ends the check when the connection ends.
                        return Ok(());
                    }
                    answer = connection.hear().await;
                }
            }
        }
    }

    async fn rebuild(&self) -> Result<(), Unavailable> {
        match self.way().await? {
            Way::Here(core) => core.rebuild().await,
            Way::Host(connection) => ask(connection, Request::Repair(RepairRequest::Rebuild)).await?,
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
    match request {
        RepairRequest::Rebuild => frame::write(stream, &core.rebuild().await).await,
        RepairRequest::Compact => frame::write(stream, &core.compact().await).await,
        RepairRequest::Check { depth, speed } => {
            let (tell, mut seen) = mpsc::channel(SEEN_MAX);
            let core = Arc::clone(core);
            let check = tokio::spawn(async move { core.check(depth, speed, tell).await });
            // When the other side has gone, this ends, and with the receiver the check.
            while let Some(saw) = seen.recv().await {
                frame::write(stream, &CheckAnswer::Seen(saw)).await?;
            }
            let ended = check.await.map_err(io::Error::other)?;
            frame::write(stream, &CheckAnswer::Ended(ended)).await
        }
    }
}

//! The guard: asked of the host, or answered here where this process is the host.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use mailwire::secret::Secret;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use super::frame;
use super::member::{Member, Way, ask};
use super::request::Request;
use crate::embedded::Core;
use crate::{
    Admission, Arrival, Forgiven, Guard, Outcome, Sending, Throttled, TooMuch, Turn, Unavailable, Verdict,
};

#[derive(Serialize, Deserialize)]
pub(crate) enum GuardRequest {
    Admit { peer: IpAddr, login: String },
    Settle { peer: IpAddr, login: String, turn: Turn, outcome: OutcomeText },
    Send { peer: IpAddr, account: Option<String>, recipients: u32 },
    Arrive { peer: IpAddr },
    Erred { peer: IpAddr, errors: u32 },
    Throttled,
    Forgive(Forgiven),
}

/// An [`Outcome`].
#[derive(Serialize, Deserialize)]
pub(crate) enum OutcomeText {
    Right,
    Wrong(String),
    WrongUnseen,
}

/// The host's side.
pub(super) async fn serve(
    stream: &mut UnixStream,
    core: &Arc<Core>,
    request: GuardRequest,
) -> io::Result<()> {
    match request {
        GuardRequest::Admit { peer, login } => frame::write(stream, &core.admit(peer, &login).await).await,
        GuardRequest::Settle { peer, login, turn, outcome } => {
            let secret;
            let outcome = match outcome {
                OutcomeText::Right => Outcome::Right,
                OutcomeText::Wrong(text) => {
                    secret = Secret::new(text);
                    Outcome::Wrong(&secret)
                }
                OutcomeText::WrongUnseen => Outcome::WrongUnseen,
            };
            let answer = core.settle(peer, &login, turn, outcome).await;
            frame::write(stream, &answer).await
        }
        GuardRequest::Send { peer, account, recipients } => {
            let answer = core.send(Sending { peer, account: account.as_deref(), recipients }).await;
            frame::write(stream, &answer).await
        }
        GuardRequest::Arrive { peer } => frame::write(stream, &core.arrive(peer).await).await,
        GuardRequest::Erred { peer, errors } => frame::write(stream, &core.erred(peer, errors).await).await,
        GuardRequest::Throttled => frame::write(stream, &core.throttled().await).await,
        GuardRequest::Forgive(whose) => frame::write(stream, &core.forgive(&whose).await).await,
    }
}

#[async_trait]
impl Guard for Member {
    async fn admit(&self, peer: IpAddr, login: &str) -> Result<Admission, Unavailable> {
        match self.way().await? {
            Way::Here(core) => core.admit(peer, login).await,
            Way::Host(connection) => {
                let login = login.to_owned();
                ask(connection, Request::Guard(GuardRequest::Admit { peer, login })).await?
            }
        }
    }

    async fn settle(
        &self,
        peer: IpAddr,
        login: &str,
        turn: Turn,
        outcome: Outcome<'_>,
    ) -> Result<Verdict, Unavailable> {
        let connection = match self.way().await? {
            Way::Here(core) => return core.settle(peer, login, turn, outcome).await,
            Way::Host(connection) => connection,
        };
        let outcome = match outcome {
            Outcome::Right => OutcomeText::Right,
            Outcome::Wrong(secret) => OutcomeText::Wrong(secret.expose().clone()),
            Outcome::WrongUnseen => OutcomeText::WrongUnseen,
        };
        let login = login.to_owned();
        ask(connection, Request::Guard(GuardRequest::Settle { peer, login, turn, outcome })).await?
    }

    async fn send(&self, sending: Sending<'_>) -> Result<Option<TooMuch>, Unavailable> {
        let Sending { peer, account, recipients } = sending;
        // Known here as well, and one question less for each message.
        if self.options().guard.spares(peer) {
            return Ok(None);
        }
        match self.way().await? {
            Way::Here(core) => core.send(sending).await,
            Way::Host(connection) => {
                let account = account.map(str::to_owned);
                ask(connection, Request::Guard(GuardRequest::Send { peer, account, recipients })).await?
            }
        }
    }

    async fn arrive(&self, peer: IpAddr) -> Result<Arrival, Unavailable> {
        if self.options().guard.spares(peer) {
            return Ok(Arrival::Welcome);
        }
        match self.way().await? {
            Way::Here(core) => core.arrive(peer).await,
            Way::Host(connection) => ask(connection, Request::Guard(GuardRequest::Arrive { peer })).await?,
        }
    }

    async fn erred(&self, peer: IpAddr, errors: u32) -> Result<(), Unavailable> {
        if self.options().guard.spares(peer) {
            return Ok(());
        }
        match self.way().await? {
            Way::Here(core) => core.erred(peer, errors).await,
            Way::Host(connection) => {
                ask(connection, Request::Guard(GuardRequest::Erred { peer, errors })).await?
            }
        }
    }

    async fn throttled(&self) -> Result<Vec<Throttled>, Unavailable> {
        match self.way().await? {
            Way::Here(core) => core.throttled().await,
            Way::Host(connection) => ask(connection, Request::Guard(GuardRequest::Throttled)).await?,
        }
    }

    async fn forgive(&self, whose: &Forgiven) -> Result<usize, Unavailable> {
        match self.way().await? {
            Way::Here(core) => core.forgive(whose).await,
            Way::Host(connection) => {
                ask(connection, Request::Guard(GuardRequest::Forgive(whose.clone()))).await?
            }
        }
    }
}

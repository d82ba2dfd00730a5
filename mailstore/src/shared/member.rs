//! Hosting the store or sharing it, whichever it is at the moment; nobody above can tell.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use mailwire::cause::chain;
use mailwire::clock;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tracing::{info, warn};

use super::frame::Octets;
use super::objects::{SharedDraft, SharedLease, lost};
use super::pool::Connection;
use super::request::{LifeText, MaildropAdministrationRequest, Request};
use super::role::{self, Role};
use super::server::Server;
use crate::embedded::Core;
use crate::{
    Draft, Intake, IntakeError, Kept, Lease, Life, MaildropAdministration, MaildropError, MaildropId,
    Maildrops, MessageId, OpenError, Options, ReturnAs, Unavailable,
};

/// How long a process that starts waits for a host, where it may not host itself.
const JOIN_PATIENCE: Duration = Duration::from_secs(5);
/// How long a question waits for a host that has gone to come back, where no other process may take its place.
const QUESTION_PATIENCE: Duration = Duration::from_secs(1);

/// One process's part in a store.
pub(crate) struct Member {
    options: Options,
    role: RwLock<Role>,
    /// Held by whoever looks for a new role; with what came of the last look, where that was nothing.
    changing: Mutex<Option<Failure>>,
    /// What this process has leased of the queue ends with it.
    leasing: Mutex<Option<Connection>>,
}

/// A look for a role that came to nothing.
struct Failure {
    at: Instant,
    why: String,
}

/// Where one question goes.
pub(super) enum Way {
    Here(Arc<Core>),
    Host(Connection),
}

impl Member {
    /// Hosts the store if nobody does, or shares it.
    pub(crate) async fn join(options: Options) -> Result<Self, OpenError> {
        let role = role::find(&options, JOIN_PATIENCE).await?;
        Ok(Self { options, role: RwLock::new(role), changing: Mutex::default(), leasing: Mutex::default() })
    }

    /// Hosts the store, or fails.
    pub(crate) async fn host(options: Options) -> Result<Self, OpenError> {
        let role = role::host(&options).await?;
        Ok(Self { options, role: RwLock::new(role), changing: Mutex::default(), leasing: Mutex::default() })
    }

    /// Hosts a store that is open already, for this process alone.
    #[cfg(feature = "bench")]
    pub(crate) fn alone(options: Options, host: crate::embedded::Host) -> Self {
        let role = Role::Hosting(Arc::new(role::Hosting { server: None, host }));
        Self { options, role: RwLock::new(role), changing: Mutex::default(), leasing: Mutex::default() }
    }

    /// Ends this process's part in order.
    pub(crate) async fn close(&self) {
        let _changing = self.changing.lock().await;
        let role =
            std::mem::replace(&mut *self.role.write().unwrap_or_else(PoisonError::into_inner), Role::Closed);
        if let Role::Hosting(hosting) = role {
            hosting.server.iter().for_each(Server::end);
            hosting.host.close().await;
        }
    }

    /// True while this process has the store's files open.
    pub(crate) fn is_host(&self) -> bool {
        match self.role() {
            Role::Hosting(_) => true,
            Role::Sharing(_) | Role::Closed => false,
        }
    }

    pub(super) const fn options(&self) -> &Options {
        &self.options
    }

    /// The connection on which entries of the queue are leased.
    pub(super) const fn leasing(&self) -> &Mutex<Option<Connection>> {
        &self.leasing
    }

    fn role(&self) -> Role {
        self.role.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn way(&self) -> Result<Way, Unavailable> {
        let error = match self.role() {
            Role::Hosting(hosting) => return Ok(Way::Here(Arc::clone(&hosting.host.core))),
            Role::Closed => return Err(Unavailable("the store is closed".to_owned())),
            Role::Sharing(pool) => match pool.connection().await {
                Ok(connection) => return Ok(Way::Host(connection)),
                Err(error) => error,
            },
        };
        self.change_role(&error).await
    }

    /// The host has gone: this process hosts the store now, or another one does.
    async fn change_role(&self, error: &io::Error) -> Result<Way, Unavailable> {
        let asked = clock::instant();
        let mut last = self.changing.lock().await;
        if let Role::Sharing(pool) = self.role() {
            if let Ok(connection) = pool.connection().await {
                return Ok(Way::Host(connection));
            }
            // Whoever waited for another one's look shares what came of it: no queue of looks builds up.
            if let Some(failure) = last.as_ref().filter(|failure| failure.at >= asked) {
                return Err(Unavailable(failure.why.clone()));
            }
            *last = self.look(error, last.as_ref()).await;
            if let Some(failure) = &*last {
                return Err(Unavailable(failure.why.clone()));
            }
        }
        match self.role() {
            Role::Hosting(hosting) => Ok(Way::Here(Arc::clone(&hosting.host.core))),
            Role::Sharing(pool) => {
                pool.connection().await.map(Way::Host).map_err(|error| Unavailable(lost(&error)))
            }
            Role::Closed => Err(Unavailable("the store is closed".to_owned())),
        }
    }

    /// Looks for a new role and takes it. The log is told of the first failure and of the end of them.
    async fn look(&self, error: &io::Error, last: Option<&Failure>) -> Option<Failure> {
        if last.is_none() {
            info!(%error, "the process that hosted the store has gone");
        }
        match role::find(&self.options, QUESTION_PATIENCE).await {
            Ok(role) => {
                *self.role.write().unwrap_or_else(PoisonError::into_inner) = role;
                info!("the store answers again");
                None
            }
            Err(error) => {
                let why = chain(&error);
                if last.is_none() {
                    warn!(why, "the store does not answer; it is asked again for each question");
                }
                Some(Failure { at: clock::instant(), why })
            }
        }
    }
}

/// Asks the host and keeps the connection.
pub(super) async fn ask<T: DeserializeOwned>(
    mut connection: Connection,
    request: Request,
) -> Result<T, Unavailable> {
    let answer = connection.ask(&request).await.map_err(|error| Unavailable(lost(&error)))?;
    connection.give_back();
    Ok(answer)
}

/// An answer that does not parse comes from another release.
pub(super) fn foreign() -> Unavailable {
    Unavailable("the process that hosts the store is of another release".to_owned())
}

#[async_trait]
impl Intake for Member {
    async fn draft(&self, octets_expected: u64) -> Result<Box<dyn Draft>, IntakeError> {
        match self.way().await.map_err(|Unavailable(why)| IntakeError::Unavailable(why))? {
            Way::Here(core) => core.draft(octets_expected).await,
            Way::Host(connection) => Ok(Box::new(SharedDraft::begin(connection, octets_expected).await?)),
        }
    }
}

#[async_trait]
impl Maildrops for Member {
    async fn lease(&self, maildrop: MaildropId, patience: Duration) -> Result<Box<dyn Lease>, MaildropError> {
        match self.way().await.map_err(|Unavailable(why)| MaildropError::Unavailable(why))? {
            Way::Here(core) => Maildrops::lease(&core, maildrop, patience).await,
            Way::Host(connection) => Ok(Box::new(SharedLease::begin(connection, maildrop, patience).await?)),
        }
    }
}

impl From<Unavailable> for MaildropError {
    fn from(Unavailable(why): Unavailable) -> Self {
        Self::Unavailable(why)
    }
}

#[async_trait]
impl MaildropAdministration for Member {
    async fn messages(
        &self,
        maildrop: MaildropId,
        after: Option<MessageId>,
        messages_max: usize,
    ) -> Result<Vec<Kept>, MaildropError> {
        match self.way().await? {
            Way::Here(core) => core.messages(maildrop, after, messages_max).await,
            Way::Host(connection) => {
                let messages_max = messages_max as u64;
                let request = MaildropAdministrationRequest::Messages { maildrop, after, messages_max };
                ask(connection, Request::MaildropAdministration(request)).await?
            }
        }
    }

    async fn read(
        &self,
        maildrop: MaildropId,
        message: MessageId,
        offset: u64,
        octets_max: usize,
    ) -> Result<Vec<u8>, MaildropError> {
        let connection = match self.way().await? {
            Way::Here(core) => {
                return MaildropAdministration::read(&core, maildrop, message, offset, octets_max).await;
            }
            Way::Host(connection) => connection,
        };
        let octets_max = octets_max as u64;
        let request = MaildropAdministrationRequest::Read { maildrop, message, offset, octets_max };
        let answer: Result<Octets, MaildropError> =
            ask(connection, Request::MaildropAdministration(request)).await?;
        answer.map(|octets| octets.0)
    }

    async fn life(&self, maildrop: MaildropId, message: MessageId) -> Result<Life, MaildropError> {
        let connection = match self.way().await? {
            Way::Here(core) => return core.life(maildrop, message).await,
            Way::Host(connection) => connection,
        };
        let request = MaildropAdministrationRequest::Life { maildrop, message };
        let life: Result<LifeText, MaildropError> =
            ask(connection, Request::MaildropAdministration(request)).await?;
        Ok(life?.life().ok_or_else(foreign)?)
    }

    async fn bring_back(
        &self,
        maildrop: MaildropId,
        messages: &[MessageId],
        how: ReturnAs,
    ) -> Result<(), MaildropError> {
        match self.way().await? {
            Way::Here(core) => core.bring_back(maildrop, messages, how).await,
            Way::Host(connection) => {
                let messages = messages.to_vec();
                let request = MaildropAdministrationRequest::BringBack { maildrop, messages, how };
                ask(connection, Request::MaildropAdministration(request)).await?
            }
        }
    }

    async fn purge(&self, maildrop: MaildropId, messages: &[MessageId]) -> Result<(), MaildropError> {
        match self.way().await? {
            Way::Here(core) => core.purge(maildrop, messages).await,
            Way::Host(connection) => {
                let messages = messages.to_vec();
                let request = MaildropAdministrationRequest::Purge { maildrop, messages };
                ask(connection, Request::MaildropAdministration(request)).await?
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::{account, deliver_text, lease, options, read_all};

    #[tokio::test]
    async fn when_the_host_goes_a_sharer_takes_its_place_and_all_mail_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let first = crate::open(options(folder.path())).await.unwrap();
        let second = crate::open(options(folder.path())).await.unwrap();
        let third = crate::open(options(folder.path())).await.unwrap();
        let alice = account(&third, "alice").await.maildrop;
        deliver_text(&second, alice, "one").await;
        let held = lease(&second, alice).await;
        first.close().await;
        drop(held);
        let (asked_second, asked_third) =
            tokio::join!(second.administration.accounts(), third.administration.accounts());
        assert_eq!(asked_second.unwrap(), asked_third.unwrap());
        assert_eq!(read_all(&second, alice).await.len(), 1);
        assert_eq!(read_all(&third, alice).await.len(), 1);
        deliver_text(&third, alice, "two").await;
        second.close().await;
        deliver_text(&third, alice, "three").await;
        assert_eq!(read_all(&third, alice).await.len(), 3);
        third.close().await;
    }
}

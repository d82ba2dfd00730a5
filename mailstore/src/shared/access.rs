//! Application passwords and grants by another process: what is asked of the host, and how the host answers.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use mailwire::address::Mailbox;
use mailwire::secret::Secret;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use super::frame;
use super::member::{Member, Way, ask, foreign};
use super::request::Request;
use super::server;
use crate::embedded::Core;
use crate::{AccessAdministration, Addresses, AdministrationError, AppPassword, AppPasswordName};

#[derive(Serialize, Deserialize)]
pub(crate) enum AccessRequest {
    AddAppPassword { address: String, name: String },
    AppPasswords { address: String },
    RemoveAppPassword { address: String, name: String },
    Grant { address: String, addresses: String },
    Revoke { address: String, addresses: String },
    Grants { address: String },
}

/// Names with the times of their making.
type AppPasswordTexts = Vec<(String, u64)>;

fn app_password((name, created_at): (String, u64)) -> Option<AppPassword> {
    Some(AppPassword { name: AppPasswordName::parse(&name).ok()?, created_at })
}

#[async_trait]
impl AccessAdministration for Member {
    async fn add_app_password(
        &self,
        address: &Mailbox,
        name: &AppPasswordName,
    ) -> Result<Secret<String>, AdministrationError> {
        let connection = match self.way().await? {
            Way::Here(core) => return core.add_app_password(address, name).await,
            Way::Host(connection) => connection,
        };
        let (address, name) = (address.to_string(), name.as_str().to_owned());
        let request = Request::Access(AccessRequest::AddAppPassword { address, name });
        let made: Result<String, AdministrationError> = ask(connection, request).await?;
        made.map(Secret::new)
    }

    async fn app_passwords(&self, address: &Mailbox) -> Result<Vec<AppPassword>, AdministrationError> {
        let connection = match self.way().await? {
            Way::Here(core) => return core.app_passwords(address).await,
            Way::Host(connection) => connection,
        };
        let request = AccessRequest::AppPasswords { address: address.to_string() };
        let found: Result<AppPasswordTexts, AdministrationError> =
            ask(connection, Request::Access(request)).await?;
        let found: Option<_> = found?.into_iter().map(app_password).collect();
        Ok(found.ok_or_else(foreign)?)
    }

    async fn remove_app_password(
        &self,
        address: &Mailbox,
        name: &AppPasswordName,
    ) -> Result<(), AdministrationError> {
        match self.way().await? {
            Way::Here(core) => core.remove_app_password(address, name).await,
            Way::Host(connection) => {
                let (address, name) = (address.to_string(), name.as_str().to_owned());
                let request = AccessRequest::RemoveAppPassword { address, name };
                ask(connection, Request::Access(request)).await?
            }
        }
    }

    async fn grant(&self, address: &Mailbox, addresses: &Addresses) -> Result<(), AdministrationError> {
        match self.way().await? {
            Way::Here(core) => core.grant(address, addresses).await,
            Way::Host(connection) => {
                let (address, addresses) = (address.to_string(), addresses.to_string());
                ask(connection, Request::Access(AccessRequest::Grant { address, addresses })).await?
            }
        }
    }

    async fn revoke(&self, address: &Mailbox, addresses: &Addresses) -> Result<(), AdministrationError> {
        match self.way().await? {
            Way::Here(core) => core.revoke(address, addresses).await,
            Way::Host(connection) => {
                let (address, addresses) = (address.to_string(), addresses.to_string());
                ask(connection, Request::Access(AccessRequest::Revoke { address, addresses })).await?
            }
        }
    }

    async fn grants(&self, address: &Mailbox) -> Result<Vec<Addresses>, AdministrationError> {
        let connection = match self.way().await? {
            Way::Here(core) => return core.grants(address).await,
            Way::Host(connection) => connection,
        };
        let request = AccessRequest::Grants { address: address.to_string() };
        let found: Result<Vec<String>, AdministrationError> =
            ask(connection, Request::Access(request)).await?;
        let found: Option<_> = found?.iter().map(|text| Addresses::parse(text).ok()).collect();
        Ok(found.ok_or_else(foreign)?)
    }
}

/// The host's side.
pub(super) async fn serve(
    stream: &mut UnixStream,
    core: &Arc<Core>,
    request: AccessRequest,
) -> io::Result<()> {
    let name = |text: &str| AppPasswordName::parse(text).map_err(|_| server::foreign());
    let addresses = |text: &str| Addresses::parse(text).map_err(|_| server::foreign());
    let done = match request {
        AccessRequest::AddAppPassword { address, name: text } => {
            let made = core.add_app_password(&server::address(&address)?, &name(&text)?).await;
            let answer = made.map(|password| password.expose().clone());
            return frame::write(stream, &answer).await;
        }
        AccessRequest::AppPasswords { address } => {
            let found = core.app_passwords(&server::address(&address)?).await;
            let texts = |found: Vec<AppPassword>| -> AppPasswordTexts {
                found.into_iter().map(|one| (one.name.as_str().to_owned(), one.created_at)).collect()
            };
            return frame::write(stream, &found.map(texts)).await;
        }
        AccessRequest::Grants { address } => {
            let found = core.grants(&server::address(&address)?).await;
            let texts = |found: Vec<Addresses>| found.iter().map(ToString::to_string).collect::<Vec<_>>();
            return frame::write(stream, &found.map(texts)).await;
        }
        AccessRequest::RemoveAppPassword { address, name: text } => {
            core.remove_app_password(&server::address(&address)?, &name(&text)?).await
        }
        AccessRequest::Grant { address, addresses: text } => {
            core.grant(&server::address(&address)?, &addresses(&text)?).await
        }
        AccessRequest::Revoke { address, addresses: text } => {
            core.revoke(&server::address(&address)?, &addresses(&text)?).await
        }
    };
    frame::write(stream, &done).await
}

//! Rules of accounts by another process: what is asked of the host, and how the host answers.

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
use crate::{AdministrationError, RuleFile, RuleFiles};

#[derive(Serialize, Deserialize)]
pub(crate) enum RuleFilesRequest {
    Set { address: String, rules: Option<RuleFile> },
    Get { address: String },
}

#[async_trait]
impl RuleFiles for Member {
    async fn set_rule_file(
        &self,
        address: &Mailbox,
        rules: Option<RuleFile>,
    ) -> Result<(), AdministrationError> {
        match self.way().await? {
            Way::Here(core) => core.set_rule_file(address, rules).await,
            Way::Host(connection) => {
                let address = address.to_string();
                ask(connection, Request::RuleFiles(RuleFilesRequest::Set { address, rules })).await?
            }
        }
    }

    async fn rule_file(&self, address: &Mailbox) -> Result<Option<RuleFile>, AdministrationError> {
        match self.way().await? {
            Way::Here(core) => core.rule_file(address).await,
            Way::Host(connection) => {
                let address = address.to_string();
                ask(connection, Request::RuleFiles(RuleFilesRequest::Get { address })).await?
            }
        }
    }
}

/// The host's side.
pub(super) async fn serve(
    stream: &mut UnixStream,
    core: &Arc<Core>,
    request: RuleFilesRequest,
) -> io::Result<()> {
    match request {
        RuleFilesRequest::Set { address, rules } => {
            let done = core.set_rule_file(&server::address(&address)?, rules).await;
            frame::write(stream, &done).await
        }
        RuleFilesRequest::Get { address } => {
            let found = core.rule_file(&server::address(&address)?).await;
            frame::write(stream, &found).await
        }
    }
}

//! The relay as a whole: made of its configuration, run until the drain.

use std::sync::Arc;

use mailstore::Store;
use mailwire::address::AddressError;
use mailwire::daemon::config::Server;
use mailwire::net::{HttpsSetupError, Shutdown};
use thiserror::Error;

use super::config::RelayTables;
use super::dispatcher::Dispatcher;
use super::names::{Names, NamesError};
use super::reporter::Reporter;
use super::route::{RouteError, Routes};
use super::security::Trust;
use super::worker::{Common, Means};
use crate::dkim::{Folder, Signatory};
use crate::reports::Tally;

/// Why nothing can be relayed.
#[derive(Debug, Error)]
pub enum RelayError {
    /// A route cannot be used.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// Nobody can be asked about names.
    #[error(transparent)]
    Names(#[from] NamesError),
    /// Nobody is trusted as `ca_file` says.
    #[error("[relay] ca_file cannot be used")]
    Trust(#[from] HttpsSetupError),
    /// The server's own name or domain is wrong.
    #[error("[server] has a name that is none")]
    Server(#[from] AddressError),
}

/// Takes mail out of the queue and to other hosts.
pub struct Relay {
    common: Box<Common>,
}

impl Relay {
    /// By configuration.
    ///
    /// # Errors
    /// See [`RelayError`].
    pub fn new(
        tables: &RelayTables,
        server: &Server,
        names: Names,
        store: &Store,
    ) -> Result<Self, RelayError> {
        let config = &tables.relay;
        let means = Means {
            reporter: Reporter::new(config, server, store)?,
            config: config.clone(),
            routes: Routes::new(config)?,
            names: names.with_policies(&tables.mta_sts, Some(Arc::clone(&store.notes)))?,
            trust: Trust::new(&config.roots())?,
            signatory: Signatory::new(Folder::new(tables.dkim.keys.clone())),
        };
        Ok(Self { common: Box::new(Common::new(means)) })
    }

    /// The same, which counts its sessions for reports.
    pub(crate) fn counting(mut self, tally: Option<Tally>) -> Self {
        self.common.tally = tally;
        self
    }

    /// Relays until the drain has begun and what was under way has come to its end. Whoever drops this future breaks that
    /// off.
    pub async fn run(self, shutdown: Shutdown) {
        Dispatcher::new(Arc::from(self.common), shutdown).run().await;
    }
}

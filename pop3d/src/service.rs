//! The listeners of the daemon: bound at the start, served until the drain is over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mailstore::{Store, door};
use mailwire::daemon::config::Server;
use mailwire::daemon::oauth::Checker;
use mailwire::net::{Door, Listener, Security, ServerTls, Shutdown, Terms};
use thiserror::Error;
use tokio::task::JoinSet;
use tracing::warn;

use crate::Config;
use crate::connection::{self, Context};
use crate::replies;

/// What a daemon shares with the others of its process.
#[derive(Clone)]
pub struct Shared {
    /// Who this server is.
    pub server: Server,
    /// TLS, where there is a certificate.
    pub tls: Option<ServerTls>,
    /// Where the mail lies.
    pub store: Store,
    /// Who checks tokens, where anybody does.
    pub tokens: Option<Arc<Checker>>,
}

/// Why the daemon cannot begin to serve.
#[derive(Debug, Error)]
pub enum BindError {
    /// An address is taken, not ours, or not allowed.
    #[error("[pop3] {service} cannot be served")]
    Listen {
        /// `pop3` or `pop3s`.
        service: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why, with the address in its text.
        #[source]
        source: std::io::Error,
    },
    /// TLS from the first octet needs a certificate.
    #[error("[pop3] pop3s needs TLS: name a certificate and its key in [tls]")]
    NoCertificate,
}

/// Where the daemon listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// In clear at first.
    pub pop3: Vec<SocketAddr>,
    /// With TLS from the first octet.
    pub pop3s: Vec<SocketAddr>,
}

/// POP3 on all its listeners.
pub struct Service {
    listeners: Vec<(Listener, Security)>,
    addresses: Addresses,
    config: Config,
    door: Door,
    context: Arc<Context>,
}

impl Service {
    /// Binds every address of `config`.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn bind(config: &Config, shared: &Shared) -> Result<Self, BindError> {
        let asking = shared.tls.as_ref().map(ServerTls::asking_clients);
        let clear = asking.clone().map_or(Security::Plain, Security::Upgrade);
        let mut listeners: Vec<(Listener, Security)> = Vec::new();
        let mut addresses = Addresses::default();
        for address in &config.pop3 {
            let listener = listen("pop3", *address, &listeners, config)?;
            addresses.pop3.extend(listener.address().network());
            listeners.push((listener, clear.clone()));
        }
        for address in &config.pop3s {
            let tls = asking.clone().ok_or(BindError::NoCertificate)?;
            let listener = listen("pop3s", *address, &listeners, config)?;
            addresses.pop3s.extend(listener.address().network());
            listeners.push((listener, Security::Implicit(tls)));
        }
        let (context, door) = (Arc::new(Context::new(config, shared)), door(&shared.store.guard));
        Ok(Self { listeners, addresses, config: config.clone(), door, context })
    }

    /// Where it listens, in the order of the configuration.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Serves until the drain has begun and every session has ended, or the drain's deadline has passed.
    pub async fn run(self, shutdown: Shutdown) {
        let drain = Duration::from_secs(self.config.drain_seconds);
        let mut running = JoinSet::new();
        for (listener, security) in self.listeners {
            let context = Arc::clone(&self.context);
            let serve = move |connection| connection::serve(connection, Arc::clone(&context));
            let limits = self.config.connection_limits();
            let proxies = self.config.proxies();
            let (refusal, door) = (replies::TOO_MANY_CONNECTIONS, self.door.clone());
            let terms = Terms { security, limits, refusal, proxies, door };
            running.spawn(listener.run(terms, shutdown.clone(), serve));
        }
        let deadline = async {
            shutdown.begun().await;
            tokio::time::sleep(drain).await;
        };
        tokio::select! {
            () = async { while running.join_next().await.is_some() {} } => {}
            () = deadline => warn!(drain_seconds = drain.as_secs(), "sessions were cut off, nothing of theirs is deleted"),
        }
    }
}

/// Binds `address`; all listeners count their connections together.
fn listen(
    service: &'static str,
    address: SocketAddr,
    listeners: &[(Listener, Security)],
    config: &Config,
) -> Result<Listener, BindError> {
    let listener = match listeners.first() {
        Some((first, _)) => first.beside(address),
        None => Listener::bind(address, config.listener_limits()),
    };
    listener.map_err(|source| BindError::Listen { service, address, source })
}

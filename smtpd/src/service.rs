//! The listeners of one configuration, from binding to the end of the drain.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mailstore::{Store, door};
use mailwire::daemon::config::Server;
use mailwire::daemon::oauth::Checker;
use mailwire::net::{
    Connection, ConnectionLimits, Door, ListenAddress, Listener, ListenerLimits, Proxies, Security,
    ServerTls, Shutdown, Terms,
};
use thiserror::Error;
use tokio::task::JoinSet;
use tracing::field::Empty;
use tracing::{Instrument, error, info_span, warn};

use crate::checks::{self, Checks};
use crate::config::Config;
use crate::connection::{Common, Conversation};
use crate::dns::{Resolver, ResolverError};
use crate::gate::{Gate, GateTables, Scanners};
use crate::receiving::Receiving;
use crate::relay::names::{Itself, Names};
use crate::relay::{Relay, RelayError, RelayTables};
use crate::replies;
use crate::reports::{Reports, ReportsError, Tally};
use crate::session::{Kind, Policy, PolicyError};

/// How long sessions may take to say that they end with the drain, and to finish a commit that has begun.
const LAST_WORDS: Duration = Duration::from_millis(750);

/// What the service shares with others of the same process.
#[derive(Clone)]
pub struct Shared {
    /// What this server is called, and whose mail it keeps.
    pub server: Server,
    /// TLS, where there is a certificate.
    pub tls: Option<ServerTls>,
    /// Where mail goes.
    pub store: Store,
    /// Who checks tokens, where anybody does.
    pub tokens: Option<Arc<Checker>>,
    /// Where mail for other domains goes.
    pub relay: RelayTables,
    /// Who may bring mail.
    pub gate: GateTables,
    /// What is looked at in mail from outside.
    pub checks: Checks,
}

/// Why the service cannot begin.
#[derive(Debug, Error)]
pub enum BindError {
    /// An address is taken, not ours, or not allowed.
    #[error("[smtp] {service} cannot be served")]
    Listen {
        /// `reception`, `submission`, `submissions` or `lmtp`.
        service: &'static str,
        /// Where.
        address: ListenAddress,
        /// Why, with the address in its text.
        #[source]
        source: io::Error,
    },
    /// TLS from the first octet needs a certificate.
    #[error("[smtp] submissions needs TLS: name a certificate and its key in [tls]")]
    NoTls,
    /// The server's own names are wrong.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Nothing can be reported.
    #[error(transparent)]
    Reports(#[from] ReportsError),
    /// Nobody can be asked about names.
    #[error("{needed_by} cannot be used")]
    Dns {
        /// The tables of the configuration that need somebody.
        needed_by: String,
        /// Why.
        #[source]
        source: ResolverError,
    },
    /// Mail for other domains cannot be sent there.
    #[error("[relay] cannot be used")]
    Relay(#[from] RelayError),
}

/// Where each listener is bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Port 25.
    pub reception: Vec<SocketAddr>,
    /// Port 587.
    pub submission: Vec<SocketAddr>,
    /// Port 465.
    pub submissions: Vec<SocketAddr>,
    /// LMTP, over TCP or a Unix socket.
    pub lmtp: Vec<ListenAddress>,
}

/// Listeners that are bound and wait for [`Service::run`].
pub struct Service {
    listeners: Vec<Bound>,
    addresses: Addresses,
    limits: ConnectionLimits,
    proxies: Proxies,
    common: Arc<Common>,
    relay: Option<Relay>,
    reports: Option<(Box<Reports>, Tally)>,
}

struct Bound {
    listener: Listener,
    kind: Kind,
    security: Security,
}

impl Service {
    /// Binds every address of the configuration.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn bind(config: &Config, shared: &Shared) -> Result<Self, BindError> {
        let clear = shared.tls.clone().map_or(Security::Plain, Security::Upgrade);
        // Only where somebody logs in is a client asked for its certificate.
        let asking = shared.tls.as_ref().map(ServerTls::asking_clients);
        let limits = config.listener_limits();
        let mut listeners = Vec::new();
        let mut addresses = Addresses::default();
        for listener in listen("reception", &config.reception, limits)? {
            addresses.reception.extend(listener.address().network());
            listeners.push(Bound { listener, kind: Kind::Reception, security: clear.clone() });
        }
        for listener in listen("submission", &config.submission, limits)? {
            addresses.submission.extend(listener.address().network());
            listeners.push(Bound {
                listener,
                kind: Kind::Submission,
                security: asking.clone().map_or(Security::Plain, Security::Upgrade),
            });
        }
        for listener in listen("submissions", &config.submissions, limits)? {
            addresses.submissions.extend(listener.address().network());
            let security = Security::Implicit(asking.clone().ok_or(BindError::NoTls)?);
            listeners.push(Bound { listener, kind: Kind::Submission, security });
        }
        for listener in listen("lmtp", &config.lmtp, limits)? {
            addresses.lmtp.push(listener.address().clone());
            let security = match listener.address() {
                ListenAddress::Tcp(_) => clear.clone(),
                // Nobody can listen in on a Unix socket.
                ListenAddress::Unix(_) => Security::Plain,
            };
            listeners.push(Bound { listener, kind: Kind::Lmtp, security });
        }
        let resolver = resolver(shared)?;
        let reports = reports(shared, resolver.as_ref())?;
        let tally = reports.as_ref().map(|(_, tally)| tally);
        let relay = relay(shared, &addresses, resolver.as_ref())?;
        let counted = tally.filter(|_| shared.relay.reports.tls).cloned();
        let relay = relay.map(|relay| relay.counting(counted));
        Ok(Self {
            listeners,
            addresses,
            relay,
            reports,
            limits: config.connection_limits(),
            proxies: config.proxies(),
            common: Arc::new(Common::new(config, shared, resolver.as_ref())?),
        })
    }

    /// Where each listener is bound, with the real port where the configuration said 0.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Serves until the drain has begun and every session has ended. Whoever has not come to an end within the drain's
    /// time is told so, and cut off a moment later.
    pub async fn run(self, shutdown: Shutdown) {
        let mut running = JoinSet::new();
        for Bound { listener, kind, security } in self.listeners {
            let common = Arc::clone(&self.common);
            let serve = move |connection| serve(kind, Arc::clone(&common), connection);
            let (proxies, door) = match kind {
                Kind::Reception | Kind::Submission => (self.proxies.clone(), door(&self.common.store.guard)),
                // Those who deliver here are at home: they need no proxy, and may come as often as they like.
                Kind::Lmtp => (Proxies::none(), Door::open()),
            };
            let refusal = replies::TOO_MANY_CONNECTIONS;
            let terms = Terms { security, limits: self.limits, refusal, proxies, door };
            running.spawn(listener.run(terms, shutdown.clone(), serve));
        }
        if let Some(relay) = self.relay {
            running.spawn(relay.run(shutdown.clone()));
        }
        if let Some((reports, tally)) = self.reports {
            running.spawn(reports.run(tally, shutdown.clone()));
        }
        let deadline = async {
            shutdown.begun().await;
            tokio::time::sleep(self.limits.drain.saturating_add(LAST_WORDS)).await;
        };
        let drained = async { while running.join_next().await.is_some() {} };
        tokio::select! {
            () = drained => {}
            () = deadline => warn!("sessions cut off at the end of the drain"),
        }
    }
}

impl Common {
    /// What sessions share by this configuration; nothing is bound for it.
    pub(crate) fn new(
        config: &Config,
        shared: &Shared,
        resolver: Option<&Resolver>,
    ) -> Result<Self, PolicyError> {
        let policy = Policy::new(config, &shared.relay.relay, &shared.server)?.with_checks(&shared.checks);
        Ok(Self {
            policy: Arc::new(policy.with_gate(&shared.gate)),
            store: shared.store.clone(),
            receiving: Receiving::new(config.receiving_octets_max),
            error_delay: config.error_delay(),
            tokens: shared.tokens.clone(),
            gate: gate(shared, resolver),
            checker: checker(shared, resolver),
            scanners: Scanners::new(&shared.gate.scan),
        })
    }
}

/// Whom all ask about names, where anybody needs to.
pub(crate) fn resolver(shared: &Shared) -> Result<Option<Resolver>, BindError> {
    let needs = [
        ("[relay]", shared.relay.relay.enabled),
        ("[dnsbl]", shared.gate.asks_lists()),
        ("[greylist]", shared.gate.asks_spf()),
        ("[checks]", shared.checks.is_on()),
        ("[reports]", shared.relay.reports.is_on()),
    ];
    let needed_by: Vec<_> = needs.into_iter().filter(|(_, needs)| *needs).map(|(table, _)| table).collect();
    if needed_by.is_empty() {
        return Ok(None);
    }
    Resolver::new(&shared.relay.dns)
        .map(Some)
        .map_err(|source| BindError::Dns { needed_by: needed_by.join(", "), source })
}

/// Who checks mail from outside, where that is wanted.
fn checker(shared: &Shared, resolver: Option<&Resolver>) -> Option<checks::Checker> {
    let resolver = resolver.filter(|_| shared.checks.is_on())?;
    Some(checks::Checker::new(&shared.checks, resolver, &shared.server.hostname))
}

/// Who brings mail to other domains, where that is wanted.
fn relay(
    shared: &Shared,
    addresses: &Addresses,
    resolver: Option<&Resolver>,
) -> Result<Option<Relay>, RelayError> {
    let Some(resolver) = resolver.filter(|_| shared.relay.relay.enabled) else { return Ok(None) };
    let own = addresses.reception.iter().map(SocketAddr::ip).filter(|address| !address.is_unspecified());
    let itself = Itself { names: [shared.server.hostname.to_lowercase()].into(), addresses: own.collect() };
    let names = Names::asking(resolver.clone(), itself);
    Relay::new(&shared.relay, &shared.server, names, &shared.store).map(Some)
}

/// Who reports to other domains, where that is wanted.
fn reports(
    shared: &Shared,
    resolver: Option<&Resolver>,
) -> Result<Option<(Box<Reports>, Tally)>, ReportsError> {
    let Some(resolver) = resolver.filter(|_| shared.relay.reports.is_on()) else { return Ok(None) };
    let names = Names::asking(resolver.clone(), Itself::default());
    let reports = Reports::new(&shared.relay, &shared.server, names, &shared.store)?;
    Ok(Some((Box::new(reports), Tally::new(&shared.store.recollections))))
}

/// Who looks at strangers; DNS is asked only where there are lists, or where it says whose hosts they are.
fn gate(shared: &Shared, resolver: Option<&Resolver>) -> Gate {
    let resolver = resolver.map(Resolver::for_strangers);
    Gate::new(&shared.gate, resolver.as_ref(), &shared.store.recollections, &shared.server.hostname)
}

/// Listeners for one service; they count their connections together.
fn listen<A: Clone + Into<ListenAddress>>(
    service: &'static str,
    addresses: &[A],
    limits: ListenerLimits,
) -> Result<Vec<Listener>, BindError> {
    let mut listeners: Vec<Listener> = Vec::new();
    for address in addresses {
        let address: ListenAddress = address.clone().into();
        let bound = match listeners.first() {
            Some(first) => first.beside(address.clone()),
            None => Listener::bind(address.clone(), limits),
        };
        listeners.push(bound.map_err(|source| BindError::Listen { service, address, source })?);
    }
    Ok(listeners)
}

async fn serve(kind: Kind, common: Arc<Common>, connection: Connection) {
    let session = match getrandom::u64() {
        // 48 bits tell the sessions of one log apart and stay short in trace fields.
        Ok(random) => format!("{:012x}", random >> 16),
        Err(error) => return error!(%error, "no randomness from the system, connection dropped"),
    };
    let span = info_span!("session", peer = %connection.peer(), session, account = Empty);
    Conversation::new(kind, &common, connection, session).run().instrument(span).await;
}

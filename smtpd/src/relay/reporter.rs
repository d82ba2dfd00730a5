//! Who sends reports, and what is needed for that: the store, and this server's names.

use mailstore::Store;
use mailwire::address::{AddressError, Domain, Mailbox};
use mailwire::daemon::config::Server;

use super::config::RelayConfig;

/// Sends reports.
#[derive(Clone)]
pub(super) struct Reporter {
    pub(super) store: Store,
    pub(super) hostname: Domain,
    /// From whom reports come.
    pub(super) postmaster: Mailbox,
    /// Domains whose mail is kept here.
    pub(super) domains: Vec<Domain>,
    /// Seconds for which a report is tried.
    pub(super) expire_seconds: u64,
    /// Octets up to which a message comes back whole.
    pub(super) returned_octets_max: u64,
}

impl Reporter {
    /// By configuration.
    ///
    /// # Errors
    /// Where the server's own name or a domain is none.
    pub(super) fn new(config: &RelayConfig, server: &Server, store: &Store) -> Result<Self, AddressError> {
        let hostname = Domain::parse(&server.hostname)?;
        let domains = server.domains.iter().map(|name| Domain::parse(name)).collect::<Result<Vec<_>, _>>()?;
        let primary = domains.first().unwrap_or(&hostname);
        Ok(Self {
            store: store.clone(),
            postmaster: Mailbox::parse(&format!("postmaster@{primary}"))?,
            hostname,
            domains,
            expire_seconds: config.expire_seconds,
            returned_octets_max: config.returned_octets_max,
        })
    }
}

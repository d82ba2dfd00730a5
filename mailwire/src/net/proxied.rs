//! Connections that come through a proxy: whom to believe, and the header read before anything else.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::time::timeout;

use super::channel::Channel;
use super::socket::Endpoint;
use super::{Network, Shutdown};
use crate::proxy::{self, Origin, Progress, ProxyError};

/// The proxies whose word is taken. From them the header of the PROXY protocol is required; from anybody else it is not
/// understood, so that nobody can lie about their address.
#[derive(Clone, Debug)]
pub struct Proxies {
    trusted: Arc<[Network]>,
    header: Duration,
}

/// Why a connection from a proxy is not served.
#[derive(Debug, Error)]
pub(super) enum OriginError {
    /// What it began with.
    #[error(transparent)]
    Header(#[from] ProxyError),
    /// Its client's address would be ours.
    #[error("the proxy says that its client is on this machine, which only a proxy on this machine can know")]
    Loopback,
    /// It took too long, or the server is to stop.
    #[error("no PROXY header came within {0:?}")]
    TimedOut(Duration),
    /// The server is to stop.
    #[error("the server is shutting down")]
    Shutdown,
    /// The socket failed, or ended.
    #[error("reading the PROXY header failed")]
    Read(#[source] io::Error),
}

impl Proxies {
    /// Nobody's word is taken.
    #[must_use]
    pub fn none() -> Self {
        Self::new(&[], Duration::ZERO)
    }

    /// The word of these is taken, who have so long to say all of a header.
    #[must_use]
    pub fn new(trusted: &[Network], header: Duration) -> Self {
        Self { trusted: trusted.into(), header }
    }

    /// True where a connection from `peer` begins with a header.
    pub(super) fn trust(&self, peer: Endpoint) -> bool {
        peer.ip().is_some_and(|address| self.trusted.iter().any(|network| network.contains(address)))
    }

    /// Reads the header, and not an octet more. Gives the client and what it has connected to; `None` where these are
    /// the ends of the connection itself.
    pub(super) async fn origin(
        &self,
        channel: &mut Channel,
        proxy: Endpoint,
        shutdown: &Shutdown,
    ) -> Result<Option<(Endpoint, Endpoint)>, OriginError> {
        let origin = tokio::select! {
            biased;
            read = timeout(self.header, read(channel)) => {
                read.map_err(|_| OriginError::TimedOut(self.header))??
            }
            () = shutdown.begun() => return Err(OriginError::Shutdown),
        };
        match origin {
            Origin::Proxy => Ok(None),
            // Programs of this machine may be allowed more, such as a login in clear.
            Origin::Client { source, .. }
                if is_loopback(source.ip()) && !proxy.ip().is_some_and(is_loopback) =>
            {
                Err(OriginError::Loopback)
            }
            Origin::Client { source, destination } => Ok(Some((source.into(), destination.into()))),
        }
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

async fn read(channel: &mut Channel) -> Result<Origin, OriginError> {
    let mut header = Vec::new();
    loop {
        match proxy::parse(&header)? {
            Progress::Complete(origin) => return Ok(origin),
            Progress::Wants(octets) => {
                let read = header.len();
                header.resize(read.saturating_add(octets), 0);
                let rest = header.get_mut(read..).unwrap_or_default();
                channel.read_exactly(rest).await.map_err(OriginError::Read)?;
            }
        }
    }
}

//! TLS with whoever is at the other end: what it keeps out is those who only listen (RFC 7435).

use std::sync::Arc;

use tokio_rustls::rustls::{ClientConfig, Error};

use super::judge::{Judge, Shown, trusting_as};

/// Takes any certificate.
#[derive(Debug)]
struct Anyone;

impl Judge for Anyone {
    fn judge(&self, _: &Shown<'_>) -> Result<(), Error> {
        Ok(())
    }
}

/// A client's configuration that asks nobody who they are: for a server on the same host, whose port could be anybody's of
/// that host in clear as well, and where the choice is between this and no TLS at all.
#[must_use]
pub fn trusting_anyone() -> Arc<ClientConfig> {
    Arc::new(trusting_as(Anyone))
}

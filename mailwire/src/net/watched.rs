//! TLS with whoever is at the other end, while it is noted what a strict client would say: for policies that are being tested
//! (RFC 8461 §5).

use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::client::{Resumption, VerifierBuilderError, WebPkiServerVerifier};
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore};

use super::judge::{Judge, Shown, trusting_as};
use super::tls::use_ring;

/// What a strict client would say of the certificate; one for each connection.
#[derive(Clone, Debug, Default)]
pub struct Watched(Arc<Mutex<Option<Error>>>);

impl Watched {
    /// What is wrong with the certificate; `None` where nothing is, or none was shown.
    #[must_use]
    pub fn objection(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Debug)]
struct Watcher {
    strict: Arc<WebPkiServerVerifier>,
    watched: Watched,
}

impl Judge for Watcher {
    fn judge(&self, shown: &Shown<'_>) -> Result<(), Error> {
        let Shown { end_entity, intermediates, server_name, ocsp_response, now } = *shown;
        let verdict =
            self.strict.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        *self.watched.0.lock().unwrap_or_else(PoisonError::into_inner) = verdict.err();
        Ok(())
    }
}

/// A client's configuration that takes any certificate, and what a client that trusts `roots` would say of the one it is shown.
///
/// # Errors
/// Where there are no roots.
pub fn trusting_watched(
    roots: Arc<RootCertStore>,
) -> Result<(Arc<ClientConfig>, Watched), VerifierBuilderError> {
    use_ring();
    let watched = Watched::default();
    let strict = WebPkiServerVerifier::builder(roots).build()?;
    let mut config = trusting_as(Watcher { strict, watched: watched.clone() });
    // Whoever resumes a session is shown no certificate.
    config.resumption = Resumption::disabled();
    Ok((Arc::new(config), watched))
}

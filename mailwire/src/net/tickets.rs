//! Tickets by which TLS sessions resume (RFC 8446 §2.2), good only while the certificate stays the same.
//!
//! So whoever resumes has seen the certificate that is in use, and `tls-server-end-point` (RFC 5929 §4) is its hash on
//! both sides.

use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::rustls::crypto::ring::Ticketer;
use tokio_rustls::rustls::server::ProducesTickets;

use super::Certificates;
use super::certificates::Pair;

/// Seconds that a ticket lasts where there are none.
const NO_LIFETIME: u32 = 0;

/// Keys for tickets, new ones with each certificate.
#[derive(Debug)]
pub(super) struct Tickets {
    certificates: Arc<Certificates>,
    keys: RwLock<Keys>,
}

#[derive(Clone, Debug)]
struct Keys {
    certificate: Arc<Pair>,
    /// Without randomness there are no tickets, and every handshake is a full one.
    ticketer: Option<Arc<dyn ProducesTickets>>,
}

impl Keys {
    fn new(certificate: Arc<Pair>) -> Self {
        Self { certificate, ticketer: Ticketer::new().ok() }
    }
}

impl Tickets {
    pub(super) fn new(certificates: Arc<Certificates>) -> Self {
        let keys = Keys::new(certificates.in_use());
        Self { certificates, keys: RwLock::new(keys) }
    }

    /// What makes tickets for the certificate that is in use.
    fn ticketer(&self) -> Option<Arc<dyn ProducesTickets>> {
        let certificate = self.certificates.in_use();
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        if Arc::ptr_eq(&keys.certificate, &certificate) {
            return keys.ticketer;
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&keys.certificate, &certificate) {
            *keys = Keys::new(certificate);
        }
        keys.ticketer.clone()
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        self.ticketer().is_some_and(|ticketer| ticketer.enabled())
    }

    fn lifetime(&self) -> u32 {
        self.ticketer().map_or(NO_LIFETIME, |ticketer| ticketer.lifetime())
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.ticketer()?.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.ticketer()?.decrypt(cipher)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_new_certificate_makes_old_tickets_worthless() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        let replace = || {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
            fs::write(&certificate, made.cert.pem()).unwrap();
            fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        };
        replace();
        let certificates = Certificates::load(&certificate, &key).unwrap();
        let tickets = Tickets::new(Arc::clone(&certificates));
        let ticket = tickets.encrypt(b"a session").unwrap();
        assert_eq!(tickets.decrypt(&ticket).unwrap(), b"a session");
        replace();
        certificates.reload().unwrap();
        assert_eq!(tickets.decrypt(&ticket), None);
        let ticket = tickets.encrypt(b"another").unwrap();
        assert_eq!(tickets.decrypt(&ticket).unwrap(), b"another");
    }
}

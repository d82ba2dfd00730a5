//! rustls as mailstack uses it: TLS 1.2 and 1.3 with AEAD and ECDHE (RFC 8996, RFC 9325), by ring.

use std::net::IpAddr;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{self, pki_types::ServerName};

use super::certificates::Pair;
use super::login::Bindable;
use super::tickets::Tickets;
use super::{Certificates, ClientAuthorities};

/// Tickets that a handshake gives away. Mail programs have one connection at a time, and each gives the next ticket; who
/// has more of them makes full handshakes (RFC 8446 §4.6.1).
const TICKETS: usize = 1;

/// What a Received field says of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsDetails {
    /// `TLS1.2` or `TLS1.3`.
    pub version: &'static str,
    /// The suite's registered name.
    pub cipher: String,
}

/// The server's side of TLS, shared by all connections.
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: Arc<rustls::ServerConfig>,
    /// For connections whose clients may show a certificate.
    asking: Option<Arc<rustls::ServerConfig>>,
    certificates: Arc<Certificates>,
    binds_logins: bool,
}

impl ServerTls {
    /// TLS with the certificate that is in use at each handshake.
    #[must_use]
    pub fn new(certificates: Arc<Certificates>) -> Self {
        use_ring();
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        Self { config: finished(config, &certificates), asking: None, certificates, binds_logins: true }
    }

    /// The same, and where it is [asked](Self::asking_clients) for, clients may show a certificate signed by one of these.
    #[must_use]
    pub fn with_client_authorities(mut self, authorities: &ClientAuthorities) -> Self {
        let config = rustls::ServerConfig::builder().with_client_cert_verifier(authorities.verifier());
        self.asking = Some(finished(config, &self.certificates));
        self
    }

    /// The same, and no login can be bound to a connection: SCRAM-SHA-256-PLUS is not offered.
    #[must_use]
    pub fn without_channel_binding(mut self) -> Self {
        self.binds_logins = false;
        self
    }

    /// For connections on which somebody logs in: clients are asked for a certificate, where authorities are known.
    #[must_use]
    pub fn asking_clients(&self) -> Self {
        let config = self.asking.as_ref().unwrap_or(&self.config);
        let certificates = Arc::clone(&self.certificates);
        Self { config: Arc::clone(config), asking: None, certificates, binds_logins: self.binds_logins }
    }

    /// What rustls takes.
    pub(super) fn config(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.config)
    }

    /// The certificate that a handshake shows now.
    pub(super) fn in_use(&self) -> Arc<Pair> {
        self.certificates.in_use()
    }

    /// To what a connection may bind logins; `before` was in use when its handshake began.
    pub(super) fn bindable(&self, before: Arc<Pair>) -> Bindable {
        if !self.binds_logins {
            Bindable::Nothing
        } else if Arc::ptr_eq(&before, &self.in_use()) {
            Bindable::Certificate(before)
        } else {
            Bindable::Connection
        }
    }
}

/// What all of the server's configurations have alike.
fn finished(
    config: rustls::ConfigBuilder<rustls::ServerConfig, rustls::server::WantsServerCert>,
    certificates: &Arc<Certificates>,
) -> Arc<rustls::ServerConfig> {
    let resolver: Arc<dyn rustls::server::ResolvesServerCert> = Arc::<Certificates>::clone(certificates);
    let mut config = config.with_cert_resolver(resolver);
    // Sessions resume by tickets, so the server keeps nothing per client (RFC 8446 §2.2).
    config.ticketer = Arc::new(Tickets::new(Arc::clone(certificates)));
    config.send_tls13_tickets = TICKETS;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Arc::new(config)
}

/// A client's configuration that trusts `roots`.
#[must_use]
pub fn client_config(roots: rustls::RootCertStore) -> Arc<rustls::ClientConfig> {
    use_ring();
    Arc::new(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

/// The name to verify, from a host name or IP address as a user writes it; `None` where it is neither.
#[must_use]
pub fn client_name(host: &str) -> Option<ServerName<'static>> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(ServerName::IpAddress(address.into()));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    ServerName::try_from(name.to_owned()).ok()
}

/// Makes ring the process's provider, where none has been chosen: rustls asks for one by default.
pub(super) fn use_ring() {
    let _ = ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_verifies_names_and_addresses_as_users_write_them() {
        let name = |host: &str| client_name(host).map(|name| name.to_str().into_owned());
        assert_eq!(name("mail.example.org").as_deref(), Some("mail.example.org"));
        assert_eq!(name("mail.example.org.").as_deref(), Some("mail.example.org"));
        assert_eq!(name("127.0.0.1").as_deref(), Some("127.0.0.1"));
        assert_eq!(name("[::1]").as_deref(), Some("::1"));
        assert_eq!(name("not a name"), None);
        assert_eq!(name(""), None);
    }

    #[test]
    fn every_suite_is_aead_with_ephemeral_keys() {
        for suite in ring::default_provider().cipher_suites {
            let name = format!("{:?}", suite.suite());
            assert!(name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_"), "{name}");
            assert!(name.contains("_GCM_") || name.contains("CHACHA20_POLY1305"), "{name}");
        }
    }
}

//! What the tests of this folder share: limits, both ends of a connection on loopback, a certificate.

use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::{
    Certificates, Connection, ConnectionLimits, ServerTls, Shutdown, ShutdownTrigger, client_config,
    client_name,
};

/// Far longer than any test takes.
const AGES: Duration = Duration::from_hours(1);

/// No deadline that a test could meet.
pub(super) const PATIENT: ConnectionLimits = ConnectionLimits {
    handshake: AGES,
    idle: AGES,
    command: AGES,
    content_idle: AGES,
    content_octets_per_second_min: 1,
    write: AGES,
    drain: AGES,
};

/// A deadline that a test waits for.
pub(super) const SOON: Duration = Duration::from_millis(30);

/// A server's connection, its peer, and what begins the drain.
pub(super) struct Ends {
    pub(super) server: Connection,
    pub(super) client: TcpStream,
    pub(super) trigger: ShutdownTrigger,
}

impl Ends {
    pub(super) async fn new(limits: ConnectionLimits, tls: Option<ServerTls>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.set_nodelay(true).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (trigger, shutdown) = Shutdown::new();
        Self { server: Connection::server(stream, tls, limits, shutdown), client, trigger }
    }
}

/// Both sides' configuration for one certificate.
pub(super) struct Tls {
    pub(super) server: ServerTls,
    pub(super) client: Arc<ClientConfig>,
    pub(super) certificate: CertificateDer<'static>,
}

impl Tls {
    pub(super) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let server = ServerTls::new(Certificates::load(&certificate, &key).unwrap());
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap();
        roots.add(certificate.clone()).unwrap();
        Self { server, client: client_config(roots), certificate }
    }

    pub(super) fn name() -> ServerName<'static> {
        client_name("localhost").unwrap()
    }
}

//! What TLS gives to a login: what SCRAM can bind itself to, and whom the client's certificate names.

use std::sync::Arc;

use tokio_rustls::rustls::{self, ProtocolVersion};

use super::certificates::Pair;
use super::end_point::{mailboxes, server_end_point};
use crate::sasl::ChannelBindings;

/// RFC 9266 §2.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// What TLS gives to a login on a server's connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginMeans {
    /// What SCRAM can be bound to.
    pub bindings: ChannelBindings,
    /// The mailboxes in the client's verified certificate.
    pub certificate_logins: Vec<String>,
}

/// To what a server's connection may bind a login.
#[derive(Clone, Debug, Default)]
pub(super) enum Bindable {
    /// To nothing: there is no TLS, or [`super::ServerTls::without_channel_binding`].
    #[default]
    Nothing,
    /// To the connection; nobody knows which certificate its handshake showed.
    Connection,
    /// To the connection, and to this certificate.
    Certificate(Arc<Pair>),
}

/// On the server's side.
pub(super) fn of_server(session: &rustls::Connection, bindable: &Bindable) -> LoginMeans {
    let client = session.peer_certificates().and_then(<[_]>::first);
    LoginMeans {
        bindings: match bindable {
            Bindable::Nothing => ChannelBindings::default(),
            Bindable::Connection => bindings(session, None),
            Bindable::Certificate(shown) => bindings(session, shown.end_point().map(<[u8]>::to_vec)),
        },
        certificate_logins: client.map(|certificate| mailboxes(certificate)).unwrap_or_default(),
    }
}

/// On the client's side.
pub(super) fn of_client(session: &rustls::Connection) -> ChannelBindings {
    let server = session.peer_certificates().and_then(<[_]>::first);
    bindings(session, server.and_then(|certificate| server_end_point(certificate)))
}

fn bindings(session: &rustls::Connection, end_point: Option<Vec<u8>>) -> ChannelBindings {
    ChannelBindings::new(exporter(session), end_point)
}

/// `tls-exporter`, RFC 9266 §2. With TLS 1.2 it needs the extended master secret (§4.2), of which rustls does not tell
/// whether the client had it, so there it is not offered.
fn exporter(session: &rustls::Connection) -> Option<[u8; 32]> {
    if session.protocol_version()? != ProtocolVersion::TLSv1_3 {
        return None;
    }
    match session {
        rustls::Connection::Client(client) => {
            client.export_keying_material([0; 32], EXPORTER_LABEL, Some(&[]))
        }
        rustls::Connection::Server(server) => {
            server.export_keying_material([0; 32], EXPORTER_LABEL, Some(&[]))
        }
    }
    .ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
    use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use super::super::testing::{PATIENT, Tls};
    use super::super::{
        ClientAuthorities, Connection, Door, Listener, ListenerLimits, Proxies, Security, Shutdown, Terms,
    };
    use super::*;

    /// An authority's file, and a client's certificate that it has signed for `mailbox`.
    fn client_certificate(mailbox: &str) -> (tempfile::TempDir, Vec<u8>, Vec<u8>) {
        let authority_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::default();
        leaf.subject_alt_names.push(SanType::Rfc822Name(mailbox.try_into().unwrap()));
        let leaf = leaf.signed_by(&key, &Issuer::new(params, authority_key)).unwrap();
        (folder, leaf.der().to_vec(), key.serialize_der())
    }

    /// What a server learns of a client that connects so, and what the client binds to.
    async fn met(tls: super::super::ServerTls, client: Arc<ClientConfig>) -> (LoginMeans, ChannelBindings) {
        let limits = ListenerLimits { connections_max: 1, connections_per_address_max: 1 };
        let listener = Listener::bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)), limits).unwrap();
        let port = listener.address().network().unwrap().port();
        let (_trigger, shutdown) = Shutdown::new();
        let (learnt, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let security = Security::Implicit(tls);
        let (proxies, door) = (Proxies::none(), Door::open());
        let terms = Terms { security, limits: PATIENT, refusal: b"", proxies, door };
        tokio::spawn(listener.run(terms, shutdown, move |mut connection| {
            let learnt = learnt.clone();
            async move { learnt.send(connection.take_login_means()).unwrap() }
        }));
        let mut connection = Connection::connect("127.0.0.1", port, PATIENT).await.unwrap();
        connection.connect_tls(client, Tls::name()).await.unwrap();
        (heard.recv().await.unwrap(), connection.channel_bindings())
    }

    #[tokio::test]
    async fn both_ends_bind_to_the_same_and_a_client_without_certificate_is_nobody() {
        let tls = Tls::new();
        let (folder, ..) = client_certificate("alice@example.test");
        let authorities = ClientAuthorities::load(&folder.path().join("ca.pem")).unwrap();
        let server = tls.server.with_client_authorities(&authorities).asking_clients();
        let (means, bindings) = met(server, tls.client).await;
        assert!(!bindings.is_empty());
        assert_eq!(means, LoginMeans { bindings, certificate_logins: Vec::new() });
    }

    #[tokio::test]
    async fn no_login_is_bound_where_that_is_switched_off() {
        let tls = Tls::new();
        let (means, bindings) = met(tls.server.without_channel_binding(), tls.client).await;
        assert!(!bindings.is_empty());
        assert_eq!(means, LoginMeans::default());
    }

    #[tokio::test]
    async fn a_verified_certificate_names_the_logins() {
        let tls = Tls::new();
        let (folder, certificate, key) = client_certificate("alice@example.test");
        let authorities = ClientAuthorities::load(&folder.path().join("ca.pem")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(tls.certificate.clone()).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key));
        let client = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate.into()], key)
            .unwrap();
        let server = tls.server.with_client_authorities(&authorities);
        let client = Arc::new(client);
        let (means, _) = met(server.asking_clients(), Arc::clone(&client)).await;
        assert_eq!(means.certificate_logins, ["alice@example.test"]);
        let (means, _) = met(server, client).await;
        assert_eq!(means.certificate_logins, [""; 0], "nobody has asked for it");
    }
}

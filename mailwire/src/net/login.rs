//! What TLS gives to a login: what SCRAM can bind itself to, and whom the client's certificate names.

use std::sync::Arc;

use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ProtocolVersion};

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

/// On the server's side, where `shown` is the certificate that the handshake showed.
pub(super) fn of_server(session: &rustls::Connection, shown: Option<&Arc<CertifiedKey>>) -> LoginMeans {
    let client = session.peer_certificates().and_then(<[_]>::first);
    LoginMeans {
        bindings: bindings(session, shown.and_then(|key| key.cert.first()).map(AsRef::as_ref)),
        certificate_logins: client.map(|certificate| mailboxes(certificate)).unwrap_or_default(),
    }
}

/// On the client's side.
pub(super) fn of_client(session: &rustls::Connection) -> ChannelBindings {
    let server = session.peer_certificates().and_then(<[_]>::first);
    bindings(session, server.map(AsRef::as_ref))
}

fn bindings(session: &rustls::Connection, certificate: Option<&[u8]>) -> ChannelBindings {
    ChannelBindings::new(exporter(session), certificate.and_then(server_end_point))
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

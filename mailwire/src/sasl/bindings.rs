//! What SCRAM can bind itself to on a TLS connection (RFC 5056): `tls-exporter` (RFC 9266) and
//! `tls-server-end-point` (RFC 5929 §4).

use crate::secret::Secret;

/// Octets of `tls-exporter` (RFC 9266 §2).
pub(super) const EXPORTER_OCTETS: usize = 32;

/// The channel binding data of one connection; without TLS there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelBindings {
    exporter: Option<Secret<[u8; EXPORTER_OCTETS]>>,
    server_end_point: Option<Vec<u8>>,
}

impl ChannelBindings {
    /// Of a connection that has these.
    #[must_use]
    pub const fn new(exporter: Option<[u8; EXPORTER_OCTETS]>, server_end_point: Option<Vec<u8>>) -> Self {
        let exporter = match exporter {
            Some(octets) => Some(Secret::new(octets)),
            None => None,
        };
        Self { exporter, server_end_point }
    }

    /// True where there is nothing to bind to.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.exporter.is_none() && self.server_end_point.is_none()
    }

    /// The data of the type of that registered name.
    pub(super) fn data(&self, name: &str) -> Option<&[u8]> {
        match name {
            "tls-exporter" => self.exporter.as_ref().map(|octets| octets.expose().as_slice()),
            "tls-server-end-point" => self.server_end_point.as_deref(),
            _ => None,
        }
    }

    /// What a client binds to: `tls-exporter` where it can, since that is of the connection and not of the certificate.
    pub(super) fn preferred(&self) -> Option<(&'static str, &[u8])> {
        ["tls-exporter", "tls-server-end-point"]
            .into_iter()
            .find_map(|name| self.data(name).map(|data| (name, data)))
    }
}

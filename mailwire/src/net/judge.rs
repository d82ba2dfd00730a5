//! How a client checks certificates: whom it trusts is a judge's business, the handshake is checked for all alike.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::tls::use_ring;

/// What a server shows.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Its certificate.
    pub end_entity: &'a CertificateDer<'a>,
    /// Those that come with it.
    pub intermediates: &'a [CertificateDer<'a>],
    /// The name by which it was called.
    pub server_name: &'a ServerName<'a>,
    /// What its authority says of it; empty where it shows nothing.
    pub ocsp_response: &'a [u8],
    /// When it was shown.
    pub now: UnixTime,
}

/// Decides whether a server is the right one. That it has the key of its certificate is checked in any case.
pub trait Judge: fmt::Debug + Send + Sync {
    /// Whether the certificate is trusted.
    ///
    /// # Errors
    /// Where it is not.
    fn judge(&self, shown: &Shown<'_>) -> Result<(), Error>;
}

/// A client's configuration that trusts whom `judge` trusts.
#[must_use]
pub fn trusting_as(judge: impl Judge + 'static) -> ClientConfig {
    use_ring();
    let verifier = Verifier { judge, provider: ring::default_provider() };
    let config = ClientConfig::builder().dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    config.with_no_client_auth()
}

#[derive(Debug)]
struct Verifier<J> {
    judge: J,
    provider: CryptoProvider,
}

impl<J: Judge> ServerCertVerifier for Verifier<J> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge.judge(&Shown { end_entity, intermediates, server_name, ocsp_response, now })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

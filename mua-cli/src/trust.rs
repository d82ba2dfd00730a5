//! Which certificates are trusted: the system's, those of `--cert-file`, and any where the server is on this host.

use std::path::Path;
use std::sync::Arc;

use mailwire::net::trusting_anyone;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, crypto,
};

use crate::failure::{Exit, Failure};
use crate::server::Server;

/// Certificates that are taken from one file.
const CERTIFICATES_MAX: usize = 1000;

/// What the server's certificate is compared with: the system's roots, and certificates that the user has named.
#[derive(Debug)]
struct Trust {
    verifier: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

/// Verifies what the user trusts; the handshake's signatures are verified in any case.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    trust: Trust,
}

/// TLS to `server`, trusting what the user trusts.
pub(crate) fn client_config(server: &Server, cert_file: Option<&Path>) -> Result<Arc<ClientConfig>, Failure> {
    let provider = Arc::new(ring::default_provider());
    let trust = match cert_file {
        // Its port could be anybody's of this host, in TLS or in clear.
        None if server.is_local() => return Ok(trusting_anyone()),
        None => roots(Vec::new(), &provider)?,
        Some(path) => roots(certificates(path)?, &provider)?,
    };
    let unusable = |error: Error| Failure::caused(Exit::Protocol, "TLS cannot be set up", &error);
    let verifier = Arc::new(Verifier { provider: Arc::clone(&provider), trust });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn roots(named: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> Result<Trust, Failure> {
    let mut store = RootCertStore::empty();
    // A system's broken certificate is no reason to fail while another one may do.
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    store.add_parsable_certificates(named.iter().cloned());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
        .build()
        .map_err(|error| {
            Failure::caused(Exit::Unavailable, "this system trusts no certificate at all", &error)
                .advise("Install the system's CA certificates, or name the server's own by --cert-file.")
        })?;
    Ok(Trust { verifier, named })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::caused(Exit::NoInput, format!("reading certificates from {} failed", path.display()), error)
    };
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| failed(&error))? {
        certificates.push(certificate.map_err(|error| failed(&error))?);
        if certificates.len() > CERTIFICATES_MAX {
            break;
        }
    }
    if certificates.is_empty() {
        return Err(Failure::new(
            Exit::NoInput,
            format!("{} holds no certificate in PEM form", path.display()),
        ));
    }
    Ok(certificates)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Trust { verifier, named } = &self.trust;
        if named.iter().any(|certificate| certificate == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Protocol;

    const NOT_A_CERTIFICATE: &[u8] = b"not a certificate";

    fn accepts(trust: Trust, certificate: &[u8]) -> bool {
        let verifier = Verifier { provider: Arc::new(ring::default_provider()), trust };
        let name = ServerName::try_from("mail.example.test").unwrap();
        let certificate = CertificateDer::from(certificate);
        verifier.verify_server_cert(&certificate, &[], &name, &[], UnixTime::now()).is_ok()
    }

    fn named(certificates: &[&'static [u8]]) -> Trust {
        let provider = Arc::new(ring::default_provider());
        roots(certificates.iter().map(|octets| CertificateDer::from(*octets)).collect(), &provider).unwrap()
    }

    #[test]
    fn a_named_certificate_is_trusted_and_another_is_not() {
        assert!(accepts(named(&[b"one", b"two"]), b"two"));
        assert!(!accepts(named(&[b"one"]), b"two"));
        assert!(!accepts(named(&[]), NOT_A_CERTIFICATE));
    }

    #[test]
    fn only_a_local_server_without_a_named_certificate_goes_unchecked() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let local = Server::parse(Protocol::Smtp, "smtp://127.0.0.1").unwrap();
        assert!(client_config(&local, None).is_ok());
        let failure = client_config(&local, Some(file.path())).unwrap_err();
        assert_eq!(failure.exit(), Exit::NoInput);
        let missing = client_config(&local, Some(Path::new("/nonexistent/certificate.pem"))).unwrap_err();
        assert_eq!(missing.exit(), Exit::NoInput);
    }
}

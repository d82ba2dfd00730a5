//! Which certificates are trusted: the system's, those of `--cert-file`, and any where the server is on this host.

use std::path::Path;
use std::sync::Arc;

use mailwire::net::{Judge, Shown, trusting_anyone, trusting_as};
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier as _;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore};

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

/// TLS to `server`, trusting what the user trusts.
pub(crate) fn client_config(server: &Server, cert_file: Option<&Path>) -> Result<Arc<ClientConfig>, Failure> {
    match cert_file {
        // Its port could be anybody's of this host, in TLS or in clear.
        None if server.is_local() => Ok(trusting_anyone()),
        None => Ok(Arc::new(trusting_as(roots(Vec::new())?))),
        Some(path) => Ok(Arc::new(trusting_as(roots(certificates(path)?)?))),
    }
}

fn roots(named: Vec<CertificateDer<'static>>) -> Result<Trust, Failure> {
    let mut store = RootCertStore::empty();
    // A system's broken certificate is no reason to fail while another one may do.
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    store.add_parsable_certificates(named.iter().cloned());
    let provider = Arc::new(ring::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build().map_err(|error| {
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

impl Judge for Trust {
    fn judge(&self, shown: &Shown<'_>) -> Result<(), Error> {
        if self.named.iter().any(|certificate| certificate == shown.end_entity) {
            return Ok(());
        }
        let Shown { end_entity, intermediates, server_name, ocsp_response, now } = *shown;
        let verified =
            self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        verified.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};

    use super::*;
    use crate::server::Protocol;

    const NOT_A_CERTIFICATE: &[u8] = b"not a certificate";

    fn accepts(trust: &Trust, certificate: &[u8]) -> bool {
        let shown = Shown {
            end_entity: &CertificateDer::from(certificate),
            intermediates: &[],
            server_name: &ServerName::try_from("mail.example.test").unwrap(),
            ocsp_response: &[],
            now: UnixTime::now(),
        };
        trust.judge(&shown).is_ok()
    }

    fn named(certificates: &[&'static [u8]]) -> Trust {
        roots(certificates.iter().map(|octets| CertificateDer::from(*octets)).collect()).unwrap()
    }

    #[test]
    fn a_named_certificate_is_trusted_and_another_is_not() {
        assert!(accepts(&named(&[b"one", b"two"]), b"two"));
        assert!(!accepts(&named(&[b"one"]), b"two"));
        assert!(!accepts(&named(&[]), NOT_A_CERTIFICATE));
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

//! A certificate authority of the test, the server's certificate by it, and trust in it.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use rustls_pki_types::CertificateDer;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The name that the certificate is for.
pub const HOST: &str = "mail.example.test";

/// Files for servers and clients, and trust for our own.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// What clients trust, in PEM form.
    pub authority: PathBuf,
    /// The server's certificate and its issuer, in PEM form.
    pub chain: PathBuf,
    /// The server's key, in PEM form.
    pub key: PathBuf,
    /// How our own clients trust it.
    pub trust: Arc<ClientConfig>,
}

impl Certificate {
    /// Makes a certificate for [`HOST`], `localhost` and 127.0.0.1, and writes its files into `folder`.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn make(folder: &Path) -> io::Result<Self> {
        let authority_key = KeyPair::generate().map_err(io::Error::other)?;
        let mut parameters = CertificateParams::default();
        // OpenSSL takes a certificate whose issuer has its own name for one that it issued itself.
        parameters.distinguished_name.push(DnType::CommonName, "authority of the test");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = parameters.self_signed(&authority_key).map_err(io::Error::other)?;
        let issuer = Issuer::new(parameters, authority_key);

        let key = KeyPair::generate().map_err(io::Error::other)?;
        let names = [HOST.to_owned(), "localhost".to_owned()];
        let mut parameters = CertificateParams::new(names).map_err(io::Error::other)?;
        parameters.distinguished_name.push(DnType::CommonName, HOST);
        parameters.subject_alt_names.push(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
        let leaf = parameters.signed_by(&key, &issuer).map_err(io::Error::other)?;

        let certificate = Self {
            authority: folder.join("authority.pem"),
            chain: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            trust: trust(authority.der())?,
        };
        std::fs::write(&certificate.authority, authority.pem())?;
        std::fs::write(&certificate.chain, leaf.pem() + &authority.pem())?;
        std::fs::write(&certificate.key, key.serialize_pem())?;
        Ok(certificate)
    }
}

fn trust(authority: &CertificateDer<'static>) -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).map_err(io::Error::other)?;
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

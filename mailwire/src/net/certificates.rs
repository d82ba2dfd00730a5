//! The server's certificate and key: read, checked, and taken up again when the files change.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use thiserror::Error;
use tokio_rustls::rustls;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::CertifiedKey;
use tracing::{error, info};

use super::end_point::server_end_point;
use crate::cause::chain;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Most octets of a certificate or key file: a chain of certificates has some thousand.
const FILE_OCTETS_MAX: u64 = 1 << 20;

/// Why a certificate or key cannot be used.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("reading {path} failed")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file holds no certificate or no key.
    #[error("{path} holds no {what} in PEM form")]
    Missing {
        /// Which file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// rustls refuses whom client certificates shall be signed by.
    #[error("the authorities in {path} cannot be used for client certificates")]
    Authorities {
        /// Which file.
        path: PathBuf,
        /// What rustls says.
        #[source]
        source: rustls::server::VerifierBuilderError,
    },
    /// rustls refuses the pair.
    #[error("the certificate in {certificate} and the key in {key} do not fit together or are damaged")]
    Unusable {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
        /// What rustls says.
        #[source]
        source: rustls::Error,
    },
}

/// Who must have signed a client's certificate.
#[derive(Clone, Debug)]
pub struct ClientAuthorities(Arc<dyn ClientCertVerifier>);

impl ClientAuthorities {
    /// Reads the authorities' certificates. Clients may show a certificate; who shows none is served as well.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn load(path: &Path) -> Result<Self, CertificateError> {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in certificates_in(path)? {
            roots.add(certificate).map_err(|_| missing(path))?;
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .allow_unauthenticated()
            .build()
            .map_err(|source| CertificateError::Authorities { path: path.to_owned(), source })?;
        Ok(Self(verifier))
    }

    /// What rustls takes.
    pub(super) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.0)
    }
}

/// The certificates in a file, one at least.
pub(super) fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let octets = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&octets).collect();
    certificates.ok().filter(|found| !found.is_empty()).ok_or_else(|| missing(path))
}

fn missing(path: &Path) -> CertificateError {
    CertificateError::Missing { path: path.to_owned(), what: "certificate" }
}

/// A certificate with its key.
#[derive(Debug)]
pub(super) struct Pair {
    key: Arc<CertifiedKey>,
    end_point: Option<Vec<u8>>,
}

impl Pair {
    fn new(key: CertifiedKey) -> Self {
        let end_point = key.cert.first().and_then(|certificate| server_end_point(certificate));
        Self { key: Arc::new(key), end_point }
    }

    /// Its `tls-server-end-point`, worked out once for all connections that show it.
    pub(super) fn end_point(&self) -> Option<&[u8]> {
        self.end_point.as_deref()
    }
}

/// The certificate in use. A broken file never replaces it.
#[derive(Debug)]
pub struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    in_use: RwLock<Arc<Pair>>,
    seen: Mutex<Stamps>,
}

impl Certificates {
    /// Reads and checks the pair.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn load(certificate: &Path, key: &Path) -> Result<Arc<Self>, CertificateError> {
        let seen = Stamps::of(certificate, key);
        let pair = read_pair(certificate, key)?;
        Ok(Arc::new(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            in_use: RwLock::new(Arc::new(Pair::new(pair))),
            seen: Mutex::new(seen),
        }))
    }

    /// Reads the files again; on an error the pair in use stays.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn reload(&self) -> Result<(), CertificateError> {
        // Taken before the files are read: a change meanwhile is then seen at the next look.
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = self.stamps();
        let pair = read_pair(&self.certificate, &self.key)?;
        *self.in_use.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Pair::new(pair));
        Ok(())
    }

    /// Looks at the files about once a second and reloads them when they have changed, until the drain begins;
    /// says at `info` that a new certificate is in use and at `error` (once) that a broken one is not.
    pub async fn watch(self: Arc<Self>, shutdown: super::Shutdown) {
        let mut broken = None;
        while tokio::time::timeout(LOOK, shutdown.begun()).await.is_err() {
            let certificates = Arc::clone(&self);
            let look = tokio::task::spawn_blocking(move || certificates.look(broken));
            match look.await {
                Ok(found) => broken = found,
                Err(_) => return,
            }
        }
    }

    /// One look. `broken` is what the look before could not use; what this one cannot use is returned.
    ///
    /// Certificate and key are two files: a look between their replacements finds a pair that does not fit. So a
    /// broken pair is reported when the next look finds it unchanged.
    fn look(&self, broken: Option<CertificateError>) -> Option<CertificateError> {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if self.stamps() == seen {
            if let Some(problem) = broken {
                let problem = chain(&problem);
                error!(problem, "the new certificate cannot be used, the old one stays in use");
            }
            return None;
        }
        let before = self.in_use();
        match self.reload() {
            Ok(()) if self.in_use().key.cert == before.key.cert => None,
            Ok(()) => {
                info!(certificate = %self.certificate.display(), "a new certificate is in use");
                None
            }
            Err(problem) => Some(problem),
        }
    }

    /// The SHA-256 fingerprint of the certificate in use, as `openssl x509 -fingerprint -sha256` shows it.
    #[must_use]
    pub fn fingerprint(&self) -> Option<String> {
        // rustls has no hash of its own to offer; each suite carries one.
        let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13()?;
        let in_use = self.in_use();
        let hash = suite.common.hash_provider.hash(in_use.key.end_entity_cert().ok()?);
        let octets: Vec<_> = hash.as_ref().iter().map(|octet| format!("{octet:02X}")).collect();
        Some(octets.join(":"))
    }

    fn stamps(&self) -> Stamps {
        Stamps::of(&self.certificate, &self.key)
    }

    /// The pair that a handshake shows now.
    pub(super) fn in_use(&self) -> Arc<Pair> {
        Arc::clone(&self.in_use.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.in_use().key))
    }
}

/// By which a changed file is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamps {
    certificate: Option<Stamp>,
    key: Option<Stamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    octets: u64,
    changed: (i64, i64),
}

impl Stamps {
    fn of(certificate: &Path, key: &Path) -> Self {
        Self { certificate: Stamp::of(certificate), key: Stamp::of(key) }
    }
}

impl Stamp {
    /// `None` where there is no such file, which is a state like another.
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            inode: metadata.ino(),
            octets: metadata.len(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

/// Both files, checked against each other.
fn read_pair(certificate: &Path, key: &Path) -> Result<CertifiedKey, CertificateError> {
    let missing = |path: &Path, what| CertificateError::Missing { path: path.to_owned(), what };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<Result<_, _>>()
        .map_err(|_| missing(certificate, "certificate"))?;
    if chain.is_empty() {
        return Err(missing(certificate, "certificate"));
    }
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| missing(key, "private key"))?;
    CertifiedKey::from_der(chain, private, &ring::default_provider()).map_err(|source| {
        CertificateError::Unusable { certificate: certificate.to_owned(), key: key.to_owned(), source }
    })
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let failed = |source| CertificateError::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(failed)?.len() > FILE_OCTETS_MAX {
        return Err(failed(std::io::ErrorKind::FileTooLarge.into()));
    }
    fs::read(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files {
        folder: tempfile::TempDir,
    }

    impl Files {
        fn new() -> Self {
            let files = Self { folder: tempfile::tempdir().unwrap() };
            files.replace();
            files
        }

        fn certificate(&self) -> PathBuf {
            self.folder.path().join("certificate.pem")
        }

        fn key(&self) -> PathBuf {
            self.folder.path().join("key.pem")
        }

        /// A new pair, put in place by renames.
        fn replace(&self) {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
            self.put(&self.certificate(), &made.cert.pem());
            self.put(&self.key(), &made.signing_key.serialize_pem());
        }

        fn put(&self, path: &Path, text: &str) {
            let new = self.folder.path().join("new");
            fs::write(&new, text).unwrap();
            fs::rename(new, path).unwrap();
        }

        fn load(&self) -> Arc<Certificates> {
            Certificates::load(&self.certificate(), &self.key()).unwrap()
        }
    }

    #[test]
    fn a_new_pair_is_taken_up_and_a_broken_one_leaves_the_old_in_use() {
        let files = Files::new();
        let certificates = files.load();
        let first = certificates.in_use().key.cert.clone();

        files.replace();
        certificates.reload().unwrap();
        let second = certificates.in_use().key.cert.clone();
        assert_ne!(first, second);

        files.put(&files.certificate(), "not a certificate");
        assert!(matches!(certificates.reload(), Err(CertificateError::Missing { .. })));
        fs::remove_file(files.certificate()).unwrap();
        assert!(matches!(certificates.reload(), Err(CertificateError::Read { .. })));
        assert_eq!(certificates.in_use().key.cert, second);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let files = Files::new();
        let other = Files::new();
        let refused = Certificates::load(&files.certificate(), &other.key());
        assert!(matches!(refused, Err(CertificateError::Unusable { .. })));
    }

    #[test]
    fn a_look_takes_up_a_change_and_reports_a_broken_pair_only_when_it_stays_broken() {
        let files = Files::new();
        let certificates = files.load();
        let first = certificates.in_use().key.cert.clone();
        assert!(certificates.look(None).is_none());

        files.replace();
        assert!(certificates.look(None).is_none());
        assert_ne!(certificates.in_use().key.cert, first);

        let second = certificates.in_use().key.cert.clone();
        files.put(&files.key(), "not a key");
        let broken = certificates.look(None);
        assert!(matches!(broken, Some(CertificateError::Missing { .. })));
        assert!(certificates.look(broken).is_none(), "said once, then forgotten");
        assert_eq!(certificates.in_use().key.cert, second);
    }

    #[test]
    fn the_fingerprint_is_of_the_certificate_in_use() {
        let files = Files::new();
        let certificates = files.load();
        let first = certificates.fingerprint().unwrap();
        assert_eq!(first.len(), 32 * 3 - 1);
        assert!(first.split(':').all(|octet| u8::from_str_radix(octet, 16).is_ok()), "{first}");
        files.replace();
        assert_eq!(certificates.fingerprint().unwrap(), first);
        certificates.reload().unwrap();
        assert_ne!(certificates.fingerprint().unwrap(), first);
    }

    #[test]
    fn the_error_names_the_file() {
        let missing =
            Certificates::load(Path::new("/nonexistent/certificate.pem"), Path::new("/nonexistent/key"));
        let text = chain(&missing.unwrap_err());
        assert!(text.starts_with("reading /nonexistent/certificate.pem failed: "), "{text}");
    }
}

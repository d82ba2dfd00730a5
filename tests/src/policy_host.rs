//! A host of MTA-STS policies on loopback: HTTPS for any domains, with an authority of its own.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::deadline::PATIENCE;

/// Where a policy lies (RFC 8461 §3.3).
const PATH: &str = "/.well-known/mta-sts.txt";
/// Most octets of a question.
const QUESTION_OCTETS_MAX: usize = 16 << 10;

/// The host; it ends with this.
pub struct PolicyHost {
    address: SocketAddr,
    authority: String,
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Status, media type and content, by domain.
    answers: BTreeMap<String, (u16, String, String)>,
    asked: Vec<String>,
    ended: bool,
}

impl PolicyHost {
    /// For these domains; its certificate is for `mta-sts.` of each.
    ///
    /// # Errors
    /// Where it cannot listen.
    pub fn start(domains: &[&str]) -> io::Result<Self> {
        let authority_key = KeyPair::generate().map_err(io::Error::other)?;
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "authority of the policies");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = parameters.self_signed(&authority_key).map_err(io::Error::other)?;
        let issuer = Issuer::new(parameters, authority_key);
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let names: Vec<_> = domains.iter().map(|domain| format!("mta-sts.{domain}")).collect();
        let parameters = CertificateParams::new(names).map_err(io::Error::other)?;
        let certificate = parameters.signed_by(&key, &issuer).map_err(io::Error::other)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(io::Error::other)?;

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, tls) = (listener.local_addr()?, Arc::new(tls));
        let shared = Arc::<Mutex<Shared>>::default();
        let answering = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if lock(&answering).ended {
                    return;
                }
                // Whoever does not finish a question is no concern of this thread's.
                let _ = serve(stream, &tls, &answering);
            }
        });
        Ok(Self { address, authority: authority.pem(), shared, thread: Some(thread) })
    }

    /// Shows this policy from now on.
    pub fn set(&self, domain: &str, policy: &str) {
        self.answer(domain, 200, "text/plain", policy);
    }

    /// Answers with this status, media type and content from now on; without any, it is 404.
    pub fn answer(&self, domain: &str, status: u16, media_type: &str, content: &str) {
        let answer = (status, media_type.to_owned(), content.to_owned());
        lock(&self.shared).answers.insert(domain.to_owned(), answer);
    }

    /// How often the domain's policy was asked for.
    #[must_use]
    pub fn times_asked(&self, domain: &str) -> usize {
        lock(&self.shared).asked.iter().filter(|asked| *asked == domain).count()
    }

    /// The certificate of its authority, in PEM form.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The table `[mta_sts]` of a configuration that finds this host, with `more` lines; the authority's file is made in
    /// `folder`. In DNS, `mta-sts` of each domain must have the address 127.0.0.1.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn table(&self, folder: &Path, more: &str) -> io::Result<String> {
        let file = folder.join("policy-authority.pem");
        std::fs::write(&file, &self.authority)?;
        let (port, file) = (self.address.port(), file.display());
        Ok(format!("[mta_sts]\nport = {port}\nca_file = \"{file}\"\n{more}\n"))
    }
}

impl Drop for PolicyHost {
    fn drop(&mut self) {
        lock(&self.shared).ended = true;
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: TcpStream, tls: &Arc<ServerConfig>, shared: &Mutex<Shared>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let session = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(session, stream);
    let mut question = Vec::new();
    while !question.ends_with(b"\r\n\r\n") && question.len() < QUESTION_OCTETS_MAX {
        let mut octet = [0];
        stream.read_exact(&mut octet)?;
        question.extend_from_slice(&octet);
    }
    let (status, media_type, content) = answer(&String::from_utf8_lossy(&question), &mut lock(shared));
    let length = content.len();
    let head = format!("HTTP/1.1 {status} So\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n");
    stream.write_all(format!("{head}Connection: close\r\n\r\n{content}").as_bytes())?;
    stream.flush()
}

fn answer(question: &str, shared: &mut Shared) -> (u16, String, String) {
    let host = question.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim())
    });
    let domain = host.and_then(|host| host.split(':').next()?.strip_prefix("mta-sts."));
    let found = domain.filter(|_| question.starts_with(&format!("GET {PATH} "))).and_then(|domain| {
        shared.asked.push(domain.to_owned());
        shared.answers.get(domain).cloned()
    });
    found.unwrap_or_else(|| (404, "text/plain".to_owned(), String::new()))
}

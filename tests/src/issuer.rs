//! An OAuth server on loopback: it makes tokens, shows its keys, and answers questions about tokens.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificate::Certificate;
use crate::deadline::PATIENCE;

/// What the issuer calls itself.
pub const ISSUER: &str = "https://issuer.example.test/realms/mail";
/// Long past, and long after any test.
pub const PAST: u64 = 1_300_819_380;
/// See [`PAST`].
pub const FUTURE: u64 = 4_102_444_800;
/// Whom its tokens are for.
pub const AUDIENCE: &str = "mailstack";
/// A machine that is busy with other tests may take its time.
const UNHURRIED: &str = "answer_seconds = 60";
/// The client that may ask it, with a secret that has to be escaped (RFC 6749 §2.3.1).
const CLIENT: &str = "mail server";
/// The secret of the client as which a daemon asks.
pub const SECRET: &str = "s3cret/of+the:server";

/// The server; it ends with this.
pub struct Issuer {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread that answers and the test have in common.
struct Shared {
    state: State,
    key: Key,
    /// What is answered about the tokens that are active.
    active: BTreeMap<String, String>,
    /// The path of each question.
    asked: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Answers,
    /// Connections are closed without a word.
    Away,
    Ended,
}

struct Key {
    number: u32,
    pair: EcdsaKeyPair,
}

impl Key {
    fn new(number: u32) -> io::Result<Self> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| cannot("make"))?;
        let pair =
            EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).map_err(|_| cannot("read"))?;
        Ok(Self { number, pair })
    }

    fn set(&self) -> String {
        let point = self.pair.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let number = self.number;
        format!(
            r#"{{"keys":[{{"kty":"EC","use":"sig","kid":"key-{number}","crv":"P-256","x":"{x}","y":"{y}"}}]}}"#
        )
    }

    fn sign(&self, claims: &str) -> io::Result<String> {
        let header = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"key-{}"}}"#, self.number);
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), input.as_bytes()).map_err(|_| cannot("use"))?;
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn cannot(what: &str) -> io::Error {
    io::Error::other(format!("the issuer cannot {what} its key"))
}

impl Issuer {
    /// An issuer that is asked in clear.
    ///
    /// # Errors
    /// Where it cannot listen.
    pub fn new() -> io::Result<Self> {
        Self::start(None)
    }

    /// One that is asked by TLS, with this certificate.
    ///
    /// # Errors
    /// Where it cannot listen.
    pub fn by_tls(certificate: &Certificate) -> io::Result<Self> {
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(&certificate.chain).map_err(io::Error::other)?.collect();
        let key = PrivateKeyDer::from_pem_file(&certificate.key).map_err(io::Error::other)?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain.map_err(io::Error::other)?, key)
            .map_err(io::Error::other)?;
        Self::start(Some(Arc::new(config)))
    }

    fn start(tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (active, asked) = (BTreeMap::new(), Vec::new());
        let shared = Shared { state: State::Answers, key: Key::new(1)?, active, asked };
        let shared = Arc::new(Mutex::new(shared));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let answering = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                match lock(&answering).state {
                    State::Ended => return,
                    State::Away => continue,
                    State::Answers => {}
                }
                // Whoever does not finish a question is no concern of this thread's.
                let _ = serve(stream, tls.as_ref(), &answering);
            }
        });
        Ok(Self { address, scheme, shared, thread: Some(thread) })
    }

    /// The table `[oauth]` for the issuer's keys, with `more` lines.
    #[must_use]
    pub fn keys_table(&self, more: &str) -> String {
        let url = self.url("/jwks");
        format!(
            "[oauth]\njwks_url = \"{url}\"\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\n{UNHURRIED}\n{more}\n"
        )
    }

    /// The table `[oauth]` for questions to the issuer, with `more` lines; the secret's file is written into `folder`.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn questions_table(&self, folder: &Path, more: &str) -> io::Result<String> {
        let secret = folder.join("client-secret");
        std::fs::write(&secret, format!("{SECRET}\n"))?;
        let (url, secret) = (self.url("/introspect"), secret.display());
        Ok(format!(
            "[oauth]\nintrospection_url = \"{url}\"\nclient_id = \"{CLIENT}\"\nclient_secret_file = \"{secret}\"\n{UNHURRIED}\n{more}\n"
        ))
    }

    fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// A signed token for that login, good until then, in seconds since 1970.
    ///
    /// # Errors
    /// Where it cannot be signed.
    pub fn signed(&self, login: &str, until: u64) -> io::Result<String> {
        let claims = format!(
            r#"{{"iss":"{ISSUER}","aud":["other","{AUDIENCE}"],"email":"{login}","email_verified":true,"exp":{until}}}"#
        );
        self.signed_claims(&claims)
    }

    /// A signed token that says this.
    ///
    /// # Errors
    /// Where it cannot be signed.
    pub fn signed_claims(&self, claims: &str) -> io::Result<String> {
        lock(&self.shared).key.sign(claims)
    }

    /// From now on it calls `token` active, and says that it is `login`'s.
    pub fn grant(&self, token: &str, login: &str) {
        let answer =
            format!(r#"{{"active":true,"username":"{login}","email":"{login}","token_type":"Bearer"}}"#);
        lock(&self.shared).active.insert(token.to_owned(), answer);
    }

    /// From now on it signs with another key.
    ///
    /// # Errors
    /// Where there is no randomness.
    pub fn change_key(&self) -> io::Result<()> {
        let mut shared = lock(&self.shared);
        shared.key = Key::new(shared.key.number.saturating_add(1))?;
        Ok(())
    }

    /// From now on it answers nobody.
    pub fn go_away(&self) {
        lock(&self.shared).state = State::Away;
    }

    /// It answers again.
    pub fn come_back(&self) {
        lock(&self.shared).state = State::Answers;
    }

    /// How often it was asked for this path.
    #[must_use]
    pub fn asked(&self, path: &str) -> usize {
        lock(&self.shared).asked.iter().filter(|asked| *asked == path).count()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        lock(&self.shared).state = State::Ended;
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: TcpStream, tls: Option<&Arc<ServerConfig>>, shared: &Mutex<Shared>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    match tls {
        None => answer(stream, shared),
        Some(tls) => {
            let session = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
            answer(StreamOwned::new(session, stream), shared)
        }
    }
}

/// Reads one question and answers it.
fn answer(mut stream: impl Read + Write, shared: &Mutex<Shared>) -> io::Result<()> {
    let question = read_question(&mut stream)?;
    let (status, content) = content(&question, &mut lock(shared));
    let length = content.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n");
    stream.write_all(format!("{head}Connection: close\r\n\r\n{content}").as_bytes())?;
    stream.flush()
}

fn read_question(stream: &mut impl Read) -> io::Result<String> {
    let mut octets = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        octets.extend_from_slice(chunk.get(..count).unwrap_or_default());
        let text = String::from_utf8_lossy(&octets).into_owned();
        let Some((head, content)) = text.split_once("\r\n\r\n") else { continue };
        let length = field(head, "content-length").and_then(|length| length.parse().ok());
        if content.len() >= length.unwrap_or(0) {
            return Ok(text);
        }
    }
}

fn field(head: &str, name: &str) -> Option<String> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find_map(|(found, value)| found.eq_ignore_ascii_case(name).then(|| value.to_owned()))
}

/// Status and content of an answer.
fn content(question: &str, shared: &mut Shared) -> (&'static str, String) {
    let (head, content) = question.split_once("\r\n\r\n").unwrap_or((question, ""));
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    shared.asked.push(path.to_owned());
    match (method, path) {
        ("GET", "/jwks") => ("200 OK", shared.key.set()),
        ("POST", "/introspect") if !is_of_our_client(head) => ("401 Unauthorized", String::new()),
        ("POST", "/introspect") => {
            let token = content.split('&').find_map(|pair| pair.strip_prefix("token="));
            let active = token.and_then(|token| shared.active.get(&unescaped(token)));
            ("200 OK", active.cloned().unwrap_or_else(|| r#"{"active":false}"#.to_owned()))
        }
        _ => ("404 Not Found", String::new()),
    }
}

fn is_of_our_client(head: &str) -> bool {
    let pair = field(head, "authorization").and_then(|field| {
        let octets = STANDARD.decode(field.strip_prefix("Basic ")?).ok()?;
        String::from_utf8(octets).ok()
    });
    pair.as_deref()
        .and_then(|pair| pair.split_once(':'))
        .is_some_and(|(client, secret)| unescaped(client) == CLIENT && unescaped(secret) == SECRET)
}

/// `%XX` taken away.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('%');
    let mut plain = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        plain.extend(u8::from_str_radix(digits, 16).ok());
        plain.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8_lossy(&plain).into_owned()
}

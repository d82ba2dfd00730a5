//! Another server of the test's own, which says what it is told to say.
#![expect(clippy::unwrap_used, reason = "a test whose peer does not work has failed")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::certificate::Certificate;

/// Ports that are tried until one is free at every address.
const PORTS_TRIED: usize = 100;

/// What it does when a command comes.
#[derive(Clone, Debug)]
pub enum Does {
    /// Says this, whole lines without the last CRLF.
    Says(String),
    /// Says what servers say.
    Usual,
    /// Sends these octets, and nothing more.
    Sends(Vec<u8>),
    /// Sends these octets again and again.
    Repeats(&'static [u8]),
    /// Closes the connection.
    Closes,
    /// Says nothing more.
    Hangs,
}

/// What it says to which command, each time it comes; the last one stays.
#[derive(Clone, Default)]
pub struct Script {
    does: HashMap<&'static str, Vec<Does>>,
    tls: Option<TlsAcceptor>,
}

impl Script {
    /// To `command` (its first word, `greeting`, `tls` for what comes behind the reply to STARTTLS, or `end` for the final
    /// dot) it says this, in turns.
    #[must_use]
    pub fn says(mut self, command: &'static str, replies: &[&str]) -> Self {
        self.does.insert(command, replies.iter().map(|reply| Does::Says((*reply).to_owned())).collect());
        self
    }

    /// To `command` it does this, in turns.
    #[must_use]
    pub fn does(mut self, command: &'static str, does: &[Does]) -> Self {
        self.does.insert(command, does.to_vec());
        self
    }

    /// STARTTLS works, with this certificate.
    ///
    /// # Panics
    /// Where its files are not there.
    #[must_use]
    pub fn with_tls(mut self, certificate: &Certificate) -> Self {
        let chain = CertificateDer::pem_file_iter(&certificate.chain).unwrap();
        let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(chain.map(Result::unwrap).collect(), key).unwrap();
        self.tls = Some(Arc::new(config).into());
        self
    }
}

/// A message that was sent to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The line of MAIL.
    pub mail: String,
    /// The lines of RCPT that it took.
    pub recipients: Vec<String>,
    /// What came up to the final dot, as it was sent.
    pub content: String,
}

/// What it has seen.
#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    messages: Vec<Message>,
    /// How often each command came.
    counts: HashMap<String, usize>,
}

/// The server; it ends with this.
pub struct Peer {
    /// Where it answers.
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    serving: JoinHandle<()>,
}

impl Peer {
    /// One at a port of its own.
    ///
    /// # Panics
    /// Where no port is free.
    pub async fn new(script: Script) -> Self {
        Self::listening(TcpListener::bind("127.0.0.1:0").await.unwrap(), script)
    }

    /// One that takes everything.
    ///
    /// # Panics
    /// Where the address is not free.
    pub async fn at(address: &str) -> Self {
        Self::listening(TcpListener::bind(address).await.unwrap(), Script::default())
    }

    /// One at 127.0.0.2 with this script, and one at 127.0.0.3 that takes everything, both at the same port.
    ///
    /// # Panics
    /// As [`Self::several`].
    pub async fn two(script: Script) -> (Self, Self) {
        let [first, second] = Self::several([("127.0.0.2", script), ("127.0.0.3", Script::default())]).await;
        (first, second)
    }

    /// One at each of these addresses, all at the same port.
    ///
    /// # Panics
    /// Where no port is free at all of them.
    pub async fn several<const COUNT: usize>(scripts: [(&str, Script); COUNT]) -> [Self; COUNT] {
        for _ in 0..PORTS_TRIED {
            let mut port = 0;
            let mut listeners = Vec::new();
            for (host, _) in &scripts {
                let Ok(listener) = TcpListener::bind((*host, port)).await else { break };
                port = listener.local_addr().unwrap().port();
                listeners.push(listener);
            }
            if let Ok(listeners) = <[_; COUNT]>::try_from(listeners) {
                let mut scripts = scripts.into_iter().map(|(_, script)| script);
                return listeners
                    .map(|listener| Self::listening(listener, scripts.next().unwrap_or_default()));
            }
        }
        unreachable!("no port is free at all of them");
    }

    fn listening(listener: TcpListener, script: Script) -> Self {
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                tokio::spawn(session(stream, script.clone(), Arc::clone(&shared)));
            }
        });
        Self { address, seen, serving }
    }

    /// What it has taken.
    ///
    /// # Panics
    /// Where the peer has failed.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.seen.lock().unwrap().messages.clone()
    }

    /// How often somebody has connected.
    ///
    /// # Panics
    /// Where the peer has failed.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// How often `command` came.
    ///
    /// # Panics
    /// Where the peer has failed.
    #[must_use]
    pub fn count(&self, command: &str) -> usize {
        self.seen.lock().unwrap().counts.get(command).copied().unwrap_or(0)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What is done when `command` comes, by how often it has come before.
fn next(script: &Script, seen: &Mutex<Seen>, command: &str) -> Does {
    let mut seen = seen.lock().unwrap();
    let count = seen.counts.entry(command.to_owned()).or_default();
    let turn = *count;
    *count += 1;
    let usual = match command {
        "greeting" => "220 peer.test ESMTP",
        "EHLO" => "250-peer.test\r\n250-PIPELINING\r\n250 8BITMIME",
        "STARTTLS" => "220 2.0.0 go on",
        "AUTH" => "235 2.7.0 welcome",
        "DATA" => "354 go on",
        "QUIT" => "221 2.0.0 bye",
        _ => "250 2.0.0 ok",
    };
    match script.does.get(command).and_then(|does| does.get(turn).or(does.last()).cloned()) {
        Some(Does::Usual) | None => Does::Says(usual.to_owned()),
        Some(does) => does,
    }
}

/// Whether a command comes for which nothing was said in the script, and which has no place here.
fn is_out_of_order(script: &Script, command: &str, message: &Message) -> bool {
    let is_early = match command {
        "RCPT" => message.mail.is_empty(),
        "DATA" => message.recipients.is_empty(),
        _ => false,
    };
    is_early && !script.does.contains_key(command)
}

/// A connection, in clear or not.
trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

async fn session(stream: TcpStream, script: Script, seen: Arc<Mutex<Seen>>) {
    let stream: Box<dyn Socket> = Box::new(stream);
    let mut stream = BufReader::new(stream);
    let mut command = "greeting".to_owned();
    let mut message = Message { mail: String::new(), recipients: Vec::new(), content: String::new() };
    loop {
        match next(&script, &seen, &command) {
            // RFC 5321 §3.3: nobody gets what MAIL has not begun.
            Does::Says(_) if is_out_of_order(&script, &command, &message) => {
                message.recipients.clear();
                if stream.write_all(b"503 5.5.1 not now\r\n").await.is_err() {
                    return;
                }
            }
            Does::Says(reply) => {
                match command.as_str() {
                    "MAIL" if !reply.starts_with('2') => message.mail.clear(),
                    "RCPT" if !reply.starts_with('2') => drop(message.recipients.pop()),
                    _ => {}
                }
                if command == "end" && reply.starts_with('2') {
                    seen.lock().unwrap().messages.push(message.clone());
                }
                if stream.write_all(format!("{reply}\r\n").as_bytes()).await.is_err() {
                    return;
                }
                if command == "DATA" && reply.starts_with('3') {
                    let Some(content) = content(&mut stream).await else { return };
                    message.content = content;
                    "end".clone_into(&mut command);
                    continue;
                }
                if reply.starts_with("421") || command == "QUIT" {
                    return;
                }
                if command == "STARTTLS" && reply.starts_with('2') {
                    let Some(tls) = start_tls(stream, &script, &seen).await else { return };
                    stream = tls;
                }
            }
            Does::Usual => unreachable!("it has become what it means"),
            does @ (Does::Sends(_) | Does::Repeats(_) | Does::Closes | Does::Hangs) => {
                return ends(stream, does).await;
            }
        }
        let mut line = String::new();
        if !matches!(stream.read_line(&mut line).await, Ok(octets) if octets > 0) {
            return;
        }
        let line = line.trim_end().to_owned();
        command = line.split([' ', ':']).next().unwrap_or_default().to_owned();
        match command.as_str() {
            "MAIL" => {
                message.mail = line;
                message.recipients.clear();
            }
            "RCPT" => message.recipients.push(line),
            _ => {}
        }
    }
}

/// What follows the reply to STARTTLS: usually a handshake.
async fn start_tls(
    stream: BufReader<Box<dyn Socket>>,
    script: &Script,
    seen: &Mutex<Seen>,
) -> Option<BufReader<Box<dyn Socket>>> {
    match next(script, seen, "tls") {
        // Servers have no words for it.
        Does::Says(_) | Does::Usual => {
            let acceptor = script.tls.as_ref()?;
            let tls: Box<dyn Socket> = Box::new(acceptor.accept(stream.into_inner()).await.ok()?);
            Some(BufReader::new(tls))
        }
        does @ (Does::Sends(_) | Does::Repeats(_) | Does::Closes | Does::Hangs) => {
            ends(stream, does).await;
            None
        }
    }
}

/// The session ends so, once the client goes.
async fn ends(mut stream: BufReader<Box<dyn Socket>>, does: Does) {
    match does {
        Does::Closes => return,
        Does::Sends(octets) if stream.write_all(&octets).await.is_err() => return,
        Does::Repeats(octets) => while stream.write_all(octets).await.is_ok() {},
        Does::Sends(_) | Does::Says(_) | Does::Usual | Does::Hangs => {}
    }
    let mut nothing = [0; 1024];
    while matches!(stream.read(&mut nothing).await, Ok(octets) if octets > 0) {}
}

/// Up to the final dot, as it was sent.
async fn content(stream: &mut BufReader<Box<dyn Socket>>) -> Option<String> {
    let mut content = String::new();
    loop {
        let mut line = String::new();
        let octets = stream.read_line(&mut line).await.ok()?;
        if octets == 0 {
            return None;
        }
        if line == ".\r\n" {
            return Some(content);
        }
        content.push_str(&line);
    }
}

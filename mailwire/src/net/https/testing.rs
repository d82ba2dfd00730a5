//! A server on loopback that answers questions as a test says, in clear or by TLS.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a question gets.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// These octets, as they are, and the end of the connection.
    Octets(Vec<u8>),
    /// These octets, and nothing more for as long as the server is there.
    Stall(Vec<u8>),
}

impl Answer {
    /// Status 200 with this content.
    pub(crate) fn ok(content: &str) -> Self {
        Self::status("200 OK", content)
    }

    /// Another status.
    pub(crate) fn status(status: &str, content: &str) -> Self {
        let length = content.len();
        Self::Octets(
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{content}")
                .into(),
        )
    }
}

/// The server; it ends with this.
pub(crate) struct Answering {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Answering {
    /// Answers each question, which is told whole, one after the other.
    pub(crate) fn new(answer: impl FnMut(&str) -> Answer + Send + 'static) -> Self {
        Self::with(None, answer)
    }

    pub(super) fn by_tls(
        tls: Arc<ServerConfig>,
        answer: impl FnMut(&str) -> Answer + Send + 'static,
    ) -> Self {
        Self::with(Some(tls), answer)
    }

    fn with(tls: Option<Arc<ServerConfig>>, mut answer: impl FnMut(&str) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, ended) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (noted, over) = (Arc::clone(&asked), Arc::clone(&ended));
        let thread = thread::spawn(move || {
            let mut stalled = Vec::new();
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let stream = stream.unwrap();
                let mut reply = |question: String| {
                    noted.lock().unwrap().push(question.clone());
                    answer(&question)
                };
                match &tls {
                    None => stalled.extend(serve(stream, &mut reply)),
                    Some(tls) => {
                        let session = ServerConnection::new(Arc::clone(tls)).unwrap();
                        serve(StreamOwned::new(session, stream), &mut reply);
                    }
                }
            }
        });
        Self { port, asked, ended, thread: Some(thread) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(super) fn https(&self, host: &str) -> String {
        format!("https://{host}:{}/", self.port)
    }

    /// Every question so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// One question; the stream where it is to stay open.
fn serve<S: Read + Write>(mut stream: S, reply: &mut impl FnMut(String) -> Answer) -> Option<S> {
    let question = question(&mut stream)?;
    match reply(question) {
        Answer::Stall(octets) => {
            let _ = stream.write_all(&octets);
            return Some(stream);
        }
        Answer::Octets(octets) => {
            let _ = stream.write_all(&octets);
            let _ = stream.flush();
        }
    }
    None
}

fn question(stream: &mut impl Read) -> Option<String> {
    let mut octets = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).ok().filter(|count| *count > 0)?;
        octets.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&octets).into_owned();
        let Some((head, content)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        if content.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return Some(text);
        }
    }
}

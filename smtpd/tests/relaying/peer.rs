//! Another server, which says what it is told to say.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What it does when a command comes.
#[derive(Clone, Debug)]
pub(crate) enum Does {
    /// Says this, whole lines without the last CRLF.
    Says(String),
    /// Closes the connection.
    Closes,
    /// Says nothing more.
    Hangs,
}

/// What it says to which command, each time it comes; the last one stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script(HashMap<&'static str, Vec<Does>>);

impl Script {
    /// To `command` (its first word, `greeting`, or `end` for the final dot) it says this, in turns.
    pub(crate) fn says(mut self, command: &'static str, replies: &[&str]) -> Self {
        self.0.insert(command, replies.iter().map(|reply| Does::Says((*reply).to_owned())).collect());
        self
    }

    /// To `command` it does this, in turns.
    pub(crate) fn does(mut self, command: &'static str, does: &[Does]) -> Self {
        self.0.insert(command, does.to_vec());
        self
    }
}

/// A message that was sent to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) mail: String,
    pub(crate) recipients: Vec<String>,
    pub(crate) content: String,
}

/// What it has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connections: usize,
    pub(crate) messages: Vec<Message>,
    /// How often each command came.
    counts: HashMap<String, usize>,
}

pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    serving: JoinHandle<()>,
}

impl Peer {
    pub(crate) async fn new(script: Script) -> Self {
        Self::new_at("127.0.0.1:0", script).await
    }

    /// One that takes everything.
    pub(crate) async fn at(address: &str) -> Self {
        Self::new_at(address, Script::default()).await
    }

    /// One at 127.0.0.2 with this script, and one at 127.0.0.3 that takes everything, both at the same port.
    pub(crate) async fn two(script: Script) -> (Self, Self) {
        for _ in 0..100 {
            let first = TcpListener::bind("127.0.0.2:0").await.unwrap();
            let port = first.local_addr().unwrap().port();
            if let Ok(second) = TcpListener::bind(("127.0.0.3", port)).await {
                return (Self::listening(first, script), Self::listening(second, Script::default()));
            }
        }
        unreachable!("no port is free at both addresses");
    }

    async fn new_at(address: &str, script: Script) -> Self {
        Self::listening(TcpListener::bind(address).await.unwrap(), script)
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

    pub(crate) fn messages(&self) -> Vec<Message> {
        self.seen.lock().unwrap().messages.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// How often `command` came.
    pub(crate) fn count(&self, command: &str) -> usize {
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
        "DATA" => "354 go on",
        "QUIT" => "221 2.0.0 bye",
        _ => "250 2.0.0 ok",
    };
    match script.0.get(command) {
        Some(does) => does.get(turn).or(does.last()).cloned().unwrap(),
        None => Does::Says(usual.to_owned()),
    }
}

async fn session(stream: TcpStream, script: Script, seen: Arc<Mutex<Seen>>) {
    let mut stream = BufReader::new(stream);
    let mut command = "greeting".to_owned();
    let mut message = Message { mail: String::new(), recipients: Vec::new(), content: String::new() };
    loop {
        match next(&script, &seen, &command) {
            Does::Says(reply) => {
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
            }
            Does::Closes => return,
            Does::Hangs => {
                let mut nothing = [0; 1024];
                while matches!(stream.read(&mut nothing).await, Ok(octets) if octets > 0) {}
                return;
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

/// Up to the final dot, as it was sent.
async fn content(stream: &mut BufReader<TcpStream>) -> Option<String> {
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

/// Waits until `found` finds something.
pub(crate) async fn wait_for<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(thing) = found().await {
                return thing;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_mins(1), waiting).await;
    assert!(found.is_ok(), "waited in vain for {what}");
    found.unwrap()
}

//! Scanners that answer, lie, hang and vanish, played by sockets of the test's own.

use std::net::{Ipv4Addr, SocketAddr};

use mailwire::address::ReversePath;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::super::Outcome;
use super::*;

const REJECTED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{\"action\":\"reject\"}";

fn facts() -> Facts {
    Facts { reverse_path: ReversePath::Null, address: None, ..super::super::facts::testing::facts() }
}

fn submitted() -> Facts {
    Facts { is_submission: true, ..facts() }
}

fn scanners(at: SocketAddr, keys: &str) -> Scanners {
    let table = format!("[[scanners]]\nat = \"{at}\"\nseconds = 1\nwhen_away = \"defer\"\n{keys}");
    Scanners::new(&toml::from_str(&table).unwrap())
}

/// Scans content in pieces.
async fn decided(scanners: &Scanners, content: &[u8]) -> Decision {
    let mut scan = scanners.begin(facts()).unwrap();
    for piece in content.chunks(10_000) {
        scan.pass(piece).await;
    }
    let mut decisions = scan.finish(&mut Filters::default(), Parts::default()).await.decisions;
    assert_eq!(decisions.len(), 1);
    decisions.remove(0)
}

/// A scanner that reads a whole request, answers with these octets and closes; it gives what it has read.
async fn scanner(answer: &'static [u8]) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = request(&mut stream).await;
        stream.write_all(answer).await.unwrap();
        request
    });
    (at, serving)
}

async fn request(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n0\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
    }
    request
}

#[tokio::test]
async fn the_content_comes_there_whole_and_its_word_counts() {
    let content: Vec<u8> = (b'a'..=b'z').cycle().take(200_000).collect();
    let (at, serving) = scanner(REJECTED).await;
    let decision = decided(&scanners(at, ""), &content).await;
    assert_eq!(decision.outcome, Outcome::Refuse, "{}", decision.row);
    let request = serving.await.unwrap();
    let head = memchr::memmem::find(&request, b"\r\n\r\n").unwrap();
    let (mut rest, mut seen) = (&request[head + 4..], Vec::new());
    loop {
        let end = memchr::memmem::find(rest, b"\r\n").unwrap();
        let octets = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if octets == 0 {
            break;
        }
        seen.extend_from_slice(&rest[end + 2..end + 2 + octets]);
        rest = &rest[end + 4 + octets..];
    }
    assert!(seen == content);
}

#[tokio::test]
async fn what_is_no_answer_counts_as_none() {
    for (answer, why) in [
        (&b""[..], "breaks off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"action\":\"reject\"}", "breaks off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{\"action\":\"reject\"}", "cannot be understood"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "status 403"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"),
    ] {
        let (at, serving) = scanner(answer).await;
        let decision = decided(&scanners(at, ""), b"Subject: x\r\n\r\n").await;
        assert_eq!(decision.outcome, Outcome::Defer);
        assert!(decision.row.contains(why), "{}", decision.row);
        serving.await.unwrap();
    }
}

#[tokio::test]
async fn one_that_hangs_refuses_or_vanishes_is_away() {
    let hanging = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let decision = decided(&scanners(hanging.local_addr().unwrap(), ""), b"x").await;
    assert!(decision.outcome == Outcome::Defer && decision.row.contains("in time"), "{}", decision.row);
    // One that takes nothing either.
    let decision = decided(&scanners(hanging.local_addr().unwrap(), ""), &vec![b'x'; 8 << 20]).await;
    assert!(decision.outcome == Outcome::Defer && decision.row.contains("in time"), "{}", decision.row);
    let at = hanging.local_addr().unwrap();
    drop(hanging);
    let decision = decided(&scanners(at, ""), b"x").await;
    assert!(decision.row.contains("cannot be reached"), "{}", decision.row);
    assert_eq!(decided(&scanners(at, "").accepting(), b"x").await.outcome, Outcome::Pass);
}

#[tokio::test]
async fn large_messages_and_those_of_users_are_not_sent_there() {
    let nobody: SocketAddr = (Ipv4Addr::LOCALHOST, 9).into();
    let large = decided(&scanners(nobody, "octets_max = 10"), &[b'x'; 11]).await;
    assert!(large.outcome == Outcome::Pass && large.row.contains("octets_max = 10"), "{}", large.row);
    assert!(
        decided(&scanners(nobody, "octets_max = 11"), &[b'x'; 11]).await.row.contains("cannot be reached")
    );
    assert!(scanners(nobody, "").begin(submitted()).is_none());
    assert!(scanners(nobody, "submissions = true").begin(submitted()).is_some());
}

impl Scanners {
    /// The same, where mail is taken while they are away.
    fn accepting(self) -> Self {
        let accepting = self.0.iter().map(|(config, _)| {
            (ScannerConfig { when_away: super::super::WhenAway::Accept, ..config.clone() }, AtomicU64::new(0))
        });
        Self(accepting.collect())
    }
}

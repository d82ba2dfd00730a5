//! The server is killed at random moments while it relays: nothing is lost, and nothing comes twice but what was under way.
//!
//! `RELAY_KILLS` and `RELAY_MESSAGES` in the environment make it a longer run.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use mailstack_tests::deadline::wait_for;
use mailstack_tests::random::Random;
use mailstack_tests::server::{Configuration, Server};

/// Messages in the order of their final dots, each with its connection.
type Taken = Arc<Mutex<Vec<(usize, usize)>>>;

/// A server that takes everything, and counts.
struct Sink {
    port: u16,
    taken: Taken,
}

impl Sink {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Taken::default();
        let shared = Arc::clone(&taken);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (stream, taken) = (stream.unwrap(), Arc::clone(&shared));
                // Whoever is killed says no goodbye.
                thread::spawn(move || drop(take(stream, number, &taken)));
            }
        });
        Self { port, taken }
    }

    fn taken(&self) -> Vec<(usize, usize)> {
        self.taken.lock().unwrap().clone()
    }
}

fn take(stream: TcpStream, connection: usize, taken: &Taken) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut output = stream.try_clone()?;
    output.write_all(b"220 sink\r\n")?;
    let (mut message, mut is_content) = (None, false);
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let reply: &[u8] = match line.get(..4) {
            _ if is_content && line == "." => {
                is_content = false;
                taken.lock().unwrap().push((message.take().unwrap(), connection));
                b"250 taken\r\n"
            }
            _ if is_content => {
                let number = line.strip_prefix("Subject: number ").map(|number| number.parse().unwrap());
                message = number.or(message);
                continue;
            }
            Some("DATA") => {
                is_content = true;
                b"354 go on\r\n"
            }
            Some("QUIT") => b"221 bye\r\n",
            Some(_) | None => b"250 ok\r\n",
        };
        output.write_all(reply)?;
    }
    Ok(())
}

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |number| number.parse().unwrap())
}

fn configuration(port: u16) -> Configuration {
    let relay = format!(
        "retry_seconds = 1\nretry_seconds_max = 1\nroutes = [{{ host = \"127.0.0.1\", port = {port}, tls = \"never\" }}]"
    );
    Configuration { relay, ..Configuration::default() }
}

fn send(server: &Server, messages: std::ops::Range<usize>) {
    let mut smtp = server.submission("alice").unwrap();
    for number in messages {
        smtp.envelope("alice@example.test", &["bob@elsewhere.test"]).unwrap();
        smtp.data(format!("Subject: number {number}\r\n\r\ntext\r\n").as_bytes())
            .unwrap()
            .positive()
            .unwrap();
    }
    smtp.quit().unwrap();
}

#[test]
fn kills_while_mail_is_relayed_lose_nothing_and_double_only_what_is_under_way() {
    let (kills, messages) = (number("RELAY_KILLS", 3), number("RELAY_MESSAGES", 300));
    let sink = Sink::start();
    let configuration = configuration(sink.port);
    let mut server = Server::start(&configuration).unwrap();
    let mut random = Random::new(1);
    for kill in 0..kills {
        let (begin, end) = (messages * kill / kills, messages * (kill + 1) / kills);
        let before = sink.taken().len();
        send(&server, begin..end);
        let some = before + usize::try_from(random.below(u64::try_from(end - begin).unwrap())).unwrap();
        wait_for("some of it", || Ok((sink.taken().len() >= some).then_some(()))).unwrap();
        server.signal_kill().unwrap();
        server.ended().unwrap();
        server.run(&configuration).unwrap();
    }
    wait_for("an empty queue", || {
        Ok((server.mailstack(&["queue", "list"], "")? == "nothing of that waits\n").then_some(()))
    })
    .unwrap();
    check(&sink.taken(), messages, kills);
}

/// Each message is there, and a second time only where it was the last one of a connection.
fn check(taken: &[(usize, usize)], messages: usize, kills: usize) {
    let mut last = BTreeMap::new();
    let mut copies: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (message, connection) in taken {
        last.insert(*connection, *message);
        copies.entry(*message).or_default().push(*connection);
    }
    let missing: Vec<_> = (0..messages).filter(|message| !copies.contains_key(message)).collect();
    assert_eq!(missing, [] as [usize; 0], "lost");
    let mut doubled = 0;
    for (message, connections) in &copies {
        let (_, earlier) = connections.split_last().unwrap();
        doubled += earlier.len();
        let torn = earlier.iter().all(|connection| last.get(connection) == Some(message));
        assert!(torn, "message {message} came twice over {connections:?}, and was not under way");
    }
    let _ = writeln!(std::io::stderr(), "{kills} kills, {messages} messages, {doubled} of them twice");
}

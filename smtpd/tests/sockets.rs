//! What only real sockets show: deadlines, the drain, limits on connections, and what comes behind STARTTLS.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::net::SocketAddr;
use std::time::Duration;

use mailstack_tests::certificate::Certificate;
use mailstore::{Account, Options, Store};
use mailwire::address::Mailbox;
use mailwire::daemon::config::Server;
use mailwire::net::{Certificates, ServerTls, Shutdown, ShutdownTrigger};
use mailwire::secret::Secret;
use smtpd::checks::Checks;
use smtpd::gate::GateTables;
use smtpd::relay::{RelayConfig, RelayTables};
use smtpd::{BindError, Config, Service, Shared};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

const ENVELOPE: &str = "EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n";

/// A service on a store in a folder of its own.
struct World {
    folder: TempDir,
    store: Store,
    bob: Account,
    address: SocketAddr,
    trigger: ShutdownTrigger,
    serving: JoinHandle<()>,
}

struct Client(BufReader<TcpStream>);

impl World {
    async fn new(config: Config) -> Self {
        let folder = TempDir::new().unwrap();
        let options = Options { path: folder.path().join("store"), reserve_octets: 0, ..Options::default() };
        let store = mailstore::open(options).await.unwrap();
        let bob = Mailbox::parse("bob@example.test").unwrap();
        let bob = store.administration.add_account(&bob, &Secret::new("pw-bob".to_owned())).await.unwrap();
        let certificate = Certificate::make(folder.path()).unwrap();
        let certificates = Certificates::load(&certificate.chain, &certificate.key).unwrap();
        let server =
            Server { hostname: "mail.example.test".to_owned(), domains: vec!["example.test".to_owned()] };
        let relay = RelayConfig { enabled: false, ..RelayConfig::default() };
        let relay = RelayTables { relay, ..RelayTables::default() };
        let tls = Some(ServerTls::new(certificates));
        let (gate, checks) = (GateTables::default(), Checks::off());
        let shared = Shared { server, tls, store: store.clone(), tokens: None, relay, gate, checks };
        let loopback = vec!["127.0.0.1:0".parse().unwrap()];
        let config = Config { reception: loopback, submission: vec![], submissions: vec![], ..config };
        let service = Service::bind(&config, &shared).unwrap();
        let &address = service.addresses().reception.first().unwrap();
        let (trigger, shutdown) = Shutdown::new();
        let serving = tokio::spawn(service.run(shutdown));
        Self { folder, store, bob, address, trigger, serving }
    }

    async fn client(&self) -> Client {
        Client(BufReader::new(TcpStream::connect(self.address).await.unwrap()))
    }

    /// What lies in bob's maildrop.
    async fn messages(&self) -> Vec<String> {
        let mut lease = self.store.maildrops.lease(self.bob.maildrop, Duration::ZERO).await.unwrap();
        let mut messages = Vec::new();
        for index in 0..lease.entries().len() {
            messages.push(String::from_utf8(lease.read(index, 0, 100_000).await.unwrap()).unwrap());
        }
        messages
    }

    async fn end(self) {
        self.trigger.trigger();
        self.serving.await.unwrap();
        self.store.close().await;
        self.folder.close().unwrap();
    }
}

impl Client {
    async fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    /// The last line of the next reply.
    async fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            if line.get(3..4) != Some("-") {
                return line;
            }
        }
    }

    async fn expect(&mut self, codes: &[&str]) {
        for code in codes {
            let line = self.hear().await;
            assert!(line.starts_with(code), "{line:?} is not {code}");
        }
    }

    /// Everything until the server closes.
    async fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).await.unwrap();
        rest
    }
}

#[tokio::test]
async fn tls_from_the_first_octet_needs_a_certificate_and_an_address_can_be_had_once() {
    let world = World::new(Config::default()).await;
    let server =
        Server { hostname: "mail.example.test".to_owned(), domains: vec!["example.test".to_owned()] };
    let relay = RelayTables::default();
    let (gate, checks) = (GateTables::default(), Checks::off());
    let shared = Shared { server, tls: None, store: world.store.clone(), tokens: None, relay, gate, checks };
    let config = Config { reception: vec![], submission: vec![], submissions: vec![], ..Config::default() };

    let loopback = vec!["127.0.0.1:0".parse().unwrap()];
    let without_tls = Service::bind(&Config { submissions: loopback, ..config.clone() }, &shared);
    assert!(matches!(without_tls, Err(BindError::NoTls)));
    let taken = Service::bind(&Config { reception: vec![world.address], ..config }, &shared);
    assert!(
        matches!(taken, Err(BindError::Listen { address, .. }) if address.network() == Some(world.address))
    );
    drop(shared);
    world.end().await;
}

#[tokio::test]
async fn who_needs_dns_is_named_where_it_cannot_be_asked() {
    let world = World::new(Config::default()).await;
    let server =
        Server { hostname: "mail.example.test".to_owned(), domains: vec!["example.test".to_owned()] };
    let dns = toml::from_str("name_servers = [\"127.0.0.1:9\"]\ntrust_anchor = \"/nowhere\"").unwrap();
    let relay = RelayConfig { enabled: false, ..RelayConfig::default() };
    let relay = RelayTables { relay, dns, ..RelayTables::default() };
    let (gate, checks) = (GateTables::default(), Checks::off());
    let store = world.store.clone();
    let mut shared = Shared { server, tls: None, store, tokens: None, relay, gate, checks };
    let config = Config { reception: vec![], submission: vec![], submissions: vec![], ..Config::default() };
    Service::bind(&config, &shared).map(drop).unwrap();
    shared.checks = Checks::default();
    let told = Service::bind(&config, &shared).err().unwrap().to_string();
    assert_eq!(told, "[checks] cannot be used");
    shared.relay.relay.enabled = true;
    let told = Service::bind(&config, &shared).err().unwrap().to_string();
    assert_eq!(told, "[relay], [checks] cannot be used");
    drop(shared);
    world.end().await;
}

#[tokio::test]
async fn a_message_that_is_acknowledged_is_in_the_maildrop() {
    let world = World::new(Config::default()).await;
    let mut client = world.client().await;
    client.say(ENVELOPE).await;
    client.expect(&["220 ", "250 ", "250 2.1.0", "250 2.1.5", "354 "]).await;
    client.say("Subject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n").await;
    client.expect(&["250 2.0.0", "221 "]).await;
    assert_eq!(client.rest().await, "");
    let messages = world.messages().await;
    assert!(messages[0].starts_with("Return-Path: <a@example.org>\r\nReceived: from x ([127.0.0.1])\r\n"));
    assert!(messages[0].ends_with("+0000\r\nSubject: x\r\n\r\n.dot\r\n"), "{messages:?}");
    world.end().await;
}

#[tokio::test]
async fn a_client_that_is_idle_too_long_is_told() {
    let world = World::new(Config { idle_seconds: 0, ..Config::default() }).await;
    let mut client = world.client().await;
    client.expect(&["220 ", "421 4.4.2"]).await;
    assert_eq!(client.rest().await, "");
    world.end().await;
}

#[tokio::test]
async fn a_client_that_stalls_within_content_is_told_and_leaves_nothing() {
    let world = World::new(Config { content_idle_seconds: 0, ..Config::default() }).await;
    let mut client = world.client().await;
    client.say(ENVELOPE).await;
    client.expect(&["220 ", "250 ", "250 ", "250 ", "354 ", "421 4.4.2"]).await;
    assert!(world.messages().await.is_empty());
    world.end().await;
}

#[tokio::test]
async fn the_drain_ends_idle_sessions_and_lets_a_message_finish() {
    let world = World::new(Config { drain_seconds: 60, ..Config::default() }).await;
    let (mut idle, mut busy) = (world.client().await, world.client().await);
    idle.expect(&["220 "]).await;
    busy.say(ENVELOPE).await;
    busy.expect(&["220 ", "250 ", "250 ", "250 ", "354 "]).await;
    busy.say("Subject: x\r\n\r\nhal").await;
    world.trigger.trigger();
    idle.expect(&["421 4.3.2"]).await;
    assert_eq!(idle.rest().await, "");
    busy.say("f\r\n.\r\n").await;
    busy.expect(&["250 2.0.0", "421 4.3.2"]).await;
    assert_eq!(busy.rest().await, "");
    assert!(world.messages().await[0].ends_with("\r\n\r\nhalf\r\n"));
    world.end().await;
}

#[tokio::test]
async fn content_that_does_not_end_within_the_drain_is_put_off() {
    let world = World::new(Config { drain_seconds: 0, ..Config::default() }).await;
    let mut busy = world.client().await;
    busy.say(ENVELOPE).await;
    busy.expect(&["220 ", "250 ", "250 ", "250 ", "354 "]).await;
    busy.say("half a mess").await;
    world.trigger.trigger();
    busy.expect(&["421 4.3.2"]).await;
    assert_eq!(busy.rest().await, "");
    assert!(world.messages().await.is_empty());
    world.end().await;
}

#[tokio::test]
async fn a_connection_too_many_is_told_why() {
    let world = World::new(Config { connections_max: 1, ..Config::default() }).await;
    let mut first = world.client().await;
    first.expect(&["220 "]).await;
    let mut second = world.client().await;
    second.expect(&["421 "]).await;
    assert_eq!(second.rest().await, "");
    first.say("NOOP\r\n").await;
    first.expect(&["250 "]).await;
    drop(first);
    world.end().await;
}

#[tokio::test]
async fn so_many_receive_at_one_time_as_there_is_memory_for() {
    let world = World::new(Config { receiving_octets_max: 2 * (256 << 10), ..Config::default() }).await;
    let mut receiving = Vec::new();
    for _ in 0..2 {
        let mut client = world.client().await;
        client.say(ENVELOPE).await;
        client.expect(&["220 ", "250 ", "250 ", "250 ", "354 "]).await;
        receiving.push(client);
    }
    let mut third = world.client().await;
    third.say(ENVELOPE).await;
    third.expect(&["220 ", "250 ", "250 ", "250 ", "452 4.3.1"]).await;
    third.say("BDAT 6 LAST\r\nNOOP\r\n").await;
    third.expect(&["452 4.3.1"]).await;

    // What is running goes on, and makes room when it has come to its end.
    let mut first = receiving.remove(0);
    first.say("Subject: x\r\n\r\n.\r\n").await;
    first.expect(&["250 2.0.0"]).await;
    third.say(ENVELOPE).await;
    third.expect(&["250 ", "250 ", "250 ", "354 "]).await;
    // So does one that goes away.
    receiving.clear();
    let begin = "RSET\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nBDAT 0\r\n";
    loop {
        first.say(begin).await;
        first.expect(&["250 ", "250 ", "250 "]).await;
        if first.hear().await.starts_with("250 ") {
            break;
        }
    }
    assert_eq!(world.messages().await.len(), 1);
    drop((first, third));
    world.end().await;
}

#[tokio::test]
async fn what_comes_behind_starttls_in_clear_ends_the_session() {
    // RFC 3207 §4.2, CVE-2011-0411.
    let world = World::new(Config::default()).await;
    let mut client = world.client().await;
    client.say("EHLO x\r\nSTARTTLS\r\nMAIL FROM:<a@example.org>\r\n").await;
    client.expect(&["220 ", "250 ", "220 2.0.0"]).await;
    assert_eq!(client.rest().await, "");
    world.end().await;
}

#[tokio::test]
async fn a_chunk_that_is_refused_is_read_to_its_end() {
    let world = World::new(Config::default()).await;
    let mut client = world.client().await;
    client.say("EHLO x\r\nBDAT 6 LAST\r\nQUIT\r\nBDAT 0\r\nNOOP\r\n").await;
    client.expect(&["220 ", "250 ", "503 ", "503 ", "250 "]).await;
    drop(client);
    world.end().await;
}

//! The service as a whole, on a real store and real sockets.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that goes wrong may panic, also outside its #[test] function"
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mailstore::{Delivery, Fate, Options, Store, Terms, TraceRow};
use mailwire::address::{Mailbox, ReversePath};
use mailwire::daemon::config::Server;
use mailwire::net::{Shutdown, ShutdownTrigger};
use mailwire::secret::Secret;
use pop3d::{BindError, ClearLogin, Config, Service, Shared};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const LOGIN: &str = "USER alice@example.test\r\nPASS pw-alice\r\n";

/// A service with an account, alice, whose maildrop has two messages.
struct World {
    store: Store,
    address: SocketAddr,
    serving: JoinHandle<()>,
    trigger: ShutdownTrigger,
    _folder: TempDir,
}

fn config() -> Config {
    Config {
        pop3: vec![ANY_PORT],
        pop3s: vec![],
        clear_login: ClearLogin::Loopback,
        lease_wait_seconds: 0,
        ..Config::default()
    }
}

async fn store(folder: &TempDir) -> Store {
    let options = Options { path: folder.path().join("store"), reserve_octets: 0, ..Options::default() };
    mailstore::open(options).await.unwrap()
}

fn shared(store: &Store) -> Shared {
    Shared { server: Server::default(), tls: None, store: store.clone(), tokens: None }
}

impl World {
    async fn new(config: &Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let alice = Mailbox::parse("alice@example.test").unwrap();
        let password = Secret::new("pw-alice".to_owned());
        let account = store.administration.add_account(&alice, &password).await.unwrap();
        for content in [&b"Subject: one\r\n\r\n.dot\r\n"[..], b"Subject: two\r\n\r\n"] {
            let mut draft = store.intake.draft(0).await.unwrap();
            draft.write(content).await.unwrap();
            let delivery = Delivery {
                delivery_prefix: Vec::new(),
                prefix: Vec::new(),
                reverse_path: ReversePath::Null,
                maildrops: vec![account.maildrop],
                fate: Fate::Shared,
                relay: Vec::new(),
                terms: Terms::default(),
                local: Vec::new(),
                steps: Vec::new(),
                trace: TraceRow::default(),
                carried: None,
                concludes: Vec::new(),
            };
            draft.commit(delivery).await.unwrap();
        }
        let service = Service::bind(config, &shared(&store)).unwrap();
        let address = service.addresses().pop3[0];
        let (trigger, shutdown) = Shutdown::new();
        let serving = tokio::spawn(service.run(shutdown));
        Self { store, address, serving, trigger, _folder: folder }
    }

    async fn client(&self) -> BufReader<TcpStream> {
        let mut client = BufReader::new(TcpStream::connect(self.address).await.unwrap());
        assert!(line(&mut client).await.starts_with("+OK "));
        client
    }

    async fn logged_in(&self) -> BufReader<TcpStream> {
        let mut client = self.client().await;
        client.write_all(LOGIN.as_bytes()).await.unwrap();
        assert!(line(&mut client).await.starts_with("+OK "));
        assert!(line(&mut client).await.starts_with("+OK "));
        client
    }

    /// All that the server says to `commands` of one who then closes.
    async fn said(&self, commands: &str) -> String {
        let mut client = self.client().await;
        client.write_all(commands.as_bytes()).await.unwrap();
        client.get_mut().shutdown().await.unwrap();
        let mut said = String::new();
        client.read_to_string(&mut said).await.unwrap();
        said
    }
}

async fn line(client: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    client.read_line(&mut line).await.unwrap();
    line
}

#[tokio::test]
async fn mail_is_retrieved_and_what_was_deleted_is_gone() {
    let world = World::new(&config()).await;
    let said = world.said(&format!("{LOGIN}RETR 1\r\nTOP 2 0\r\nDELE 1\r\nQUIT\r\n")).await;
    assert!(said.contains("+OK 22 octets\r\nSubject: one\r\n\r\n..dot\r\n.\r\n"), "{said}");
    assert!(said.contains("follows\r\nSubject: two\r\n\r\n.\r\n"), "{said}");
    assert!(said.ends_with("+OK Goodbye, 1 message deleted\r\n"), "{said}");
    let said = world.said(&format!("{LOGIN}STAT\r\nRETR 1\r\n")).await;
    assert!(said.contains("+OK 1 16\r\n") && said.contains("Subject: two"), "{said}");
}

#[tokio::test]
async fn a_second_session_is_refused_while_the_first_one_lasts() {
    let world = World::new(&config()).await;
    let mut first = world.logged_in().await;
    let said = world.said(LOGIN).await;
    assert!(said.contains("\r\n-ERR [IN-USE] "), "{said}");
    first.write_all(b"QUIT\r\n").await.unwrap();
    assert!(line(&mut first).await.starts_with("+OK "));
    let said = world.said(LOGIN).await;
    assert!(said.contains("\r\n+OK "), "{said}");
}

#[tokio::test]
async fn a_second_session_that_may_wait_gets_the_maildrop_when_the_first_one_ends() {
    let world = World::new(&Config { lease_wait_seconds: 3600, ..config() }).await;
    let first = world.logged_in().await;
    let mut second = world.client().await;
    second.write_all(LOGIN.as_bytes()).await.unwrap();
    drop(first);
    assert!(line(&mut second).await.starts_with("+OK "));
    assert!(line(&mut second).await.starts_with("+OK "));
}

#[tokio::test]
async fn a_wrong_password_is_told_and_may_be_corrected() {
    let world = World::new(&config()).await;
    let said = world.said(&format!("USER alice@example.test\r\nPASS pw-bob\r\n{LOGIN}STAT\r\n")).await;
    let replies: Vec<&str> = said.lines().collect();
    assert!(replies[1].starts_with("-ERR [AUTH] "), "{said}");
    assert_eq!(replies[4], "+OK 2 38");
}

#[tokio::test]
async fn the_drain_ends_the_service_and_closes_idle_sessions() {
    let world = World::new(&config()).await;
    let mut client = world.client().await;
    world.trigger.trigger();
    world.serving.await.unwrap();
    assert_eq!(line(&mut client).await, "");
    world.store.close().await;
}

#[tokio::test]
async fn the_drain_ends_at_its_deadline_whatever_a_session_does() {
    let world = World::new(&Config { lease_wait_seconds: 3600, drain_seconds: 0, ..config() }).await;
    let alice = world.store.administration.accounts().await.unwrap().remove(0);
    let _lease = world.store.maildrops.lease(alice.maildrop, Duration::ZERO).await.unwrap();
    let mut client = world.client().await;
    client.write_all(LOGIN.as_bytes()).await.unwrap();
    world.trigger.trigger();
    world.serving.await.unwrap();
}

#[tokio::test]
async fn who_cannot_be_served_says_so_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared(&store(&folder).await);
    let without_certificate = Service::bind(&Config { pop3s: vec![ANY_PORT], ..config() }, &shared);
    assert!(matches!(without_certificate, Err(BindError::NoCertificate)));
    let service = Service::bind(&config(), &shared).unwrap();
    let taken = Config { pop3: service.addresses().pop3.clone(), ..config() };
    assert!(matches!(Service::bind(&taken, &shared), Err(BindError::Listen { .. })));
}

//! A relay on a store of its own, whose routes lead to peers of the test.

use std::time::Duration;

use mailstack_tests::peer::Peer;
use mailstore::{
    Account, Body, Delivery, Fate, Options, QueueFilter, RecipientTerms, RelayRecipient, Store, Terms,
    TraceRow,
};
use mailwire::address::{Domain, Mailbox, ReversePath};
use mailwire::clock;
use mailwire::daemon::config::Server;
use mailwire::net::{Shutdown, ShutdownTrigger};
use mailwire::secret::Secret;
use smtpd::dkim::{Algorithm, Dkim, Folder, Selector};
use smtpd::relay::names::{Itself, Names};
use smtpd::relay::{Relay, RelayTables};
use tempfile::TempDir;
use tokio::task::JoinHandle;

pub(crate) const CONTENT: &str = "Subject: hello\r\nFrom: <alice@example.test>\r\n\r\ntext\r\n.dot\r\n";

pub(crate) struct World {
    folder: TempDir,
    pub(crate) store: Store,
    pub(crate) alice: Account,
    trigger: ShutdownTrigger,
    relaying: JoinHandle<()>,
}

/// What is sent to whom.
pub(crate) struct Mail<'a> {
    pub(crate) to: &'a [&'a str],
    pub(crate) terms: Terms,
    pub(crate) recipient_terms: RecipientTerms,
    pub(crate) is_null: bool,
    pub(crate) content: &'a str,
    /// Seconds from now.
    pub(crate) due_in: u64,
    /// Seconds from now.
    pub(crate) expires_in: u64,
}

impl<'a> Mail<'a> {
    pub(crate) fn to(to: &'a [&'a str]) -> Self {
        let terms = Terms { body: Some(Body::SevenBit), ..Terms::default() };
        let recipient_terms = RecipientTerms::default();
        Self { to, terms, recipient_terms, is_null: false, content: CONTENT, due_in: 0, expires_in: 1000 }
    }
}

impl World {
    /// Mail for each of these domains goes to its peer; `keys` are further lines of `[relay]`.
    pub(crate) async fn new(peers: &[(&str, &Peer)], keys: &str) -> Self {
        let routes = peers.iter().map(|(domain, peer)| {
            let port = peer.address.port();
            format!(
                "[[routes]]\ndomains = [\"{domain}\"]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"never\"\n"
            )
        });
        let retry = if keys.contains("retry_seconds =") { "" } else { "retry_seconds = 1\n" };
        let relay = format!("{retry}{keys}\n{}", routes.collect::<String>());
        Self::asking(&relay, "name_servers = [\"127.0.0.1:9\"]\nlook_up_seconds = 1").await
    }

    /// With these lines of `[relay]` and `[dns]`.
    pub(crate) async fn asking(relay: &str, dns: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let options = Options { path: folder.path().join("store"), reserve_octets: 0, ..Options::default() };
        let store = mailstore::open(options).await.unwrap();
        let alice = Mailbox::parse("alice@example.test").unwrap();
        let alice = store.administration.add_account(&alice, &Secret::new("pw".to_owned())).await.unwrap();
        let relay = toml::from_str(relay).unwrap();
        let server =
            Server { hostname: "mail.example.test".to_owned(), domains: vec!["example.test".to_owned()] };
        let dns = toml::from_str(dns).unwrap();
        let mta_sts = toml::from_str("enabled = false").unwrap();
        let dkim = Dkim { keys: folder.path().join("dkim") };
        let tables = RelayTables { relay, dns, mta_sts, dkim, ..RelayTables::default() };
        let itself = Itself { names: [server.hostname.clone()].into(), ..Itself::default() };
        let names = Names::new(&tables.dns, itself).unwrap();
        let relay = Relay::new(&tables, &server, names, &store).unwrap();
        let (trigger, shutdown) = Shutdown::new();
        let relaying = tokio::spawn(relay.run(shutdown));
        Self { folder, store, alice, trigger, relaying }
    }

    /// Makes a key, with which mail from alice's domain is signed from now on.
    pub(crate) fn sign_with(&self, selector: &str) {
        let keys = Folder::new(self.folder.path().join("dkim"));
        let (domain, selector) =
            (Domain::parse("example.test").unwrap(), selector.parse::<Selector>().unwrap());
        keys.make(&domain, &selector, Algorithm::Ed25519).unwrap();
        keys.sign_with(&domain, &[selector]).unwrap();
    }

    /// Accepts a message from alice; it is due at once.
    pub(crate) async fn send(&self, mail: Mail<'_>) {
        let now = clock::unix_seconds();
        let recipient = |text: &&str| RelayRecipient {
            mailbox: Mailbox::parse(text).unwrap(),
            due: now + mail.due_in,
            expires: now + mail.expires_in,
            terms: mail.recipient_terms.clone(),
        };
        let delivery = Delivery {
            delivery_prefix: b"Return-Path: <alice@example.test>\r\n".to_vec(),
            prefix: b"Received: here\r\n".to_vec(),
            reverse_path: if mail.is_null {
                ReversePath::Null
            } else {
                ReversePath::Mailbox(self.alice.address.clone())
            },
            maildrops: Vec::new(),
            fate: Fate::Shared,
            relay: mail.to.iter().map(recipient).collect(),
            terms: mail.terms,
            local: Vec::new(),
            steps: Vec::new(),
            trace: TraceRow::default(),
            carried: None,
            concludes: Vec::new(),
        };
        let mut draft = self.store.intake.draft(0).await.unwrap();
        draft.write(mail.content.as_bytes()).await.unwrap();
        draft.commit(delivery).await.unwrap();
    }

    /// Waits until nothing is in the queue any more.
    pub(crate) async fn is_done(&self) {
        wait_for("an empty queue", async || {
            let left = self.store.queue.list(&QueueFilter::default(), None, 10).await.unwrap();
            left.is_empty().then_some(())
        })
        .await;
    }

    /// The last results of what is in the queue.
    pub(crate) async fn results(&self) -> Vec<(u32, String)> {
        let left = self.store.queue.list(&QueueFilter::default(), None, 100).await.unwrap();
        left.into_iter().map(|entry| (entry.attempts, entry.last_result)).collect()
    }

    /// What alice has got.
    pub(crate) async fn reports(&self) -> Vec<String> {
        let mut lease = self.store.maildrops.lease(self.alice.maildrop, Duration::ZERO).await.unwrap();
        let mut messages = Vec::new();
        for index in 0..lease.entries().len() {
            messages.push(String::from_utf8(lease.read(index, 0, 100_000).await.unwrap()).unwrap());
        }
        messages
    }

    pub(crate) async fn end(self) {
        self.trigger.trigger();
        self.relaying.await.unwrap();
        self.store.close().await;
        self.folder.close().unwrap();
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

//! What the tests of the relay share.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use mailstore::{
    DomainCounts, DuePlace, MessageId, Options, Queue, QueueEntry, QueueError, QueueFilter, QueueId,
    QueueOutcome, QueueState, RecipientTerms, Terms,
};
use mailwire::address::{Domain, Mailbox, ReversePath};
use mailwire::net::Roots;
use tempfile::TempDir;
use tokio::sync::Notify;

use super::config::RelayConfig;
use super::names::{Dns, Itself, Names};
use super::reporter::Reporter;
use super::route::Routes;
use super::security::Trust;
use super::worker::{Common, Means};
use crate::dkim::{Folder, Signatory};

/// The entry of one recipient of a message from `a@a.example`.
pub(super) fn entry(message: u64, recipient: u32, mailbox: &str) -> QueueEntry {
    QueueEntry {
        id: QueueId { message: MessageId(message), recipient },
        reverse_path: ReversePath::Mailbox(Mailbox::parse("a@a.example").unwrap()),
        recipient: Mailbox::parse(mailbox).unwrap(),
        accepted_at: 1000,
        due: 1000,
        expires: 500_000,
        attempts: 0,
        last_result: String::new(),
        state: QueueState::Waiting,
        is_leased: false,
        is_warned: false,
        octets: 100,
        terms: Terms::default(),
        recipient_terms: RecipientTerms::default(),
    }
}

/// What workers share, with this queue and a store that has nothing else in it.
pub(super) async fn common(queue: Arc<dyn Queue>) -> (TempDir, Common) {
    let folder = TempDir::new().unwrap();
    let options = Options { path: folder.path().join("store"), reserve_octets: 0, ..Options::default() };
    let mut store = mailstore::open(options).await.unwrap();
    store.queue = queue;
    let config = RelayConfig::default();
    let dns: Dns = toml::from_str("name_servers = [\"127.0.0.1:9\"]").unwrap();
    let itself = Itself { names: HashSet::new(), addresses: HashSet::new() };
    let means = Means {
        reporter: Reporter {
            store,
            hostname: Domain::parse("mail.a.example").unwrap(),
            postmaster: Mailbox::parse("postmaster@a.example").unwrap(),
            domains: vec![Domain::parse("a.example").unwrap()],
            expire_seconds: config.expire_seconds,
            returned_octets_max: config.returned_octets_max,
        },
        routes: Routes::new(&config).unwrap(),
        config,
        names: Names::new(&dns, itself).unwrap(),
        trust: Trust::new(&Roots::System).unwrap(),
        signatory: Signatory::new(Folder::new(folder.path().join("dkim"))),
    };
    (folder, Common::new(means))
}

/// A queue that does not answer, and takes no outcomes.
#[derive(Default)]
pub(super) struct Sick {
    /// How often it was asked what is due.
    pub(super) times_due: AtomicUsize,
    /// Rings when it was asked what has changed.
    pub(super) asked: Notify,
}

fn away<T>() -> Result<T, QueueError> {
    Err(QueueError::Unavailable("away".to_owned()))
}

#[async_trait]
impl Queue for Sick {
    async fn due(&self, _: u64, _: Option<DuePlace>, _: usize) -> Result<Vec<QueueEntry>, QueueError> {
        self.times_due.fetch_add(1, Ordering::Relaxed);
        away()
    }

    async fn next_due(&self) -> Result<Option<u64>, QueueError> {
        away()
    }

    async fn changed(&self, _: u64) -> Result<u64, QueueError> {
        self.asked.notify_one();
        away()
    }

    async fn lease(&self, _: &[QueueId], _: u64) -> Result<Vec<QueueId>, QueueError> {
        away()
    }

    async fn read(&self, _: QueueId, _: u64, _: usize) -> Result<Vec<u8>, QueueError> {
        away()
    }

    async fn settle(&self, _: Vec<QueueOutcome>) -> Result<Vec<QueueId>, QueueError> {
        Err(QueueError::Missing)
    }

    async fn hold(&self, _: &[QueueId], _: QueueState) -> Result<Vec<QueueId>, QueueError> {
        away()
    }

    async fn retry_at(&self, _: &[QueueId], _: u64) -> Result<Vec<QueueId>, QueueError> {
        away()
    }

    async fn list(
        &self,
        _: &QueueFilter,
        _: Option<QueueId>,
        _: usize,
    ) -> Result<Vec<QueueEntry>, QueueError> {
        away()
    }

    async fn show(&self, _: QueueId) -> Result<QueueEntry, QueueError> {
        away()
    }

    async fn domains(&self, _: Option<&Domain>, _: usize) -> Result<Vec<DomainCounts>, QueueError> {
        away()
    }
}

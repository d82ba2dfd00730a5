//! The promises of the store as tests that every back end passes.

mod access;
mod dry;
mod guard;
mod logins;
mod maildrop_administration;
mod notes;
mod queue;
mod quotas;
mod recollections;
mod repertoire;
mod rule_files;
mod rules;
mod sightings;
mod spellings;
mod subaddresses;
mod terms;
mod traces;

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use mailwire::address::{Mailbox, ReversePath};
use mailwire::clock;
use mailwire::secret::Secret;

pub(crate) use queue::deferred;

use crate::{
    Account, AdministrationError, Alias, Carried, Delivery, Fate, HostedBy, Intake, IntakeError, Lease,
    MaildropError, MaildropId, Options, Receipt, Recipient, Store, Terms, TraceRow, UniqueId,
};

/// More than fits into the journal itself.
const LARGE_OCTETS: usize = 3 << 20;

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).unwrap()
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// Options for a store under `path` that needs no reserve.
pub(crate) fn options(path: &Path) -> Options {
    Options { path: path.to_owned(), reserve_octets: 0, ..Options::default() }
}

/// Runs `check` on a new store that this process hosts, on one that it shares, and on one that it could not host.
pub(crate) async fn with_store<F: Future<Output = ()>>(check: impl Fn(Store) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    check(store.clone()).await;
    store.close().await;

    let folder = tempfile::tempdir().unwrap();
    let host = crate::open(options(folder.path())).await.unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    check(store.clone()).await;
    store.close().await;
    host.close().await;

    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("run");
    let served = Options { socket, hosted_by: HostedBy::Serve, ..options(&folder.path().join("store")) };
    let host = crate::host(served.clone()).await.unwrap();
    let path = folder.path().join("unreadable");
    let store = crate::open(Options { path: path.clone(), ..served }).await.unwrap();
    check(store.clone()).await;
    assert!(!path.exists());
    store.close().await;
    host.close().await;
}

pub(crate) async fn account(store: &Store, name: &str) -> Account {
    let address = mailbox(&format!("{name}@example.test"));
    store.administration.add_account(&address, &secret(&format!("pw-{name}"))).await.unwrap()
}

fn delivery(maildrops: &[MaildropId]) -> Delivery {
    Delivery {
        delivery_prefix: b"Return-Path: <a@example.test>\r\n".to_vec(),
        prefix: b"Received: here\r\n".to_vec(),
        reverse_path: ReversePath::Mailbox(mailbox("a@example.test")),
        maildrops: maildrops.to_vec(),
        fate: Fate::Shared,
        relay: Vec::new(),
        terms: Terms::default(),
        local: Vec::new(),
        steps: Vec::new(),
        trace: TraceRow::default(),
        carried: None,
        concludes: Vec::new(),
    }
}

/// Commits `content`, written in pieces of `piece` octets.
async fn deliver(store: &Store, content: &[u8], piece: usize, delivery: Delivery) {
    offer(store, content, piece, delivery).await.unwrap();
}

/// As [`deliver`], where it may be refused.
async fn offer(
    store: &Store,
    content: &[u8],
    piece: usize,
    delivery: Delivery,
) -> Result<Receipt, IntakeError> {
    let mut draft = store.intake.draft(0).await?;
    for piece in content.chunks(piece) {
        draft.write(piece).await?;
    }
    draft.commit(delivery).await
}

/// A time so many days ago, seconds since 1970.
fn days_ago(days: u64) -> u64 {
    clock::unix_seconds() - days * 24 * 60 * 60
}

/// A message that came so many days ago.
pub(crate) async fn old(intake: &dyn Intake, maildrop: MaildropId, days: u64) {
    old_as(intake, maildrop, days, delivery(&[maildrop])).await;
}

async fn old_as(intake: &dyn Intake, maildrop: MaildropId, days: u64, delivery: Delivery) {
    let unique_id = UniqueId::parse(&format!("{}-{days}", maildrop.0)).unwrap();
    let carried = Some(Carried { unique_id, received_at: days_ago(days) });
    let mut draft = intake.draft(0).await.unwrap();
    draft.write(b"A: b\r\n\r\nold\r\n").await.unwrap();
    draft.commit(Delivery { carried, ..delivery }).await.unwrap();
}

/// A short message to one maildrop.
pub(crate) async fn deliver_text(store: &Store, maildrop: MaildropId, text: &str) {
    deliver(store, format!("Subject: {text}\r\n\r\n{text}\r\n").as_bytes(), 1000, delivery(&[maildrop]))
        .await;
}

pub(crate) async fn lease(store: &Store, maildrop: MaildropId) -> Box<dyn Lease> {
    // A lease that a sharing process has dropped is given back a moment later.
    store.maildrops.lease(maildrop, Duration::from_mins(1)).await.unwrap()
}

/// A whole message, read in pieces of at most `piece` octets.
async fn read_whole(lease: &mut Box<dyn Lease>, index: usize, piece: usize) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let octets = lease.read(index, whole.len() as u64, piece).await.unwrap();
        if octets.is_empty() {
            return whole;
        }
        assert!(octets.len() <= piece);
        whole.extend(octets);
    }
}

/// Every message of a maildrop, whole.
pub(crate) async fn read_all(store: &Store, maildrop: MaildropId) -> Vec<Vec<u8>> {
    let mut lease = lease(store, maildrop).await;
    let mut all = Vec::new();
    for index in 0..lease.entries().len() {
        all.push(read_whole(&mut lease, index, 100_000).await);
    }
    all
}

const PREFIX: &[u8] = b"Return-Path: <a@example.test>\r\nReceived: here\r\n";

#[tokio::test]
async fn a_message_comes_back_octet_for_octet_to_each_of_its_recipients() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        let bob = account(&store, "bob").await.maildrop;
        let large =
            [b"Subject: x\r\n\r\n".to_vec(), b"0123456789abcd\r\n".repeat(LARGE_OCTETS / 16)].concat();
        let contents = [b"Subject: x\r\n\r\nbody \0 \xff .\r\n".to_vec(), b"\r\n".to_vec(), large];
        for content in &contents {
            deliver(&store, content, 70_001, delivery(&[alice, bob])).await;
        }
        for maildrop in [alice, bob] {
            let mut lease = lease(&store, maildrop).await;
            assert_eq!(lease.entries().len(), contents.len());
            for (index, content) in contents.iter().enumerate() {
                let expected = [PREFIX, content].concat();
                assert_eq!(lease.entries()[index].octets, expected.len() as u64);
                assert!(read_whole(&mut lease, index, 65_536).await == expected, "message {index}");
                assert!(
                    read_whole(&mut lease, index, 777).await == expected,
                    "message {index} in small pieces"
                );
                let header_octets = usize::try_from(lease.entries()[index].header_octets).unwrap();
                assert!(expected[..header_octets].ends_with(b"\r\n\r\n"), "message {index}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn content_without_a_last_line_end_gets_one() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        deliver(&store, b"A: b\r\n\r\nno end", 3, delivery(&[alice])).await;
        deliver(&store, b"", 3, delivery(&[alice])).await;
        let expected = [[PREFIX, b"A: b\r\n\r\nno end\r\n"].concat(), PREFIX.to_vec()];
        assert_eq!(read_all(&store, alice).await, expected);
        let lease = lease(&store, alice).await;
        assert_eq!(lease.entries()[1].header_octets, lease.entries()[1].octets);
    })
    .await;
}

#[tokio::test]
async fn unique_ids_are_unique_and_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    let alice = account(&store, "alice").await.maildrop;
    for _ in 0..3 {
        deliver_text(&store, alice, "the same").await;
    }
    let before: Vec<_> = lease(&store, alice).await.entries().to_vec();
    assert_ne!(before[0].unique_id, before[1].unique_id);
    assert!(before.iter().all(|entry| entry.unique_id.to_string().len() == 26));
    lease(&store, alice).await.expunge(&[1]).await.unwrap();
    deliver_text(&store, alice, "another").await;
    store.close().await;

    let store = crate::open(options(folder.path())).await.unwrap();
    let after: Vec<_> = lease(&store, alice).await.entries().to_vec();
    assert_eq!([before[0].clone(), before[2].clone()], after[..2]);
    assert!(before.iter().all(|entry| entry.unique_id != after[2].unique_id));
    store.close().await;
}

#[tokio::test]
async fn a_lease_is_exclusive_and_a_snapshot() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        deliver_text(&store, alice, "one").await;
        let mut first = lease(&store, alice).await;
        let second = store.maildrops.lease(alice, Duration::ZERO).await;
        assert_eq!(second.err(), Some(MaildropError::Busy));
        deliver_text(&store, alice, "two").await;
        assert_eq!(first.entries().len(), 1);
        first.expunge(&[0]).await.unwrap();
        let waiting = store.maildrops.lease(alice, Duration::from_mins(1));
        let (second, ()) = tokio::join!(waiting, async { drop(first) });
        let mut second = second.unwrap();
        assert_eq!(second.entries().len(), 1);
        assert!(read_whole(&mut second, 0, 1000).await.ends_with(b"two\r\n"));
    })
    .await;
}

#[tokio::test]
async fn only_the_right_password_logs_in() {
    with_store(async |store| {
        let alice = account(&store, "alice").await;
        let authenticate = async |login: &str, password: &str| {
            store.directory.authenticate(login, &secret(password)).await.unwrap()
        };
        assert_eq!(authenticate("Alice@EXAMPLE.test", "pw-alice").await, Some(alice.clone().into()));
        assert_eq!(authenticate("alice@example.test", "pw-bob").await, None);
        assert_eq!(authenticate("nobody@example.test", "pw-alice").await, None);
        store.administration.set_password(&alice.address, &secret("new")).await.unwrap();
        assert_eq!(authenticate("alice@example.test", "pw-alice").await, None);
        assert_eq!(authenticate("alice@example.test", "new").await, Some(alice.into()));
    })
    .await;
}

#[tokio::test]
async fn aliases_and_subaddresses_reach_each_maildrop_once() {
    with_store(async |store| {
        let alice = account(&store, "alice").await;
        let bob = account(&store, "bob").await;
        let alias = |address: &str, targets: &[&str]| Alias {
            address: mailbox(address).into(),
            targets: targets.iter().map(|target| mailbox(target)).collect(),
        };
        let both = alias("both@example.test", &["alice@example.test", "bob@example.test"]);
        store.administration.add_alias(&both).await.unwrap();
        let nested = alias("all@example.test", &["both@example.test", "bob@example.test"]);
        store.administration.add_alias(&nested).await.unwrap();

        let recipient = async |address: &str| store.directory.recipient(&mailbox(address), 0).await.unwrap();
        let both = Recipient::Maildrops(vec![alice.maildrop, bob.maildrop]);
        assert_eq!(recipient("ALL@example.test").await, both);
        let only_alice = Recipient::Maildrops(vec![alice.maildrop]);
        assert_eq!(recipient("alice+lists@example.test").await, only_alice);
        assert_eq!(recipient("nobody@example.test").await, Recipient::Missing);
        assert_eq!(recipient("alice@elsewhere.test").await, Recipient::Missing);

        let may = async |address: &str| store.directory.may_send_as(&alice, &mailbox(address)).await.unwrap();
        assert!(may("alice@example.test").await);
        assert!(may("alice+x@example.test").await);
        assert!(may("both@example.test").await);
        assert!(!may("bob@example.test").await);
    })
    .await;
}

#[tokio::test]
async fn wrong_changes_of_accounts_and_aliases_are_refused() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.address;
        let administration = &store.administration;
        let again = administration.add_account(&alice, &secret("x")).await;
        assert_eq!(again, Err(AdministrationError::Exists("alice@example.test".to_owned())));
        let missing = mailbox("missing@example.test");
        assert!(matches!(
            administration.remove_account(&missing).await,
            Err(AdministrationError::Missing(_))
        ));
        assert!(matches!(
            administration.set_password(&missing, &secret("x")).await,
            Err(AdministrationError::Missing(_))
        ));
        let list = mailbox("list@example.test");
        let to = |target: &Mailbox| Alias { address: list.clone().into(), targets: vec![target.clone()] };
        assert!(matches!(
            administration.add_alias(&to(&missing)).await,
            Err(AdministrationError::Target { .. })
        ));
        administration.add_alias(&to(&alice)).await.unwrap();
        assert!(matches!(
            administration.add_alias(&to(&list)).await,
            Err(AdministrationError::Target { .. })
        ));
        let back = Alias { address: alice.clone().into(), targets: vec![list.clone()] };
        assert!(matches!(administration.add_alias(&back).await, Err(AdministrationError::Exists(_))));
        assert!(matches!(
            administration.remove_account(&alice).await,
            Err(AdministrationError::InUse { .. })
        ));
        administration.remove_alias(&list.into()).await.unwrap();
        administration.remove_account(&alice).await.unwrap();
        assert_eq!(administration.accounts().await, Ok(Vec::new()));
        assert_eq!(administration.aliases().await, Ok(Vec::new()));
    })
    .await;
}

#[tokio::test]
async fn a_removed_account_takes_its_maildrop_with_it_and_mail_on_its_way_is_refused() {
    with_store(async |store| {
        let alice = account(&store, "alice").await;
        deliver_text(&store, alice.maildrop, "one").await;
        let mut draft = store.intake.draft(0).await.unwrap();
        draft.write(b"late\r\n").await.unwrap();
        store.administration.remove_account(&alice.address).await.unwrap();
        assert!(draft.commit(delivery(&[alice.maildrop])).await.is_err());
        let gone = store.maildrops.lease(alice.maildrop, Duration::ZERO).await;
        assert_eq!(gone.err(), Some(MaildropError::Ended));
        let again = account(&store, "alice").await;
        assert_ne!(again.maildrop, alice.maildrop);
        assert_eq!(read_all(&store, again.maildrop).await, Vec::<Vec<u8>>::new());
    })
    .await;
}

#[tokio::test]
async fn many_deliveries_at_one_time_all_arrive() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        let deliveries: Vec<_> = (0..200)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move { deliver_text(&store, alice, &format!("number {number}")).await })
            })
            .collect();
        for delivery in deliveries {
            delivery.await.unwrap();
        }
        let mut all = read_all(&store, alice).await;
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 200);
    })
    .await;
}

#[tokio::test]
async fn expunging_removes_what_was_named_and_nothing_else_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    let alice = account(&store, "alice").await.maildrop;
    let bob = account(&store, "bob").await.maildrop;
    for number in 0..4 {
        let content = format!("N: {number}\r\n\r\n");
        deliver(&store, content.as_bytes(), 100, delivery(&[alice, bob])).await;
    }
    let mut leased = lease(&store, alice).await;
    leased.expunge(&[]).await.unwrap();
    leased.expunge(&[0, 2]).await.unwrap();
    drop(leased);
    store.close().await;
    let store = crate::open(options(folder.path())).await.unwrap();
    let numbers: Vec<_> =
        read_all(&store, alice).await.iter().map(|content| content[PREFIX.len() + 3]).collect();
    assert_eq!(numbers, b"13");
    assert_eq!(read_all(&store, bob).await.len(), 4);
    store.close().await;
}

//! The promises of the queue: what is due, whose it is, what becomes of it, and how the administrator sees it.

use std::time::Duration;

use mailwire::address::{Domain, ReversePath};
use mailwire::clock;

use super::{account, deliver, delivery, lease, mailbox, offer, options, read_all, with_store};
use crate::{
    Attempt, Delivery, DomainCounts, IntakeError, MessageId, QUEUE_CHANGES_MAX, QueueCounts, QueueEntry,
    QueueError, QueueFilter, QueueId, QueueOutcome, QueueState, RecipientTerms, RelayRecipient, Store, Then,
};

/// A time that no test will see.
const FAR: u64 = 90_000_000_000;
const CONTENT: &[u8] = b"A: b\r\n\r\nx\r\n";

/// Mail for these, each with its due time.
pub(super) fn relayed(to: &[(&str, u64)]) -> Delivery {
    let relay = to.iter().map(|(to, due)| RelayRecipient {
        mailbox: mailbox(to),
        due: *due,
        expires: due + 1000,
        terms: RecipientTerms::default(),
    });
    Delivery { relay: relay.collect(), ..delivery(&[]) }
}

pub(super) async fn send(store: &Store, to: &[(&str, u64)]) {
    deliver(store, CONTENT, 100, relayed(to)).await;
}

/// A temporary failure.
pub(crate) fn deferred(id: QueueId, due: u64, said: &str) -> QueueOutcome {
    let attempt = Attempt { at: 1, said: said.to_owned(), ..Attempt::default() };
    QueueOutcome { id, attempt: Some(attempt), then: Then::Defer { due, warned: false } }
}

pub(super) const fn ended(id: QueueId, then: Then) -> QueueOutcome {
    QueueOutcome { id, attempt: None, then }
}

fn names(entries: &[QueueEntry]) -> Vec<String> {
    entries.iter().map(|entry| entry.recipient.local_part().as_str().to_owned()).collect()
}

async fn due(store: &Store, now: u64) -> Vec<String> {
    names(&store.queue.due(now, None, 10).await.unwrap())
}

pub(super) async fn all(store: &Store) -> Vec<QueueEntry> {
    store.queue.list(&QueueFilter::default(), None, 100).await.unwrap()
}

async fn ids(store: &Store) -> Vec<QueueId> {
    all(store).await.iter().map(|entry| entry.id).collect()
}

#[tokio::test]
async fn the_queue_gives_what_is_due_earliest_first() {
    with_store(async |store| {
        send(&store, &[("b@elsewhere.test", 200)]).await;
        deliver(&store, b"A: b\r\n\r\ny\r\n", 100, relayed(&[("a@elsewhere.test", 100)])).await;
        let queue = &store.queue;
        assert_eq!(due(&store, 99).await, Vec::<String>::new());
        assert_eq!(due(&store, 100).await, ["a"]);
        assert_eq!(due(&store, 1000).await, ["a", "b"]);
        assert_eq!(queue.next_due().await, Ok(Some(100)));

        let first = queue.due(100, None, 1).await.unwrap().remove(0);
        let octets = queue.read(first.id, 0, 1000).await.unwrap();
        assert_eq!(octets, b"Received: here\r\nA: b\r\n\r\ny\r\n");
        assert_eq!(first.octets, octets.len() as u64);
        assert_eq!(queue.lease(&[first.id], FAR).await, Ok(vec![first.id]));
        assert_eq!(due(&store, 1000).await, ["b"]);
        assert_eq!(queue.next_due().await, Ok(Some(200)));
        assert_eq!(queue.settle(vec![deferred(first.id, 300, "451 later")]).await, Ok(vec![first.id]));
        assert_eq!(due(&store, 1000).await, ["b", "a"]);
        let after = queue.show(first.id).await.unwrap();
        assert_eq!((after.attempts, after.last_result.as_str(), after.due), (1, "451 later", 300));
        assert!(!after.is_leased && !after.is_warned);
        assert_eq!(queue.settle(vec![ended(first.id, Then::Relayed)]).await, Ok(vec![first.id]));
        assert_eq!(queue.settle(vec![ended(first.id, Then::Relayed)]).await, Ok(Vec::new()));
        assert_eq!(queue.show(first.id).await, Err(QueueError::Missing));
        assert_eq!(queue.read(first.id, 0, 1).await, Err(QueueError::Missing));
        assert_eq!(due(&store, 1000).await, ["b"]);
    })
    .await;
}

#[tokio::test]
async fn all_recipients_of_a_message_come_into_the_queue_together() {
    const MESSAGES: usize = 20;
    with_store(async |store| {
        let names: Vec<_> = (0..20).map(|number| format!("r{number}@b.test")).collect();
        let to: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let send_all = async {
            for _ in 0..MESSAGES {
                send(&store, &to).await;
            }
        };
        let look = async {
            loop {
                let entries = store.queue.due(1, None, 1_000).await.unwrap();
                let messages: Vec<_> =
                    entries.chunk_by(|one, other| one.id.message == other.id.message).collect();
                assert!(messages.iter().all(|entries| entries.len() == to.len()));
                if messages.len() == MESSAGES {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(send_all, look);
    })
    .await;
}

#[tokio::test]
async fn whoever_goes_on_behind_a_place_sees_each_entry_once() {
    with_store(async |store| {
        send(&store, &[("c@x.test", 300), ("a@x.test", 100), ("b@y.test", 100), ("d@y.test", 400)]).await;
        let (mut seen, mut after) = (Vec::new(), None);
        while let [entry, ..] = store.queue.due(300, after, 1).await.unwrap().as_slice() {
            seen.extend(names(std::slice::from_ref(entry)));
            after = Some(entry.place());
        }
        assert_eq!(seen, ["a", "b", "c"]);
    })
    .await;
}

#[tokio::test]
async fn what_waits_again_in_front_of_what_others_have_is_seen() {
    with_store(async |store| {
        send(&store, &[("a@x.test", 100), ("b@x.test", 200), ("c@x.test", 300), ("d@x.test", 400)]).await;
        let [a, b, c, _] = ids(&store).await.try_into().unwrap();
        store.queue.lease(&[a, b, c], FAR).await.unwrap();
        assert_eq!(
            (due(&store, 1000).await, store.queue.next_due().await),
            (vec!["d".to_owned()], Ok(Some(400)))
        );
        store.queue.settle(vec![deferred(b, 150, "451 soon")]).await.unwrap();
        assert_eq!(
            (due(&store, 1000).await, store.queue.next_due().await),
            (vec!["b".to_owned(), "d".to_owned()], Ok(Some(150)))
        );
        send(&store, &[("e@x.test", 50)]).await;
        assert_eq!(
            (due(&store, 1000).await, store.queue.next_due().await),
            (vec!["e".to_owned(), "b".to_owned(), "d".to_owned()], Ok(Some(50)))
        );
        store.queue.settle(vec![ended(a, Then::Relayed), ended(c, Then::Failed)]).await.unwrap();
        assert_eq!(due(&store, 1000).await, ["e", "b", "d"]);
    })
    .await;
}

#[tokio::test]
async fn an_entry_is_one_workers_until_its_time_is_over() {
    with_store(async |store| {
        send(&store, &[("a@x.test", 100), ("b@x.test", 100), ("c@x.test", 100)]).await;
        let [a, b, c] = ids(&store).await.try_into().unwrap();
        store.queue.hold(&[c], QueueState::Held).await.unwrap();
        let gone = QueueId { recipient: 9, ..a };
        assert_eq!(store.queue.lease(&[a], FAR).await, Ok(vec![a]));
        assert_eq!(store.queue.lease(&[a, b, c, gone], clock::unix_seconds() + 1).await, Ok(vec![b]));
        assert!(store.queue.show(b).await.unwrap().is_leased);
        let count = store.queue.changed(0).await.unwrap();
        assert_eq!(store.queue.next_due().await, Ok(None));
        // Nobody does anything; the lease is over by itself.
        assert_ne!(store.queue.changed(count).await.unwrap(), count);
        assert_eq!(due(&store, 1000).await, ["b"]);
        assert_eq!(store.queue.lease(&[b], FAR).await, Ok(vec![b]));
    })
    .await;
}

/// Returns once something has changed since `count` was given, and gives the new count.
async fn changed(store: &Store, count: u64) -> u64 {
    let changed = tokio::time::timeout(Duration::from_mins(1), store.queue.changed(count));
    changed.await.unwrap().unwrap()
}

#[tokio::test]
async fn whoever_waits_hears_of_what_may_be_due_sooner() {
    with_store(async |store| {
        let count = store.queue.changed(0).await.unwrap();
        let waiting = store.queue.changed(count);
        let (told, ()) = tokio::join!(waiting, send(&store, &[("a@x.test", FAR)]));
        let [a] = ids(&store).await.try_into().unwrap();
        // Also of what was before the question.
        let mut count = told.unwrap();
        store.queue.retry_at(&[a], 100).await.unwrap();
        count = changed(&store, count).await;
        store.queue.hold(&[a], QueueState::Held).await.unwrap();
        store.queue.hold(&[a], QueueState::Waiting).await.unwrap();
        count = changed(&store, count).await;
        store.queue.lease(&[a], FAR).await.unwrap();
        store.queue.settle(vec![deferred(a, 50, "451 later")]).await.unwrap();
        changed(&store, count).await;
        assert_eq!(due(&store, 50).await, ["a"]);
    })
    .await;
}

#[tokio::test]
async fn who_does_not_wait_any_more_costs_nothing() {
    with_store(async |store| {
        let count = store.queue.changed(0).await.unwrap();
        for _ in 0..10_000 {
            let changed = store.queue.changed(count);
            tokio::select! {
                biased;
                changed = changed => panic!("{changed:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
        send(&store, &[("a@x.test", 100)]).await;
        assert_ne!(changed(&store, count).await, count);
    })
    .await;
}

#[tokio::test]
async fn what_a_process_has_is_nobodys_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let host = crate::open(options(folder.path())).await.unwrap();
    send(&host, &[("a@x.test", 100), ("b@x.test", 100), ("c@x.test", 100)]).await;
    let [a, b, c] = ids(&host).await.try_into().unwrap();
    let (worker, other) = (
        crate::open(options(folder.path())).await.unwrap(),
        crate::open(options(folder.path())).await.unwrap(),
    );
    assert_eq!(host.queue.lease(&[c], FAR).await, Ok(vec![c]));
    assert_eq!(other.queue.lease(&[b], FAR).await, Ok(vec![b]));
    assert_eq!(worker.queue.lease(&[a, b], FAR).await, Ok(vec![a]));
    assert_eq!(worker.queue.lease(&[a], FAR).await, Ok(Vec::new()));
    let count = host.queue.changed(0).await.unwrap();
    drop(worker);
    changed(&host, count).await;
    assert_eq!(due(&host, 1000).await, ["a"]);
    other.close().await;
    host.close().await;
}

#[tokio::test]
async fn what_became_of_several_is_one_change() {
    with_store(async |store| {
        send(&store, &[("a@x.test", 100), ("b@x.test", 100)]).await;
        send(&store, &[("c@x.test", 100), ("d@x.test", 100)]).await;
        let [a, b, c, d] = ids(&store).await.try_into().unwrap();
        let outcomes = vec![
            ended(a, Then::Relayed),
            deferred(b, 500, "451 later"),
            ended(b, Then::Failed),
            ended(c, Then::Expired),
            ended(QueueId { recipient: 9, ..a }, Then::Relayed),
        ];
        assert_eq!(store.queue.settle(outcomes).await, Ok(vec![a, b, c]));
        assert_eq!(ids(&store).await, [b, d]);
        assert_eq!(store.queue.show(b).await.unwrap().due, 500);
        let warned = QueueOutcome { then: Then::Defer { due: 1, warned: true }, ..deferred(b, 0, "") };
        store.queue.settle(vec![warned]).await.unwrap();
        store.queue.settle(vec![deferred(b, 700, "451 still")]).await.unwrap();
        let entry = store.queue.show(b).await.unwrap();
        assert!(entry.is_warned, "it stays so");
        assert_eq!((entry.attempts, entry.due, entry.last_result.as_str()), (3, 700, "451 still"));
        let later = QueueOutcome { attempt: None, ..deferred(b, 800, "") };
        store.queue.settle(vec![later]).await.unwrap();
        let entry = store.queue.show(b).await.unwrap();
        assert_eq!((entry.attempts, entry.due, entry.last_result.as_str()), (3, 800, "451 still"));
        let many = vec![ended(b, Then::Relayed); QUEUE_CHANGES_MAX + 1];
        assert_eq!(store.queue.settle(many.clone()).await, Err(QueueError::TooMany));
        assert_eq!(store.queue.settle(many[1..].to_vec()).await, Ok(vec![b]));
    })
    .await;
}

#[tokio::test]
async fn of_long_words_the_beginning_is_kept_however_many_there_are() {
    with_store(async |store| {
        let to: Vec<_> = (0..QUEUE_CHANGES_MAX).map(|number| format!("r{number}@x.test")).collect();
        let to: Vec<_> = to.iter().map(|to| (to.as_str(), 100)).collect();
        send(&store, &to).await;
        let mut all: Vec<QueueId> = Vec::new();
        loop {
            let page = store.queue.list(&QueueFilter::default(), all.last().copied(), 1000).await.unwrap();
            if page.is_empty() {
                break;
            }
            all.extend(page.iter().map(|entry| entry.id));
        }
        assert_eq!(all.len(), QUEUE_CHANGES_MAX);
        let long = "\u{e9}".repeat(2000);
        let attempt = Attempt { at: 1, place: long.clone(), said: long.clone(), dialogue: long.clone() };
        let outcome = |id| QueueOutcome { attempt: Some(attempt.clone()), ..deferred(id, 500, "") };
        assert_eq!(store.queue.settle(all.iter().copied().map(outcome).collect()).await, Ok(all.clone()));
        assert_eq!(store.queue.show(all[0]).await.unwrap().last_result, "\u{e9}".repeat(256));
    })
    .await;
}

#[tokio::test]
async fn the_administrator_finds_holds_and_puts_forward() {
    with_store(async |store| {
        send(&store, &[("a@x.test", 100), ("b@y.test", 100), ("c@B\u{fc}cher.test", 100)]).await;
        let from_nobody = Delivery { reverse_path: ReversePath::Null, ..relayed(&[("d@x.test", 100)]) };
        deliver(&store, CONTENT, 100, from_nobody).await;
        let entries = all(&store).await;
        let [a, b, c, d] = ids(&store).await.try_into().unwrap();
        let any = QueueFilter::default;
        let list = async |filter| names(&store.queue.list(&filter, None, 100).await.unwrap());
        let domain = |text| Some(Domain::parse(text).unwrap());
        assert_eq!(list(any()).await, ["a", "b", "c", "d"]);
        assert_eq!(list(QueueFilter { domain: domain("x.test"), ..any() }).await, ["a", "d"]);
        assert_eq!(list(QueueFilter { domain: domain("xn--bcher-kva.test"), ..any() }).await, ["c"]);
        assert_eq!(list(QueueFilter { domain: domain("test"), ..any() }).await, Vec::<String>::new());
        assert_eq!(list(QueueFilter { message: Some(d.message), ..any() }).await, ["d"]);
        assert_eq!(list(QueueFilter { message: Some(MessageId(0)), ..any() }).await, Vec::<String>::new());
        assert_eq!(list(QueueFilter { recipient: Some(mailbox("A@X.test")), ..any() }).await, ["a"]);
        assert_eq!(list(QueueFilter { reverse_path: Some(ReversePath::Null), ..any() }).await, ["d"]);
        let sender = Some(entries[0].reverse_path.clone());
        let from_sender = QueueFilter { reverse_path: sender, domain: domain("x.test"), ..any() };
        assert_eq!(list(from_sender).await, ["a"]);
        let behind = store.queue.list(&QueueFilter { domain: domain("x.test"), ..any() }, Some(a), 100).await;
        assert_eq!(names(&behind.unwrap()), ["d"]);
        assert_eq!(names(&store.queue.list(&any(), Some(b), 1).await.unwrap()), ["c"]);

        let gone = QueueId { recipient: 9, ..a };
        assert_eq!(store.queue.hold(&[a, gone, b], QueueState::Held).await, Ok(vec![a, b]));
        assert_eq!(due(&store, 1000).await, ["c", "d"]);
        assert_eq!(list(QueueFilter { state: Some(QueueState::Held), ..any() }).await, ["a", "b"]);
        assert_eq!(store.queue.retry_at(&[b, c, gone], 50).await, Ok(vec![b, c]));
        assert_eq!(due(&store, 1000).await, ["c", "d"], "what is held stays so");
        assert_eq!(store.queue.hold(&[b], QueueState::Waiting).await, Ok(vec![b]));
        assert_eq!(due(&store, 1000).await, ["b", "c", "d"]);
        let counts = |text: &str, waiting, held| DomainCounts {
            domain: Domain::parse(text).unwrap(),
            counts: QueueCounts { waiting, held },
        };
        let (first, third) = (counts("x.test", 1, 1), counts("y.test", 1, 0));
        let umlaut = counts("xn--bcher-kva.test", 1, 0);
        assert_eq!(store.queue.domains(None, 10).await, Ok(vec![first.clone(), umlaut.clone(), third]));
        assert_eq!(store.queue.domains(Some(&first.domain), 1).await, Ok(vec![umlaut]));
        store.queue.settle(vec![ended(b, Then::Removed)]).await.unwrap();
        assert_eq!(store.queue.domains(Some(&counts("xz.test", 0, 0).domain), 10).await, Ok(Vec::new()));
    })
    .await;
}

#[tokio::test]
async fn an_attempt_goes_on_while_the_administrator_thinks_otherwise() {
    with_store(async |store| {
        send(&store, &[("a@x.test", 100), ("b@x.test", 100)]).await;
        let [a, b] = ids(&store).await.try_into().unwrap();
        store.queue.lease(&[a, b], FAR).await.unwrap();
        store.queue.hold(&[a], QueueState::Held).await.unwrap();
        store.queue.hold(&[a], QueueState::Waiting).await.unwrap();
        store.queue.retry_at(&[a], 50).await.unwrap();
        assert_eq!(due(&store, 1000).await, Vec::<String>::new(), "it is still the worker's");
        store.queue.hold(&[a], QueueState::Held).await.unwrap();
        store.queue.settle(vec![deferred(a, 200, "451 later"), deferred(b, 200, "451 later")]).await.unwrap();
        assert_eq!(due(&store, 1000).await, ["b"]);
        assert_eq!(store.queue.show(a).await.unwrap().state, QueueState::Held);
    })
    .await;
}

#[tokio::test]
async fn a_report_and_what_it_is_about_are_one_change() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        send(&store, &[("a@x.test", 100), ("b@x.test", 100), ("c@x.test", 100)]).await;
        let [a, b, c] = ids(&store).await.try_into().unwrap();
        store.queue.lease(&[a, b, c], FAR).await.unwrap();
        let told =
            QueueOutcome { then: Then::Defer { due: 300, warned: true }, ..deferred(b, 0, "451 later") };
        let report = |concludes: Vec<QueueOutcome>| Delivery { concludes, ..delivery(&[alice]) };
        deliver(&store, CONTENT, 100, report(vec![ended(a, Then::Failed), told])).await;
        assert_eq!(read_all(&store, alice).await.len(), 1);
        assert_eq!(ids(&store).await, [b, c]);
        let entry = store.queue.show(b).await.unwrap();
        assert_eq!((entry.is_warned, entry.is_leased, entry.due), (true, false, 300));
        assert_eq!(due(&store, 1000).await, ["b"]);

        // Somebody else has concluded one of them: all or nothing.
        let late = report(vec![ended(c, Then::Failed), ended(a, Then::Failed)]);
        assert_eq!(offer(&store, CONTENT, 100, late).await.err(), Some(IntakeError::Concluded));
        assert_eq!((read_all(&store, alice).await.len(), ids(&store).await), (1, vec![b, c]));
        assert!(store.queue.show(c).await.unwrap().is_leased, "whoever has it keeps it");

        // A report may go elsewhere as well, and is in the queue then.
        let away = Delivery { concludes: vec![ended(c, Then::Expired)], ..relayed(&[("s@y.test", 100)]) };
        deliver(&store, CONTENT, 100, away).await;
        assert_eq!(names(&all(&store).await), ["b", "s"]);
    })
    .await;
}

#[tokio::test]
async fn the_queue_is_what_it_was_after_a_restart_and_from_the_journal_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    let alice = account(&store, "alice").await.maildrop;
    send(&store, &[("a@x.test", 100), ("b@x.test", 100), ("c@x.test", 100), ("d@y.test", 100)]).await;
    let [a, b, c, _] = ids(&store).await.try_into().unwrap();
    let told = QueueOutcome { then: Then::Defer { due: 300, warned: true }, ..deferred(b, 0, "451 later") };
    store.queue.settle(vec![ended(a, Then::Relayed), told]).await.unwrap();
    let report = Delivery { concludes: vec![ended(c, Then::Failed)], ..delivery(&[alice]) };
    deliver(&store, CONTENT, 100, report).await;
    let before = (all(&store).await, store.queue.domains(None, 10).await);
    assert_eq!(before.0.len(), 2);
    store.close().await;
    for _ in 0..2 {
        let store = crate::open(options(folder.path())).await.unwrap();
        assert_eq!((all(&store).await, store.queue.domains(None, 10).await), before);
        assert_eq!(lease(&store, alice).await.entries().len(), 1);
        store.close().await;
        std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    }
}

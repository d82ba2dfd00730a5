//! The promises about lives of messages that leave: what is kept of them, how long, and how they are found.

use std::path::Path;

use mailwire::address::ReversePath;

use super::queue::{all, deferred, ended, relayed, send};
use super::{account, deliver, delivery, mailbox, options, with_store};
use crate::{
    Attempt, Delivery, Ending, MessageId, Options, QueueOutcome, Store, Then, Trace, TraceRow, TraceStep,
    TracedAs, TracedRecipient,
};

const CONTENT: &[u8] = b"Subject: x\r\nMessage-ID: <one@example.test>\r\n\r\nx\r\n";

fn address(text: &str) -> TracedAs {
    TracedAs::Address(mailbox(text))
}

fn message_id(text: &str) -> TracedAs {
    TracedAs::MessageId(text.to_owned())
}

async fn traced(store: &Store, known_as: &TracedAs) -> Vec<MessageId> {
    store.traces.traced(known_as, None, 100).await.unwrap()
}

async fn trace(store: &Store, message: MessageId) -> Trace {
    store.traces.trace(message).await.unwrap().unwrap()
}

fn attempt(at: u64, said: &str) -> Attempt {
    let text = |text: &str| text.to_owned();
    Attempt { at, place: text("mx.x.test [192.0.2.1]"), said: text(said), dialogue: text("S: 220 hello") }
}

#[tokio::test]
async fn the_life_of_a_message_is_kept_beyond_its_end() {
    with_store(async |store| {
        let step = TraceStep { at: 1, event: "connected".into(), detail: "from 192.0.2.1".to_owned() };
        let row = |at, event: &'static str, detail: &str| TraceRow {
            at,
            session: "s1".to_owned(),
            event: event.into(),
            detail: detail.to_owned(),
        };
        let sent = Delivery {
            steps: vec![step],
            trace: row(2, "submitted", ""),
            ..relayed(&[("a@x.test", 100), ("b@x.test", 100), ("c@x.test", 100)])
        };
        deliver(&store, CONTENT, 100, sent).await;
        let entries = all(&store).await;
        let [a, b, _] = [0, 1, 2].map(|at| entries[at].id);
        let deferral = Then::Defer { due: 200, warned: false };
        let first = QueueOutcome { id: a, attempt: Some(attempt(10, "451 later")), then: deferral };
        store.queue.settle(vec![first, ended(b, Then::Removed)]).await.unwrap();
        let second = QueueOutcome { id: a, attempt: Some(attempt(20, "250 taken")), then: Then::Relayed };
        store.queue.settle(vec![second]).await.unwrap();

        let life = trace(&store, a.message).await;
        assert_eq!(life.rows, [row(1, "connected", "from 192.0.2.1"), row(2, "submitted", "")]);
        assert_eq!((life.accepted_at, life.message), (entries[0].accepted_at, a.message));
        assert_eq!(life.message_id.as_deref(), Some("one@example.test"));
        assert_eq!(life.reverse_path, ReversePath::Mailbox(mailbox("a@example.test")));
        let [first, second, third] = life.recipients.try_into().unwrap();
        let tried = vec![(1, attempt(10, "451 later")), (2, attempt(20, "250 taken"))];
        assert_eq!((first.recipient, first.mailbox, first.attempts), (0, mailbox("a@x.test"), tried));
        assert_eq!(first.ended.map(|(_, how)| how), Some(Ending::Relayed));
        assert_eq!(second.ended.map(|(_, how)| how), Some(Ending::Removed));
        let waiting =
            TracedRecipient { recipient: 2, mailbox: mailbox("c@x.test"), attempts: vec![], ended: None };
        assert_eq!(third, waiting);
    })
    .await;
}

#[tokio::test]
async fn a_message_is_found_by_what_people_know_of_it_the_newest_first() {
    with_store(async |store| {
        deliver(&store, CONTENT, 3, relayed(&[("a@x.test", 100)])).await;
        send(&store, &[("a@x.test", 100), ("b@B\u{fc}cher.test", 100)]).await;
        let prefix = b"Received: here\r\nMessage-ID: <two@example.test>\r\n".to_vec();
        let away = Delivery { reverse_path: ReversePath::Null, prefix, ..relayed(&[("c@x.test", 100)]) };
        deliver(&store, b"A: b\r\n\r\n", 100, away).await;
        let mut messages: Vec<_> = all(&store).await.iter().map(|entry| entry.id.message).collect();
        messages.dedup();
        let [one, two, three] = messages.try_into().unwrap();
        assert_eq!(traced(&store, &address("A@X.test")).await, [two, one]);
        assert_eq!(traced(&store, &address("b@xn--bcher-kva.test")).await, [two]);
        assert_eq!(traced(&store, &address("a@example.test")).await, [two, one], "the sender");
        assert_eq!(traced(&store, &message_id("<one@example.test>")).await, [one]);
        assert_eq!(traced(&store, &message_id("two@example.test")).await, [three]);
        for nobody in [message_id("One@example.test"), address("x@x.test"), address("x.test@a")] {
            assert_eq!(traced(&store, &nobody).await, []);
        }
        let page = async |before| store.traces.traced(&address("a@x.test"), before, 1).await.unwrap();
        assert_eq!(
            (page(None).await, page(Some(two)).await, page(Some(one)).await),
            (vec![two], vec![one], vec![])
        );
    })
    .await;
}

#[tokio::test]
async fn what_stays_here_has_its_life_in_its_maildrop() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        deliver(&store, CONTENT, 100, delivery(&[alice])).await;
        let message = store.maildrop_administration.messages(alice, None, 1).await.unwrap()[0].message;
        assert_eq!(store.traces.trace(message).await, Ok(None));
        assert_eq!(traced(&store, &message_id("one@example.test")).await, []);
    })
    .await;
}

#[tokio::test]
async fn of_many_attempts_the_first_and_the_last_are_kept() {
    with_store(async |store| {
        send(&store, &[("a@x.test", 100), ("b@x.test", 100)]).await;
        let [a, b] = [0, 1].map(|recipient| crate::QueueId { recipient, message: MessageId(1) });
        for number in 1..=40 {
            let outcomes = vec![deferred(a, 100, &format!("451 no. {number}"))];
            assert_eq!(store.queue.settle(outcomes).await, Ok(vec![a]));
        }
        store.queue.settle(vec![deferred(b, 100, "451 once")]).await.unwrap();
        let recipients = trace(&store, a.message).await.recipients;
        let numbers: Vec<u32> = recipients[0].attempts.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (1..=8).chain(17..=40).collect::<Vec<_>>());
        assert_eq!(recipients[0].attempts[31].1.said, "451 no. 40");
        assert_eq!(recipients[1].attempts.len(), 1);
    })
    .await;
}

/// A message that has left, one that waits after an attempt, and another one that has left.
async fn three_lives(store: &Store) -> [MessageId; 3] {
    for _ in 0..3 {
        deliver(store, CONTENT, 100, relayed(&[("a@x.test", 100)])).await;
    }
    let entries = all(store).await;
    let [one, two, three] = [0, 1, 2].map(|at| entries[at].id);
    let outcomes = vec![ended(one, Then::Relayed), deferred(two, 100, "451 x"), ended(three, Then::Failed)];
    store.queue.settle(outcomes).await.unwrap();
    [one.message, two.message, three.message]
}

async fn opened(root: &Path, trace_days: u64, trace_octets_max: u64) -> Store {
    crate::open(Options { trace_days, trace_octets_max, ..options(root) }).await.unwrap()
}

/// Which of them are kept, and how many attempts of the second one.
async fn kept(store: &Store, lives: [MessageId; 3]) -> (Vec<MessageId>, usize) {
    let mut kept = traced(store, &message_id("one@example.test")).await;
    kept.reverse();
    for message in lives {
        let is_kept = store.traces.trace(message).await.unwrap().is_some();
        assert_eq!(is_kept, kept.contains(&message), "what is found is there, and the other way round");
    }
    (kept, trace(store, lives[1]).await.recipients[0].attempts.len())
}

#[tokio::test]
async fn a_life_goes_when_its_days_are_over_and_not_before_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(folder.path(), 1, u64::MAX).await;
    let lives = three_lives(&store).await;
    store.repair.compact().await.unwrap();
    assert_eq!(kept(&store, lives).await, (lives.to_vec(), 1));
    store.close().await;
    let store = opened(folder.path(), 0, u64::MAX).await;
    store.repair.compact().await.unwrap();
    assert_eq!(kept(&store, lives).await, (vec![lives[1]], 1));
    store.close().await;
}

#[tokio::test]
async fn where_there_are_too_many_the_oldest_that_have_ended_go_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(folder.path(), 1, u64::MAX).await;
    let lives = three_lives(&store).await;
    store.close().await;
    let mut seen = Vec::new();
    for octets_max in (0..1000).rev().step_by(20) {
        let store = opened(folder.path(), 1, octets_max).await;
        store.repair.compact().await.unwrap();
        seen.push(kept(&store, lives).await);
        store.close().await;
    }
    seen.dedup();
    let [one, two, three] = lives;
    let (all, without_one) = ((vec![one, two, three], 1), (vec![two, three], 1));
    assert_eq!(seen, [all, without_one, (vec![two], 1), (vec![two], 0)]);
}

#[tokio::test]
async fn lives_are_what_they_were_after_a_restart_and_from_the_journal_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    let lives = three_lives(&store).await;
    let mut before = Vec::new();
    for message in lives {
        before.push(trace(&store, message).await);
    }
    store.close().await;
    for _ in 0..2 {
        let store = crate::open(options(folder.path())).await.unwrap();
        for (message, life) in lives.into_iter().zip(&before) {
            assert_eq!(trace(&store, message).await, *life);
        }
        assert_eq!(traced(&store, &message_id("one@example.test")).await.len(), 3);
        store.close().await;
        std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    }
}

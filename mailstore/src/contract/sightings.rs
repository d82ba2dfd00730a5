//! Sightings: who fetched and deleted mail, and what was refused, is told afterwards, and by the next process as well.

use mailwire::address::ReversePath;

use super::{account, deliver_text, lease, mailbox, options, with_store};
use crate::{Deed, Marks, Refusal, RefusalFilter, Store, Visit};

fn visit(by: &str, retrieved: &[usize], expunged: &[usize]) -> Visit {
    let marks = |indices: &[usize]| {
        let mut marks = Marks::default();
        for index in indices {
            marks.mark(*index);
        }
        marks
    };
    Visit { by: by.to_owned(), retrieved: marks(retrieved), expunged: marks(expunged) }
}

fn refusal(at: u64, from: &str, to: &[&str]) -> Refusal {
    let from = if from.is_empty() { ReversePath::Null } else { ReversePath::Mailbox(mailbox(from)) };
    let to: Vec<_> = to.iter().map(|to| mailbox(to)).collect();
    Refusal::new((at, "s1", "192.0.2.1"), &from, &to, &format!("550 at {at}"))
}

async fn said(store: &Store, filter: &RefusalFilter, refusals_max: usize) -> Vec<String> {
    let refusals = store.sightings.refusals(filter, refusals_max).await.unwrap();
    refusals.into_iter().map(|refusal| refusal.said).collect()
}

#[tokio::test]
async fn who_had_to_do_with_a_message_is_told() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        deliver_text(&store, alice, "one").await;
        deliver_text(&store, alice, "two").await;
        let kept = store.maildrop_administration.messages(alice, None, 2).await.unwrap();
        let (first, second) = (kept[0].message, kept[1].message);
        let mut held = lease(&store, alice).await;
        held.visited(visit("telephone", &[0, 1], &[])).await.unwrap();
        drop(held);
        let mut held = lease(&store, alice).await;
        held.expunge(&[0]).await.unwrap();
        held.visited(visit("desk", &[], &[0])).await.unwrap();
        drop(held);
        let told = async |message| {
            let visited = store.sightings.visited(message).await.unwrap();
            assert!(visited.iter().all(|one| one.maildrop == alice && one.at > 0));
            visited.into_iter().map(|one| (one.by, one.deed)).collect::<Vec<_>>()
        };
        let by = |by: &str, deed| (by.to_owned(), deed);
        assert_eq!(told(first).await, [by("telephone", Deed::Retrieved), by("desk", Deed::Expunged)]);
        assert_eq!(told(second).await, [by("telephone", Deed::Retrieved)]);
        // The maildrop's places have changed, and what was said of them has not.
        let mut held = lease(&store, alice).await;
        held.visited(visit("desk", &[0], &[])).await.unwrap();
        drop(held);
        assert_eq!(told(second).await.len(), 2);
        assert_eq!(told(first).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn what_was_refused_is_told_by_sender_recipient_and_time() {
    with_store(async |store| {
        let now = mailwire::clock::unix_seconds();
        let refusals = vec![
            refusal(now - 30, "a@example.org", &["alice@example.test", "b\u{fc}cher@example.test"]),
            refusal(now - 20, "b@xn--bcher-kva.example", &["alice@example.test"]),
            refusal(now - 10, "", &["bob@example.test"]),
        ];
        store.sightings.refused(refusals).await.unwrap();
        let all = RefusalFilter::default();
        let at = |before: u64| format!("550 at {}", now - before);
        assert_eq!(said(&store, &all, 10).await, [at(10), at(20), at(30)]);
        assert_eq!(said(&store, &all, 1).await, [at(10)]);
        let filter = |from: Option<&str>, to: Option<&str>, since| RefusalFilter {
            from: from.map(mailbox),
            to: to.map(mailbox),
            message_id: None,
            since,
        };
        let alice = Some("alice@EXAMPLE.test");
        assert_eq!(said(&store, &filter(None, alice, 0), 10).await, [at(20), at(30)]);
        assert_eq!(said(&store, &filter(None, alice, now - 20), 10).await, [at(20)]);
        assert_eq!(said(&store, &filter(Some("a@example.org"), alice, 0), 10).await, [at(30)]);
        assert_eq!(said(&store, &filter(Some("b@b\u{fc}cher.example"), None, 0), 10).await, [at(20)]);
        assert!(said(&store, &filter(Some("bob@example.test"), None, 0), 10).await.is_empty());
        let named = Refusal { said: "250; Message-ID <1@x>".to_owned(), ..refusal(now, "", &[]) };
        store.sightings.refused(vec![named]).await.unwrap();
        let called = |id: &str| RefusalFilter { message_id: Some(id.to_owned()), ..RefusalFilter::default() };
        assert_eq!(said(&store, &called("1@x"), 10).await, ["250; Message-ID <1@x>"]);
        assert!(said(&store, &called("@x"), 10).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_was_seen_is_told_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    let now = mailwire::clock::unix_seconds();
    store.sightings.refused(vec![refusal(now, "a@example.org", &[])]).await.unwrap();
    store.close().await;
    let store = crate::open(options(folder.path())).await.unwrap();
    assert_eq!(said(&store, &RefusalFilter::default(), 10).await, [format!("550 at {now}")]);
    store.close().await;
}

//! The promises about what senders ask: it is kept, given to whoever honours it, and mail that is held stays unseen.

use super::{account, deferred, deliver, delivery, lease, mailbox, options, with_store};
use crate::{
    Body, ByMode, DeliverBy, Delivery, LocalRecipient, MaildropError, MaildropId, MessageId, Notify,
    OriginalRecipient, RecipientTerms, RelayRecipient, Returns, Store, Terms, TraceRow, TraceStep,
};

/// A time that no test will see.
const FAR: u64 = 90_000_000_000;

fn all_terms() -> Terms {
    Terms {
        returns: Some(Returns::Headers),
        envelope_id: Some("QQ314159".to_owned()),
        release_at: Some(1000),
        deliver_by: Some(DeliverBy { at: 2000, mode: ByMode::Notify, trace: true }),
        priority: Some(-9),
        requires_tls: true,
        body: Some(Body::EightBit),
        is_utf8: true,
    }
}

fn recipient_terms(address: &str) -> RecipientTerms {
    RecipientTerms {
        notify: Some(Notify::On { success: true, failure: false, delay: true }),
        original: Some(OriginalRecipient { address_type: "rfc822".to_owned(), address: address.to_owned() }),
    }
}

fn held_until(at: u64) -> Terms {
    Terms { release_at: Some(at), ..Terms::default() }
}

async fn deliver_text_on(store: &Store, maildrop: MaildropId, text: &str, terms: Terms) {
    let content = format!("Subject: {text}\r\n\r\n{text}\r\n");
    deliver(store, content.as_bytes(), 1000, Delivery { terms, ..delivery(&[maildrop]) }).await;
}

/// Octets of what a reader sees, and when it was released.
async fn seen(store: &Store, maildrop: MaildropId) -> Vec<Option<u64>> {
    lease(store, maildrop).await.entries().iter().map(|entry| entry.release_at).collect()
}

/// The same with what the administrator sees.
async fn kept(store: &Store, maildrop: MaildropId) -> Vec<Option<u64>> {
    let kept = store.maildrop_administration.messages(maildrop, None, 100).await.unwrap();
    kept.into_iter().map(|kept| kept.entry.release_at).collect()
}

#[tokio::test]
async fn mail_that_is_held_is_counted_and_not_seen_before_its_time() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        for (text, at) in [("one", 1000), ("two", FAR), ("three", 2000)] {
            deliver_text_on(&store, alice, text, held_until(at)).await;
        }
        assert_eq!(seen(&store, alice).await, [Some(1000), Some(2000)]);
        assert_eq!(kept(&store, alice).await, [Some(1000), Some(FAR), Some(2000)]);
        assert_eq!(store.administration.usage().await.unwrap()[0].messages, 3);
        // Numbers are those of what is seen.
        lease(&store, alice).await.expunge(&[1]).await.unwrap();
        assert_eq!(seen(&store, alice).await, [Some(1000)]);
        assert_eq!(kept(&store, alice).await, [Some(1000), Some(FAR), Some(2000)]);
        assert_eq!(store.administration.usage().await.unwrap()[0].messages, 2);
    })
    .await;
}

#[tokio::test]
async fn a_hold_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    let alice = account(&store, "alice").await.maildrop;
    deliver_text_on(&store, alice, "later", held_until(FAR)).await;
    store.close().await;
    for _ in 0..2 {
        let store = crate::open(options(folder.path())).await.unwrap();
        assert_eq!(seen(&store, alice).await, []);
        assert_eq!(kept(&store, alice).await, [Some(FAR)]);
        store.close().await;
        // The second time it comes from the journal alone.
        std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    }
}

#[tokio::test]
async fn what_is_asked_for_a_recipient_elsewhere_stands_in_the_queue() {
    with_store(async |store| {
        let relay = |to: &str, terms| RelayRecipient { mailbox: mailbox(to), due: 100, expires: 900, terms };
        let relay = vec![
            relay("a@elsewhere.test", RecipientTerms::default()),
            relay("b@elsewhere.test", recipient_terms("B@elsewhere.test")),
        ];
        deliver(&store, b"A: b\r\n\r\n", 100, Delivery { relay, terms: all_terms(), ..delivery(&[]) }).await;
        let mut due = store.queue.due(100, None, 10).await.unwrap();
        store.queue.settle(vec![deferred(due[1].id, 50, "451 later")]).await.unwrap();
        due = store.queue.due(100, None, 10).await.unwrap();
        let [second, first] = due.try_into().unwrap();
        assert_eq!((first.terms, first.recipient_terms), (all_terms(), RecipientTerms::default()));
        assert_eq!((second.terms, second.attempts), (all_terms(), 1));
        assert_eq!(second.recipient_terms, recipient_terms("B@elsewhere.test"));
    })
    .await;
}

#[tokio::test]
async fn the_way_of_a_message_is_kept_with_it() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        let step = |at, event: &'static str, detail: &str| TraceStep {
            at,
            event: event.into(),
            detail: detail.to_owned(),
        };
        let row = |at, event: &'static str, detail: &str| TraceRow {
            at,
            session: "s1".to_owned(),
            event: event.into(),
            detail: detail.to_owned(),
        };
        let long = "\u{e9}".repeat(200);
        let mut steps = vec![step(1, "connected", "from 192.0.2.1"), step(2, "login", &long)];
        steps.extend((3..80).map(|at| step(at, "more", "")));
        let local =
            vec![LocalRecipient { mailbox: mailbox("alice@example.test"), terms: recipient_terms("x@y") }];
        let trace = row(99, "submitted", "with 3 octets");
        let sent = Delivery { steps, local: local.clone(), terms: all_terms(), trace, ..delivery(&[alice]) };
        deliver(&store, b"A: b\r\n\r\n", 100, sent).await;
        let administration = &store.maildrop_administration;
        let message = administration.messages(alice, None, 1).await.unwrap()[0].message;
        lease(&store, alice).await.expunge(&[0]).await.unwrap();

        let life = administration.life(alice, message).await.unwrap();
        assert_eq!(life.rows.len(), 65, "64 steps, and the commit");
        assert_eq!(life.rows[0], row(1, "connected", "from 192.0.2.1"));
        assert_eq!(life.rows[1], row(2, "login", &"\u{e9}".repeat(128)));
        assert_eq!(life.rows[64], row(99, "submitted", "with 3 octets"));
        assert_eq!((life.terms, life.local), (all_terms(), local));
        let nobody = administration.life(alice, MessageId(message.0 + 1)).await;
        assert_eq!(nobody, Err(MaildropError::Ended));
    })
    .await;
}

#[tokio::test]
async fn an_ordinary_message_has_the_row_of_its_commit() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        deliver_text_on(&store, alice, "plain", Terms::default()).await;
        let administration = &store.maildrop_administration;
        let message = administration.messages(alice, None, 1).await.unwrap()[0].message;
        let life = administration.life(alice, message).await.unwrap();
        assert_eq!((life.rows, life.terms), (vec![TraceRow::default()], Terms::default()));
    })
    .await;
}

//! The promises to those who administer maildrops: what was expunged is listed, read, brought back and given up.

use super::{PREFIX, account, deliver_text, lease, options, read_all, with_store};
use crate::{Kept, MaildropError, MaildropId, MessageId, ReturnAs, Store, UniqueId};

/// Messages of one page where a test wants several.
const PAGE: usize = 2;

/// A maildrop with `count` messages, called by their numbers from 0 on, of which those at `expunged` are expunged.
async fn maildrop(store: &Store, count: usize, expunged: &[usize]) -> MaildropId {
    let alice = account(store, "alice").await.maildrop;
    for number in 0..count {
        deliver_text(store, alice, &number.to_string()).await;
    }
    lease(store, alice).await.expunge(expunged).await.unwrap();
    alice
}

/// All messages, a few at a time.
async fn list(store: &Store, maildrop: MaildropId) -> Vec<Kept> {
    let mut all: Vec<Kept> = Vec::new();
    loop {
        let after = all.last().map(|kept| kept.message);
        let page = store.maildrop_administration.messages(maildrop, after, PAGE).await.unwrap();
        assert!(page.len() <= PAGE);
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// A whole message.
async fn read(store: &Store, maildrop: MaildropId, message: MessageId) -> Result<Vec<u8>, MaildropError> {
    let mut whole = Vec::new();
    loop {
        let offset = whole.len() as u64;
        let octets = store.maildrop_administration.read(maildrop, message, offset, 10).await?;
        assert!(octets.len() <= 10);
        if octets.is_empty() {
            return Ok(whole);
        }
        whole.extend(octets);
    }
}

fn content(name: usize) -> Vec<u8> {
    [PREFIX, format!("Subject: {name}\r\n\r\n{name}\r\n").as_bytes()].concat()
}

/// The unique-ids that a reader sees.
async fn unique_ids(store: &Store, maildrop: MaildropId) -> Vec<UniqueId> {
    lease(store, maildrop).await.entries().iter().map(|entry| entry.unique_id.clone()).collect()
}

#[tokio::test]
async fn messages_are_listed_in_the_order_of_their_arrival_whether_expunged_or_not() {
    with_store(async |store| {
        let alice = maildrop(&store, 7, &[0, 3, 4, 6]).await;
        let all = list(&store, alice).await;
        let expunged: Vec<bool> = all.iter().map(|kept| kept.expunged_at.is_some()).collect();
        assert_eq!(expunged, [true, false, false, true, true, false, true]);
        for (name, kept) in all.iter().enumerate() {
            assert_eq!(read(&store, alice, kept.message).await, Ok(content(name)));
            assert_eq!(kept.entry.octets, content(name).len() as u64);
        }
        let behind = store.maildrop_administration.messages(alice, Some(all[3].message), 100).await.unwrap();
        assert_eq!(behind, all[4..]);
        let seen: Vec<_> = [1, 2, 5].iter().map(|name| all[*name].entry.unique_id.clone()).collect();
        assert_eq!(unique_ids(&store, alice).await, seen);
    })
    .await;
}

#[tokio::test]
async fn what_comes_back_is_where_it_was_with_the_unique_id_that_it_had() {
    with_store(async |store| {
        let alice = maildrop(&store, 4, &[]).await;
        let before = unique_ids(&store, alice).await;
        lease(&store, alice).await.expunge(&[0, 1, 2]).await.unwrap();
        let all: Vec<_> = list(&store, alice).await.iter().map(|kept| kept.message).collect();
        let administration = &store.maildrop_administration;
        administration.bring_back(alice, &[], ReturnAs::Known).await.unwrap();
        administration.bring_back(alice, &[all[2], all[0], all[3]], ReturnAs::Known).await.unwrap();
        assert_eq!(
            unique_ids(&store, alice).await,
            [before[0].clone(), before[2].clone(), before[3].clone()]
        );
        assert_eq!(read_all(&store, alice).await, [content(0), content(2), content(3)]);
        let kept = list(&store, alice).await;
        assert_eq!(kept.iter().filter(|kept| kept.expunged_at.is_some()).count(), 1);
        // It can go and come back as often as one likes.
        lease(&store, alice).await.expunge(&[0]).await.unwrap();
        administration.bring_back(alice, &all, ReturnAs::Known).await.unwrap();
        assert_eq!(unique_ids(&store, alice).await, before);
    })
    .await;
}

#[tokio::test]
async fn what_comes_back_with_a_new_unique_id_keeps_that_one() {
    with_store(async |store| {
        let alice = maildrop(&store, 3, &[]).await;
        let before = unique_ids(&store, alice).await;
        lease(&store, alice).await.expunge(&[0, 2]).await.unwrap();
        let all: Vec<_> = list(&store, alice).await.iter().map(|kept| kept.message).collect();
        store.maildrop_administration.bring_back(alice, &all, ReturnAs::New).await.unwrap();
        let after = unique_ids(&store, alice).await;
        assert_eq!(read_all(&store, alice).await, [content(0), content(1), content(2)]);
        assert_eq!(after[1], before[1], "it was not expunged");
        assert!(!before.contains(&after[0]) && !before.contains(&after[2]) && after[0] != after[2]);
        lease(&store, alice).await.expunge(&[0]).await.unwrap();
        store.maildrop_administration.bring_back(alice, &all, ReturnAs::Known).await.unwrap();
        assert_eq!(unique_ids(&store, alice).await, after);
    })
    .await;
}

#[tokio::test]
async fn what_is_purged_is_gone_for_good_and_nothing_else_is() {
    with_store(async |store| {
        let alice = maildrop(&store, 4, &[0, 1, 2]).await;
        let all: Vec<_> = list(&store, alice).await.iter().map(|kept| kept.message).collect();
        let administration = &store.maildrop_administration;
        administration.purge(alice, &[all[0], all[2], all[3]]).await.unwrap();
        let left: Vec<_> = list(&store, alice).await.iter().map(|kept| kept.message).collect();
        assert_eq!(left, [all[1], all[3]]);
        assert_eq!(read(&store, alice, all[0]).await, Err(MaildropError::Ended));
        administration.bring_back(alice, &all, ReturnAs::Known).await.unwrap();
        assert_eq!(read_all(&store, alice).await, [content(1), content(3)]);
    })
    .await;
}

#[tokio::test]
async fn a_running_lease_does_not_see_what_comes_back() {
    with_store(async |store| {
        let alice = maildrop(&store, 3, &[0]).await;
        let expunged = list(&store, alice).await[0].message;
        let mut running = lease(&store, alice).await;
        store.maildrop_administration.bring_back(alice, &[expunged], ReturnAs::Known).await.unwrap();
        assert_eq!(running.entries().len(), 2);
        let first = running.read(0, 0, 1000).await.unwrap();
        assert_eq!(first, content(1));
        running.expunge(&[0]).await.unwrap();
        drop(running);
        assert_eq!(read_all(&store, alice).await, [content(0), content(2)]);
    })
    .await;
}

#[tokio::test]
async fn a_maildrop_or_message_that_is_not_there_is_said() {
    with_store(async |store| {
        let alice = maildrop(&store, 1, &[0]).await;
        let message = list(&store, alice).await[0].message;
        let administration = &store.maildrop_administration;
        let nowhere = MaildropId(u64::MAX);
        assert_eq!(administration.messages(nowhere, None, 10).await, Err(MaildropError::Ended));
        assert_eq!(read(&store, nowhere, message).await, Err(MaildropError::Ended));
        let missing = MessageId(u64::MAX);
        assert_eq!(read(&store, alice, missing).await, Err(MaildropError::Ended));
        administration.bring_back(alice, &[missing], ReturnAs::New).await.unwrap();
        administration.purge(alice, &[missing]).await.unwrap();
        assert_eq!(list(&store, alice).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_came_back_and_what_was_purged_is_so_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    let alice = maildrop(&store, 4, &[0, 1, 2]).await;
    let all: Vec<_> = list(&store, alice).await.iter().map(|kept| kept.message).collect();
    let administration = &store.maildrop_administration;
    administration.bring_back(alice, &all[..1], ReturnAs::New).await.unwrap();
    administration.purge(alice, &all[1..2]).await.unwrap();
    let before = list(&store, alice).await;
    store.close().await;
    let store = crate::open(options(folder.path())).await.unwrap();
    assert_eq!(list(&store, alice).await, before);
    assert_eq!(read_all(&store, alice).await, [content(0), content(3)]);
    store.close().await;
}

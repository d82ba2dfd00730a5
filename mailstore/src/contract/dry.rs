//! A dry store says of each message what the store says, and keeps nothing of it.

use std::net::IpAddr;

use super::*;
use crate::{Dry, GuardOptions, Note, OverQuota, Quota, Refusal, RefusalFilter, Sending};

/// What became of a message: which groups have it, or why nobody has.
fn told(result: Result<Receipt, IntakeError>) -> Result<(u64, Vec<Result<(), OverQuota>>), OverQuota> {
    match result {
        Ok(Receipt { octets, verdicts, .. }) => Ok((octets, verdicts)),
        Err(IntakeError::OverQuota { why, .. }) => Err(why),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_dry_store_refuses_what_the_store_refuses() {
    with_store(|store| async move {
        let (alice, bob) = (account(&store, "alice").await.maildrop, account(&store, "bob").await);
        let limit = Quota { octets: 1000, messages: 3 };
        store.administration.set_quota(&bob.address, Some(limit)).await.unwrap();
        let bob = bob.maildrop;
        let dry = Dry::of(&store, &GuardOptions::default());
        let apart = Fate::Apart(vec![vec![alice], vec![bob], vec![alice, bob]]);
        for (fate, octets) in [
            (Fate::Shared, 2000),
            (apart.clone(), 2000),
            (Fate::Apart(vec![vec![bob]]), 2000),
            (apart.clone(), 100),
            (Fate::Shared, 900),
            (Fate::Shared, 100),
            (apart.clone(), 100),
            (apart, 1),
            (Fate::Shared, 1),
        ] {
            let maildrops = if fate == Fate::Apart(vec![vec![bob]]) { vec![bob] } else { vec![alice, bob] };
            let delivery = Delivery { fate, ..delivery(&maildrops) };
            let content = [b"A: b\r\n\r\n".to_vec(), vec![b'x'; octets], b"\r\n".to_vec()].concat();
            let would = told(offer(dry.store(), &content, 1000, delivery.clone()).await);
            assert_eq!(dry.take().is_some(), would.is_ok());
            assert_eq!(would, told(offer(&store, &content, 1000, delivery).await), "{octets}");
        }
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn nothing_is_kept_of_what_a_dry_store_is_told() {
    with_store(|store| async move {
        let alice = account(&store, "alice").await.maildrop;
        let dry =
            Dry::of(&store, &GuardOptions { address_messages_per_minute: 1, ..GuardOptions::default() });
        deliver_text(dry.store(), alice, "dry").await;
        assert_eq!(dry.take().unwrap().delivery.maildrops, [alice]);
        assert!(dry.take().is_none());
        let dry = dry.store();
        let refusal = Refusal::new((1, "s", "192.0.2.1"), &ReversePath::Null, &[], "550 no");
        dry.sightings.refused(vec![refusal]).await.unwrap();
        let note =
            Note { topic: "t".to_owned(), name: "n".to_owned(), text: "x".to_owned(), until: u64::MAX };
        dry.recollections.remember(vec![note.clone()]).await.unwrap();
        dry.notes.note(note).await.unwrap();
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        dry.guard.erred(peer, 100_000).await.unwrap();
        for _ in 0..3 {
            assert_eq!(dry.guard.send(Sending { peer, account: None, recipients: 1 }).await.unwrap(), None);
        }
        let usage = store.administration.usage().await.unwrap();
        assert_eq!(usage.iter().map(|account| account.messages).sum::<u64>(), 0);
        assert!(store.sightings.refusals(&RefusalFilter::default(), 10).await.unwrap().is_empty());
        assert!(store.recollections.recollections("t", "", 0).await.unwrap().is_empty());
        assert!(store.notes.notes("t", "", 0).await.unwrap().is_empty());
        assert!(store.guard.throttled().await.unwrap().is_empty());
        store.close().await;
    })
    .await;
}

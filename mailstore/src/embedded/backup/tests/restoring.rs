//! What comes back is what was there.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;

use mailwire::secret::Secret;

use super::super::*;
use crate::contract::{account, deliver_text, lease, options, read_all};
use crate::{OpenError, Progress};

use super::house::*;

#[tokio::test]
async fn what_is_restored_is_what_was_there_at_that_time() {
    let house = House::new();
    let store = house.store().await;
    let (alice, _) = fill(&store).await;
    let first = describe(&store).await;
    let taken = house.back_up(&store).await;
    assert_eq!((taken.damage.len(), taken.octets), (0, taken.written_octets));
    deliver_text(&store, alice, "later").await;
    lease(&store, alice).await.expunge(&[0]).await.unwrap();
    store.administration.add_account(&mailbox("new"), &Secret::new("pw-new".to_owned())).await.unwrap();
    let second = describe(&store).await;
    house.back_up(&store).await;
    store.close().await;
    assert_ne!(first, second);
    assert_eq!(house.restored(Which::Newest).await, second);
    assert_eq!(house.restored(Which::Named(taken.snapshot)).await, first);
    assert_eq!(house.verified().flaws, []);
    for path in house.files() {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
    }
}

#[tokio::test]
async fn a_store_that_came_from_an_earlier_snapshot_goes_on_in_the_same_backup() {
    let house = House::new();
    let store = house.store().await;
    let alice = account(&store, "alice").await.maildrop;
    deliver_text(&store, alice, "one").await;
    let first = house.back_up(&store).await.snapshot;
    deliver_text(&store, alice, "two").await;
    house.back_up(&store).await;
    store.close().await;
    let to = house.at("restored");
    house.backup().restore(&Which::Named(first), &to, &mut go_on).unwrap();
    let store = opened(&to).await;
    for number in 0..5 {
        deliver_text(&store, alice, &format!("else {number}")).await;
    }
    let now = describe(&store).await;
    assert_eq!(house.back_up(&store).await.damage, []);
    store.close().await;
    assert_eq!(house.verified().flaws, []);
    assert_eq!(house.restored(Which::Newest).await, now);
}

#[tokio::test]
async fn a_restore_that_was_stopped_goes_on_and_nobody_opens_what_is_half_there() {
    let house = House::new();
    let store = house.store().await;
    fill(&store).await;
    let first = house.back_up(&store).await.snapshot;
    let now = describe(&store).await;
    house.back_up(&store).await;
    store.close().await;
    let (backup, to) = (house.backup(), house.at("restored"));
    let which = Which::Named(first.clone());
    let stop = |progress: Progress| {
        if progress.done > objects::PIECE_OCTETS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    assert!(matches!(backup.restore(&which, &to, &mut { stop }), Err(BackupError::Stopped)));
    let refused = crate::open(options(&to)).await.err().unwrap();
    assert!(matches!(refused, OpenError::Io { .. }));
    assert!(mailwire::cause::chain(&refused).contains("mailstack restore"), "{refused}");
    let other = backup.restore(&Which::Newest, &to, &mut go_on);
    assert!(matches!(other, Err(BackupError::OtherRestore { snapshot, .. }) if snapshot == first));
    // What is torn is written again.
    flip(&to.join("journal/00000001.segment"), 1000);
    backup.restore(&which, &to, &mut go_on).unwrap();
    let again = backup.restore(&which, &to, &mut go_on);
    assert!(matches!(again, Err(BackupError::Occupied(_))));
    let store = opened(&to).await;
    assert_eq!(describe(&store).await, now);
    assert!(matches!(backup.restore(&which, &to, &mut go_on), Err(BackupError::Occupied(_))));
    store.close().await;
    let elsewhere = house.at("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let _lock = Backup::lock(&elsewhere).unwrap();
    assert!(matches!(backup.restore(&which, &elsewhere, &mut go_on), Err(BackupError::InUse(_))));
}

#[tokio::test]
async fn the_messages_of_one_account_are_read_without_restoring_all() {
    let house = House::new();
    let store = house.store().await;
    let (alice, _) = fill(&store).await;
    let expected = read_all(&store, alice).await;
    let entries = lease(&store, alice).await.entries().to_vec();
    house.back_up(&store).await;
    store.administration.remove_alias(&mailbox("both").into()).await.unwrap();
    store.administration.remove_account(&mailbox("alice")).await.unwrap();
    store.close().await;
    let past = PastStore::open(&house.backup(), &Which::Newest).unwrap();
    assert!(past.messages(&mailbox("gone")).unwrap().is_none());
    let messages = past.messages(&mailbox("alice")).unwrap().unwrap();
    let found: Vec<_> = messages.iter().map(|message| message.entry.clone()).collect();
    assert_eq!(found, entries);
    for (message, expected) in messages.iter().zip(&expected) {
        let content = past.content(message).await.unwrap().unwrap();
        let mut found = Vec::new();
        loop {
            let octets = content.read(found.len() as u64, 1 << 20).await.unwrap();
            if octets.is_empty() {
                break;
            }
            found.extend(octets);
        }
        assert!(found == *expected);
    }
    let large = house.objects().into_iter().find(|(_, octets)| *octets == objects::PIECE_OCTETS).unwrap().0;
    flip(&large, 4000);
    assert!(past.content(&messages[3]).await.unwrap().is_some());
    assert!(past.content(&messages[4]).await.unwrap().is_none());
}

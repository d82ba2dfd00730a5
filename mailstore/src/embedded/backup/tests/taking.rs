//! Snapshots hold what was acknowledged, and cost only what is new.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use super::super::*;
use crate::contract::{account, deliver_text, lease, read_all, with_store};

use super::house::*;

#[tokio::test]
async fn only_what_is_new_is_written() {
    let house = House::new();
    let store = house.store().await;
    let alice = account(&store, "alice").await.maildrop;
    for number in 0..12 {
        deliver(&store, &large(&format!("{number}"))[..1_000_000], delivery(&[alice])).await;
    }
    let whole = house.back_up(&store).await;
    assert!(whole.written_octets > 12_000_000, "{whole:?}");
    assert_eq!(house.back_up(&store).await.written_octets, 0);
    deliver_text(&store, alice, "more").await;
    let more = house.back_up(&store).await;
    // The last piece has grown; those before it have not.
    assert!(more.written_octets > 0 && more.written_octets <= objects::PIECE_OCTETS, "{more:?}");
    deliver(&store, &large("file"), delivery(&[alice])).await;
    let file = house.back_up(&store).await;
    let piece = objects::PIECE_OCTETS;
    assert!(
        (LARGE_OCTETS as u64..LARGE_OCTETS as u64 + 2 * piece).contains(&file.written_octets),
        "{file:?}"
    );
    assert_eq!(house.read(&store, Reading::Everything).await.unwrap().written_octets, 0);
    let now = describe(&store).await;
    store.close().await;
    assert_eq!(house.restored(Which::Newest).await, now);
}

#[tokio::test]
async fn a_backup_that_was_stopped_goes_on_where_it_was() {
    let house = House::new();
    let store = house.store().await;
    fill(&store).await;
    let plan = || BackupPlan { folder: house.at("backup"), reading: Reading::New };
    let stopped = back_up(&store, plan(), |progress| {
        if progress.done > objects::PIECE_OCTETS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(stopped.await, Err(BackupError::Stopped)));
    let there: u64 = house.objects().iter().map(|(_, octets)| octets).sum();
    assert!(there > 0);
    assert!(matches!(house.backup().choose(&Which::Newest), Err(BackupError::NoSnapshot)));
    fs::write(house.at("backup/tmp/left-over"), "x").unwrap();
    let taken = house.back_up(&store).await;
    assert_eq!(taken.written_octets + there, taken.octets);
    assert_eq!(fs::read_dir(house.at("backup/tmp")).unwrap().count(), 0);
    let now = describe(&store).await;
    store.close().await;
    assert_eq!(house.restored(Which::Newest).await, now);
}

#[tokio::test]
async fn nothing_goes_while_it_is_held_and_all_that_was_acknowledged_is_held() {
    with_store(async |store| {
        let (alice, bob) = fill(&store).await;
        let mut hold = store.maintenance.hold().await.unwrap();
        let octets: u64 = hold.state().segments.iter().map(|segment| segment.octets).sum();
        let last = hold.state().segments.last().unwrap().number;
        let journal = hold.state().folder.join("journal").join(super::super::super::segment::name(last));
        assert_eq!(journal.metadata().unwrap().len(), octets);
        let kept = |hold: &dyn crate::Hold| {
            let folder = hold.state().folder.clone();
            let count = |name: &str| fs::read_dir(folder.join(name)).unwrap().count();
            (count("journal"), count("content"))
        };
        let before = kept(&*hold);
        for maildrop in [alice, bob] {
            let mut lease = lease(&store, maildrop).await;
            let all: Vec<usize> = (0..lease.entries().len()).collect();
            lease.expunge(&all).await.unwrap();
            drop(lease);
            for kept in store.maildrop_administration.messages(maildrop, None, 100).await.unwrap() {
                store.maildrop_administration.purge(maildrop, &[kept.message]).await.unwrap();
            }
        }
        let gain = store.repair.compact().await.unwrap();
        assert_eq!((gain.segments, gain.files, kept(&*hold)), (0, 0, before));
        hold.confirm().await.unwrap();
        drop(hold);
        // The host of a shared store notices a moment later.
        while store.repair.compact().await.unwrap().files == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_store_in_full_use_is_backed_up_as_it_is_at_one_moment() {
    let house = House::new();
    let host = house.store().await;
    let store = house.store().await;
    let alice = account(&host, "alice").await.maildrop;
    let mut counts = BTreeMap::new();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let (delivered, acknowledged) = tokio::sync::watch::channel(0);
    let deliveries = tokio::spawn({
        let host = host.clone();
        async move {
            for number in 0.. {
                deliver(&host, &middling(number), delivery(&[alice])).await;
                delivered.send_replace(number + 1);
                if number % 8 == 7 {
                    lease(&host, alice).await.expunge(&[0, 1, 2, 3]).await.unwrap();
                    host.repair.compact().await.unwrap();
                }
                if *stopped.borrow() {
                    break;
                }
            }
        }
    });
    for _ in 0..6 {
        let before = *acknowledged.borrow();
        acknowledged.clone().wait_for(|now| *now >= before + 7).await.unwrap();
        let least = *acknowledged.borrow();
        let taken = house.back_up(&store).await;
        assert_eq!(taken.damage, []);
        counts.insert(taken.snapshot, least);
    }
    stop.send_replace(true);
    deliveries.await.unwrap();
    store.close().await;
    host.close().await;
    assert_eq!(house.verified().flaws, []);
    for (snapshot, least) in counts {
        let to = house.at(&snapshot);
        house.backup().restore(&Which::Named(snapshot.clone()), &to, &mut go_on).unwrap();
        let store = opened(&to).await;
        let all = read_all(&store, alice).await;
        store.close().await;
        let number = |content: &Vec<u8>| -> u64 {
            let text = String::from_utf8_lossy(content);
            let number =
                text.split_once("Subject: ").unwrap().1.split_once("\r\n").unwrap().0.parse().unwrap();
            assert!(content.ends_with(&middling(number)), "message {number} is torn");
            number
        };
        let numbers: Vec<u64> = all.iter().map(number).collect();
        assert!(numbers.is_sorted_by(|a, b| a + 1 == *b), "{snapshot}: {numbers:?}");
        assert!(*numbers.last().unwrap() + 1 >= least, "{snapshot}: {numbers:?}, {least} acknowledged");
    }
}

#[tokio::test]
async fn a_folder_keeps_the_backup_of_one_store() {
    let house = House::new();
    let store = house.store().await;
    fs::create_dir(house.at("backup")).unwrap();
    fs::write(house.at("backup/holiday.jpg"), "x").unwrap();
    assert!(matches!(house.read(&store, Reading::New).await, Err(BackupError::NotEmpty(_))));
    assert_eq!(fs::read_dir(house.at("backup")).unwrap().count(), 1);
    fs::remove_file(house.at("backup/holiday.jpg")).unwrap();
    house.back_up(&store).await;
    let other = opened(&house.at("other")).await;
    assert!(matches!(house.read(&other, Reading::New).await, Err(BackupError::OtherStore(_))));
    let _lock = Backup::lock(&house.at("backup")).unwrap();
    assert!(matches!(house.read(&store, Reading::New).await, Err(BackupError::InUse(_))));
    store.close().await;
    other.close().await;
}

#[tokio::test]
async fn old_snapshots_go_with_what_only_they_need() {
    let house = House::new();
    let store = house.store().await;
    let (alice, _) = fill(&store).await;
    let mut names = vec![house.back_up(&store).await.snapshot];
    for number in 0..3 {
        deliver_text(&store, alice, &format!("later {number}")).await;
        names.push(house.back_up(&store).await.snapshot);
    }
    let now = describe(&store).await;
    store.close().await;
    let before = house.objects().len();
    let two = NonZeroUsize::new(2).unwrap();
    let newest = house.at("backup/snapshots").join(&names[3]);
    flip(&newest, 100);
    assert!(matches!(house.backup().prune(two, &mut go_on), Err(BackupError::CannotPrune { .. })));
    flip(&newest, 100);
    let pruned = house.backup().prune(two, &mut go_on).unwrap();
    assert_eq!((pruned.snapshots, pruned.objects), (names[..2].to_vec(), 2));
    assert_eq!(house.objects().len(), before - 2);
    assert_eq!(house.backup().prune(two, &mut go_on).unwrap(), Pruned::default());
    assert_eq!(house.verified().flaws, []);
    assert_eq!(house.restored(Which::Newest).await, now);
}

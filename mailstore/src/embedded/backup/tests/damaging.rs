//! Damage to a backup or to a store is named, with whose mail it is.

use std::fs;

use super::super::*;
use crate::contract::{account, deliver_text, lease, read_all};
use crate::{Depth, Detail, Owner, Problem, Seen, Speed};

use super::house::*;

#[tokio::test]
async fn a_flipped_octet_anywhere_in_a_backup_is_named() {
    let house = House::new();
    let store = house.store().await;
    fill(&store).await;
    house.back_up(&store).await;
    store.close().await;
    assert!(house.verified().messages > 8);
    for path in house.files().into_iter().filter(|path| !path.ends_with("LOCK")) {
        let octets = path.metadata().unwrap().len();
        let name = path.strip_prefix(house.at("backup")).unwrap().display().to_string();
        for offset in [0, octets / 3, octets - 1] {
            flip(&path, offset);
            let verified = house.verified();
            assert!(verified.flaws.iter().any(|flaw| flaw.file == name), "{name} at {offset}: {verified:?}");
            flip(&path, offset);
        }
        fs::rename(&path, house.at("aside")).unwrap();
        if !name.starts_with("snapshots") {
            let verified = house.verified();
            assert!(verified.flaws.iter().any(|flaw| flaw.file == name), "{name} is missing: {verified:?}");
        }
        fs::rename(house.at("aside"), &path).unwrap();
    }
    assert_eq!(house.verified().flaws, []);
}

#[tokio::test]
async fn whose_message_a_damaged_object_holds_is_told() {
    let house = House::new();
    let store = house.store().await;
    let (alice, _) = fill(&store).await;
    let lost = lease(&store, alice).await.entries()[1].unique_id.clone();
    let snapshot = house.back_up(&store).await.snapshot;
    store.close().await;
    let (object, _) = house.objects().into_iter().min_by_key(|(_, octets)| octets.abs_diff(4000)).unwrap();
    let text = fs::read(&object).unwrap();
    let at = memchr::memmem::find(&text, b"Subject: number 2\r\n").unwrap();
    flip(&object, at as u64);
    let flaws = house.verified().flaws;
    let expected = Owner::Account { address: "alice@example.test".to_owned(), unique_id: lost };
    assert_eq!(flaws.len(), 1, "{flaws:?}");
    assert_eq!(flaws[0].owners, [expected]);
    assert_eq!(flaws[0].snapshots, [snapshot]);
    assert_eq!(flaws[0].needed_for, ["journal/00000001.segment"]);
    let large = house.objects().into_iter().find(|(_, octets)| *octets == objects::PIECE_OCTETS).unwrap().0;
    flip(&large, 1000);
    let owners: Vec<_> = house.verified().flaws.into_iter().flat_map(|flaw| flaw.owners).collect();
    let has = |name: &str| {
        let address = format!("{name}@example.test");
        owners.iter().any(|owner| matches!(owner, Owner::Account { address: found, .. } if *found == address))
    };
    assert!(owners.len() == 3 && has("alice") && has("bob"), "{owners:?}");
    // What is damaged is written again from the store that still has it.
    let store = house.store().await;
    assert!(house.read(&store, Reading::Everything).await.unwrap().written_octets > 0);
    store.close().await;
    assert_eq!(house.verified().flaws, []);
}

#[tokio::test]
async fn damage_in_the_store_is_told_and_backed_up_as_it_is() {
    let house = House::new();
    let store = house.store().await;
    let (alice, _) = fill(&store).await;
    let lost = lease(&store, alice).await.entries()[1].unique_id.clone();
    let segment = house.at("store/journal/00000001.segment");
    let at = memchr::memmem::find(&fs::read(&segment).unwrap(), b"Subject: number 2\r\n").unwrap();
    flip(&segment, at as u64);
    let taken = house.back_up(&store).await;
    let owner = Owner::Account { address: "alice@example.test".to_owned(), unique_id: lost };
    assert_eq!(taken.damage.len(), 1, "{taken:?}");
    assert_eq!(
        (taken.damage[0].problem, &taken.damage[0].owners[..]),
        (Problem::ContentDamaged, &[owner][..])
    );
    let flaws = house.verified().flaws;
    assert!(flaws.len() == 1 && flaws[0].problem.contains("content is damaged"), "{flaws:?}");
    let now = describe(&store).await;
    store.close().await;
    assert_eq!(house.restored(Which::Newest).await, now);
}

#[tokio::test]
async fn a_damaged_backup_gives_back_what_is_left() {
    let house = House::new();
    let store = house.store().await;
    let (alice, bob) = fill(&store).await;
    let all = read_all(&store, bob).await;
    house.back_up(&store).await;
    store.close().await;
    let large = house.objects().into_iter().find(|(_, octets)| *octets == objects::PIECE_OCTETS).unwrap().0;
    fs::remove_file(&large).unwrap();
    let to = house.at("restored");
    let restored = house.backup().restore(&Which::Newest, &to, &mut go_on).unwrap();
    assert_eq!(restored.damaged.len(), 1);
    assert!(large.ends_with(&restored.damaged[0]));
    let store = opened(&to).await;
    let found = read_all(&store, bob).await;
    assert!(found[0].len() == all[0].len() && found[0] != all[0]);
    assert_eq!(found[1], all[1]);
    assert_eq!(read_all(&store, alice).await.len(), 5);
    store.close().await;
}

#[tokio::test]
async fn damaged_mail_to_a_subaddress_is_named_by_it() {
    let house = House::new();
    let store = house.store().await;
    let alice = account(&store, "alice").await;
    let junk = Detail::parse("junk").unwrap();
    store.administration.add_maildrop(&alice.address, &junk).await.unwrap();
    let usage = store.administration.usage().await.unwrap();
    let junk = usage[0].further[0].maildrop;
    deliver_text(&store, junk, "filtered").await;
    let unique_id = lease(&store, junk).await.entries()[0].unique_id.clone();
    let owner = Owner::Account { address: "alice+junk@example.test".to_owned(), unique_id };
    let segment = house.at("store/journal/00000001.segment");
    let at = memchr::memmem::find(&fs::read(&segment).unwrap(), b"Subject: filtered\r\n").unwrap();
    flip(&segment, at as u64);

    let (tell, mut told) = tokio::sync::mpsc::channel(100);
    store.repair.check(Depth::Content, Speed::Full, tell).await.unwrap();
    let mut findings = Vec::new();
    while let Some(seen) = told.recv().await {
        findings.extend(if let Seen::Finding(finding) = seen { Some(finding) } else { None });
    }
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].owners, std::slice::from_ref(&owner));
    let taken = house.back_up(&store).await;
    assert_eq!(taken.damage[0].owners, [owner]);
    store.close().await;
    let flaws = house.verified().flaws;
    assert!(flaws.len() == 1 && flaws[0].problem.contains("alice+junk@example.test"), "{flaws:?}");
}

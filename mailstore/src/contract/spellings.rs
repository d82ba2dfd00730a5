//! A domain is the same in A-labels and in U-labels, whichever of them was written down.

use super::{mailbox, options, secret, with_store};
use crate::{Addresses, AdministrationError, Alias, AppPasswordName, Login, Recipient, Store};

const U_LABELS: &str = "bücher.example";
const A_LABELS: &str = "xn--bcher-kva.example";

async fn receives(store: &Store, address: &str) -> bool {
    let found = store.directory.recipient(&mailbox(address), 0).await.unwrap();
    matches!(found, Recipient::Maildrops(_))
}

/// What is written in one spelling, asked for in the other.
async fn check(store: &Store, written: &str, other: &str) {
    let at = |name: &str, domain: &str| mailbox(&format!("{name}@{domain}"));
    let alice = store.administration.add_account(&at("alice", written), &secret("pw")).await.unwrap();
    let again = store.administration.add_account(&at("Alice", other), &secret("pw")).await;
    assert!(matches!(again, Err(AdministrationError::Exists(_))), "{again:?}");
    assert_eq!(alice.address.to_string(), format!("alice@{written}"));
    let opened = Login::from(alice.clone());
    for login in [format!("alice@{written}"), format!("ALICE@{}", other.to_uppercase())] {
        let found = store.directory.authenticate(&login, &secret("pw")).await.unwrap();
        assert_eq!(found.as_ref(), Some(&opened), "{login}");
        assert_eq!(store.directory.account(&login).await.unwrap().as_ref(), Some(&opened), "{login}");
    }
    for address in ["alice", "alice+detail", "postmaster"] {
        assert!(receives(store, &format!("{address}@{other}")).await, "{address}");
    }
    assert!(store.directory.may_send_as(&alice, &at("alice", other)).await.unwrap());
    let phone = AppPasswordName::parse("phone").unwrap();
    store.access.add_app_password(&at("alice", other), &phone).await.unwrap();
    store.administration.set_password(&at("alice", other), &secret("new")).await.unwrap();
    store.administration.set_quota(&at("alice", other), None).await.unwrap();

    let alias = Alias { address: at("sales", written).into(), targets: vec![at("alice", other)] };
    store.administration.add_alias(&alias).await.unwrap();
    assert!(receives(store, &format!("sales@{other}")).await);
    let all = |domain: &str| Addresses::parse(&format!("@{domain}")).unwrap();
    let catch_all = Alias { address: all(written), targets: vec![at("sales", other)] };
    store.administration.add_alias(&catch_all).await.unwrap();
    assert!(receives(store, &format!("anybody@{other}")).await);
    store.access.grant(&at("alice", other), &all(other)).await.unwrap();
    assert!(store.directory.may_send_as(&alice, &at("anybody", written)).await.unwrap());
    let granted = store.access.grant(&at("alice", written), &all(written)).await;
    assert!(matches!(granted, Err(AdministrationError::Exists(_))), "{granted:?}");

    store.access.revoke(&at("alice", other), &all(written)).await.unwrap();
    store.administration.remove_alias(&all(other)).await.unwrap();
    let used = store.administration.remove_account(&at("alice", other)).await;
    assert!(matches!(used, Err(AdministrationError::InUse { .. })), "{used:?}");
    store.administration.remove_alias(&at("sales", other).into()).await.unwrap();
    store.administration.remove_account(&at("alice", other)).await.unwrap();
    assert!(store.administration.accounts().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_written_in_one_spelling_is_found_in_the_other() {
    with_store(async |store| {
        check(&store, U_LABELS, A_LABELS).await;
        check(&store, A_LABELS, U_LABELS).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_stays_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    for domain in [U_LABELS, A_LABELS] {
        let address = mailbox(&format!("alice@{domain}"));
        let store = crate::open(options(folder.path())).await.unwrap();
        store.administration.add_account(&address, &secret("pw")).await.unwrap();
        store.close().await;
        let store = crate::open(options(folder.path())).await.unwrap();
        let accounts = store.administration.accounts().await.unwrap();
        assert_eq!(accounts[0].address.to_string(), address.to_string());
        store.administration.remove_account(&address).await.unwrap();
        store.close().await;
    }
}

//! Application passwords, grants, catch-alls and the postmaster: who may log in and send as whom, and who gets what.

use mailwire::address::{Domain, Mailbox};

use super::{account, mailbox, options, secret, with_store};
use crate::{
    APP_PASSWORDS_MAX, Addresses, AdministrationError, Alias, AppPasswordName, GRANTS_MAX, MaildropId,
    Options, Recipient, Store,
};

fn name(text: &str) -> AppPasswordName {
    AppPasswordName::parse(text).unwrap()
}

fn addresses(text: &str) -> Addresses {
    Addresses::parse(text).unwrap()
}

async fn logs_in(store: &Store, password: &str) -> bool {
    let password = secret(password);
    let login = store.directory.authenticate("alice@example.test", &password);
    login.await.unwrap().is_some()
}

#[tokio::test]
async fn an_application_password_logs_in_until_it_is_removed() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.address;
        let bob = account(&store, "bob").await.address;
        let phone = store.access.add_app_password(&alice, &name("phone")).await.unwrap();
        let laptop = store.access.add_app_password(&alice, &name("laptop")).await.unwrap();
        let others = store.access.add_app_password(&bob, &name("phone")).await.unwrap();
        let listed = store.access.app_passwords(&alice).await.unwrap();
        let names: Vec<_> = listed.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["laptop", "phone"]);
        assert!(listed.iter().all(|one| one.created_at > 1_600_000_000));
        assert!(logs_in(&store, phone.expose()).await && logs_in(&store, laptop.expose()).await);
        assert!(logs_in(&store, &phone.expose().replace('-', " ").to_uppercase()).await);
        assert!(!logs_in(&store, others.expose()).await);
        assert!(logs_in(&store, "pw-alice").await);
        store.access.remove_app_password(&alice, &name("phone")).await.unwrap();
        assert!(!logs_in(&store, phone.expose()).await && logs_in(&store, laptop.expose()).await);

        let again = store.access.add_app_password(&alice, &name("laptop")).await;
        assert!(matches!(again, Err(AdministrationError::Exists(_))));
        let gone = store.access.remove_app_password(&alice, &name("phone")).await;
        assert!(matches!(gone, Err(AdministrationError::Missing(_))));
        let nobodys = store.access.add_app_password(&mailbox("nobody@example.test"), &name("x")).await;
        assert!(matches!(nobodys, Err(AdministrationError::Missing(_))));
    })
    .await;
}

#[tokio::test]
async fn an_account_has_so_many_application_passwords_and_grants_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    let alice = account(&store, "alice").await.address;
    for number in 0..APP_PASSWORDS_MAX {
        store.access.add_app_password(&alice, &name(&number.to_string())).await.unwrap();
    }
    let one_more = store.access.add_app_password(&alice, &name("one more")).await;
    assert!(matches!(one_more, Err(AdministrationError::TooMany { .. })));
    for number in 0..GRANTS_MAX {
        store.access.grant(&alice, &addresses(&format!("{number}@example.test"))).await.unwrap();
    }
    let one_more = store.access.grant(&alice, &addresses("@example.test")).await;
    assert!(matches!(one_more, Err(AdministrationError::TooMany { .. })));
    store.close().await;
}

#[tokio::test]
async fn an_account_may_send_as_what_it_was_granted() {
    with_store(async |store| {
        let alice = account(&store, "alice").await;
        let bob = account(&store, "bob").await;
        let may = async |address: &str| store.directory.may_send_as(&alice, &mailbox(address)).await.unwrap();
        assert!(!may("bob@example.test").await);
        for granted in ["@example.org", "bob@example.test"] {
            store.access.grant(&alice.address, &addresses(granted)).await.unwrap();
        }
        assert_eq!(
            store.access.grants(&alice.address).await.unwrap(),
            [addresses("bob@example.test"), addresses("@example.org")]
        );
        for right in ["bob@example.test", "Bob+lists@Example.test", "anyone@example.org"] {
            assert!(may(right).await, "{right}");
        }
        assert!(!may("carol@example.test").await && !may("a@sub.example.org").await);
        let again = store.access.grant(&alice.address, &addresses("@Example.org")).await;
        assert!(matches!(again, Err(AdministrationError::Exists(_))));
        // A later account of that address must not find that another one speaks for it.
        let granted = store.administration.remove_account(&bob.address).await;
        assert!(matches!(granted, Err(AdministrationError::Granted { .. })));
        store.access.revoke(&alice.address, &addresses("bob@example.test")).await.unwrap();
        assert!(!may("bob@example.test").await);
        let gone = store.access.revoke(&alice.address, &addresses("bob@example.test")).await;
        assert!(matches!(gone, Err(AdministrationError::Missing(_))));
        store.administration.remove_account(&bob.address).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn application_passwords_and_grants_outlive_a_restart_and_go_with_their_account() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    let alice = account(&store, "alice").await;
    let phone = store.access.add_app_password(&alice.address, &name("phone")).await.unwrap();
    store.access.grant(&alice.address, &addresses("@example.org")).await.unwrap();
    store.close().await;
    // From the journal alone.
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    assert!(logs_in(&store, phone.expose()).await);
    assert_eq!(store.access.grants(&alice.address).await.unwrap(), [addresses("@example.org")]);
    store.administration.remove_account(&alice.address).await.unwrap();
    let anew = account(&store, "alice").await;
    assert!(!logs_in(&store, phone.expose()).await);
    assert!(store.access.app_passwords(&anew.address).await.unwrap().is_empty());
    assert!(store.access.grants(&anew.address).await.unwrap().is_empty());
    assert!(!store.directory.may_send_as(&anew, &mailbox("a@example.org")).await.unwrap());
    store.close().await;
}

async fn recipient(store: &Store, address: &str) -> Recipient {
    store.directory.recipient(&mailbox(address), 0).await.unwrap()
}

fn only(maildrop: MaildropId) -> Recipient {
    Recipient::Maildrops(vec![maildrop])
}

#[tokio::test]
async fn a_catch_all_takes_what_nothing_else_takes_and_lets_nobody_send_as_it() {
    with_store(async |store| {
        let alice = account(&store, "alice").await;
        let bob = account(&store, "bob").await;
        let to = |alias: &str, target: &Mailbox| Alias {
            address: addresses(alias),
            targets: vec![target.clone()],
        };
        let administration = &store.administration;
        administration.add_alias(&to("info@example.test", &alice.address)).await.unwrap();
        administration.add_alias(&to("@Example.test", &bob.address)).await.unwrap();
        assert_eq!(recipient(&store, "anyone@example.test").await, only(bob.maildrop));
        assert_eq!(recipient(&store, "anyone+x@EXAMPLE.test").await, only(bob.maildrop));
        for known in ["alice@example.test", "alice+x@example.test", "info@example.test"] {
            assert_eq!(recipient(&store, known).await, only(alice.maildrop), "{known}");
        }
        assert_eq!(recipient(&store, "anyone@sub.example.test").await, Recipient::Missing);
        let may = async |address: &str| store.directory.may_send_as(&bob, &mailbox(address)).await.unwrap();
        assert!(!may("anyone@example.test").await && !may("alice@example.test").await);
        assert!(matches!(
            administration.remove_account(&bob.address).await,
            Err(AdministrationError::InUse { .. })
        ));
        let listed: Vec<_> =
            administration.aliases().await.unwrap().iter().map(|alias| alias.address.to_string()).collect();
        assert_eq!(listed, ["@example.test", "info@example.test"]);
        administration.remove_alias(&addresses("@example.test")).await.unwrap();
        assert_eq!(recipient(&store, "anyone@example.test").await, Recipient::Missing);
    })
    .await;
}

#[tokio::test]
async fn mail_for_a_postmaster_always_reaches_somebody() {
    let folder = tempfile::tempdir().unwrap();
    let primary_domain = Some(Domain::parse("example.org").unwrap());
    let with_domain = Options { primary_domain, ..options(folder.path()) };
    let store = crate::open(with_domain).await.unwrap();
    // There is nobody at all.
    assert_eq!(recipient(&store, "postmaster@example.test").await, Recipient::Missing);
    let zoe = account(&store, "zoe").await;
    let alice = account(&store, "alice").await;
    for postmaster in ["postmaster@example.test", "Postmaster@example.org", "POSTMASTER+x@elsewhere.test"] {
        assert_eq!(recipient(&store, postmaster).await, only(zoe.maildrop), "{postmaster}");
    }
    assert_eq!(recipient(&store, "postmasters@example.test").await, Recipient::Missing);
    let may = async |address: &str| store.directory.may_send_as(&zoe, &mailbox(address)).await.unwrap();
    assert!(!may("postmaster@example.test").await);

    let to_alice = |alias: &str| Alias { address: addresses(alias), targets: vec![alice.address.clone()] };
    store.administration.add_alias(&to_alice("postmaster@example.org")).await.unwrap();
    assert_eq!(recipient(&store, "postmaster@example.test").await, only(alice.maildrop));
    // Whoever takes all of a domain takes its postmaster's mail as well.
    let to_zoe = Alias { address: addresses("@example.test"), targets: vec![zoe.address.clone()] };
    store.administration.add_alias(&to_zoe).await.unwrap();
    assert_eq!(recipient(&store, "postmaster@example.test").await, only(zoe.maildrop));
    store.close().await;
}

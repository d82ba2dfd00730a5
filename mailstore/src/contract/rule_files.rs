//! Rules that accounts have for their mail: kept whole, told to whoever puts mail somewhere, and gone with their account.

use super::{account, mailbox, options, with_store};
use crate::{AdministrationError, Detail, RULE_FILE_OCTETS_MAX, Recipient, RuleFile, WithMail};

fn rules(text: &str) -> RuleFile {
    RuleFile::new(text).unwrap()
}

/// As long as rules may be, of letters of two octets.
fn longest() -> RuleFile {
    rules(&"\u{e9}".repeat(RULE_FILE_OCTETS_MAX / 2))
}

#[tokio::test]
async fn rules_are_an_accounts_until_it_has_others_or_none() {
    with_store(async |store| {
        let alice = account(&store, "alice").await;
        let bob = account(&store, "bob").await;
        let of = async |address| store.rule_files.rule_file(address).await.unwrap();
        assert_eq!(of(&alice.address).await, None);
        for text in [rules("one"), longest(), rules("another")] {
            store.rule_files.set_rule_file(&alice.address, Some(text.clone())).await.unwrap();
            assert_eq!(of(&alice.address).await, Some(text.clone()));
            let filing = store.directory.filing(alice.maildrop).await.unwrap().unwrap();
            assert_eq!(filing.rules, Some(text));
        }
        assert_eq!(of(&bob.address).await, None);
        assert_eq!(store.directory.filing(bob.maildrop).await.unwrap().unwrap().rules, None);
        store.rule_files.set_rule_file(&alice.address, None).await.unwrap();
        assert_eq!(of(&alice.address).await, None);
        let nobody = mailbox("nobody@example.test");
        let refused = store.rule_files.set_rule_file(&nobody, Some(rules("x"))).await;
        assert!(matches!(refused, Err(AdministrationError::Missing(_))), "{refused:?}");
        let refused = store.rule_files.rule_file(&nobody).await;
        assert!(matches!(refused, Err(AdministrationError::Missing(_))), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn what_is_recognised_when_it_comes_back_is_so_after_a_restart_and_nowhere_else() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let secret = async |folder: &std::path::Path| {
        let store = crate::open(options(folder)).await.unwrap();
        let secret = *store.directory.forwarding_secret().await.unwrap().expose();
        store.close().await;
        secret
    };
    let first = secret(folder.path()).await;
    assert_eq!(secret(folder.path()).await, first);
    assert_ne!(secret(other.path()).await, first);
}

#[tokio::test]
async fn who_has_rules_is_told_with_the_recipient() {
    with_store(async |store| {
        let alice = account(&store, "alice").await;
        let bob = account(&store, "bob").await;
        let detail = Detail::parse("lists").unwrap();
        store.administration.add_maildrop(&alice.address, &detail).await.unwrap();
        let recipient = async |address: &str| store.directory.recipient(&mailbox(address), 0).await.unwrap();
        let is_filtered = async |address| matches!(recipient(address).await, Recipient::Filtered(_));
        assert!(!is_filtered("alice@example.test").await);
        store.rule_files.set_rule_file(&alice.address, Some(rules("x"))).await.unwrap();
        assert_eq!(recipient("alice@example.test").await, Recipient::Filtered(vec![alice.maildrop]));
        assert!(is_filtered("alice+lists@example.test").await);
        assert_eq!(recipient("bob@example.test").await, Recipient::Maildrops(vec![bob.maildrop]));
        store.administration.remove_maildrop(&alice.address, &detail, WithMail::Kept).await.unwrap();
        store.administration.remove_account(&alice.address).await.unwrap();
        // Whoever has the address afterwards has rules of their own.
        account(&store, "alice").await;
        assert!(!is_filtered("alice@example.test").await);
    })
    .await;
}

#[tokio::test]
async fn rules_are_there_after_a_restart_a_compaction_and_a_rebuild() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    let alice = account(&store, "alice").await.address;
    let bob = account(&store, "bob").await.address;
    for (address, text) in
        [(&alice, Some(rules("one"))), (&alice, Some(longest())), (&bob, Some(rules("x"))), (&bob, None)]
    {
        store.rule_files.set_rule_file(address, text).await.unwrap();
    }
    store.close().await;
    for _ in 0..2 {
        let store = crate::open(options(folder.path())).await.unwrap();
        assert_eq!(store.rule_files.rule_file(&alice).await.unwrap(), Some(longest()));
        assert_eq!(store.rule_files.rule_file(&bob).await.unwrap(), None);
        store.repair.compact().await.unwrap();
        store.close().await;
        std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    }
}

//! Logins that prove themselves otherwise than by handing over a password.

use mailwire::sasl::ScramKeys;

use super::{account, options, secret, with_store};
use crate::{Account, Store};

async fn keys(store: &Store, login: &str) -> ScramKeys {
    store.directory.scram_keys(login).await.unwrap()
}

/// True where `keys` are those of this password.
fn are_of(keys: &ScramKeys, password: &str) -> bool {
    ScramKeys::derive(&secret(password), &keys.salt, keys.iterations) == *keys
}

#[tokio::test]
async fn keys_for_scram_are_kept_from_the_day_on_which_a_password_is_set() {
    with_store(async |store| {
        let alice = account(&store, "alice").await;
        account(&store, "bob").await;
        let before = keys(&store, "Alice@EXAMPLE.test").await;
        assert!(are_of(&before, "pw-alice"));
        assert!(before.iterations >= ScramKeys::ITERATIONS_MIN);
        assert_ne!(before.salt, keys(&store, "bob@example.test").await.salt);
        store.administration.set_password(&alice.address, &secret("new")).await.unwrap();
        let after = keys(&store, "alice@example.test").await;
        assert!(are_of(&after, "new") && after.salt != before.salt);
        store.administration.remove_account(&alice.address).await.unwrap();
        assert!(!are_of(&keys(&store, "alice@example.test").await, "new"));
    })
    .await;
}

#[tokio::test]
async fn names_and_passwords_are_the_same_however_their_letters_are_composed() {
    with_store(async |store| {
        let (composed, decomposed) = ("j\u{fc}rgen", "ju\u{308}rgen");
        let account = account(&store, composed).await;
        for (login, password) in [(composed, composed), (composed, decomposed), (decomposed, composed)] {
            let (login, password) = (format!("{login}@example.test"), secret(&format!("pw-{password}")));
            assert_eq!(
                store.directory.authenticate(&login, &password).await,
                Ok(Some(account.clone().into()))
            );
        }
        let wrong = store.directory.authenticate("jurgen@example.test", &secret("pw-jurgen")).await;
        assert_eq!(wrong, Ok(None));
    })
    .await;
}

#[tokio::test]
async fn an_unknown_login_is_shown_a_salt_of_its_own_that_never_changes() {
    let folder = tempfile::tempdir().unwrap();
    let host = crate::open(options(folder.path())).await.unwrap();
    let alice = account(&host, "alice").await;
    let nobody = keys(&host, "nobody@example.test").await;
    let known = keys(&host, "alice@example.test").await;
    assert_eq!((nobody.salt.len(), nobody.iterations), (known.salt.len(), known.iterations));
    assert_ne!(nobody.salt, keys(&host, "nobody@elsewhere.test").await.salt);
    let sharer = crate::open(options(folder.path())).await.unwrap();
    assert_eq!(keys(&sharer, "Nobody@example.test").await, nobody);
    sharer.close().await;
    host.administration.remove_account(&alice.address).await.unwrap();
    host.close().await;

    let store = crate::open(options(folder.path())).await.unwrap();
    assert_eq!(keys(&store, "nobody@example.test").await, nobody);
    // It is as unknown as any other one now, and no password opens it.
    assert_ne!(keys(&store, "alice@example.test").await, known);
    store.close().await;
}

#[tokio::test]
async fn a_login_that_has_proved_itself_otherwise_leads_to_its_account() {
    with_store(async |store| {
        let alice: Account = account(&store, "alice").await;
        assert_eq!(store.directory.account("ALICE@example.test").await, Ok(Some(alice.into())));
        assert_eq!(store.directory.account("alice@elsewhere.test").await, Ok(None));
        assert_eq!(store.directory.account("alice").await, Ok(None));
    })
    .await;
}

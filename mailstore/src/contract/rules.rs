//! What holds for the use of a maildrop: set, told, and kept to.

use std::num::NonZeroU16;
use std::time::Duration;

use super::{account, lease, mailbox, options, with_store};
use crate::{
    AccountUsage, AdministrationError, CommonRules, Expiry, MaildropError, MaildropId, Options, OwnRules,
    Rules, Store, Strictest, Takeover,
};

fn days(days: u16) -> Expiry {
    Expiry::Days(NonZeroU16::new(days).unwrap())
}

async fn set(store: &Store, name: &str, own: OwnRules) {
    store.administration.set_rules(&mailbox(&format!("{name}@example.test")), own).await.unwrap();
}

async fn usage(store: &Store, name: &str) -> AccountUsage {
    let all = store.administration.usage().await.unwrap();
    let key = format!("{name}@example.test");
    all.into_iter().find(|usage| usage.account.address.to_string() == key).unwrap()
}

fn delay(seconds: u32) -> OwnRules {
    OwnRules { login_delay_seconds: Some(seconds), ..OwnRules::default() }
}

/// Whether a lease may begin now, of a maildrop that nobody has.
async fn begins(store: &Store, maildrop: MaildropId) -> Result<(), MaildropError> {
    store.maildrops.lease(maildrop, Duration::from_mins(1)).await.map(drop)
}

#[tokio::test]
async fn an_accounts_own_rules_hold_where_it_has_some_and_are_told() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        let bob = account(&store, "bob").await.maildrop;
        assert_eq!(usage(&store, "alice").await.rules, Rules::default());
        let own = OwnRules {
            login_delay_seconds: Some(60),
            expiry: Some(days(30)),
            takeover: Some(Takeover::Allowed),
        };
        let rules = Rules { login_delay_seconds: 60, expiry: days(30), takeover: Takeover::Allowed };
        set(&store, "alice", own).await;
        let usage_of_alice = usage(&store, "alice").await;
        assert_eq!((usage_of_alice.rules, usage_of_alice.own_rules), (rules, own));
        assert_eq!(lease(&store, alice).await.rules(), rules);
        assert_eq!(lease(&store, bob).await.rules(), Rules::default());
        let common = store.directory.common_rules().await.unwrap();
        assert_eq!(common.login_delay_seconds, Strictest { value: 60, differs: true });
        assert_eq!(common.expiry, Strictest { value: days(30), differs: true });
        set(&store, "alice", OwnRules::default()).await;
        assert_eq!(store.directory.common_rules().await.unwrap(), CommonRules::default());
        let nobody = store.administration.set_rules(&mailbox("nobody@example.test"), own).await;
        assert!(matches!(nobody, Err(AdministrationError::Missing(_))));
    })
    .await;
}

#[tokio::test]
async fn rules_outlive_the_process_and_not_the_account() {
    let folder = tempfile::tempdir().unwrap();
    let configured =
        || Options { login_delay_seconds: 5, expire_days: 7, takeover: true, ..options(folder.path()) };
    let store = crate::open(configured()).await.unwrap();
    for name in ["alice", "bob"] {
        account(&store, name).await;
    }
    let own = OwnRules { expiry: Some(Expiry::Never), takeover: Some(Takeover::Refused), ..delay(0) };
    set(&store, "alice", own).await;
    store.close().await;

    let store = crate::open(configured()).await.unwrap();
    assert_eq!(usage(&store, "alice").await.rules, Rules::default());
    let default = Rules { login_delay_seconds: 5, expiry: days(7), takeover: Takeover::Allowed };
    assert_eq!(usage(&store, "bob").await.rules, default);
    store.administration.remove_account(&mailbox("alice@example.test")).await.unwrap();
    account(&store, "alice").await;
    assert_eq!(usage(&store, "alice").await.rules, default);
    store.close().await;

    let store = crate::open(configured()).await.unwrap();
    assert_eq!(usage(&store, "alice").await.own_rules, OwnRules::default());
    store.close().await;
}

#[tokio::test]
async fn a_lease_sooner_than_the_login_delay_after_the_last_one_is_refused() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        let bob = account(&store, "bob").await.maildrop;
        set(&store, "alice", delay(24 * 60 * 60)).await;
        let first = lease(&store, alice).await;
        // Nobody waits for a maildrop in vain.
        assert_eq!(begins(&store, alice).await, Err(MaildropError::TooSoon));
        drop(first);
        assert_eq!(begins(&store, alice).await, Err(MaildropError::TooSoon));
        for _ in 0..3 {
            assert_eq!(begins(&store, bob).await, Ok(()));
        }
        set(&store, "alice", OwnRules::default()).await;
        assert_eq!(begins(&store, alice).await, Ok(()));
    })
    .await;
}

#[tokio::test]
async fn who_waits_for_another_lease_waits_for_the_login_delay_after_it_as_well() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        let first = lease(&store, alice).await;
        set(&store, "alice", delay(24 * 60 * 60)).await;
        let (second, third) = (begins(&store, alice), begins(&store, alice));
        let (second, third, ()) = tokio::join!(second, third, async { drop(first) });
        assert!(second == Err(MaildropError::TooSoon) || third == Err(MaildropError::TooSoon));
        assert!(second.is_ok() || third.is_ok(), "{second:?} {third:?}");
    })
    .await;
}

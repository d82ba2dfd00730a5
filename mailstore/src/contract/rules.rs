//! What holds for the use of a maildrop: set, told, and kept to.

use std::num::NonZeroU16;
use std::time::Duration;

use mailwire::clock;

use super::{
    account, days_ago, deliver, deliver_text, delivery, lease, mailbox, old, old_as, options, read_all,
    with_store,
};
use crate::{
    AccountUsage, AdministrationError, CommonRules, Delivery, Expiry, Kept, Lease, MaildropError, MaildropId,
    Options, OwnRules, ReturnAs, Rules, Store, Strictest, Takeover, Terms, TraceRow,
};

/// Longer than any test takes.
const AGES: Duration = Duration::from_mins(1);

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
    store.maildrops.lease(maildrop, AGES).await.map(drop)
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

fn expiring(expiry: Expiry) -> OwnRules {
    OwnRules { expiry: Some(expiry), ..OwnRules::default() }
}

async fn expire(store: &Store) -> u64 {
    store.repair.compact().await.unwrap().expired
}

async fn kept(store: &Store, maildrop: MaildropId) -> Vec<Kept> {
    store.maildrop_administration.messages(maildrop, None, 100).await.unwrap()
}

#[tokio::test]
async fn mail_expires_when_its_days_are_over_and_not_before_and_can_be_brought_back() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        let bob = account(&store, "bob").await.maildrop;
        for maildrop in [alice, bob] {
            for age in [31, 29] {
                old(&*store.intake, maildrop, age).await;
            }
            deliver_text(&store, maildrop, "new").await;
        }
        assert_eq!(expire(&store).await, 0);
        set(&store, "alice", expiring(days(30))).await;
        assert_eq!(expire(&store).await, 1);
        assert_eq!((read_all(&store, alice).await.len(), read_all(&store, bob).await.len()), (2, 3));
        let all = kept(&store, alice).await;
        let expired: Vec<_> = all.iter().filter(|kept| kept.expunged_at.is_some()).collect();
        assert_eq!((all.len(), expired.len()), (3, 1));
        assert_eq!(expired[0].entry.unique_id.to_string(), format!("{}-31", alice.0));

        // What comes back stays for as long as if it had come anew.
        let back = [expired[0].message];
        store.maildrop_administration.bring_back(alice, &back, ReturnAs::Known).await.unwrap();
        assert_eq!(expire(&store).await, 0);
        assert_eq!(read_all(&store, alice).await.len(), 3);
        assert!(kept(&store, alice).await.iter().any(|kept| kept.stays_since >= days_ago(1)));
        set(&store, "alice", expiring(days(20))).await;
        assert_eq!(expire(&store).await, 1);
        set(&store, "alice", expiring(Expiry::Never)).await;
        old(&*store.intake, alice, 1000).await;
        assert_eq!(expire(&store).await, 0);
    })
    .await;
}

#[tokio::test]
async fn the_days_count_from_when_mail_could_be_seen_and_from_when_it_came_here() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        set(&store, "alice", expiring(days(30))).await;
        let held_until = |release_at| Terms { release_at: Some(release_at), ..Terms::default() };
        old_as(
            &*store.intake,
            alice,
            101,
            Delivery { terms: held_until(days_ago(29)), ..delivery(&[alice]) },
        )
        .await;
        old_as(
            &*store.intake,
            alice,
            102,
            Delivery { terms: held_until(days_ago(31)), ..delivery(&[alice]) },
        )
        .await;
        let future = clock::unix_seconds() + 24 * 60 * 60;
        old_as(&*store.intake, alice, 103, Delivery { terms: held_until(future), ..delivery(&[alice]) })
            .await;
        // As an import says it.
        let imported = |days| TraceRow { at: days_ago(days), ..TraceRow::default() };
        old_as(&*store.intake, alice, 104, Delivery { trace: imported(29), ..delivery(&[alice]) }).await;
        old_as(&*store.intake, alice, 105, Delivery { trace: imported(31), ..delivery(&[alice]) }).await;
        assert_eq!(expire(&store).await, 2);
        let left = kept(&store, alice).await.into_iter().filter(|kept| kept.expunged_at.is_none());
        let left: Vec<_> = left.map(|kept| kept.entry.unique_id.to_string()).collect();
        assert_eq!(left, [101, 103, 104].map(|days| format!("{}-{days}", alice.0)));
    })
    .await;
}

#[tokio::test]
async fn nothing_expires_while_a_session_has_the_maildrop() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        old(&*store.intake, alice, 31).await;
        set(&store, "alice", expiring(days(30))).await;
        let mut session = lease(&store, alice).await;
        assert_eq!(expire(&store).await, 0);
        assert!(!session.read(0, 0, 1000).await.unwrap().is_empty());
        drop(session);
        // The host hears of it a moment later.
        let gone = async { while expire(&store).await == 0 {} };
        tokio::time::timeout(AGES, gone).await.unwrap();
        assert!(read_all(&store, alice).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn mail_expires_as_configured_where_an_account_has_no_rule_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(Options { expire_days: 7, ..options(folder.path()) }).await.unwrap();
    let alice = account(&store, "alice").await.maildrop;
    let bob = account(&store, "bob").await.maildrop;
    set(&store, "bob", expiring(days(9))).await;
    for maildrop in [alice, bob] {
        old(&*store.intake, maildrop, 8).await;
    }
    assert_eq!(expire(&store).await, 1);
    assert_eq!((read_all(&store, alice).await.len(), read_all(&store, bob).await.len()), (0, 1));
    store.close().await;
}

#[tokio::test]
async fn when_mail_came_back_is_known_after_a_rebuild_and_a_compaction() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    let alice = account(&store, "alice").await.maildrop;
    let imported = TraceRow { at: days_ago(40), ..TraceRow::default() };
    old_as(&*store.intake, alice, 50, Delivery { trace: imported, ..delivery(&[alice]) }).await;
    old(&*store.intake, alice, 51).await;
    lease(&store, alice).await.expunge(&[1]).await.unwrap();
    let back = [kept(&store, alice).await[1].message];
    store.maildrop_administration.bring_back(alice, &back, ReturnAs::Known).await.unwrap();
    let before = kept(&store, alice).await;
    assert_eq!(before[0].stays_since, days_ago(40));
    assert!(before[1].stays_since > days_ago(1));
    // So much that is needed no more that everything else is carried on.
    for _ in 0..60 {
        deliver(&store, &b"in vain\r\n".repeat(1000), 10_000, delivery(&[alice])).await;
    }
    let in_vain: Vec<usize> = (2..62).collect();
    lease(&store, alice).await.expunge(&in_vain).await.unwrap();
    let expunged: Vec<_> = kept(&store, alice).await[2..].iter().map(|kept| kept.message).collect();
    store.maildrop_administration.purge(alice, &expunged).await.unwrap();
    assert!(store.repair.compact().await.unwrap().segments > 0);
    assert_eq!(kept(&store, alice).await, before);
    store.close().await;
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    assert_eq!(kept(&store, alice).await, before);
    store.close().await;
}

const TAKEOVER: OwnRules =
    OwnRules { login_delay_seconds: None, expiry: None, takeover: Some(Takeover::Allowed) };

/// A lease for which nobody is waited for.
async fn at_once(store: &Store, maildrop: MaildropId) -> Result<Box<dyn Lease>, MaildropError> {
    store.maildrops.lease(maildrop, Duration::ZERO).await
}

/// Waits until the lease is known to be over.
async fn over(lease: &mut Box<dyn Lease>) {
    let over = async {
        while lease.check().is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(AGES, over).await.unwrap();
    assert_eq!(lease.check(), Err(MaildropError::TakenOver));
}

#[tokio::test]
async fn a_maildrop_is_taken_over_where_that_is_allowed_and_the_older_lease_is_of_no_use_then() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        deliver_text(&store, alice, "one").await;
        let mut first = lease(&store, alice).await;
        assert_eq!(at_once(&store, alice).await.err(), Some(MaildropError::Busy));
        set(&store, "alice", TAKEOVER).await;
        assert_eq!(first.check(), Ok(()));
        let mut second = at_once(&store, alice).await.unwrap();
        assert_eq!(first.expunge(&[0]).await, Err(MaildropError::TakenOver));
        assert_eq!(first.read(0, 0, 100).await, Err(MaildropError::TakenOver));
        over(&mut first).await;
        assert_eq!(first.read(0, 0, 100).await, Err(MaildropError::TakenOver));
        let mut third = at_once(&store, alice).await.unwrap();
        over(&mut second).await;
        set(&store, "alice", OwnRules::default()).await;
        drop(first);
        drop(second);
        assert_eq!(at_once(&store, alice).await.err(), Some(MaildropError::Busy));
        assert_eq!(third.entries().len(), 1);
        assert_eq!(third.expunge(&[0]).await, Ok(()));
        drop(third);
        assert!(lease(&store, alice).await.entries().is_empty());
    })
    .await;
}

#[tokio::test]
async fn who_only_looks_whether_the_lease_holds_hears_of_the_takeover_too() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        deliver_text(&store, alice, "one").await;
        set(&store, "alice", TAKEOVER).await;
        let mut first = lease(&store, alice).await;
        assert!(!first.read(0, 0, 100).await.unwrap().is_empty());
        let _second = at_once(&store, alice).await.unwrap();
        over(&mut first).await;
        assert_eq!(first.expunge(&[0]).await, Err(MaildropError::TakenOver));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expunge_is_wholly_before_a_takeover_or_not_at_all() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        set(&store, "alice", TAKEOVER).await;
        let (mut done, mut refused) = (0, 0);
        for round in 0..40 {
            deliver_text(&store, alice, "one").await;
            deliver_text(&store, alice, "two").await;
            let mut first = lease(&store, alice).await;
            let all: Vec<usize> = (0..first.entries().len()).collect();
            let older = tokio::spawn(async move {
                // Sooner or later, so that both come to pass.
                for _ in 0..round % 4 {
                    tokio::task::yield_now().await;
                }
                first.expunge(&all).await
            });
            let second = at_once(&store, alice).await.unwrap();
            match older.await.unwrap() {
                Ok(()) => {
                    done += 1;
                    assert!(second.entries().is_empty());
                }
                Err(error) => {
                    refused += 1;
                    assert_eq!(error, MaildropError::TakenOver);
                    assert!(second.entries().len() >= 2);
                }
            }
        }
        assert_eq!(done + refused, 40);
    })
    .await;
}

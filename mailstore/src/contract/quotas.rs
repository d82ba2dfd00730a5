//! What a maildrop may hold: who is refused, when, and that nothing is kept of what was.

use super::{LARGE_OCTETS, PREFIX, account, delivery, lease, mailbox, offer, options, read_all, with_store};
use crate::{
    AccountUsage, AdministrationError, Alias, Carried, Delivery, Fate, IntakeError, MaildropId, OverQuota,
    Quota, QuotaSource, Receipt, Recipient, ReturnAs, Store, UniqueId,
};

/// Octets of [`MESSAGE`] in a maildrop.
const MESSAGE_OCTETS: u64 = (PREFIX.len() + MESSAGE.len()) as u64;
const MESSAGE: &[u8] = b"Subject: x\r\n\r\nbody\r\n";

const fn octets(octets: u64) -> Quota {
    Quota { octets, messages: 0 }
}

const fn messages(messages: u64) -> Quota {
    Quota { octets: 0, messages }
}

async fn set(store: &Store, name: &str, quota: impl Into<Option<Quota>>) {
    let address = mailbox(&format!("{name}@example.test"));
    store.administration.set_quota(&address, quota.into()).await.unwrap();
}

async fn give(store: &Store, content: &[u8], maildrops: &[MaildropId]) -> Result<Receipt, IntakeError> {
    offer(store, content, 65_536, delivery(maildrops)).await
}

const fn refused(maildrop: MaildropId, why: OverQuota) -> IntakeError {
    IntakeError::OverQuota { maildrop, why, groups: Vec::new() }
}

/// Gives a message to groups of maildrops that stand each for itself.
async fn give_apart(store: &Store, groups: &[&[MaildropId]]) -> Result<Receipt, IntakeError> {
    let mut all = groups.concat();
    all.sort_unstable();
    all.dedup();
    let fate = Fate::Apart(groups.iter().map(|group| group.to_vec()).collect());
    offer(store, MESSAGE, 65_536, Delivery { fate, ..delivery(&all) }).await
}

async fn usage(store: &Store, name: &str) -> AccountUsage {
    let all = store.administration.usage().await.unwrap();
    let key = format!("{name}@example.test");
    all.into_iter().find(|usage| usage.account.address.to_string() == key).unwrap()
}

/// Messages and octets in a maildrop, as the listing and as a lease have it.
async fn holds(store: &Store, name: &str) -> (u64, u64) {
    let usage = usage(store, name).await;
    let all = read_all(store, usage.account.maildrop).await;
    let read: usize = all.iter().map(Vec::len).sum();
    assert_eq!((usage.messages, usage.octets), (all.len() as u64, read as u64));
    (usage.messages, usage.octets)
}

#[tokio::test]
async fn a_maildrop_is_filled_to_the_last_octet_and_no_further() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        set(&store, "alice", octets(2 * MESSAGE_OCTETS)).await;
        give(&store, MESSAGE, &[alice]).await.unwrap();
        let longer = [MESSAGE, b"\r\n"].concat();
        assert_eq!(give(&store, &longer, &[alice]).await, Err(refused(alice, OverQuota::Full)));
        give(&store, MESSAGE, &[alice]).await.unwrap();
        assert_eq!(give(&store, MESSAGE, &[alice]).await, Err(refused(alice, OverQuota::Full)));
        let too_large = MESSAGE.repeat(8);
        assert_eq!(give(&store, &too_large, &[alice]).await, Err(refused(alice, OverQuota::TooLarge)));
        assert_eq!(holds(&store, "alice").await, (2, 2 * MESSAGE_OCTETS));
    })
    .await;
}

#[tokio::test]
async fn what_was_expunged_does_not_count_and_comes_back_all_the_same() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        set(&store, "alice", messages(1)).await;
        let first = give(&store, MESSAGE, &[alice]).await.unwrap().message;
        assert_eq!(give(&store, MESSAGE, &[alice]).await, Err(refused(alice, OverQuota::Full)));
        lease(&store, alice).await.expunge(&[0]).await.unwrap();
        assert_eq!(holds(&store, "alice").await, (0, 0));
        give(&store, MESSAGE, &[alice]).await.unwrap();
        store.maildrop_administration.bring_back(alice, &[first], ReturnAs::Known).await.unwrap();
        assert_eq!(holds(&store, "alice").await, (2, 2 * MESSAGE_OCTETS));
        assert_eq!(give(&store, MESSAGE, &[alice]).await, Err(refused(alice, OverQuota::Full)));
        set(&store, "alice", None).await;
        give(&store, MESSAGE, &[alice]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_message_that_one_recipient_may_not_hold_reaches_none() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        let bob = account(&store, "bob").await.maildrop;
        let carol = account(&store, "carol").await.maildrop;
        set(&store, "bob", messages(1)).await;
        set(&store, "carol", octets(MESSAGE_OCTETS - 1)).await;
        give(&store, MESSAGE, &[bob]).await.unwrap();
        assert_eq!(give(&store, MESSAGE, &[alice, bob]).await, Err(refused(bob, OverQuota::Full)));
        // What never helps is told before what may help later.
        let never = Err(refused(carol, OverQuota::TooLarge));
        assert_eq!(give(&store, MESSAGE, &[carol, bob, alice]).await, never);
        for (name, count) in [("alice", 0), ("bob", 1), ("carol", 0)] {
            assert_eq!(holds(&store, name).await, (count, count * MESSAGE_OCTETS), "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn recipients_that_stand_apart_get_the_message_each_for_itself() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        let bob = account(&store, "bob").await.maildrop;
        let carol = account(&store, "carol").await.maildrop;
        set(&store, "bob", messages(1)).await;
        set(&store, "carol", octets(MESSAGE_OCTETS - 1)).await;
        give(&store, MESSAGE, &[bob]).await.unwrap();
        // A group that has one full maildrop gets nothing; alice is served since she is named alone as well.
        let groups: [&[MaildropId]; 4] = [&[carol], &[alice], &[alice, bob], &[alice]];
        let receipt = give_apart(&store, &groups).await.unwrap();
        let (full, never) = (Err(OverQuota::Full), Err(OverQuota::TooLarge));
        assert_eq!(receipt.verdicts, [never, Ok(()), full, Ok(())]);
        for (name, count) in [("alice", 1), ("bob", 1), ("carol", 0)] {
            assert_eq!(holds(&store, name).await, (count, count * MESSAGE_OCTETS), "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_message_that_no_recipient_may_hold_is_not_stored_and_each_is_told_why() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        let bob = account(&store, "bob").await.maildrop;
        set(&store, "alice", messages(1)).await;
        set(&store, "bob", octets(MESSAGE_OCTETS - 1)).await;
        give(&store, MESSAGE, &[alice]).await.unwrap();
        let groups = vec![OverQuota::Full, OverQuota::TooLarge, OverQuota::TooLarge];
        let refused = IntakeError::OverQuota { maildrop: bob, why: OverQuota::TooLarge, groups };
        assert_eq!(give_apart(&store, &[&[alice], &[bob], &[alice, bob]]).await, Err(refused));
        assert_eq!(holds(&store, "alice").await.0, 1);
        assert_eq!(holds(&store, "bob").await.0, 0);
        set(&store, "alice", None).await;
        let receipt = give_apart(&store, &[&[alice], &[alice]]).await.unwrap();
        assert_eq!(receipt.verdicts, [Ok(()), Ok(())]);
        assert_eq!(holds(&store, "alice").await.0, 2, "once, however often it is named");
        assert_eq!(give(&store, MESSAGE, &[alice]).await.unwrap().verdicts, []);
    })
    .await;
}

#[tokio::test]
async fn of_many_deliveries_at_one_time_as_many_are_taken_as_fit() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        let bob = account(&store, "bob").await.maildrop;
        set(&store, "alice", messages(20)).await;
        set(&store, "bob", octets(15 * MESSAGE_OCTETS)).await;
        let deliveries: Vec<_> = (0..100)
            .map(|number| {
                let store = store.clone();
                let maildrops = if number % 2 == 0 { vec![alice] } else { vec![alice, bob] };
                tokio::spawn(async move { give(&store, MESSAGE, &maildrops).await })
            })
            .collect();
        let mut taken = 0;
        for delivery in deliveries {
            taken += u64::from(delivery.await.unwrap().is_ok());
        }
        assert_eq!(taken, 20);
        assert_eq!(holds(&store, "alice").await, (20, 20 * MESSAGE_OCTETS));
        assert!(holds(&store, "bob").await.0 <= 15);
    })
    .await;
}

#[tokio::test]
async fn what_is_imported_is_never_refused_and_counts() {
    with_store(async |store| {
        let alice = account(&store, "alice").await.maildrop;
        set(&store, "alice", messages(1)).await;
        for number in 0..3 {
            let unique_id = UniqueId::parse(&format!("from-elsewhere-{number}")).unwrap();
            let carried = Some(Carried { unique_id, received_at: 1 });
            let import = Delivery { carried, ..delivery(&[alice]) };
            offer(&store, MESSAGE, 100, import).await.unwrap();
        }
        assert_eq!(holds(&store, "alice").await, (3, 3 * MESSAGE_OCTETS));
        assert_eq!(give(&store, MESSAGE, &[alice]).await, Err(refused(alice, OverQuota::Full)));
    })
    .await;
}

#[tokio::test]
async fn a_recipient_is_refused_before_content_is_sent_where_its_size_is_known() {
    with_store(async |store| {
        let alice = account(&store, "alice").await;
        let bob = account(&store, "bob").await;
        let to = |account: &crate::Account| account.address.clone();
        let both =
            Alias { address: mailbox("both@example.test").into(), targets: vec![to(&alice), to(&bob)] };
        store.administration.add_alias(&both).await.unwrap();
        set(&store, "bob", octets(2 * MESSAGE_OCTETS)).await;
        give(&store, MESSAGE, &[bob.maildrop]).await.unwrap();
        let recipient = async |name: &str, octets: u64| {
            let mailbox = mailbox(&format!("{name}@example.test"));
            store.directory.recipient(&mailbox, octets).await.unwrap()
        };
        let full = Recipient::OverQuota(OverQuota::Full);
        let only_bob = Recipient::Maildrops(vec![bob.maildrop]);
        assert_eq!(recipient("bob", 0).await, only_bob);
        assert_eq!(recipient("bob", MESSAGE_OCTETS).await, only_bob);
        assert_eq!(recipient("bob+list", MESSAGE_OCTETS + 1).await, full);
        let too_large = Recipient::OverQuota(OverQuota::TooLarge);
        assert_eq!(recipient("bob", 2 * MESSAGE_OCTETS + 1).await, too_large);
        assert_eq!(recipient("both", 2 * MESSAGE_OCTETS + 1).await, too_large);
        assert_eq!(recipient("alice", u64::MAX).await, Recipient::Maildrops(vec![alice.maildrop]));
        give(&store, MESSAGE, &[bob.maildrop]).await.unwrap();
        assert_eq!(recipient("bob", 0).await, full);
        assert_eq!(recipient("both", 0).await, full);
        assert_eq!(recipient("nobody", u64::MAX).await, Recipient::Missing);
    })
    .await;
}

#[tokio::test]
async fn the_listing_says_what_each_account_has_and_may_have() {
    with_store(async |store| {
        for name in ["carol", "alice", "bob"] {
            account(&store, name).await;
        }
        set(&store, "bob", messages(7)).await;
        give(&store, MESSAGE, &[usage(&store, "carol").await.account.maildrop]).await.unwrap();
        let all = store.administration.usage().await.unwrap();
        let shown: Vec<_> = all
            .iter()
            .map(|usage| (usage.account.address.to_string(), usage.messages, usage.quota, usage.source))
            .collect();
        let expected = [
            ("alice@example.test".to_owned(), 0, Quota::default(), QuotaSource::Configuration),
            ("bob@example.test".to_owned(), 0, messages(7), QuotaSource::Account),
            ("carol@example.test".to_owned(), 1, Quota::default(), QuotaSource::Configuration),
        ];
        assert_eq!(shown, expected);
        let nobody = store.administration.set_quota(&mailbox("nobody@example.test"), None).await;
        assert!(matches!(nobody, Err(AdministrationError::Missing(_))));
    })
    .await;
}

#[tokio::test]
async fn the_configured_quota_holds_where_an_account_has_none_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let with_quota = || crate::Options { quota_messages: 1, quota_octets: 1 << 20, ..options(folder.path()) };
    let store = crate::open(with_quota()).await.unwrap();
    let alice = account(&store, "alice").await.maildrop;
    let bob = account(&store, "bob").await.maildrop;
    set(&store, "bob", Quota::default()).await;
    for _ in 0..3 {
        give(&store, MESSAGE, &[bob]).await.unwrap();
    }
    give(&store, MESSAGE, &[alice]).await.unwrap();
    assert_eq!(give(&store, MESSAGE, &[alice]).await, Err(refused(alice, OverQuota::Full)));
    let before = store.administration.usage().await.unwrap();
    assert_eq!(before[0].quota, Quota { octets: 1 << 20, messages: 1 });
    assert_eq!(before[0].source, QuotaSource::Configuration);
    store.close().await;

    let store = crate::open(with_quota()).await.unwrap();
    assert_eq!(store.administration.usage().await.unwrap(), before);
    give(&store, MESSAGE, &[bob]).await.unwrap();
    assert_eq!(give(&store, MESSAGE, &[alice]).await, Err(refused(alice, OverQuota::Full)));
    set(&store, "bob", None).await;
    assert_eq!(give(&store, MESSAGE, &[bob]).await, Err(refused(bob, OverQuota::Full)));
    store.close().await;
}

#[tokio::test]
async fn an_account_that_is_added_again_has_no_quota_of_its_own() {
    with_store(async |store| {
        account(&store, "alice").await;
        set(&store, "alice", messages(1)).await;
        store.administration.remove_account(&mailbox("alice@example.test")).await.unwrap();
        let again = account(&store, "alice").await.maildrop;
        assert_eq!(usage(&store, "alice").await.source, QuotaSource::Configuration);
        for _ in 0..2 {
            give(&store, MESSAGE, &[again]).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn no_file_is_left_of_large_content_that_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    let alice = account(&store, "alice").await.maildrop;
    set(&store, "alice", octets(1 << 20)).await;
    let large = b"0123456789abcd\r\n".repeat(LARGE_OCTETS / 16);
    assert_eq!(give(&store, &large, &[alice]).await, Err(refused(alice, OverQuota::TooLarge)));
    for kept in ["spool", "content"] {
        let files = std::fs::read_dir(folder.path().join(kept)).unwrap().count();
        assert_eq!(files, 0, "{kept}");
    }
    store.close().await;
}

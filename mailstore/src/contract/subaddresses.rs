//! Maildrops for subaddresses: who gets what, who may open them, what they may hold, and how they go.

use std::num::NonZeroU16;
use std::time::Duration;

use mailwire::clock;
use mailwire::sasl::ScramKeys;

use super::{account, deliver_text, delivery, lease, mailbox, offer, options, read_all, secret, with_store};
use crate::{
    Account, AccountUsage, AdministrationError, Alias, AppPasswordName, Carried, Delivery, Detail, Expiry,
    Fate, IntakeError, Login, MaildropError, MaildropId, OverQuota, OwnRules, Quota, Recipient, Rules,
    SUBADDRESS_MAILDROPS_MAX, Store, Takeover, UniqueId, WithMail,
};

fn detail(text: &str) -> Detail {
    Detail::parse(text).unwrap()
}

async fn add(store: &Store, name: &str, of: &str) -> Result<(), AdministrationError> {
    let address = mailbox(&format!("{name}@example.test"));
    store.administration.add_maildrop(&address, &detail(of)).await
}

async fn remove(store: &Store, name: &str, of: &str, with_mail: WithMail) -> Result<(), AdministrationError> {
    let address = mailbox(&format!("{name}@example.test"));
    store.administration.remove_maildrop(&address, &detail(of), with_mail).await
}

async fn usage(store: &Store, name: &str) -> AccountUsage {
    let all = store.administration.usage().await.unwrap();
    all.into_iter().find(|usage| usage.account.address.local_part().as_str() == name).unwrap()
}

/// alice with maildrops for these details, each with its identity.
async fn alice_with<const COUNT: usize>(store: &Store, of: [&str; COUNT]) -> (Account, [MaildropId; COUNT]) {
    let alice = account(store, "alice").await;
    for one in of {
        add(store, "alice", one).await.unwrap();
    }
    let further = usage(store, "alice").await.further;
    let maildrop = |text: &str| further.iter().find(|one| one.detail == detail(text)).unwrap().maildrop;
    (alice, of.map(maildrop))
}

/// The maildrops that get mail for an address.
async fn get(store: &Store, address: &str) -> Vec<MaildropId> {
    match store.directory.recipient(&mailbox(address), 0).await.unwrap() {
        Recipient::Maildrops(maildrops) | Recipient::Filtered(maildrops) => maildrops,
        other @ (Recipient::Missing | Recipient::OverQuota(_)) => panic!("{address}: {other:?}"),
    }
}

fn alias(address: &str, targets: &[&str]) -> Alias {
    Alias {
        address: mailbox(address).into(),
        targets: targets.iter().map(|target| mailbox(target)).collect(),
    }
}

#[tokio::test]
async fn it_is_known_of_every_maildrop_where_else_its_account_has_mail_put() {
    with_store(async |store| {
        let (alice, [lists, junk]) = alice_with(&store, ["lists", "junk"]).await;
        let bob = account(&store, "bob").await;
        let filing = async |maildrop| store.directory.filing(maildrop).await.unwrap();
        for maildrop in [alice.maildrop, lists, junk] {
            let found = filing(maildrop).await.unwrap();
            assert_eq!(found.account, alice);
            assert_eq!((found.junk(), found.further("lists")), (Some(junk), Some(lists)));
            assert_eq!(found.further("Lists"), None);
        }
        let found = filing(bob.maildrop).await.unwrap();
        assert_eq!((found.account, found.further), (bob, Vec::new()));
        remove(&store, "alice", "junk", WithMail::Kept).await.unwrap();
        assert_eq!(filing(alice.maildrop).await.unwrap().junk(), None);
        assert_eq!(filing(junk).await, None);
    })
    .await;
}

#[tokio::test]
async fn mail_for_a_subaddress_goes_into_its_maildrop_where_there_is_one() {
    with_store(async |store| {
        let (alice, [junk]) = alice_with(&store, ["junk"]).await;
        for address in ["alice+junk@example.test", "Alice+JUNK@Example.test", "\"alice+junk\"@example.test"] {
            assert_eq!(get(&store, address).await, [junk], "{address}");
        }
        for address in [
            "alice@example.test",
            "alice+@example.test",
            "alice+lists@example.test",
            "alice+junk+x@example.test",
        ] {
            assert_eq!(get(&store, address).await, [alice.maildrop], "{address}");
        }
        // A message for both ends once in each.
        let both = [junk, alice.maildrop];
        offer(&store, b"A: b\r\n\r\n", 100, delivery(&both)).await.unwrap();
        for maildrop in both {
            assert_eq!(read_all(&store, maildrop).await.len(), 1);
        }
        assert!(store.directory.may_send_as(&alice, &mailbox("alice+junk@example.test")).await.unwrap());
        remove(&store, "alice", "Junk", WithMail::GivenUp).await.unwrap();
        assert_eq!(get(&store, "alice+junk@example.test").await, [alice.maildrop]);
    })
    .await;
}

#[tokio::test]
async fn aliases_lead_to_the_maildrops_of_subaddresses() {
    with_store(async |store| {
        let (alice, [junk, lists]) = alice_with(&store, ["junk", "lists"]).await;
        let bob = account(&store, "bob").await;
        let administration = &store.administration;
        for added in [
            alias("spam@example.test", &["Alice+Junk@example.test"]),
            alias("all@example.test", &["alice@example.test", "alice+junk@example.test", "bob@example.test"]),
            alias("a.lice@example.test", &["alice@example.test", "bob@example.test"]),
        ] {
            administration.add_alias(&added).await.unwrap();
        }
        assert_eq!(get(&store, "spam@example.test").await, [junk]);
        assert_eq!(get(&store, "all@example.test").await, [alice.maildrop, junk, bob.maildrop]);
        // A detail of the alias's own is one in each account, but where the alias says which.
        assert_eq!(get(&store, "a.lice+lists@example.test").await, [lists, bob.maildrop]);
        assert_eq!(get(&store, "spam+lists@example.test").await, [junk]);
        assert!(store.directory.may_send_as(&alice, &mailbox("spam@example.test")).await.unwrap());
        assert!(!store.directory.may_send_as(&bob, &mailbox("spam@example.test")).await.unwrap());
        // What catches all has nobody's subaddresses.
        let catch_all = Alias {
            address: crate::Addresses::parse("@example.test").unwrap(),
            targets: vec![mailbox("alice@example.test")],
        };
        administration.add_alias(&catch_all).await.unwrap();
        assert_eq!(get(&store, "anybody+junk@example.test").await, [alice.maildrop]);

        let nowhere = administration.add_alias(&alias("x@example.test", &["alice+x@example.test"])).await;
        assert!(matches!(nowhere, Err(AdministrationError::Target { .. })), "{nowhere:?}");
        let used = remove(&store, "alice", "junk", WithMail::GivenUp).await;
        assert!(matches!(used, Err(AdministrationError::InUse { .. })), "{used:?}");
        for removed in ["a.lice@example.test", "all@example.test"] {
            administration.remove_alias(&mailbox(removed).into()).await.unwrap();
        }
        administration.remove_alias(&catch_all.address).await.unwrap();
        let used = administration.remove_account(&alice.address).await;
        assert!(matches!(used, Err(AdministrationError::InUse { .. })), "{used:?}");
    })
    .await;
}

#[tokio::test]
async fn an_address_is_taken_once() {
    with_store(async |store| {
        alice_with(&store, ["junk"]).await;
        account(&store, "alice+own").await;
        store
            .administration
            .add_alias(&alias("alice+list@example.test", &["alice@example.test"]))
            .await
            .unwrap();
        for taken in ["junk", "JUNK", "own", "list"] {
            let again = add(&store, "alice", taken).await;
            assert!(matches!(again, Err(AdministrationError::Exists(_))), "{taken}: {again:?}");
        }
        let junk = mailbox("alice+junk@example.test");
        let as_account = store.administration.add_account(&junk, &secret("x")).await;
        assert!(matches!(as_account, Err(AdministrationError::Exists(_))), "{as_account:?}");
        let as_alias = alias("alice+junk@example.test", &["alice@example.test"]);
        let as_alias = store.administration.add_alias(&as_alias).await;
        assert!(matches!(as_alias, Err(AdministrationError::Exists(_))), "{as_alias:?}");
        let nobodys = add(&store, "nobody", "junk").await;
        assert!(matches!(nobodys, Err(AdministrationError::Missing(_))), "{nobodys:?}");
        let missing = remove(&store, "alice", "lists", WithMail::Kept).await;
        assert!(matches!(missing, Err(AdministrationError::Missing(_))), "{missing:?}");
        // Its subaddresses would be alice's.
        let further = add(&store, "alice+own", "junk").await;
        assert!(matches!(further, Err(AdministrationError::NoSubaddress { .. })), "{further:?}");
        let too_long = add(&store, "alice", &"x".repeat(64 - "alice".len())).await;
        assert!(matches!(too_long, Err(AdministrationError::NoSubaddress { .. })), "{too_long:?}");
        add(&store, "alice", &"x".repeat(63 - "alice".len())).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_account_has_so_many_further_maildrops_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    account(&store, "alice").await;
    for number in 0..SUBADDRESS_MAILDROPS_MAX {
        add(&store, "alice", &number.to_string()).await.unwrap();
    }
    let one_more = add(&store, "alice", "more").await;
    assert!(matches!(one_more, Err(AdministrationError::TooMany { .. })), "{one_more:?}");
    remove(&store, "alice", "0", WithMail::Kept).await.unwrap();
    add(&store, "alice", "more").await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_maildrop_with_mail_in_it_is_removed_where_that_is_meant() {
    with_store(async |store| {
        let (_, [junk]) = alice_with(&store, ["junk"]).await;
        for text in ["one", "two"] {
            deliver_text(&store, junk, text).await;
        }
        lease(&store, junk).await.expunge(&[0]).await.unwrap();
        let holds = AdministrationError::HoldsMail {
            address: "alice+junk@example.test".to_owned(),
            messages: 1,
            deleted: 1,
        };
        assert_eq!(remove(&store, "alice", "junk", WithMail::Kept).await, Err(holds));
        assert_eq!(read_all(&store, junk).await.len(), 1);
        remove(&store, "alice", "junk", WithMail::GivenUp).await.unwrap();
        let gone = store.maildrops.lease(junk, Duration::from_mins(1)).await.err();
        assert_eq!(gone, Some(MaildropError::Ended));
        let to_nobody = offer(&store, b"A: b\r\n\r\n", 100, delivery(&[junk])).await;
        assert!(matches!(to_nobody, Err(IntakeError::Unavailable(_))), "{to_nobody:?}");
        // Under the same detail begins another maildrop.
        add(&store, "alice", "junk").await.unwrap();
        let [anew] = usage(&store, "alice").await.further.try_into().unwrap();
        assert!(anew.maildrop != junk && (anew.messages, anew.octets) == (0, 0));
        remove(&store, "alice", "junk", WithMail::Kept).await.unwrap();
        assert!(usage(&store, "alice").await.further.is_empty());
    })
    .await;
}

#[tokio::test]
async fn further_maildrops_outlive_a_restart_and_go_with_their_account() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    let (alice, [junk, lists]) = alice_with(&store, ["junk", "lists"]).await;
    deliver_text(&store, junk, "junk").await;
    deliver_text(&store, lists, "a list").await;
    store.close().await;
    // From the journal alone.
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    assert_eq!(get(&store, "alice+junk@example.test").await, [junk]);
    assert_eq!(read_all(&store, lists).await.len(), 1);
    assert_eq!(usage(&store, "alice").await.messages, 2);
    store.administration.remove_account(&alice.address).await.unwrap();
    store.close().await;
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    for maildrop in [alice.maildrop, junk, lists] {
        let gone = store.maildrop_administration.messages(maildrop, None, 10).await;
        assert_eq!(gone, Err(MaildropError::Ended));
    }
    let anew = account(&store, "alice").await;
    assert_eq!(get(&store, "alice+junk@example.test").await, [anew.maildrop]);
    store.close().await;
}

async fn opens(store: &Store, login: &str, password: &str) -> Option<MaildropId> {
    let found = store.directory.authenticate(login, &secret(password)).await.unwrap();
    found.map(|login| login.maildrop)
}

#[tokio::test]
async fn a_subaddress_with_a_maildrop_is_a_login_of_its_account() {
    with_store(async |store| {
        let (alice, [junk]) = alice_with(&store, ["junk"]).await;
        let address = mailbox("alice+junk@example.test");
        let expected = Login { account: alice.clone(), maildrop: junk, address };
        for login in ["alice+junk@example.test", "ALICE+Junk@Example.test"] {
            let found = store.directory.authenticate(login, &secret("pw-alice")).await.unwrap();
            assert_eq!(found.as_ref(), Some(&expected), "{login}");
            assert_eq!(store.directory.account(login).await.unwrap().as_ref(), Some(&expected), "{login}");
        }
        assert_eq!(opens(&store, "alice@example.test", "pw-alice").await, Some(alice.maildrop));
        let phone = AppPasswordName::parse("phone").unwrap();
        let phone = store.access.add_app_password(&alice.address, &phone).await.unwrap();
        assert_eq!(opens(&store, "alice+junk@example.test", phone.expose()).await, Some(junk));
        assert_eq!(opens(&store, "alice+junk@example.test", "wrong").await, None);
        for unknown in ["alice+lists@example.test", "alice+@example.test", "nobody+junk@example.test"] {
            for password in ["pw-alice", phone.expose()] {
                assert_eq!(opens(&store, unknown, password).await, None, "{unknown}");
            }
            assert_eq!(store.directory.account(unknown).await, Ok(None), "{unknown}");
        }
        store.administration.set_password(&alice.address, &secret("new")).await.unwrap();
        assert_eq!(opens(&store, "alice+junk@example.test", "pw-alice").await, None);
        assert_eq!(opens(&store, "alice+junk@example.test", "new").await, Some(junk));
        remove(&store, "alice", "junk", WithMail::Kept).await.unwrap();
        assert_eq!(opens(&store, "alice+junk@example.test", "new").await, None);
    })
    .await;
}

#[tokio::test]
async fn an_account_of_a_name_with_a_plus_is_nobody_elses_subaddress() {
    with_store(async |store| {
        let (alice, _) = alice_with(&store, ["junk"]).await;
        let own = account(&store, "alice+own").await;
        assert_eq!(get(&store, "alice+own@example.test").await, [own.maildrop]);
        assert_eq!(opens(&store, "alice+own@example.test", "pw-alice").await, None);
        assert_eq!(opens(&store, "alice+own@example.test", "pw-alice+own").await, Some(own.maildrop));
        assert!(!store.directory.may_send_as(&alice, &own.address).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn no_salt_tells_which_subaddresses_have_maildrops() {
    with_store(async |store| {
        alice_with(&store, ["junk"]).await;
        let keys =
            async |name: &str| store.directory.scram_keys(&format!("{name}@example.test")).await.unwrap();
        let alice = keys("alice").await;
        assert_eq!(alice, ScramKeys::derive(&secret("pw-alice"), &alice.salt, alice.iterations));
        assert_eq!(keys("Alice+Junk").await, alice);
        for (name, user) in [("alice+lists", "alice"), ("nobody+junk", "nobody"), ("nobody+lists", "Nobody")]
        {
            let (unknown, known) = (keys(name).await, keys(user).await);
            assert_eq!((&unknown.salt, unknown.iterations), (&known.salt, known.iterations), "{name}");
            assert_ne!(unknown.stored_key, alice.stored_key, "{name}");
            assert_ne!(unknown.server_key, alice.server_key, "{name}");
        }
        assert_ne!(keys("nobody").await.salt, alice.salt);
    })
    .await;
}

#[tokio::test]
async fn the_quota_of_an_account_holds_for_all_of_its_maildrops_together() {
    with_store(async |store| {
        let (alice, [junk]) = alice_with(&store, ["junk"]).await;
        let bob = account(&store, "bob").await.maildrop;
        let quota = Some(Quota { octets: 0, messages: 3 });
        store.administration.set_quota(&alice.address, quota).await.unwrap();
        let give = async |delivery: Delivery| offer(&store, b"A: b\r\n\r\n", 100, delivery).await;
        give(delivery(&[junk])).await.unwrap();
        give(delivery(&[alice.maildrop])).await.unwrap();
        // Two copies would be one too many, be they of one message.
        let full =
            |maildrop| Err(IntakeError::OverQuota { maildrop, why: OverQuota::Full, groups: Vec::new() });
        assert_eq!(give(delivery(&[alice.maildrop, junk])).await, full(junk));
        // Apart, the first one takes the last place.
        let fate = Fate::Apart(vec![vec![alice.maildrop], vec![junk], vec![bob]]);
        let apart = give(Delivery { fate, ..delivery(&[alice.maildrop, junk, bob]) }).await.unwrap();
        assert_eq!(apart.verdicts, [Ok(()), Err(OverQuota::Full), Ok(())]);
        assert_eq!(give(delivery(&[junk])).await, full(junk));
        for address in ["alice@example.test", "alice+junk@example.test"] {
            let refused = store.directory.recipient(&mailbox(address), 0).await.unwrap();
            assert_eq!(refused, Recipient::OverQuota(OverQuota::Full), "{address}");
        }
        let held = usage(&store, "alice").await;
        let of_junk = held.further.first().unwrap();
        assert_eq!((held.messages, of_junk.messages), (3, 1));
        assert_eq!(held.octets, of_junk.octets * 3);
        lease(&store, junk).await.expunge(&[0]).await.unwrap();
        give(delivery(&[alice.maildrop])).await.unwrap();
        assert_eq!(usage(&store, "alice").await.messages, 3);
    })
    .await;
}

#[tokio::test]
async fn a_maildrop_that_is_gone_stays_gone_whichever_segments_are_compacted() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    let (alice, [junk, lists]) = alice_with(&store, ["junk", "lists"]).await;
    let bob = account(&store, "bob").await.maildrop;
    for text in ["one", "two"] {
        let all = delivery(&[alice.maildrop, junk, lists, bob]);
        offer(&store, text.as_bytes(), 100, all).await.unwrap();
    }
    remove(&store, "alice", "junk", WithMail::GivenUp).await.unwrap();
    store.repair.compact().await.unwrap();
    store.administration.remove_account(&alice.address).await.unwrap();
    store.repair.compact().await.unwrap();
    store.close().await;
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    assert_eq!(read_all(&store, bob).await.len(), 2);
    assert_eq!(store.administration.usage().await.unwrap().len(), 1);
    store.close().await;
}

#[tokio::test]
async fn the_rules_of_an_account_hold_for_each_of_its_maildrops() {
    with_store(async |store| {
        let (alice, [junk]) = alice_with(&store, ["junk"]).await;
        let days = NonZeroU16::new(30).unwrap();
        let own = OwnRules {
            login_delay_seconds: Some(24 * 60 * 60),
            expiry: Some(Expiry::Days(days)),
            takeover: Some(Takeover::Allowed),
        };
        for (maildrop, age) in [(alice.maildrop, 31), (junk, 31), (junk, 29)] {
            let unique_id = UniqueId::parse(&format!("{}-{age}", maildrop.0)).unwrap();
            let received_at = clock::unix_seconds() - age * 24 * 60 * 60;
            let carried = Some(Carried { unique_id, received_at });
            offer(&store, b"A: b\r\n\r\n", 100, Delivery { carried, ..delivery(&[maildrop]) }).await.unwrap();
        }
        store.administration.set_rules(&alice.address, own).await.unwrap();
        assert_eq!(store.repair.compact().await.unwrap().expired, 2);
        // Who has just looked for other mail of the account is not too soon for this.
        for (maildrop, count) in [(alice.maildrop, 0), (junk, 1)] {
            let lease = lease(&store, maildrop).await;
            assert_eq!((lease.rules(), lease.entries().len()), (own.or(Rules::default()), count));
        }
        for maildrop in [alice.maildrop, junk] {
            let again = store.maildrops.lease(maildrop, Duration::ZERO).await.err();
            assert_eq!(again, Some(MaildropError::TooSoon));
        }
        store.administration.set_rules(&alice.address, OwnRules::default()).await.unwrap();
        assert_eq!(lease(&store, junk).await.rules(), Rules::default());
    })
    .await;
}

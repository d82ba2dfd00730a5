//! What the guard promises, wherever it is asked.

use std::net::IpAddr;

use mailwire::address::Mailbox;
use mailwire::net::Network;

use super::{secret, with_store};
use crate::{
    Admission, AppPasswordName, Arrival, Forgiven, GuardOptions, Measure, Options, Outcome, Reason, Sending,
    Store, Throttled, TooMuch, Turn, Verdict,
};

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

async fn admitted(store: &Store, peer: IpAddr, login: &str) -> Option<Turn> {
    match store.guard.admit(peer, login).await.unwrap() {
        Admission::Admitted(turn) => Some(turn),
        Admission::PutOff => None,
    }
}

/// Guesses on until there are no more answers, and says how many there were; turns are not waited for.
async fn guess(store: &Store, peer: IpAddr, login: &str) -> u32 {
    for number in 0..100 {
        let Some(turn) = admitted(store, peer, login).await else { return number };
        let word = secret(&format!("word-{number}"));
        let settled = store.guard.settle(peer, login, turn, Outcome::Wrong(&word)).await.unwrap();
        if settled == Verdict::PutOff {
            return number;
        }
    }
    100
}

#[tokio::test]
async fn guesses_are_stopped_where_they_come_from() {
    with_store(async |store| {
        let free = GuardOptions::default().free_guesses;
        let answered = guess(&store, HERE, "alice@example.test").await;
        assert!((free..=GuardOptions::default().guesses_max).contains(&answered), "{answered}");
        let turn = admitted(&store, ELSEWHERE, "alice@example.test").await.unwrap();
        assert!(turn.delay.is_zero());
        let login = "alice@example.test";
        let right = store.guard.settle(ELSEWHERE, login, turn, Outcome::Right).await.unwrap();
        assert_eq!(right, Verdict::Stands);
        for _ in 0..free {
            let turn = admitted(&store, ELSEWHERE, "bob@example.test").await.unwrap();
            let unseen = store.guard.settle(ELSEWHERE, "bob@example.test", turn, Outcome::WrongUnseen).await;
            assert_eq!(unseen.unwrap(), Verdict::Stands);
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_gets_more_guesses_by_making_up_details_or_spellings() {
    with_store(async |store| {
        let mut answered = 0;
        for number in 0..100 {
            let logins = [
                format!("alice+{number}@example.test"),
                format!("Alice+junk+{number}@Example.test"),
                format!("\"alic\\e+{number}\"@example.test"),
                "\"\\alice\"@example.test".to_owned(),
                "alice@example.test".to_owned(),
            ];
            for (word, login) in logins.iter().enumerate() {
                let Some(turn) = admitted(&store, HERE, login).await else { continue };
                let word = secret(&format!("word-{number}-{word}"));
                let settled = store.guard.settle(HERE, login, turn, Outcome::Wrong(&word)).await.unwrap();
                answered += u32::from(settled == Verdict::Stands);
            }
        }
        assert!(answered <= GuardOptions::default().guesses_max, "{answered}");
        assert_eq!(admitted(&store, HERE, "alice@example.test").await, None);
        let listed = store.guard.throttled().await.unwrap();
        let shown = |throttled: &Throttled| throttled.login.as_deref() == Some("alice@example.test");
        assert!(listed.iter().any(shown), "{listed:?}");
        // What an account sends is its own, whatever is in its name.
        let recipients = GuardOptions::default().account_recipients_per_day;
        let sends = async |account| {
            store.guard.send(Sending { peer: HERE, account: Some(account), recipients }).await.unwrap()
        };
        assert_ne!(sends("alice@example.test").await, None);
        assert_eq!(
            store.guard.forgive(&Forgiven::Login("alice+x@example.test".to_owned())).await.unwrap(),
            1
        );
    })
    .await;
}

#[tokio::test]
async fn who_is_throttled_is_listed_and_forgiven() {
    with_store(async |store| {
        guess(&store, HERE, "Alice@example.test").await;
        let listed = store.guard.throttled().await.unwrap();
        let shown = |throttled: &Throttled| (throttled.login.clone(), throttled.reason, throttled.measure);
        let login = Some("Alice@example.test".to_owned());
        assert!(
            listed.iter().map(shown).any(|shown| shown == (login.clone(), Reason::Guesses, Measure::Slowed))
        );
        assert!(listed.iter().all(|throttled| throttled.network.unwrap().contains(HERE)));
        let elsewhere = Forgiven::Network("198.51.100.0/24".parse().unwrap());
        assert_eq!(store.guard.forgive(&elsewhere).await.unwrap(), 0);
        assert_eq!(store.guard.forgive(&Forgiven::Login("alice@example.test".to_owned())).await.unwrap(), 1);
        assert_eq!(store.guard.forgive(&Forgiven::Everything).await.unwrap(), 1);
        assert!(store.guard.throttled().await.unwrap().is_empty());
        assert!(admitted(&store, HERE, "alice@example.test").await.unwrap().delay.is_zero());
    })
    .await;
}

#[tokio::test]
async fn a_login_with_another_password_begins_anew() {
    with_store(async |store| {
        let alice = Mailbox::parse("alice@example.test").unwrap();
        let phone = AppPasswordName::parse("phone").unwrap();
        for change in 0..5 {
            guess(&store, HERE, "Alice@example.test").await;
            assert!(
                !admitted(&store, HERE, "alice@example.test").await.is_some_and(|turn| turn.delay.is_zero())
            );
            match change {
                0 => drop(store.administration.add_account(&alice, &secret("one")).await.unwrap()),
                1 => store.administration.set_password(&alice, &secret("another")).await.unwrap(),
                2 => drop(store.access.add_app_password(&alice, &phone).await.unwrap()),
                3 => store.access.remove_app_password(&alice, &phone).await.unwrap(),
                _ => store.administration.remove_account(&alice).await.unwrap(),
            }
            let throttled = store.guard.throttled().await.unwrap();
            assert!(throttled.iter().all(|throttled| throttled.login.is_none()), "{change}: {throttled:?}");
            let here = Forgiven::Network(Network::subscriber(HERE));
            store.guard.forgive(&here).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn who_sends_too_much_is_put_off() {
    with_store(async |store| {
        let GuardOptions { address_recipients_per_minute, account_recipients_per_hour, .. } =
            GuardOptions::default();
        let sending = Sending { peer: HERE, account: None, recipients: 1 };
        assert_eq!(store.guard.send(sending).await.unwrap(), None);
        let many = Sending { recipients: address_recipients_per_minute + 1, ..sending };
        assert_eq!(store.guard.send(many).await.unwrap(), Some(TooMuch::Recipients));
        let submission = Sending { account: Some("alice@example.test"), ..sending };
        assert_eq!(store.guard.send(submission).await.unwrap(), None);
        let many = Sending { recipients: account_recipients_per_hour + 1, ..submission };
        assert_eq!(store.guard.send(many).await.unwrap(), Some(TooMuch::Recipients));
        let here = Sending { peer: IpAddr::from([127, 0, 0, 1]), ..many };
        assert_eq!(store.guard.send(here).await.unwrap(), None, "this machine's programs are spared");
    })
    .await;
}

#[tokio::test]
async fn who_comes_too_often_or_says_too_much_that_is_wrong_is_put_off() {
    with_store(async |store| {
        let GuardOptions { address_connections_per_minute, address_errors_per_hour, .. } =
            GuardOptions::default();
        for _ in 0..address_connections_per_minute {
            assert_eq!(store.guard.arrive(HERE).await.unwrap(), Arrival::Welcome);
        }
        // One more comes back while so many are looked at.
        let mut answers = Vec::new();
        for _ in 0..address_connections_per_minute {
            answers.push(store.guard.arrive(HERE).await.unwrap());
        }
        assert!(answers.contains(&Arrival::PutOff));
        store.guard.erred(ELSEWHERE, address_errors_per_hour).await.unwrap();
        assert_eq!(store.guard.arrive(ELSEWHERE).await.unwrap(), Arrival::PutOff);
        let listed = store.guard.throttled().await.unwrap();
        let errors = listed.iter().find(|throttled| throttled.reason == Reason::Errors).unwrap();
        assert_eq!((errors.network, errors.login.as_deref()), (Some(Network::subscriber(ELSEWHERE)), None));
        store.guard.forgive(&Forgiven::Network(Network::subscriber(ELSEWHERE))).await.unwrap();
        assert_eq!(store.guard.arrive(ELSEWHERE).await.unwrap(), Arrival::Welcome);
        let loopback = IpAddr::from([127, 0, 0, 1]);
        store.guard.erred(loopback, address_errors_per_hour).await.unwrap();
        assert_eq!(store.guard.arrive(loopback).await.unwrap(), Arrival::Welcome, "spared");
    })
    .await;
}

#[tokio::test]
async fn a_guard_begins_anew_with_its_host() {
    let folder = tempfile::tempdir().unwrap();
    let options: Options = super::options(folder.path());
    let store = crate::open(options.clone()).await.unwrap();
    guess(&store, HERE, "alice@example.test").await;
    store.close().await;
    let store = crate::open(options).await.unwrap();
    assert!(store.guard.throttled().await.unwrap().is_empty());
    store.close().await;
}

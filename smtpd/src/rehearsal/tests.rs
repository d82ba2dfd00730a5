//! A server for example.test with alice and bob, of which nothing is changed whatever is asked about it.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use mailstore::{Forgiven, Options, Quota, RefusalFilter, RuleFile, Sending, Store};
use mailwire::address::{Mailbox, ReversePath};
use mailwire::daemon::config::Server;
use mailwire::secret::Secret;
use tempfile::TempDir;

use super::*;
use crate::checks::Checks;
use crate::config::Config;
use crate::gate::GateTables;
use crate::relay::RelayTables;
use crate::service::Shared;
use crate::session::Kind;

const STRANGER: &str = "192.0.2.7";

struct House {
    folder: TempDir,
    store: Store,
    options: Options,
}

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).unwrap()
}

impl House {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut options =
            Options { path: folder.path().join("store"), reserve_octets: 0, ..Options::default() };
        options.guard.address_messages_per_minute = 2;
        let store = mailstore::open(options.clone()).await.unwrap();
        for name in ["alice@example.test", "bob@example.test"] {
            let password = Secret::new("x".to_owned());
            store.administration.add_account(&mailbox(name), &password).await.unwrap();
        }
        Self { folder, store, options }
    }

    /// The server by these tables.
    fn rehearsal(&self, toml: &str) -> Rehearsal {
        let tables: BTreeMap<String, toml::Table> = toml::from_str(toml).unwrap();
        let table = |name: &str| tables.get(name).cloned().unwrap_or_default();
        let shared = Shared {
            server: Server {
                hostname: "mail.example.test".to_owned(),
                domains: vec!["example.test".to_owned()],
            },
            tls: None,
            store: self.store.clone(),
            tokens: None,
            relay: RelayTables { relay: table("relay").try_into().unwrap(), ..RelayTables::default() },
            gate: GateTables { greylist: table("greylist").try_into().unwrap(), ..GateTables::default() },
            checks: Checks::off(),
        };
        let config: Config = table("smtp").try_into().unwrap();
        Rehearsal::new(&config, &shared, &self.options.guard).unwrap()
    }

    /// Every file of the store that lasts, with its octets.
    fn kept(&self) -> BTreeMap<String, Vec<u8>> {
        let mut kept = BTreeMap::new();
        walk(self.folder.path(), &mut kept);
        assert!(kept.keys().any(|path| path.contains("journal")), "{:?}", kept.keys());
        // The index follows the journal in its own time.
        kept.retain(|path, _| !path.contains("index"));
        kept
    }
}

fn walk(folder: &Path, kept: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, kept);
        } else if path.is_file() {
            kept.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
}

fn mail(from: &str, to: &[&str]) -> Mail {
    Mail {
        from: if from.is_empty() { ReversePath::Null } else { ReversePath::Mailbox(mailbox(from)) },
        to: to.iter().map(|to| mailbox(to)).collect(),
        address: STRANGER.parse().unwrap(),
        login: None,
        hello: Some("mail.far.test".to_owned()),
        kind: Kind::Reception,
        protection: Protection::Tls,
        content: Content::Made(0),
    }
}

fn submitted(login: &str, from: &str, to: &str) -> Mail {
    Mail { login: Some(login.to_owned()), kind: Kind::Submission, ..mail(from, &[to]) }
}

/// The decisive code and reason for the first recipient.
fn decided(rehearsed: &Rehearsed) -> (u16, String) {
    let said = rehearsed.decisive(0).unwrap();
    (said.reply.code(), said.because.clone().unwrap_or_default())
}

#[tokio::test]
async fn each_decision_names_what_has_made_it() {
    let house = House::new().await;
    let quota = Quota { octets: 0, messages: 0 };
    house.store.administration.set_quota(&mailbox("alice@example.test"), Some(quota)).await.unwrap();
    let quota = Quota { octets: 300, messages: 0 };
    house.store.administration.set_quota(&mailbox("bob@example.test"), Some(quota)).await.unwrap();
    let mut plain = house.rehearsal("[relay]\nenabled = false\n[smtp]\ncontent_octets_max = 100000");
    let mut relaying = house.rehearsal("[relay]\nenabled = true\ntrusted = [\"192.0.2.0/24\"]");
    let far = "x@far.test";
    let alice = "alice@example.test";
    let large = Mail { content: Content::Made(100_001), ..mail(far, &[alice]) };
    let clear = Mail { protection: Protection::Clear, ..submitted(alice, alice, "bob@example.test") };
    let author = b"From: bob@example.test\n\nx\n".to_vec();
    let author = Mail { content: Content::Given(author), ..submitted(alice, alice, alice) };
    for (mail, code, because) in [
        (mail(far, &[alice]), 250, ""),
        (mail("", &[alice]), 250, ""),
        (large, 552, "[smtp] content_octets_max = 100000"),
        (
            mail(far, &["nobody@example.test"]),
            550,
            "no account, alias or catch-all takes nobody@example.test",
        ),
        (mail(far, &["bob@example.test"]), 552, "[store] quota_octets"),
        (mail(far, &["c@else.test"]), 550, "[relay] enabled = false"),
        (mail(far, &["\u{e9}@example.test"]), 550, "no account"),
        (submitted(alice, alice, alice), 250, ""),
        (submitted("alice", alice, alice), 250, ""),
        (submitted("nobody", alice, alice), 535, "no account has this login"),
        (submitted(alice, "bob@example.test", alice), 553, "account alice@example.test has no address"),
        (submitted(alice, alice, "c@else.test"), 550, "[relay] enabled = false"),
        (Mail { login: None, ..submitted(alice, alice, alice) }, 530, "the port"),
        (Mail { kind: Kind::Reception, ..submitted(alice, alice, alice) }, 502, "the port"),
        (clear, 538, "[smtp] clear_login"),
        (author, 550, "has no address, alias or grant bob@example.test, as in From"),
    ] {
        let rehearsed = plain.rehearse(&mail).await;
        let (said, reason) = decided(&rehearsed);
        assert!(said == code && reason.contains(because), "{mail:?}: {said} {reason}, {rehearsed:?}");
        assert_eq!(matches!(rehearsed.end, End::Committed(_)), code == 250, "{mail:?}");
    }
    for (mail, by) in [
        (mail(far, &["c@else.test"]), "[relay] trusted has"),
        (submitted(alice, alice, "c@else.test"), "[relay] enabled: users"),
    ] {
        let rehearsed = relaying.rehearse(&mail).await;
        assert!(rehearsed.recipients[0].because.as_ref().unwrap().starts_with(by), "{rehearsed:?}");
        let End::Committed(committed) = rehearsed.end else { panic!("{rehearsed:?}") };
        assert_eq!(committed.delivery.relay[0].mailbox, self::mailbox("c@else.test"));
    }
    house.store.close().await;
}

#[tokio::test]
async fn a_recipient_who_is_refused_leaves_the_others_theirs() {
    let house = House::new().await;
    let mut rehearsal = house.rehearsal("");
    let rehearsed =
        rehearsal.rehearse(&mail("x@far.test", &["nobody@example.test", "bob@example.test"])).await;
    assert_eq!((rehearsed.verdict(0), rehearsed.verdict(1)), (Verdict::Refused, Verdict::Accepted));
    let End::Committed(committed) = rehearsed.end else { panic!("{rehearsed:?}") };
    assert_eq!(committed.delivery.maildrops.len(), 1);
    house.store.close().await;
}

#[tokio::test]
async fn rules_say_where_it_would_go() {
    let house = House::new().await;
    let mut rehearsal = house.rehearsal("[relay]\nenabled = true");
    for (rules, maildrops, relay, reason) in [
        ("always discard\n", None, 0, "line 1"),
        ("always forward \"c@else.test\"\n", Some(0), 1, "line 1"),
        ("always forward \"c@else.test\" and go on\nalways keep\n", Some(1), 1, "lines 1, 2"),
    ] {
        let rules = RuleFile::new(rules).unwrap();
        house.store.rule_files.set_rule_file(&mailbox("bob@example.test"), Some(rules)).await.unwrap();
        let rehearsed = rehearsal.rehearse(&mail("x@far.test", &["bob@example.test"])).await;
        let told = match (&rehearsed.end, maildrops) {
            (End::Committed(committed), Some(maildrops)) => {
                let delivery = &committed.delivery;
                assert_eq!((delivery.maildrops.len(), delivery.relay.len()), (maildrops, relay));
                delivery.steps.iter().map(|step| step.detail.as_str()).collect::<Vec<_>>().join("\n")
            }
            (End::Discarded, None) => decided(&rehearsed).1,
            _ => panic!("{rehearsed:?}"),
        };
        assert!(told.contains(reason), "{told}");
    }
    house.store.close().await;
}

#[tokio::test]
async fn nothing_in_the_store_changes() {
    let house = House::new().await;
    let mut rehearsal =
        house.rehearsal("[greylist]\nenabled = true\n[relay]\nenabled = true\n[smtp]\nrecipients_max = 100");
    let before = house.kept();
    let given = Content::Given(b"From: x@far.test\n\n.\n..\nx\n".to_vec());
    for _ in 0..5 {
        for mail in [
            mail("x@far.test", &["bob@example.test"]),
            mail("x@far.test", &["nobody@example.test", "c@else.test"]),
            Mail { content: given.clone(), ..submitted("alice", "alice@example.test", "c@else.test") },
            submitted("nobody", "alice@example.test", "c@else.test"),
            Mail {
                content: Content::Made(3 << 20),
                ..submitted("alice", "alice@example.test", "bob@example.test")
            },
        ] {
            rehearsal.rehearse(&mail).await;
        }
    }
    let first = rehearsal.rehearse(&mail("x@far.test", &["bob@example.test"])).await;
    assert_eq!(decided(&first).0, 451, "the stranger was not remembered: {first:?}");
    assert!(decided(&first).1.starts_with("greylist=wait by [greylist] wait_seconds: to come again in 60 s"));
    assert!(house.kept() == before, "files have changed");
    let refusals = house.store.sightings.refusals(&RefusalFilter::default(), 10).await.unwrap();
    assert!(refusals.is_empty() && house.store.guard.throttled().await.unwrap().is_empty());
    for topic in ["greylist-waiting", "greylist-passed", "greylist-clients"] {
        assert!(house.store.recollections.recollections(topic, "", 0).await.unwrap().is_empty());
    }
    house.store.close().await;
}

#[tokio::test]
async fn the_guard_says_what_it_would_and_counts_nothing() {
    let house = House::new().await;
    let mut rehearsal = house.rehearsal("");
    let mail = mail("x@far.test", &["bob@example.test"]);
    for _ in 0..5 {
        assert_eq!(decided(&rehearsal.rehearse(&mail).await).0, 250);
    }
    let peer: IpAddr = STRANGER.parse().unwrap();
    for _ in 0..2 {
        let sending = Sending { peer, account: None, recipients: 1 };
        assert_eq!(house.store.guard.send(sending).await.unwrap(), None);
    }
    let (code, reason) = decided(&rehearsal.rehearse(&mail).await);
    assert_eq!((code, reason.as_str()), (450, "[guard] address_messages_per_minute"));
    house.store.guard.forgive(&Forgiven::Everything).await.unwrap();
    assert_eq!(decided(&rehearsal.rehearse(&mail).await).0, 250);
    house.store.guard.erred(peer, 100_000).await.unwrap();
    assert_eq!(decided(&rehearsal.rehearse(&mail).await).0, 421);
    house.store.close().await;
}

//! Promises about TLS, with a name server and a host of policies of the test's own.

use std::io::{ErrorKind, Read as _};
use std::net::{Ipv4Addr, TcpListener};

use mailstack_tests::name_server::{Fault, NameServer, Zone, tlsa};
use mailstack_tests::policy_host::PolicyHost;
use mailstore::Store;
use mailwire::address::Domain;
use tempfile::TempDir;

use super::super::{Itself, MtaStsConfig, Names, NoRoute, Promise};

struct World {
    dns: NameServer,
    host: PolicyHost,
    folder: TempDir,
    store: Store,
    names: Names,
}

const D: &str = "there.test";
const ENFORCE: &str = "version: STSv1\nmode: enforce\nmx: good.there.test\nmax_age: 604800\n";

/// A domain with two hosts, a policy's identifier, and these records more.
fn zone(id: &str, more: &str) -> String {
    format!(
        "@ MX 10 good\n@ MX 20 other\ngood A 127.0.0.2\nother A 127.0.0.3\n_mta-sts TXT \"v=STSv1; id={id};\"\n\
         mta-sts A 127.0.0.1\n{more}\n"
    )
}

async fn world(zone: Zone) -> World {
    let dns = NameServer::start(&[zone]).unwrap();
    let host = PolicyHost::start(&[D]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = mailstore::open(mailstore::Options { path, ..mailstore::Options::default() }).await.unwrap();
    let names = names(&dns, &host, &folder, &store);
    World { dns, host, folder, store, names }
}

fn names(dns: &NameServer, host: &PolicyHost, folder: &TempDir, store: &Store) -> Names {
    let dns =
        dns.table(folder.path()).unwrap().replace("[dns]", "look_up_seconds = 60\ncache_nothing_seconds = 0");
    let policies = host.table(folder.path(), "pause_seconds = 0").unwrap().replace("[mta_sts]", "");
    let names = Names::new(&toml::from_str(&dns).unwrap(), Itself::default()).unwrap();
    names.with_policies(&toml::from_str(&policies).unwrap(), Some(store.notes.clone())).unwrap()
}

impl World {
    /// What is promised about the first host, and about the second.
    async fn promises(&self) -> [Result<Promise, NoRoute>; 2] {
        let domain = Domain::parse(D).unwrap();
        let found = self.names.exchangers(&domain).await.unwrap();
        let [one, other] = &found[..] else { panic!("{found:?}") };
        let mut promises = Vec::new();
        for exchanger in [one, other] {
            let addresses = self.names.addresses(&exchanger.host).await.unwrap();
            promises.push(self.names.promise(&domain, exchanger, &addresses, 25).await);
        }
        promises.try_into().unwrap()
    }

    /// In words.
    async fn words(&self) -> [String; 2] {
        self.promises().await.map(|promise| match promise {
            Ok(promise) => promise.word().to_owned(),
            Err(no_route) => no_route.enhanced().to_string(),
        })
    }
}

#[tokio::test]
async fn a_policy_that_is_enforced_asks_for_its_hosts_and_tls() {
    let world = world(Zone::unsigned(D, &zone("1", ""))).await;
    world.host.set(D, ENFORCE);
    assert_eq!(world.words().await, ["MTA-STS", "4.7.5"]);
    let [_, other] = world.promises().await;
    let host = "other.there.test".to_owned();
    assert_eq!(other.unwrap_err(), NoRoute::NotInPolicy { host, domain: D.to_owned() });
    assert_eq!(world.host.times_asked(D), 1, "it is fetched once");
}

#[tokio::test]
async fn a_policy_that_is_tested_or_none_asks_for_nothing() {
    let tested = "MTA-STS, which is being tested";
    for (mode, words) in [("testing", [tested, tested]), ("none", ["nothing", "nothing"])] {
        let world = world(Zone::unsigned(D, &zone("1", ""))).await;
        world.host.set(D, &ENFORCE.replace("enforce", mode));
        assert_eq!(world.words().await, words, "{mode}");
    }
}

#[tokio::test]
async fn without_a_record_nobody_is_asked_for_a_policy() {
    let world = world(Zone::unsigned(D, &zone("1", "").replace("STSv1", "spf1"))).await;
    world.host.set(D, ENFORCE);
    assert_eq!(world.words().await, ["nothing", "nothing"]);
    assert_eq!(world.host.times_asked(D), 0);
}

#[tokio::test]
async fn a_policy_that_cannot_be_had_is_none() {
    let world = world(Zone::unsigned(D, &zone("1", ""))).await;
    for (status, media_type, content) in [
        (404, "text/plain", ENFORCE),
        (301, "text/plain", ENFORCE),
        (200, "text/html", ENFORCE),
        (200, "text/plain", "version: STSv1"),
        (200, "text/plain", &(ENFORCE.to_owned() + &"x: y\n".repeat(20_000))),
    ] {
        world.host.answer(D, status, media_type, content);
        assert_eq!(world.words().await, ["nothing", "nothing"], "{status} {media_type}");
    }
    world.host.set(D, ENFORCE);
    assert_eq!(world.words().await, ["MTA-STS", "4.7.5"], "it is asked for again");
}

#[tokio::test]
async fn a_policy_that_is_known_holds_whatever_happens_to_dns_and_its_host() {
    let world = world(Zone::unsigned(D, &zone("1", ""))).await;
    world.host.set(D, ENFORCE);
    assert_eq!(world.words().await, ["MTA-STS", "4.7.5"]);
    // Another identifier, and the new policy cannot be had.
    world.dns.set(Zone::unsigned(D, &zone("2", ""))).unwrap();
    world.host.answer(D, 503, "text/plain", "");
    world.names.forget();
    assert_eq!(world.words().await, ["MTA-STS", "4.7.5"]);
    // No identifier any more, or nobody says.
    world.dns.set(Zone::unsigned(D, &zone("2", "").replace("STSv1", "spf1"))).unwrap();
    world.names.forget();
    assert_eq!(world.words().await, ["MTA-STS", "4.7.5"]);
    world.dns.fail("_mta-sts.there.test", "TXT", Fault::ServerFailure);
    world.names.forget();
    assert_eq!(world.words().await, ["MTA-STS", "4.7.5"]);
    world.dns.mend("_mta-sts.there.test", "TXT");
    // The new policy.
    world.dns.set(Zone::unsigned(D, &zone("3", ""))).unwrap();
    world.host.set(D, &ENFORCE.replace("good", "*"));
    world.names.forget();
    assert_eq!(world.words().await, ["MTA-STS", "MTA-STS"]);
}

#[test]
fn a_host_that_stalls_does_not_hold_up_the_end_of_the_process() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stalling = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let world = runtime.block_on(world(Zone::unsigned(D, &zone("1", ""))));
    let dns = world.dns.table(world.folder.path()).unwrap().replace("[dns]", "");
    let names = Names::new(&toml::from_str(&dns).unwrap(), Itself::default()).unwrap();
    let port = stalling.local_addr().unwrap().port();
    let policies = MtaStsConfig { port, fetch_seconds: 30, ..MtaStsConfig::default() };
    let names = names.with_policies(&policies, None).unwrap();
    runtime.block_on(world.store.close());
    runtime.spawn(async move {
        let domain = Domain::parse(D).unwrap();
        let exchanger = &names.exchangers(&domain).await.unwrap()[0];
        let addresses = names.addresses(&exchanger.host).await.unwrap();
        names.promise(&domain, exchanger, &addresses, 25).await
    });
    let (mut asking, _) = stalling.accept().unwrap();
    drop(runtime);
    // Whoever asked is still there, and waits.
    asking.set_nonblocking(true).unwrap();
    let mut received = [0; 4096];
    loop {
        match asking.read(&mut received) {
            Ok(octets) => assert_ne!(octets, 0, "the end was held up until nobody waited any more"),
            Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
}

#[tokio::test]
async fn a_policy_survives_a_restart() {
    let world = world(Zone::unsigned(D, &zone("1", ""))).await;
    world.host.set(D, ENFORCE);
    assert_eq!(world.words().await, ["MTA-STS", "4.7.5"]);
    world.host.answer(D, 503, "text/plain", "");
    let names = names(&world.dns, &world.host, &world.folder, &world.store);
    let after = World { names, ..world };
    assert_eq!(after.words().await, ["MTA-STS", "4.7.5"]);
    assert_eq!(after.host.times_asked(D), 1);
}

#[tokio::test]
async fn dane_counts_alone_where_there_is_any() {
    let good = format!("_25._tcp.good TLSA {}\n", tlsa(3, 1, 1, b"key"));
    let unusable = format!("_25._tcp.other TLSA {}\n", tlsa(1, 1, 1, b"key"));
    let records = format!("{good}{unusable}");
    let signed = world(Zone::signed(D, &zone("1", &records))).await;
    signed.host.set(D, &ENFORCE.replace("good", "nobody"));
    assert_eq!(signed.words().await, ["DANE", "DANE without a usable record"]);
    let unsigned = world(Zone::unsigned(D, &zone("1", &records))).await;
    unsigned.host.set(D, ENFORCE);
    assert_eq!(unsigned.words().await, ["MTA-STS", "4.7.5"], "nobody vouches for these records");
    let other_port = world(Zone::signed(D, &zone("1", &good.replace("_25", "_26")))).await;
    other_port.host.set(D, ENFORCE);
    assert_eq!(other_port.words().await, ["MTA-STS", "4.7.5"]);
}

#[tokio::test]
async fn a_host_that_anybody_could_have_named_has_no_dane() {
    let safe = format!("mx A 127.0.0.4\n_25._tcp.mx TLSA {}\n", tlsa(3, 1, 1, b"key"));
    let ours = "@ MX 10 mx.safe.test.\n@ MX 20 other\nother A 127.0.0.3\n";
    for (zone, expected) in [(Zone::unsigned(D, ours), "nothing"), (Zone::signed(D, ours), "DANE")] {
        let world = world(zone).await;
        world.dns.set(Zone::signed("safe.test", &safe)).unwrap();
        assert_eq!(world.words().await, [expected, "nothing"], "RFC 7672 §2.2.1");
    }
}

#[tokio::test]
async fn where_dns_does_not_say_whether_there_is_dane_mail_waits() {
    let records = format!("_25._tcp.good TLSA {}\n", tlsa(3, 1, 1, b"key"));
    let world = world(Zone::signed(D, &zone("1", &records))).await;
    for fault in [Fault::ServerFailure, Fault::WrongSignature, Fault::NoSignature] {
        for host in ["good", "other"] {
            world.dns.fail(&format!("_25._tcp.{host}.there.test"), "TLSA", fault);
        }
        world.names.forget();
        assert_eq!(world.words().await, ["4.4.3", "4.4.3"], "{fault:?}");
    }
    for host in ["good", "other"] {
        world.dns.mend(&format!("_25._tcp.{host}.there.test"), "TLSA");
    }
    world.names.forget();
    assert_eq!(world.words().await, ["DANE", "nothing"]);
}

//! Names looked up at a name server of the test's own.

use mailstack_tests::name_server::{Fault, NameServer, Zone};
use mailwire::address::Domain;
use tempfile::TempDir;

use super::*;

/// A name server, and who asks it.
struct World {
    server: NameServer,
    names: Names,
    _folder: TempDir,
}

/// One that is this server itself.
const SELF: &str = "mail.self.test";

fn world(zones: &[Zone]) -> World {
    world_with(zones, "")
}

fn world_with(zones: &[Zone], keys: &str) -> World {
    let server = NameServer::start(zones).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let table = server.table(folder.path()).unwrap();
    let dns = table.strip_prefix("[dns]").unwrap().to_owned() + "look_up_seconds = 60\n" + keys;
    let itself =
        Itself { names: [SELF.to_owned()].into(), addresses: ["127.0.0.25".parse().unwrap()].into() };
    let names = Names::new(&toml::from_str(&dns).unwrap(), itself).unwrap();
    World { server, names, _folder: folder }
}

impl World {
    async fn exchangers(&self, domain: &str) -> Result<Vec<Exchanger>, NoRoute> {
        self.names.exchangers(&Domain::parse(domain).unwrap()).await
    }

    async fn hosts(&self, domain: &str) -> Vec<String> {
        self.exchangers(domain).await.unwrap().into_iter().map(|exchanger| exchanger.host).collect()
    }

    async fn code(&self, domain: &str) -> String {
        self.exchangers(domain).await.unwrap_err().enhanced().to_string()
    }

    async fn addresses(&self, host: &str) -> Vec<String> {
        self.names.addresses(host).await.unwrap().addresses.iter().map(ToString::to_string).collect()
    }
}

const USUAL: &str = "
@       MX 20 second
@       MX 10 first
first   AAAA 2001:db8::1
first   A 192.0.2.1
second  A 192.0.2.2
null    MX 0 .
only    A 192.0.2.3
text    TXT hello
self    MX 5 first
self    MX 10 mail.self.test.
self    MX 20 second
own     MX 10 mail.self.test.
here    A 127.0.0.25
alias   CNAME @
host    CNAME first
gone    MX 10 nowhere
bücher  MX 10 first
";

fn usual() -> String {
    USUAL.replace("bücher", "xn--bcher-kva")
}

#[tokio::test]
async fn exchangers_come_in_the_order_of_preference_whether_signed_or_not() {
    let world = world(&[Zone::signed("signed.test", &usual()), Zone::unsigned("plain.test", &usual())]);
    for (domain, secure) in [("signed.test", true), ("plain.test", false)] {
        let found = world.exchangers(domain).await.unwrap();
        let shown: Vec<_> =
            found.iter().map(|exchanger| (exchanger.preference, exchanger.host.clone())).collect();
        assert_eq!(shown, [(10, format!("first.{domain}")), (20, format!("second.{domain}"))]);
        assert!(found.iter().all(|exchanger| exchanger.secure == secure), "{found:?}");
        assert_eq!(world.addresses(&format!("first.{domain}")).await, ["2001:db8::1", "192.0.2.1"]);
        let bases = world.names.addresses(&format!("first.{domain}")).await.unwrap().tlsa_bases;
        assert_eq!(bases.len(), usize::from(secure));
    }
}

#[tokio::test]
async fn where_mail_cannot_go_is_said_with_a_code() {
    let world = world(&[Zone::signed("signed.test", &usual()), Zone::unsigned("plain.test", &usual())]);
    for zone in ["signed.test", "plain.test"] {
        assert_eq!(world.code(&format!("null.{zone}")).await, "5.1.10", "RFC 7505");
        assert_eq!(world.code(&format!("nobody.{zone}")).await, "5.1.2");
        assert_eq!(world.code(&format!("text.{zone}")).await, "5.4.4");
        assert_eq!(world.code(&format!("own.{zone}")).await, "5.4.6");
        let gone = world.names.addresses(&format!("nowhere.{zone}")).await.unwrap_err();
        assert_eq!(gone, NoRoute::NoSuchName { name: format!("nowhere.{zone}") });
    }
    assert_eq!(world.code("nothing.example").await, "5.1.2");
    assert_eq!(world.code("localhost").await, "5.4.6");
    assert_eq!(world.code(SELF).await, "5.1.2");
}

#[tokio::test]
async fn a_domain_without_mx_is_its_own_exchanger() {
    let world = world(&[Zone::signed("signed.test", &usual()), Zone::unsigned("plain.test", &usual())]);
    for domain in ["only.signed.test", "only.plain.test"] {
        assert_eq!(world.hosts(domain).await, [domain]);
    }
    let literal = world.exchangers("[192.0.2.7]").await.unwrap();
    assert_eq!(literal.len(), 1);
    assert!(!literal[0].secure);
    assert_eq!(world.addresses(&literal[0].host).await, ["192.0.2.7"]);
    assert_eq!(world.addresses("[IPv6:2001:db8::7]").await, ["2001:db8::7"]);
}

#[tokio::test]
async fn aliases_are_followed_and_u_labels_are_a_labels() {
    let elsewhere = "far CNAME first.plain.test.\nnear CNAME first.signed.test.";
    let world = world(&[
        Zone::signed("signed.test", &usual()),
        Zone::unsigned("plain.test", &usual()),
        Zone::signed("elsewhere.test", elsewhere),
    ]);
    let found = world.exchangers("alias.signed.test").await.unwrap();
    assert_eq!(found[0].host, "first.signed.test");
    assert_eq!(found[0].domains, ["alias.signed.test", "signed.test"]);
    assert_eq!(world.hosts("bücher.signed.test").await, ["first.signed.test"]);
    let host = world.names.addresses("host.signed.test").await.unwrap();
    assert_eq!(host.tlsa_bases, ["first.signed.test", "host.signed.test"]);
    let near = world.names.addresses("near.elsewhere.test").await.unwrap();
    assert_eq!(near.tlsa_bases, ["first.signed.test", "near.elsewhere.test"]);
    // An alias that can be trusted, to an address that cannot.
    let far = world.names.addresses("far.elsewhere.test").await.unwrap();
    assert_eq!(far.tlsa_bases, ["far.elsewhere.test"]);
    assert_eq!(far.addresses.len(), 2);
}

#[tokio::test]
async fn no_mail_goes_back_to_this_server() {
    let world = world(&[Zone::signed("signed.test", &usual())]);
    assert_eq!(world.hosts("self.signed.test").await, ["first.signed.test"]);
    for nobody in [
        "[0.0.0.0]",
        "[IPv6:::]",
        "[224.0.0.1]",
        "[255.255.255.255]",
        "[IPv6:ff02::1]",
        "[IPv6:::ffff:127.0.0.25]",
    ] {
        let nobody = world.names.addresses(nobody).await.unwrap_err();
        assert_eq!(nobody.enhanced().to_string(), "5.4.6");
    }
    let here = world.names.addresses("here.signed.test").await.unwrap_err();
    assert_eq!(here.enhanced().to_string(), "5.4.6");
    assert_eq!(world.code("here.signed.test").await, "5.4.6");
}

#[tokio::test]
async fn what_nobody_can_say_now_is_asked_again_later() {
    let world = world_with(
        &[Zone::signed("signed.test", &usual()), Zone::unsigned("plain.test", &usual())],
        "try_seconds = 1\nretries = 0\n",
    );
    for (fault, words) in [
        (Fault::ServerFailure, "Server Failure"),
        (Fault::Refused, "Refused"),
        (Fault::Silence, "no answer within"),
    ] {
        for zone in ["signed.test", "plain.test"] {
            world.server.fail(zone, "MX", fault);
            let failure = world.exchangers(zone).await.unwrap_err();
            assert_eq!(failure.enhanced().to_string(), "4.4.3", "{failure}");
            assert!(failure.to_string().contains(words), "{failure}");
            world.server.mend(zone, "MX");
            // For some seconds nobody is asked again.
            assert_eq!(world.exchangers(zone).await.unwrap_err(), failure);
            world.names.forget();
            assert_eq!(world.hosts(zone).await.len(), 2);
            // What was found out is remembered, and asked for no more.
            let times = world.server.times_asked(zone, "MX");
            assert_eq!(world.hosts(zone).await.len(), 2);
            assert_eq!(world.server.times_asked(zone, "MX"), times);
            world.names.forget();
        }
    }
}

#[tokio::test]
async fn one_kind_of_address_is_enough_where_the_other_fails() {
    let world = world(&[Zone::signed("signed.test", &usual())]);
    world.server.fail("first.signed.test", "AAAA", Fault::ServerFailure);
    assert_eq!(world.addresses("first.signed.test").await, ["192.0.2.1"]);
    world.server.fail("second.signed.test", "AAAA", Fault::ServerFailure);
    world.server.fail("second.signed.test", "A", Fault::ServerFailure);
    let failure = world.names.addresses("second.signed.test").await.unwrap_err();
    assert_eq!(failure.enhanced().to_string(), "4.4.3");
}

#[tokio::test]
async fn bogus_answers_are_no_answers() {
    let world = world(&[Zone::signed("signed.test", &usual()), Zone::bogus("bogus.test", &usual())]);
    for domain in ["bogus.test", "null.bogus.test", "nobody.bogus.test", "only.bogus.test"] {
        let failure = world.exchangers(domain).await.unwrap_err();
        assert_eq!(failure, NoRoute::Dns(Failed::Bogus { name: domain.to_owned() }));
    }
    for fault in [Fault::WrongSignature, Fault::NoSignature] {
        world.names.forget();
        world.server.fail("signed.test", "MX", fault);
        let failure = world.exchangers("signed.test").await.unwrap_err();
        assert_eq!(failure, NoRoute::Dns(Failed::Bogus { name: "signed.test".to_owned() }));
        // Nor is a proof of absence one without signatures.
        world.server.fail("only.signed.test", "MX", fault);
        let failure = world.exchangers("only.signed.test").await.unwrap_err();
        assert_eq!(failure, NoRoute::Dns(Failed::Bogus { name: "only.signed.test".to_owned() }));
    }
    world.server.mend("signed.test", "MX");
    world.names.forget();
    assert_eq!(world.hosts("signed.test").await.len(), 2);
}

#[tokio::test]
async fn without_validation_nobody_looks_at_signatures_and_nothing_is_secure() {
    let zones = [Zone::signed("signed.test", &usual()), Zone::bogus("bogus.test", &usual())];
    let world = world_with(&zones, "dnssec = \"off\"");
    for domain in ["signed.test", "bogus.test"] {
        let found = world.exchangers(domain).await.unwrap();
        assert!(found.iter().all(|exchanger| !exchanger.secure));
        assert!(world.names.addresses(&found[0].host).await.unwrap().tlsa_bases.is_empty());
    }
    assert_eq!(world.code("nobody.signed.test").await, "5.1.2");
    assert_eq!(world.code("text.signed.test").await, "5.4.4");
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_fetched_by_tcp_and_one_that_waits_is_waited_for() {
    let many: Vec<_> = (0..40).map(|number| format!("@ MX 10 a-rather-long-name-of-host-{number}")).collect();
    let many = many.join("\n");
    let world = world(&[Zone::unsigned("many.test", &many), Zone::signed("signed.test", &usual())]);
    assert_eq!(world.hosts("many.test").await.len(), 40);
    world.server.fail("signed.test", "MX", Fault::Truncated);
    assert_eq!(world.hosts("signed.test").await.len(), 2);
    world.server.fail("only.signed.test", "MX", Fault::Delay(std::time::Duration::from_millis(300)));
    assert_eq!(world.hosts("only.signed.test").await, ["only.signed.test"]);
}

#[tokio::test]
async fn more_look_ups_than_may_run_wait_for_their_turn() {
    let world = world_with(&[Zone::unsigned("plain.test", &usual())], "look_ups_max = 1");
    let (one, other, third) = tokio::join!(
        world.hosts("plain.test"),
        world.hosts("gone.plain.test"),
        world.hosts("only.plain.test")
    );
    assert_eq!((one.len(), other.len(), third.len()), (2, 1, 1));
}

#[test]
fn a_broken_trust_anchor_and_a_missing_one_are_told() {
    let dns = |file: &std::path::Path| Dns {
        trust_anchor: file.to_owned(),
        name_servers: vec!["127.0.0.1".parse().unwrap()],
        ..Dns::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("anchor");
    assert!(Names::new(&dns(&file), Itself::default()).is_err());
    std::fs::write(&file, "no record").unwrap();
    assert!(Names::new(&dns(&file), Itself::default()).is_err());
}

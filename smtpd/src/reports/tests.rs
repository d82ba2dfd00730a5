//! Reports from what was counted to what others read, with a name server of the test's own and a clock that the test sets.

use std::sync::Arc;

use mailstack_tests::name_server::{Fault as NameFault, NameServer, Zone};
use mailstore::{Options, QueueEntry, Store};
use mailwire::daemon::config::Server;
use tempfile::TempDir;

use super::tally::forget;
use super::tls::{Failure, Fault, Policy, PolicyType, Session};
use super::*;
use crate::relay::RelayTables;
use crate::relay::names::{Itself, Names};

/// Noon of 2023-11-14.
const NOON: u64 = 1_699_963_200;
const DAY: u64 = 24 * 60 * 60;
/// Half a day and a delay later.
const DUE: u64 = NOON + DAY;

struct World {
    server: NameServer,
    store: Store,
    tally: Tally,
    folder: TempDir,
}

impl World {
    async fn new(zones: &[Zone]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { path: folder.path().join("store"), reserve_octets: 0, ..Options::default() };
        let store = mailstore::open(options).await.unwrap();
        let tally = Tally::new(&store.recollections);
        Self { server: NameServer::start(zones).unwrap(), store, tally, folder }
    }

    fn reports(&self, keys: &str) -> Arc<Reports> {
        let dns = self.server.table(self.folder.path()).unwrap();
        let dns = toml::from_str(dns.strip_prefix("[dns]").unwrap()).unwrap();
        let reports = toml::from_str(&format!("tls = true\n{keys}")).unwrap();
        let server =
            Server { hostname: "Mail.Example.test".to_owned(), domains: vec!["example.test".to_owned()] };
        let names = Names::new(&dns, Itself::default()).unwrap();
        let tables = RelayTables { dns, reports, ..RelayTables::default() };
        Arc::new(Reports::new(&tables, &server, names, &self.store).unwrap())
    }

    async fn collected(&self, now: u64) -> Vec<Collected> {
        collected(&self.store, Kind::Tls, now).await.unwrap()
    }

    async fn queue(&self) -> Vec<QueueEntry> {
        self.store.queue.due(u64::MAX, None, 100).await.unwrap()
    }

    async fn message(&self, entry: &QueueEntry) -> String {
        let octets = self.store.queue.read(entry.id, 0, 100_000).await.unwrap();
        String::from_utf8(octets).unwrap()
    }
}

fn good() -> Session {
    Session { policy: Policy::none(), failure: None }
}

fn bad() -> Session {
    let policy = "version: STSv1\nmode: enforce\nmx: *.b.test\nmax_age: 86400";
    let policy = Policy::new(
        PolicyType::Sts,
        policy.lines().map(str::to_owned).collect(),
        vec!["*.b.test".to_owned()],
    );
    let failure = Failure::new(Fault::CertificateExpired, "mx.b.test", Some("it is \"old\"".to_owned()));
    let (sending, receiving) = ("192.0.2.1".parse().ok(), "2001:db8::25".parse().ok());
    Session { policy, failure: Some(Failure { sending, receiving, ..failure }) }
}

const WANTS: &str = "_smtp._tls TXT \"v=TLSRPTv1; rua=mailto:tls@reports.test,mailto:more@reports.test\"";

#[tokio::test]
async fn what_is_counted_is_kept_and_added_up_and_told_once() {
    let world = World::new(&[Zone::unsigned("b.test", WANTS)]).await;
    for now in [NOON, NOON + 1, NOON + DAY] {
        world.tally.count(Kind::Tls, "b.test", &good(), now);
        world.tally.flush(now).await;
    }
    world.tally.count(Kind::Tls, "b.test", &bad(), NOON);
    world.tally.count(Kind::Tls, "a.test", &good(), NOON);
    world.tally.flush(NOON).await;
    let told = |all: &[Collected]| -> Vec<_> {
        all.iter().map(|one| (one.day.to_string(), one.domain.clone(), one.count())).collect()
    };
    let (day, next) = ("2023-11-14".to_owned(), "2023-11-15".to_owned());
    let all = world.collected(NOON).await;
    let (a, b) = ("a.test".to_owned(), "b.test".to_owned());
    assert_eq!(told(&all), [(day.clone(), a, 1), (day, b.clone(), 3), (next.clone(), b.clone(), 1)]);
    let rows = all[1].rows::<Session>();
    assert!(rows.contains(&(good(), 2)) && rows.contains(&(bad(), 1)), "{rows:?}");

    // Reports of the first day are sent; of the second one nothing is.
    let reports = world.reports("");
    assert_eq!(Arc::clone(&reports).send_due(NOON).await, 0);
    assert_eq!(world.queue().await.len(), 0, "the day is not over");
    assert_eq!(Arc::clone(&reports).send_due(DUE).await, 0);
    assert_eq!(told(&world.collected(DUE).await), [(next, b, 1)]);
    let queue = world.queue().await;
    let recipients: Vec<_> = queue.iter().map(|entry| entry.recipient.to_string()).collect();
    assert_eq!(recipients, ["tls@reports.test", "more@reports.test"]);
    assert!(queue.iter().all(|entry| entry.recipient_terms.is_report() && entry.due == DUE));
    assert_eq!(Arc::clone(&reports).send_due(DUE).await, 0);
    assert_eq!(world.queue().await.len(), 2, "it is told once");
}

#[tokio::test]
async fn the_report_is_a_message_in_the_form_of_the_rfc() {
    let world = World::new(&[Zone::unsigned("b.test", WANTS)]).await;
    world.tally.count(Kind::Tls, "b.test", &bad(), NOON);
    world.tally.flush(NOON).await;
    let reports =
        world.reports("organization = \"\u{dc}bermail, \\\"Inc\\\"\"\ncontact = \"help@example.test\"");
    let id = {
        let text = reports.text(&world.collected(DUE).await[0], DUE);
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        report["report-id"].as_str().unwrap().to_owned()
    };
    reports.send_due(DUE).await;
    let queue = world.queue().await;
    assert_eq!(queue[0].reverse_path.to_string(), "<postmaster@example.test>");
    let text = world.message(&queue[0]).await;
    let unfolded = text.replace("\r\n ", " ");
    for part in [
        "From: =?utf-8?B?w5xiZXJtYWlsLCAiSW5jIg==?= <postmaster@example.test>\r\n",
        "To: <tls@reports.test>, <more@reports.test>\r\n",
        &format!("Subject: Report Domain: b.test Submitter: mail.example.test Report-ID: <{id}>\r\n"),
        &format!("Message-ID: <{id}>\r\n"),
        "TLS-Report-Domain: b.test\r\nTLS-Report-Submitter: mail.example.test\r\nTLS-Required: No\r\n",
        "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n",
        "Content-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n",
        "filename=\"mail.example.test!b.test!1699920000!1700006399!",
        "2023-11-14 (UTC)",
        "help@example.test",
    ] {
        assert!(unfolded.contains(part), "{part}\n{text}");
    }
    assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 100), "{text}");
}

#[tokio::test]
async fn the_report_says_what_was_counted() {
    let world = World::new(&[]).await;
    for session in [good(), good(), bad(), Session { failure: None, ..bad() }] {
        world.tally.count(Kind::Tls, "b.test", &session, NOON);
    }
    world.tally.flush(NOON).await;
    let all = world.collected(NOON).await;
    let report = |now| -> serde_json::Value {
        serde_json::from_str(&world.reports("contact = \"help@example.test\"").text(&all[0], now)).unwrap()
    };
    let whole = report(DUE);
    let expected = serde_json::json!({
        "organization-name": "mail.example.test",
        "contact-info": "help@example.test",
        "date-range": {"start-datetime": "2023-11-14T00:00:00Z", "end-datetime": "2023-11-14T23:59:59Z"},
        "report-id": whole["report-id"],
        "policies": [
            {
                "policy": {
                    "policy-type": "sts",
                    "policy-string": ["version: STSv1", "mode: enforce", "mx: *.b.test", "max_age: 86400"],
                    "policy-domain": "b.test",
                    "mx-host": ["*.b.test"],
                },
                "summary": {"total-successful-session-count": 1, "total-failure-session-count": 1},
                "failure-details": [{
                    "result-type": "certificate-expired",
                    "sending-mta-ip": "192.0.2.1",
                    "receiving-mx-hostname": "mx.b.test",
                    "receiving-ip": "2001:db8::25",
                    "failed-session-count": 1,
                    "failure-reason-code": "it is \"old\"",
                }],
            },
            {
                "policy": {"policy-type": "no-policy-found", "policy-domain": "b.test"},
                "summary": {"total-successful-session-count": 2, "total-failure-session-count": 0},
            },
        ],
    });
    assert_eq!(whole, expected);
    // The same report is the same whenever it is sent; one about a part of the day is another one.
    assert_eq!(report(DUE + DAY), whole);
    let part = report(NOON);
    assert_eq!(part["date-range"]["end-datetime"], "2023-11-14T11:59:59Z");
    assert_ne!(part["report-id"], whole["report-id"]);
}

#[tokio::test]
async fn who_does_not_ask_gets_no_report_and_where_nobody_says_it_is_tried_again() {
    let world = World::new(&[Zone::unsigned("b.test", WANTS), Zone::unsigned("c.test", "")]).await;
    for domain in ["b.test", "c.test", "nowhere.test"] {
        world.tally.count(Kind::Tls, domain, &good(), NOON);
    }
    world.tally.flush(NOON).await;
    world.server.fail("_smtp._tls.b.test", "TXT", NameFault::ServerFailure);
    assert_eq!(world.reports("").send_due(DUE).await, 1);
    assert_eq!(world.collected(DUE).await.len(), 1);
    assert!(world.queue().await.is_empty());
    world.server.mend("_smtp._tls.b.test", "TXT");
    assert_eq!(world.reports("").send_due(DUE).await, 0);
    assert_eq!(world.queue().await.len(), 2);
    // What could not be told in days is forgotten.
    world.tally.count(Kind::Tls, "b.test", &good(), NOON);
    world.tally.flush(NOON).await;
    assert_eq!(world.collected(NOON + 4 * DAY).await.len(), 0);
}

#[tokio::test]
async fn there_are_so_many_reports_and_rows_and_no_more() {
    let world = World::new(&[Zone::unsigned("b.test", WANTS)]).await;
    for number in 0..1100 {
        let failure = Failure::new(Fault::ValidationFailure, &format!("{number}.b.test"), None);
        let session = Session { failure: Some(failure), ..good() };
        world.tally.count(Kind::Tls, "b.test", &session, NOON);
    }
    world.tally.count(Kind::Tls, "c.test", &good(), NOON);
    world.tally.count(Kind::Tls, &"x".repeat(300), &good(), NOON);
    world.tally.count(Kind::Tls, "d.test", &"x".repeat(tally::ROW_OCTETS_MAX), NOON);
    world.tally.flush(NOON).await;
    let all = world.collected(NOON).await;
    assert_eq!(all.iter().map(Collected::count).collect::<Vec<_>>(), [1000, 1]);
    assert_eq!(world.reports("reports_max = 1").send_due(DUE).await, 0);
    assert_eq!(world.queue().await.len(), 2, "that of the most sessions");
    assert!(world.collected(DUE).await.is_empty());
    forget(&world.store, &all[0]).await.unwrap();
}

#[tokio::test]
async fn a_report_for_a_mailbox_here_lies_in_its_maildrop() {
    let here = "_smtp._tls TXT \"v=TLSRPTv1;rua=mailto:bob@example.test,mailto:nobody@example.test\"";
    let world = World::new(&[Zone::unsigned("b.test", here)]).await;
    let bob = mailwire::address::Mailbox::parse("bob@example.test").unwrap();
    world.tally.count(Kind::Tls, "b.test", &good(), NOON);
    world.tally.flush(NOON).await;
    let reports = world.reports("");
    assert_eq!(Arc::clone(&reports).send_due(DUE).await, 1, "there is no such mailbox");
    let password = mailwire::secret::Secret::new("pw".to_owned());
    let bob = world.store.administration.add_account(&bob, &password).await.unwrap();
    assert_eq!(reports.send_due(DUE).await, 0);
    let lease = world.store.maildrops.lease(bob.maildrop, std::time::Duration::ZERO).await.unwrap();
    assert_eq!(lease.entries().len(), 1);
    assert!(world.queue().await.is_empty());
}

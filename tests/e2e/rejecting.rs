//! What rules reject or throw away: its sender hears of the one, and only where it is theirs, and its administrator of both.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::deadline::wait_for;
use mailstack_tests::name_server::{NameServer, Zone};
use mailstack_tests::player::{Peer as _, Received};
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::{Reply, Smtp};
use mailstack_tests::stream::Stream;
use tempfile::TempDir;

const ALICE: &str = "alice@example.test";
const BOB: &str = "bob@example.test";
const CAROL: &str = "carol@example.test";
const REJECT: &str = "# Not again.\nalways reject \"I have left the club.\nAsk Bob.\"\n";

fn with_rules(rules: &str) -> Server {
    let server = Server::usual().unwrap();
    server.mailstack(&["rules", "set", ALICE, "-"], rules).unwrap();
    server
}

/// What is said to a message with this Message-ID.
fn send(smtp: &mut Smtp, from: &str, to: &[&str], id: &str) -> Reply {
    smtp.envelope(from, to).unwrap();
    smtp.data(format!("Message-ID: <{id}>\r\nSubject: the club\r\n\r\ntext\r\n").as_bytes()).unwrap()
}

fn counts(server: &Server) -> [usize; 3] {
    ["alice", "bob", "carol"].map(|name| server.maildrop(name).unwrap().count().unwrap())
}

fn explained(server: &Server, arguments: &[&str]) -> String {
    server.mailstack(&[&["explain"], arguments].concat(), "").unwrap()
}

#[test]
fn what_all_recipients_reject_is_refused_in_their_words_and_found_again() {
    let server = with_rules(REJECT);
    let mut smtp = server.reception().unwrap();
    let reply = send(&mut smtp, "x@far.test", &[ALICE, "alice+club@example.test"], "all@far.test");
    assert_eq!(reply.code, 550);
    assert!(
        reply.text.contains("5.7.1 I have left the club.") && reply.text.contains("5.7.1 Ask Bob."),
        "{reply:?}"
    );
    // RFC 5321 §3.3: the session goes on as if nothing had been.
    send(&mut smtp, "x@far.test", &[BOB], "next@far.test").positive().unwrap();
    smtp.quit().unwrap();
    assert_eq!(counts(&server), [0, 1, 0]);
    for known_as in [["--to", ALICE], ["--from", "x@far.test"], ["all@far.test", "--count=9"]] {
        let told = explained(&server, &known_as);
        assert!(
            told.contains("550 5.7.1 I have left the club. Ask Bob.; Message-ID <all@far.test>"),
            "{told}"
        );
        assert!(told.contains("alice@example.test: line 2: rejected with"), "{told}");
    }
}

#[test]
fn where_others_get_it_the_sender_gets_a_report_and_nobody_does_of_reports() {
    let server = with_rules(REJECT);
    let mut smtp = server.reception().unwrap();
    send(&mut smtp, CAROL, &[ALICE, BOB], "some@far.test").positive().unwrap();
    let report = wait_for("a report", || {
        let mut maildrop = server.maildrop("carol")?;
        Ok(if maildrop.count()? > 0 { Some(maildrop.retrieve(1)?) } else { None })
    });
    let report = String::from_utf8(report.unwrap()).unwrap();
    for part in [
        "Return-Path: <>\r\n",
        "report-type=delivery-status",
        "Final-Recipient: rfc822; alice@example.test\r\nAction: failed\r\nStatus: 5.7.1\r\n",
        "The recipient does not take this message, and says:",
        "I have left the club. Ask Bob.",
        "Message-ID: <some@far.test>",
    ] {
        assert!(report.contains(part), "{part} in {report}");
    }
    assert!(!report.contains("Original-Recipient") && !report.contains(BOB), "{report}");
    let told = explained(&server, &["some@far.test"]);
    assert!(told.contains("Ask Bob.\": its sender gets a report"), "{told}");
    assert!(told.contains("to alice@example.test") && told.contains("failed for good"), "{told}");

    // A report is not reported on (RFC 5321 §4.5.5), and whoever wants no report gets none (RFC 3461 §4.1).
    send(&mut smtp, "", &[ALICE, BOB], "null@far.test").positive().unwrap();
    smtp.ask(&format!("MAIL FROM:<{CAROL}>")).unwrap().positive().unwrap();
    smtp.ask(&format!("RCPT TO:<{ALICE}> NOTIFY=NEVER")).unwrap().positive().unwrap();
    smtp.ask(&format!("RCPT TO:<{BOB}>")).unwrap().positive().unwrap();
    smtp.data(b"Message-ID: <never@far.test>\r\n\r\ntext\r\n").unwrap().positive().unwrap();
    wait_for("the end of the refusal", || {
        let told = server.mailstack(&["explain", "never@far.test"], "")?;
        Ok(told.contains("failed for good").then_some(()))
    })
    .unwrap();
    assert_eq!(counts(&server), [0, 3, 1]);
    let told = explained(&server, &["null@far.test"]);
    assert!(told.contains("nobody is told: it comes from nobody"), "{told}");
    assert_eq!(server.mailstack(&["queue", "list"], "").unwrap(), "nothing of that waits\n");
}

#[test]
fn by_lmtp_the_one_who_rejects_is_the_one_who_is_refused() {
    let server = with_rules(REJECT);
    let mut lmtp = Stream::clear(server.addresses().unwrap().lmtp, server.trust()).unwrap();
    let mut said = |octets: &str| lmtp.send(octets.as_bytes()).unwrap();
    said("LHLO mta.example.org\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<bob@example.test>\r\n");
    said("RCPT TO:<alice@example.test>\r\nRCPT TO:<carol@example.test>\r\nDATA\r\n");
    said(
        "Subject: x\r\n\r\ntext\r\n.\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n",
    );
    said("Subject: y\r\n\r\ntext\r\n.\r\nQUIT\r\n");
    let mut replies = Vec::new();
    while let Received::Line(line) = lmtp.receive_line().unwrap() {
        replies.push(String::from_utf8(line).unwrap());
    }
    let codes: Vec<_> = replies.iter().rev().map(|line| line.get(..4).unwrap()).take(10).collect();
    let second = ["221 ", "550 ", "550-", "354 ", "250 ", "250 "];
    assert_eq!(codes[..6], second, "{replies:?}");
    assert_eq!(codes[6..], ["250 ", "550 ", "550-", "250 "], "{replies:?}");
    assert_eq!(counts(&server), [0, 1, 1]);
    assert!(explained(&server, &["--to", ALICE]).contains("line 2: rejected"));
}

#[test]
fn nobody_is_bothered_with_reports_about_junk() {
    let folder = TempDir::new().unwrap();
    let names = NameServer::start(&[Zone::unsigned("lists.test", "1.2.0.192.bl A 127.0.0.2")]).unwrap();
    let tables = names.table(folder.path()).unwrap()
        + "[dnsbl]\nseconds = 10\n[[dnsbl.lists]]\nzone = \"bl.lists.test\"\naction = \"junk\"\n";
    let smtp = "proxy_trusted = [\"127.0.0.1\"]";
    let server = Server::start(&Configuration { smtp, tables, ..Configuration::default() }).unwrap();
    server.mailstack(&["rules", "set", ALICE, "-"], REJECT).unwrap();
    let client = |address: &str| {
        let mut stream = Stream::clear(server.addresses().unwrap().reception, server.trust()).unwrap();
        stream.send(format!("PROXY TCP4 {address} 198.51.100.1 56324 25\r\n").as_bytes()).unwrap();
        Smtp::new(stream).unwrap()
    };
    send(&mut client("192.0.2.1"), CAROL, &[ALICE, BOB], "junk@far.test").positive().unwrap();
    let told = explained(&server, &["junk@far.test"]);
    assert!(told.contains("nobody is told: it is taken for junk"), "{told}");
    // In the reply there is nobody to be bothered but who sends it.
    assert_eq!(send(&mut client("192.0.2.1"), CAROL, &[ALICE], "alone@far.test").code, 550);
    // What comes later and is reported shows that nothing is still to come.
    send(&mut client("192.0.2.2"), CAROL, &[ALICE, BOB], "fair@far.test").positive().unwrap();
    wait_for("the report", || Ok((server.maildrop("carol")?.count()? > 0).then_some(()))).unwrap();
    assert_eq!(counts(&server), [0, 2, 1]);
    let report = server.maildrop("carol").unwrap().retrieve(1).unwrap();
    assert!(String::from_utf8(report).unwrap().contains("fair@far.test"));
}

#[test]
fn what_is_thrown_away_is_found_by_whoever_asks_for_it() {
    let server = with_rules("if from is \"x@far.test\" then discard");
    let mut smtp = server.reception().unwrap();
    send(&mut smtp, "x@far.test", &[ALICE], "alone@far.test").positive().unwrap();
    send(&mut smtp, "x@far.test", &[ALICE, BOB], "both@far.test").positive().unwrap();
    send(&mut smtp, "y@far.test", &[ALICE], "kept@far.test").positive().unwrap();
    assert_eq!(counts(&server), [1, 1, 0]);
    let told = explained(&server, &["alone@far.test"]);
    let (_, said) =
        told.trim_end().split_once("from <x@far.test> to alice@example.test, client 127.0.0.1: ").unwrap();
    assert_eq!(
        said,
        "250 2.0.0 Message accepted; Message-ID <alone@far.test>; alice@example.test: line 1: discarded"
    );
    for known_as in [["--to", ALICE], ["--from", "x@far.test"]] {
        let told = explained(&server, &known_as);
        assert_eq!(told.matches("not taken").count(), 2, "{told}");
        assert!(told.contains("Message-ID <both@far.test>"), "{told}");
    }
    assert!(!explained(&server, &["kept@far.test"]).contains("not taken"));
}

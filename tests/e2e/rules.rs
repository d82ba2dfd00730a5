//! Rules of accounts: mail lies where they say, is gone or forwarded where they say so, and the administrator sees why.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::TcpListener;

use mailstack_tests::deadline::wait_for;
use mailstack_tests::player::{Peer as _, Received};
use mailstack_tests::postfix::{self, Postfix, Tls};
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::stream::Stream;

const ALICE: &str = "alice@example.test";
const RULES: &str = "\
# What the shop sends lies by itself.
if subaddress is \"shop\" or header \"From\" domain \"shop.example\"
then maildrop \"lists\" and go on
if header \"Subject\" contains \"gr\u{fc}\u{df}e\" then keep
if header \"Subject\" matches \"*offer*\" then junk
if from is \"nobody@example.org\" then discard
";

/// alice has maildrops for lists and junk, and these rules.
fn with_rules(rules: &str) -> Server {
    let server = Server::usual().unwrap();
    for name in ["lists", "junk"] {
        server.mailstack(&["account", "subaddress", "add", ALICE, name], "").unwrap();
    }
    server.mailstack(&["rules", "set", ALICE, "-"], rules).unwrap();
    server
}

fn deliver(server: &Server, from: &str, to: &[&str], fields: &str) {
    let mut smtp = server.reception().unwrap();
    smtp.envelope(from, to).unwrap();
    smtp.data(format!("{fields}\r\n\r\ntext\r\n").as_bytes()).unwrap().positive().unwrap();
    smtp.quit().unwrap();
}

fn counts(server: &Server) -> [usize; 4] {
    ["alice", "alice+lists", "alice+junk", "bob"].map(|name| server.maildrop(name).unwrap().count().unwrap())
}

#[test]
fn mail_lies_where_the_rules_of_its_recipient_want_it() {
    let server = with_rules(RULES);
    let stranger = "stranger@example.org";
    deliver(&server, stranger, &[ALICE], "Subject: hello");
    assert_eq!(counts(&server), [1, 0, 0, 0]);
    deliver(&server, stranger, &["alice+shop@example.test"], "Subject: hello");
    assert_eq!(counts(&server), [1, 1, 0, 0]);
    deliver(
        &server,
        stranger,
        &[ALICE],
        "From: Shop <info@SHOP.example>\r\nSubject: =?utf-8?b?R3LDvMOfZQ==?=",
    );
    assert_eq!(counts(&server), [2, 2, 0, 0]);
    deliver(&server, stranger, &[ALICE, "bob@example.test"], "Subject: an Offer\r\n for you");
    assert_eq!(counts(&server), [2, 2, 1, 1]);
    deliver(&server, "nobody@example.org", &[ALICE], "Subject: hello");
    assert_eq!(counts(&server), [2, 2, 1, 1]);
    deliver(&server, "nobody@example.org", &[ALICE, "bob@example.test"], "Subject: hello");
    assert_eq!(counts(&server), [2, 2, 1, 2]);

    let said = server.mailstack(&["explain", "--to", ALICE, "--since", "1h"], "").unwrap();
    assert!(said.contains("alice@example.test: line 5: taken for junk"), "{said}");
    assert!(said.contains("in the maildrop of alice+junk@example.test"), "{said}");
    // Only alice's rules have taken it for junk, and bob gets the same octets.
    let junk = server.maildrop("alice+junk").unwrap().retrieve(1).unwrap();
    assert!(!String::from_utf8_lossy(&junk).contains("X-Spam-Flag"));
}

#[test]
fn what_rules_alone_take_for_junk_is_marked_and_marks_of_strangers_go() {
    let server = with_rules("if header \"X-Spam-Flag\" exists then discard\nalways junk");
    deliver(&server, "stranger@example.org", &[ALICE], "X-Spam-Flag: no\r\nSubject: hello");
    let junk = server.maildrop("alice+junk").unwrap().retrieve(1).unwrap();
    let junk = String::from_utf8(junk).unwrap();
    assert!(
        junk.starts_with("Return-Path: <stranger@example.org>\r\nX-Spam-Flag: YES\r\nReceived: "),
        "{junk}"
    );
    assert_eq!(junk.matches("X-Spam-Flag").count(), 1, "{junk}");
}

#[test]
fn each_recipient_by_lmtp_has_a_verdict_also_where_it_throws_the_message_away() {
    let server = with_rules("always discard");
    let mut lmtp = Stream::clear(server.addresses().unwrap().lmtp, server.trust()).unwrap();
    let mut said = |octets: &str| {
        lmtp.send(octets.as_bytes()).unwrap();
    };
    said("LHLO mta.example.org\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<bob@example.test>\r\n");
    said(
        "RCPT TO:<alice@example.test>\r\nRCPT TO:<nobody@example.test>\r\nRCPT TO:<carol@example.test>\r\nDATA\r\n",
    );
    said("Subject: x\r\n\r\ntext\r\n.\r\nQUIT\r\n");
    let mut replies = Vec::new();
    while let Received::Line(line) = lmtp.receive_line().unwrap() {
        replies.push(String::from_utf8(line).unwrap());
    }
    let codes: Vec<_> = replies.iter().rev().map(|line| line.get(..3).unwrap()).take(6).collect();
    assert_eq!(codes, ["221", "250", "250", "250", "354", "250"], "{replies:?}");
    assert_eq!(counts(&server), [0, 0, 0, 1]);
}

#[test]
fn rules_hold_from_the_next_message_on_and_survive_a_restart() {
    let mut server = with_rules("always maildrop \"lists\"");
    deliver(&server, "a@example.org", &[ALICE], "Subject: one");
    server.terminate().unwrap();
    assert!(server.ended().unwrap().success());
    server.run(&Configuration::default()).unwrap();
    deliver(&server, "a@example.org", &[ALICE], "Subject: two");
    assert_eq!(counts(&server), [0, 2, 0, 0]);
    assert_eq!(server.mailstack(&["rules", "show", ALICE], "").unwrap(), "always maildrop \"lists\"");
    let refused =
        server.mailstack(&["rules", "set", ALICE, "-"], "always\n  kept\n").unwrap_err().to_string();
    assert!(refused.contains("-, line 2, column 3: there is `kept`"), "{refused}");
    // What rules name may go meanwhile: the mail is kept.
    server.mailstack(&["account", "subaddress", "remove", ALICE, "lists", "--with-mail"], "").unwrap();
    deliver(&server, "a@example.org", &[ALICE], "Subject: three");
    assert_eq!(server.maildrop("alice").unwrap().count().unwrap(), 1);
    server.mailstack(&["rules", "remove", ALICE], "").unwrap();
    assert_eq!(server.mailstack(&["rules", "show", ALICE], "").unwrap(), "");
}

/// Waits until bob has so many messages, and gives the last one.
fn bobs(server: &Server, count: usize) -> String {
    let arrived = wait_for("mail to arrive", || {
        let mut maildrop = server.maildrop("bob")?;
        Ok(if maildrop.count()? >= count { Some(maildrop.retrieve(count)?) } else { None })
    });
    String::from_utf8(arrived.unwrap()).unwrap()
}

#[test]
fn what_is_forwarded_goes_to_postfix_from_a_sender_of_ours_and_its_reports_come_back() {
    if !postfix::available().unwrap() {
        return;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let relay = format!(
        "retry_seconds = 1\nretry_seconds_max = 1\n[[relay.routes]]\nhost = \"127.0.0.1\"\nport = {port}\n\
         tls = \"opportunistic\"\n"
    );
    let server = Server::start(&Configuration { relay, ..Configuration::default() }).unwrap();
    let transport = format!("lmtp:inet:{}", server.addresses().unwrap().lmtp);
    let postfix =
        Postfix::elsewhere(("127.0.0.1", port), &transport, Tls::Offered, server.certificate()).unwrap();
    server
        .mailstack(&["rules", "set", ALICE, "-"], "always forward \"bob@elsewhere.test\" and keep")
        .unwrap();
    deliver(&server, "Stranger@outside.test", &[ALICE], "Subject: onwards");
    let stored = bobs(&server, 1);
    let (sender, rest) = stored.strip_prefix("Return-Path: <").unwrap().split_once(">\r\n").unwrap();
    assert!(
        sender.starts_with("SRS0=") && sender.ends_with("=outside.test=Stranger@example.test"),
        "{stored}\n{}",
        postfix.log()
    );
    assert!(rest.contains("by mta.example.org (Postfix)") && rest.contains("X-Forwarded-Mark: "), "{stored}");
    assert!(!rest.contains("DKIM-Signature"), "{stored}");
    assert_eq!(server.maildrop("alice").unwrap().count().unwrap(), 1);

    // What alice gets from nobody is from nobody, and what comes back to her once more stays with her.
    deliver(&server, "", &[ALICE], "Subject: a report");
    assert!(bobs(&server, 2).starts_with("Return-Path: <>\r\n"));
    let mark = rest.lines().find(|line| line.starts_with("X-Forwarded-Mark: ")).unwrap();
    deliver(&server, "stranger@outside.test", &[ALICE], &format!("{mark}\r\nSubject: again"));
    deliver(&server, "stranger@outside.test", &[ALICE], "Subject: the last one");
    assert!(bobs(&server, 3).contains("Subject: the last one"));
    assert_eq!(server.maildrop("alice").unwrap().count().unwrap(), 4);

    let mut smtp = server.reception().unwrap();
    let forged = sender.replace("Stranger", "eve");
    for (from, to, code) in [("", forged.as_str(), 550), ("eve@outside.test", sender, 550), ("", sender, 250)]
    {
        assert_eq!(smtp.ask(&format!("MAIL FROM:<{from}>")).unwrap().code, 250);
        assert_eq!(smtp.ask(&format!("RCPT TO:<{to}>")).unwrap().code, code, "{from} {to}");
        if code == 550 {
            assert_eq!(smtp.ask("RSET").unwrap().code, 250);
        }
    }
    smtp.data(b"Subject: it bounced\r\n\r\ntext\r\n").unwrap().positive().unwrap();
    let told = server.mailstack(&["explain", "--to", "Stranger@outside.test", "--since", "1h"], "").unwrap();
    assert!(told.contains("Stranger@outside.test"), "{told}");
}

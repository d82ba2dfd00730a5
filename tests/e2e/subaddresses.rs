//! Mail to subaddresses lies in maildrops of their own: programs that are not ours fetch it, and the administrator finds it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::clients::{available, run};
use mailstack_tests::fetchers::Fetcher;
use mailstack_tests::senders::{WAYS, Way};
use mailstack_tests::server::Server;

const ALICE: &str = "alice@example.test";
const JUNK: &str = "alice+junk@example.test";

fn with_junk() -> Server {
    let server = Server::usual().unwrap();
    server.mailstack(&["account", "subaddress", "add", ALICE, "junk"], "").unwrap();
    server
}

fn deliver(server: &Server, recipients: &[&str], subject: &str) {
    let mut smtp = server.reception().unwrap();
    smtp.envelope("sender@example.org", recipients).unwrap();
    smtp.data(format!("Subject: {subject}\r\n\r\ntext\r\n").as_bytes()).unwrap().positive().unwrap();
    smtp.quit().unwrap();
}

/// The subjects of what `mailstack maildrop list` shows.
fn listed(server: &Server, address: &str, more: &[&str]) -> Vec<String> {
    let said = server.mailstack(&[&["maildrop", "list", address], more].concat(), "").unwrap();
    let subject = |line: &str| line.split_whitespace().last().unwrap_or_default().to_owned();
    said.lines().map(subject).collect()
}

#[test]
fn what_is_sent_to_a_subaddress_is_fetched_under_its_name_and_not_under_the_accounts() {
    let server = with_junk();
    deliver(&server, &[JUNK], "filtered");
    for fetcher in Fetcher::ALL {
        if !available(fetcher.program()).unwrap() {
            continue;
        }
        for way in WAYS {
            let fetched = fetcher.fetch(&server, way, JUNK, "pw-alice").unwrap();
            let message = fetched.message.unwrap();
            let text = String::from_utf8_lossy(&message);
            assert!(text.contains("Subject: filtered"), "{fetcher:?} {way:?}: {text}");
        }
    }
    assert_eq!(server.maildrop("alice").unwrap().count().unwrap(), 0);
    deliver(&server, &[JUNK, ALICE, "alice+lists@example.test"], "both");
    for (name, count) in [("alice+junk", 2), ("alice", 1)] {
        assert_eq!(server.maildrop(name).unwrap().count().unwrap(), count, "{name}");
    }
    let lists = Fetcher::Curl.fetch(&server, Way::Tls, "alice+lists@example.test", "pw-alice").unwrap();
    assert_eq!(lists.message, None);
}

#[test]
fn curl_sends_with_a_subaddress_as_its_login() {
    if !available("curl").unwrap() {
        return;
    }
    let server = with_junk();
    let submissions = server.addresses().unwrap().submissions;
    let url = format!("smtps://127.0.0.1:{}/client.example.test", submissions.port());
    let authority = server.certificate().authority.display().to_string();
    let user = format!("{JUNK}:pw-alice");
    let arguments = [
        ["--url", &url],
        ["--cacert", &authority],
        ["--user", &user],
        ["--mail-from", ALICE],
        ["--mail-rcpt", "bob@example.test"],
        ["--upload-file", "-"],
    ];
    let message = format!("From: {ALICE}\r\nSubject: sent\r\n\r\ntext\r\n");
    run("curl", &arguments.concat(), message.as_bytes()).unwrap().well().unwrap();
    assert_eq!(listed(&server, "bob@example.test", &[]), ["sent"]);
}

#[test]
fn every_command_about_a_maildrop_takes_the_address_of_a_subaddress() {
    let server = with_junk();
    for subject in ["one", "two"] {
        deliver(&server, &[JUNK], subject);
    }
    let mut pop3 = server.maildrop("alice+junk").unwrap();
    pop3.delete(1).unwrap();
    pop3.quit().unwrap();
    assert_eq!(listed(&server, JUNK, &[]), ["two"]);
    assert_eq!(listed(&server, JUNK, &["--deleted"]), ["one"]);
    assert!(listed(&server, ALICE, &["--all"]).is_empty());
    server.mailstack(&["maildrop", "undelete", JUNK, "--all"], "").unwrap();
    assert_eq!(listed(&server, JUNK, &[]), ["one", "two"]);

    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    server.mailstack(&["export", JUNK, &at("mbox"), "--format", "mbox"], "").unwrap();
    server.mailstack(&["backup", &at("backup")], "").unwrap();
    let accounts = server.mailstack(&["account", "list"], "").unwrap();
    assert!(accounts.contains("\nalice+junk@example.test") || accounts.starts_with(JUNK), "{accounts}");
    let refused = server.mailstack(&["account", "subaddress", "remove", ALICE, "junk"], "").unwrap_err();
    assert!(
        refused.to_string().contains("alice+junk@example.test holds 2 messages: say --with-mail"),
        "{refused}"
    );
    server.mailstack(&["account", "subaddress", "remove", ALICE, "junk", "--with-mail"], "").unwrap();
    assert!(server.maildrop("alice+junk").is_err());
    assert!(server.mailstack(&["import", JUNK, &at("mbox")], "").is_err());

    server.mailstack(&["account", "subaddress", "add", ALICE, "junk"], "").unwrap();
    server.mailstack(&["import", JUNK, &at("mbox")], "").unwrap();
    assert_eq!(listed(&server, JUNK, &[]), ["one", "two"]);
    server.mailstack(&["account", "subaddress", "remove", ALICE, "junk", "--with-mail"], "").unwrap();
    server.mailstack(&["account", "subaddress", "add", ALICE, "junk"], "").unwrap();
    restore(&server, &at("backup"));
}

/// What was in the maildrop comes back from a snapshot, and the account's own says that there was more.
fn restore(server: &Server, backup: &str) {
    let said = server.mailstack(&["restore", backup, "--account", ALICE], "").unwrap();
    assert!(said.contains("its maildrop alice+junk@example.test is restored by that address"), "{said}");
    assert!(listed(server, JUNK, &[]).is_empty());
    server.mailstack(&["restore", backup, "--account", JUNK], "").unwrap();
    assert_eq!(listed(server, JUNK, &[]), ["one", "two"]);
}

#[test]
fn an_account_takes_its_maildrops_with_it() {
    let server = with_junk();
    deliver(&server, &[JUNK], "filtered");
    server.mailstack(&["alias", "add", "spam@example.test", JUNK], "").unwrap();
    deliver(&server, &["spam@example.test"], "spam");
    assert_eq!(listed(&server, JUNK, &[]), ["filtered", "spam"]);
    for alias in ["spam@example.test", "postmaster@example.test"] {
        assert!(server.mailstack(&["account", "remove", ALICE], "").is_err(), "{alias}");
        server.mailstack(&["alias", "remove", alias], "").unwrap();
    }
    server.mailstack(&["account", "remove", ALICE], "").unwrap();
    server.mailstack(&["account", "add", ALICE], "pw-alice\n").unwrap();
    assert!(server.maildrop("alice+junk").is_err());
    deliver(&server, &[JUNK], "anew");
    assert_eq!(server.maildrop("alice").unwrap().count().unwrap(), 1);
}

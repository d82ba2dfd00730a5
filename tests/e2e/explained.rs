//! An operator who is asked where a message is gets the answer from one command, while the server runs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::deadline::wait_for;
use mailstack_tests::server::Server;

/// What `mailstack` says to these words.
fn said(server: &Server, arguments: &[&str]) -> String {
    server.mailstack(arguments, "").unwrap()
}

#[test]
fn the_life_of_a_message_is_told_from_the_connection_to_its_deletion_on_a_telephone() {
    let server = Server::usual().unwrap();
    let mut smtp = server.submission("alice").unwrap();
    smtp.ask("MAIL FROM:<alice@example.test>").unwrap().positive().unwrap();
    smtp.ask("RCPT TO:<bob@example.test>").unwrap().positive().unwrap();
    smtp.data(b"Message-ID: <where@example.test>\r\nFrom: alice@example.test\r\n\r\nhello\r\n")
        .unwrap()
        .positive()
        .unwrap();
    smtp.quit().unwrap();

    let told = said(&server, &["explain", "where@example.test"]);
    for event in ["connected", "TLS", "login", "submitted"] {
        let row = told.lines().filter(|line| line.to_lowercase().contains(&event.to_lowercase()));
        assert!(row.count() > 0, "{event}: {told}");
    }
    assert!(told.contains("in the maildrop of bob@example.test, unique-id "), "{told}");
    assert_eq!(said(&server, &["explain", "--to", "bob@example.test", "--since", "2h"]), told);
    let number = told.lines().next().unwrap().strip_prefix("message ").unwrap().to_owned();
    assert_eq!(said(&server, &["explain", &number]), told);

    let mut maildrop = server.maildrop("bob").unwrap();
    maildrop.retrieve(1).unwrap();
    maildrop.delete(1).unwrap();
    maildrop.quit().unwrap();
    let told = said(&server, &["explain", &number]);
    for deed in ["fetched", "deleted"] {
        let row = format!("{deed} from the maildrop of bob@example.test by POP3 session ");
        assert!(told.contains(&row) && told.contains(" from 127.0.0.1:"), "{told}");
    }
    assert!(told.contains("deleted from the maildrop of bob@example.test at "), "{told}");
    // What it says to do brings the message back.
    let (_, command) = told.split_once("(`mailstack ").unwrap();
    let words: Vec<_> = command.split('`').next().unwrap().split(' ').collect();
    said(&server, &words);
    assert_eq!(server.maildrop("bob").unwrap().count().unwrap(), 1);

    assert_eq!(said(&server, &["queue", "list"]), "nothing of that waits\n");
    assert_eq!(said(&server, &["queue", "list", "--json"]), "");
    let nobody = server.mailstack(&["explain", "nothing@example.test"], "").unwrap_err().to_string();
    assert!(nobody.contains("nothing is kept of such a message"), "{nobody}");
}

#[test]
fn what_was_not_taken_is_told_with_what_the_client_heard() {
    let server = Server::usual().unwrap();
    let mut smtp = server.reception().unwrap();
    smtp.ask("EHLO client.example.test").unwrap();
    smtp.ask("MAIL FROM:<x@far.test>").unwrap().positive().unwrap();
    let reply = smtp.ask("RCPT TO:<nobody@example.test>").unwrap();
    let told = said(&server, &["explain", "--to", "nobody@example.test", "--since", "1h"]);
    assert!(
        told.starts_with("not taken  ") && told.contains("from <x@far.test> to nobody@example.test"),
        "{told}"
    );
    assert!(told.contains(", client 127.0.0.1: 550 5.1.1 "), "{told}");
    assert_eq!(reply.code, 550);
    assert_eq!(said(&server, &["explain", "--from", "x@far.test"]), told);
}

#[test]
fn what_waits_goes_back_by_one_command_while_the_server_runs() {
    // Nobody listens where its mail for other domains goes.
    let server = Server::usual().unwrap();
    let mut smtp = server.submission("alice").unwrap();
    smtp.envelope("alice@example.test", &["bob@far.test"]).unwrap();
    smtp.data(b"From: alice@example.test\r\nSubject: hello\r\n\r\ntext\r\n").unwrap().positive().unwrap();
    smtp.quit().unwrap();
    wait_for("an attempt", || {
        let listed = server.mailstack(&["queue", "list"], "")?;
        Ok(listed.contains("1 attempt ").then_some(()))
    })
    .unwrap();
    let unasked = server.mailstack(&["queue", "bounce", "--all"], "").unwrap_err().to_string();
    assert!(unasked.contains("say --yes"), "{unasked}");
    let words = ["queue", "bounce", "--domain", "far.test", "--yes", "--reason", "far.test has closed"];
    assert_eq!(said(&server, &words), "1 entry is bounced; the sender is told\n");
    assert_eq!(said(&server, &["queue", "list"]), "nothing of that waits\n");
    let mut maildrop = server.maildrop("alice").unwrap();
    let report = String::from_utf8(maildrop.retrieve(1).unwrap()).unwrap();
    for expected in ["the postmaster has ended it: far.test has", "Action: failed", "Subject: hello"] {
        assert!(report.contains(expected), "{expected}: {report}");
    }
    let told = said(&server, &["explain", "--to", "bob@far.test"]);
    assert!(told.contains("the postmaster has ended it: far.test has closed"), "{told}");
}

//! What a client deletes is listed, shown, brought back and given up by the administrator, while the server runs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::clients::available;
use mailstack_tests::reader::{Reader, at_mailstack};
use mailstack_tests::server::Server;

const BOB: &str = "bob@example.test";

/// A server with three messages for bob, which are named by their numbers.
fn server() -> Server {
    let server = Server::usual().unwrap();
    let mut smtp = server.submission("alice").unwrap();
    for number in 0..3 {
        smtp.envelope("alice@example.test", &[BOB]).unwrap();
        let content = format!(
            "From: =?utf-8?Q?Al=C3=AFce?= <alice@example.test>\r\nSubject: number {number}\r\n\r\ntext\r\n"
        );
        smtp.data(content.as_bytes()).unwrap().positive().unwrap();
    }
    smtp.quit().unwrap();
    server
}

fn maildrop(server: &Server, arguments: &[&str]) -> String {
    let (command, rest) = arguments.split_first().unwrap();
    server.mailstack(&[&["maildrop", command, BOB], rest].concat(), "").unwrap()
}

/// What the command says when it fails.
fn refusal(server: &Server, arguments: &[&str]) -> String {
    let (command, rest) = arguments.split_first().unwrap();
    server.mailstack(&[&["maildrop", command, BOB], rest].concat(), "").unwrap_err().to_string()
}

/// The unique-ids that POP3 shows.
fn unique_ids(server: &Server) -> Vec<String> {
    server.maildrop("bob").unwrap().listed("UIDL").unwrap()
}

fn delete(server: &Server, numbers: &[usize]) {
    let mut session = server.maildrop("bob").unwrap();
    for number in numbers {
        session.delete(*number).unwrap();
    }
    session.quit().unwrap();
}

#[test]
fn deleted_mail_is_listed_and_shown_and_comes_back_as_it_was() {
    let server = server();
    let before = unique_ids(&server);
    let second = server.maildrop("bob").unwrap().retrieve(2).unwrap();
    delete(&server, &[1, 2]);
    assert_eq!(unique_ids(&server), before[2..]);

    let deleted = maildrop(&server, &["list", "--deleted"]);
    assert_eq!(deleted.lines().count(), 2, "{deleted}");
    let line = deleted.lines().nth(1).unwrap();
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    assert_eq!(words[..3], ["2", before[1].as_str(), second.len().to_string().as_str()]);
    assert!(words[3] <= words[4] && words[4].ends_with('Z'), "{line}");
    assert!(line.ends_with("  Al\u{ef}ce <alice@example.test>  number 1"), "{line}");
    assert_eq!(maildrop(&server, &["list"]).lines().count(), 1);
    let all = maildrop(&server, &["list", "--all", "--from", "2", "--count", "1"]);
    assert!(all.starts_with(&format!("     2  {}", before[1])) && all.lines().count() == 1, "{all}");
    assert_eq!(maildrop(&server, &["list", "--deleted", "--since", "2999-01-01"]), "");
    assert_eq!(maildrop(&server, &["show", &before[1]]).as_bytes(), second);

    let said = maildrop(&server, &["undelete", &before[1]]);
    assert!(said.starts_with("1 message came back to bob@example.test\n"), "{said}");
    assert_eq!(unique_ids(&server), before[1..]);
    let said = maildrop(&server, &["undelete", "--since", "1h"]);
    assert!(said.starts_with("1 message came back"), "{said}");
    assert_eq!(unique_ids(&server), before);
    assert_eq!(server.maildrop("bob").unwrap().retrieve(2).unwrap(), second);
}

#[test]
fn a_program_that_remembers_what_it_fetched_fetches_what_came_back_only_with_a_fresh_unique_id() {
    if !available("mpop").unwrap() {
        return;
    }
    let server = server();
    let before = unique_ids(&server);
    let reader = Reader::new(BOB, "pw-bob").unwrap();
    let at_server = at_mailstack(&server).unwrap();
    assert_eq!(reader.fetch(&at_server).unwrap().len(), 3);
    delete(&server, &[1, 2, 3]);
    maildrop(&server, &["undelete", "--all"]);
    assert_eq!(unique_ids(&server), before);
    assert_eq!(reader.fetch(&at_server).unwrap().len(), 3);

    delete(&server, &[1, 2, 3]);
    let said = maildrop(&server, &["undelete", "--last", "2", "--fresh"]);
    assert!(said.starts_with("2 messages came back"), "{said}");
    let after = unique_ids(&server);
    assert!(after.len() == 2 && after.iter().all(|id| !before.contains(id)), "{before:?} {after:?}");
    assert_eq!(reader.fetch(&at_server).unwrap().len(), 5);
}

#[test]
fn purged_mail_is_gone_and_nothing_is_purged_unasked() {
    let server = server();
    let before = unique_ids(&server);
    delete(&server, &[1, 3]);
    let unasked = refusal(&server, &["purge", "--all"]);
    assert!(unasked.contains("say --yes"), "{unasked}");
    assert_eq!(maildrop(&server, &["list", "--deleted"]).lines().count(), 2);
    let said = maildrop(&server, &["purge", &before[0], "--yes"]);
    assert_eq!(said, "gave up 1 message of bob@example.test for good\n");
    assert_eq!(maildrop(&server, &["purge", "--until", "2999-01-01", "--yes"]).lines().count(), 1);
    assert_eq!(maildrop(&server, &["list", "--deleted"]), "");
    assert_eq!(unique_ids(&server), before[1..2]);
}

#[test]
fn what_cannot_be_done_is_said() {
    let server = server();
    let ids = unique_ids(&server);
    for (arguments, said) in [
        (&["undelete", "--all"][..], "no deleted message of bob@example.test is selected"),
        (&["undelete", &ids[0]], "is not deleted"),
        (&["show", "x"], "there is no message x in the maildrop of bob@example.test"),
        (&["purge", "x", &ids[0], "--yes"], "there is no message x"),
        (&["list", "--since", "yesterday"], "give a date (2026-11-20)"),
    ] {
        let text = refusal(&server, arguments);
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
    let nobody = server.mailstack(&["maildrop", "list", "nobody@example.test"], "").unwrap_err().to_string();
    assert!(nobody.contains("there is no account nobody@example.test"), "{nobody}");
    assert_eq!(unique_ids(&server), ids);
}

//! Who is away says so: to people who have written to them, once, in no circles, and whatever is killed meanwhile.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::deadline::wait_for;
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::Smtp;

const ALICE: &str = "alice@example.test";
const BOB: &str = "bob@example.test";
const CAROL: &str = "carol@example.test";
const AWAY: &str = "always vacation \"I am away until the f\u{fc}nfth.\" subject \"Away\"\n";

fn with_rules(accounts: &[&str]) -> Server {
    let server = Server::usual().unwrap();
    for account in accounts {
        server.mailstack(&["rules", "set", account, "-"], AWAY).unwrap();
    }
    server
}

fn send(smtp: &mut Smtp, from: &str, to: &str, fields: &str) {
    smtp.envelope(from, &[to]).unwrap();
    smtp.data(format!("{fields}\r\n\r\ntext\r\n").as_bytes()).unwrap().positive().unwrap();
}

fn count(server: &Server, name: &str) -> usize {
    server.maildrop(name).unwrap().count().unwrap()
}

/// Waits until there are so many messages.
fn arrive(server: &Server, name: &str, messages: usize) -> String {
    let last = wait_for("an answer", || {
        let mut maildrop = server.maildrop(name)?;
        Ok(if maildrop.count()? >= messages { Some(maildrop.retrieve(messages)?) } else { None })
    });
    String::from_utf8(last.unwrap()).unwrap()
}

/// Waits until nothing is owed or on its way.
fn settles(server: &Server) {
    wait_for("an empty queue", || {
        Ok((server.mailstack(&["queue", "list"], "")? == "nothing of that waits\n").then_some(()))
    })
    .unwrap();
}

#[test]
fn people_are_answered_once_and_what_programs_and_lists_send_is_not() {
    let server = with_rules(&[ALICE]);
    let mut smtp = server.reception().unwrap();
    let to = "To: Alice <alice@example.test>\r\nMessage-ID: <one@far.test>\r\nSubject: hello";
    for (from, fields) in [
        ("", to.to_owned()),
        (CAROL, format!("{to}\r\nList-Id: <dev.far.test>")),
        (CAROL, format!("{to}\r\nPrecedence: bulk")),
        (CAROL, format!("{to}\r\nAuto-Submitted: auto-generated")),
        (CAROL, "To: everybody@far.test\r\nSubject: hello".to_owned()),
    ] {
        send(&mut smtp, from, ALICE, &fields);
    }
    settles(&server);
    assert_eq!((count(&server, "alice"), count(&server, "carol")), (5, 0));

    send(&mut smtp, CAROL, ALICE, to);
    let answer = arrive(&server, "carol", 1);
    for part in [
        "Return-Path: <>\r\nFrom: <alice@example.test>\r\nTo: <carol@example.test>\r\n",
        "\r\nSubject: Away\r\nIn-Reply-To: <one@far.test>\r\nReferences: <one@far.test>\r\n",
        "\r\nAuto-Submitted: auto-replied\r\n",
        "\r\nContent-Transfer-Encoding: base64\r\n\r\nSSBhbSBhd2F5IHVudGlsIHRoZSBmw7xuZnRoLg0K\r\n",
    ] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
    send(&mut smtp, CAROL, ALICE, to);
    settles(&server);
    assert_eq!((count(&server, "alice"), count(&server, "carol")), (7, 1));
    let told = server.mailstack(&["explain", "--to", ALICE, "--since", "1h"], "").unwrap();
    for why in [
        "its sender is not answered: it comes from nobody",
        "its sender is not answered: it comes from a list, or to many (List-Id)",
        "its sender is not answered: a program has sent it (Auto-Submitted)",
        "its sender is not answered: neither To nor Cc names the account",
        "its sender is not answered: the last answer to it was on ",
        "alice@example.test: line 1: kept: its sender is answered",
        "attempt 1: vacation of alice@example.test: answered",
    ] {
        assert!(told.contains(why), "{why} in {told}");
    }
}

#[test]
fn two_who_are_away_do_not_answer_each_others_answers() {
    let server = with_rules(&[ALICE, BOB]);
    let mut smtp = server.submission("alice").unwrap();
    send(&mut smtp, ALICE, BOB, "From: alice@example.test\r\nTo: bob@example.test\r\nSubject: hello");
    let answer = arrive(&server, "alice", 1);
    assert!(answer.contains("From: <bob@example.test>"), "{answer}");
    settles(&server);
    assert_eq!((count(&server, "alice"), count(&server, "bob")), (1, 1));
    // The same answer by way of another server, from nobody as it is sent, and from somebody as some servers would have it.
    let (_, content) = answer.split_once("\r\n").unwrap();
    for from in ["", BOB] {
        let mut smtp = server.reception().unwrap();
        smtp.envelope(from, &[ALICE]).unwrap();
        smtp.data(content.as_bytes()).unwrap().positive().unwrap();
    }
    settles(&server);
    assert_eq!((count(&server, "alice"), count(&server, "bob")), (3, 1));
}

#[test]
fn whatever_is_killed_behind_the_250_the_sender_is_answered_and_once() {
    const ROUNDS: usize = 4;
    let mut server = with_rules(&[ALICE]);
    for round in 1..=ROUNDS {
        let mut smtp = server.reception().unwrap();
        send(&mut smtp, &format!("carol+{round}@example.test"), ALICE, "To: alice@example.test");
        server.signal_kill().unwrap();
        server.ended().unwrap();
        server.run(&Configuration::default()).unwrap();
        let answer = arrive(&server, "carol", round);
        assert!(answer.contains(&format!("To: <carol+{round}@example.test>")), "{answer}");
    }
    settles(&server);
    assert_eq!((count(&server, "alice"), count(&server, "carol")), (ROUNDS, ROUNDS));
}

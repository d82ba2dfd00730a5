//! A real Postfix delivers here by LMTP, over TCP and a Unix socket.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};

use mailstack_tests::deadline::wait_for;
use mailstack_tests::postfix::{self, Postfix};
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::Smtp;
use mailstack_tests::stream::Stream;

/// A server on which dora has room for one message of those below.
fn server() -> Server {
    let configuration = Configuration { accounts: vec!["dora"], ..Configuration::default() };
    let server = Server::start(&configuration).unwrap();
    allow_dora(&server, "10000");
    server
}

fn allow_dora(server: &Server, octets: &str) {
    server.mailstack(&["account", "quota", "dora@example.test", "--octets", octets], "").unwrap();
}

fn content(subject: &str) -> String {
    let line = "x".repeat(70);
    format!("Subject: {subject}\r\n\r\n.a dot\r\n{}", format!("{line}\r\n").repeat(90))
}

/// Hands a message to Postfix.
fn send(postfix: &Postfix, server: &Server, recipients: &[&str], subject: &str) {
    let mut smtp = Smtp::new(Stream::local(&postfix.socket(), server.trust()).unwrap()).unwrap();
    smtp.ask("EHLO client.example.org").unwrap().positive().unwrap();
    smtp.envelope("sender@example.org", recipients).unwrap();
    smtp.data(content(subject).as_bytes()).unwrap().positive().unwrap();
    smtp.quit().unwrap();
}

/// Waits until an account has so many messages, and gives the last one.
fn received(server: &Server, account: &str, count: usize, postfix: &Postfix) -> String {
    let arrived = wait_for("mail to arrive", || {
        let mut maildrop = server.maildrop(account)?;
        Ok(if maildrop.count()? == count { Some(maildrop.retrieve(count)?) } else { None })
    });
    assert!(arrived.is_ok(), "{}", postfix.log());
    String::from_utf8(arrived.unwrap()).unwrap()
}

/// Postfix gets one verdict for each recipient, and keeps the message for whom it was put off alone.
fn keeps_what_is_put_off(server: &Server, postfix: &Postfix) {
    send(postfix, server, &["dora@example.test"], "first");
    received(server, "dora", 1, postfix);
    send(postfix, server, &["bob@example.test", "dora@example.test"], "second");
    let stored = received(server, "bob", 1, postfix);
    assert!(
        stored.starts_with("Return-Path: <sender@example.org>\r\nReceived: from mta.example.org"),
        "{stored}"
    );
    assert!(stored.contains(" with LMTP\r\n") && stored.ends_with(&content("second")), "{stored}");
    let queue = wait_for("Postfix to keep the message", || {
        let is_put_off = |queue: &String| queue.contains("\"deferred\"") && queue.contains("delay_reason");
        Ok(Some(postfix.queue()?).filter(is_put_off))
    });
    let queue = queue.unwrap();
    assert!(queue.contains("dora@example.test") && queue.contains("452 4.2.2 "), "{queue}");
    assert!(!queue.contains("bob@example.test"), "{queue}");

    allow_dora(server, "100000");
    postfix.flush().unwrap();
    assert!(received(server, "dora", 2, postfix).ends_with(&content("second")));
    wait_for("the queue to be empty", || {
        Ok(Some(()).filter(|()| postfix.queue().is_ok_and(|queue| queue.is_empty())))
    })
    .unwrap();
    assert_eq!(server.maildrop("bob").unwrap().count().unwrap(), 1, "{}", postfix.log());
}

#[test]
fn postfix_keeps_a_message_for_whom_it_was_put_off_alone_over_tcp() {
    if !postfix::available().unwrap() {
        return;
    }
    let server = server();
    let lmtp = format!("inet:{}", server.addresses().unwrap().lmtp);
    keeps_what_is_put_off(&server, &Postfix::delivering_to(&lmtp).unwrap());
}

#[test]
fn postfix_keeps_a_message_for_whom_it_was_put_off_alone_over_a_unix_socket() {
    if !postfix::available().unwrap() {
        return;
    }
    let server = server();
    // As an administrator lets it in: by the group of the socket.
    set_permissions(server.folder(), Permissions::from_mode(0o711)).unwrap();
    chown(server.lmtp_socket(), None, Some(postfix::group().unwrap())).unwrap();
    let lmtp = format!("unix:{}", server.lmtp_socket().display());
    keeps_what_is_put_off(&server, &Postfix::delivering_to(&lmtp).unwrap());
}

//! Mail leaves for a real Postfix and comes back from it, by LMTP and SMTP; nothing of it is lost when the server is killed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::TcpListener;

use mailstack_tests::deadline::wait_for;
use mailstack_tests::postfix::{self, Postfix, Tls};
use mailstack_tests::server::{Configuration, Server};

/// A port that nobody has at the moment.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server whose mail for other domains goes to `port`, with these further keys of the route.
fn configuration(port: u16, keys: &str) -> Configuration {
    let relay = format!(
        "retry_seconds = 1\nretry_seconds_max = 1\n[[relay.routes]]\nhost = \"127.0.0.1\"\nport = {port}\n{keys}"
    );
    Configuration { relay, ..Configuration::default() }
}

/// Alice sends a message elsewhere.
fn send(server: &Server, recipients: &[&str], content: &str) {
    let mut smtp = server.submission("alice").unwrap();
    smtp.envelope("alice@example.test", recipients).unwrap();
    smtp.data(content.as_bytes()).unwrap().positive().unwrap();
    smtp.quit().unwrap();
}

/// Waits for an account's first message.
fn received(server: &Server, account: &str) -> String {
    let arrived = wait_for("mail to arrive", || {
        let mut maildrop = server.maildrop(account)?;
        Ok(if maildrop.count()? > 0 { Some(maildrop.retrieve(1)?) } else { None })
    });
    String::from_utf8(arrived.unwrap()).unwrap()
}

const CONTENT: &str = "From: <alice@example.test>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\
    Message-ID: <1@example.test>\r\nSubject: round trip\r\n\r\n.a dot\r\n..two\r\ntext\r\n";

#[test]
fn mail_goes_to_postfix_under_tls_and_comes_back_as_it_was() {
    if !postfix::available().unwrap() {
        return;
    }
    for by_lmtp in [true, false] {
        let port = free_port();
        let keys = "tls = \"required\"\nca_file = \"{}/authority.pem\"\n";
        let server = Server::start(&configuration(port, keys)).unwrap();
        let transport = if by_lmtp {
            format!("lmtp:inet:{}", server.addresses().unwrap().lmtp)
        } else {
            format!("smtp:[127.0.0.1]:{}", server.addresses().unwrap().reception.port())
        };
        let postfix =
            Postfix::elsewhere(("127.0.0.1", port), &transport, Tls::Offered, server.certificate()).unwrap();
        send(&server, &["bob@elsewhere.test"], CONTENT);
        let stored = received(&server, "bob");
        assert!(stored.ends_with(CONTENT), "{stored}");
        assert!(stored.contains("by mta.example.org (Postfix) with ESMTPS"), "{stored}\n{}", postfix.log());
        assert!(stored.starts_with("Return-Path: <alice@example.test>\r\n"), "{stored}");
        assert_eq!(server.maildrop("alice").unwrap().count().unwrap(), 0);
    }
}

#[test]
fn what_postfix_refuses_goes_back_and_the_others_get_it() {
    if !postfix::available().unwrap() {
        return;
    }
    let port = free_port();
    let server = Server::start(&configuration(port, "tls = \"opportunistic\"\n")).unwrap();
    let transport = format!("lmtp:inet:{}", server.addresses().unwrap().lmtp);
    let postfix =
        Postfix::elsewhere(("127.0.0.1", port), &transport, Tls::Offered, server.certificate()).unwrap();
    send(&server, &["nobody@elsewhere.test", "bob@elsewhere.test"], CONTENT);
    let stored = received(&server, "bob");
    assert!(stored.contains("with ESMTPS"), "TLS is taken where it is offered: {stored}");
    let report = received(&server, "alice");
    for expected in [
        "Return-Path: <>\r\n",
        "Final-Recipient: rfc822; nobody@elsewhere.test\r\nAction: failed\r\nStatus: 5.1.1\r\n",
        "Diagnostic-Code: smtp; 550 5.1.1",
        "There is no such address there.",
    ] {
        assert!(report.contains(expected), "{expected} is not in\n{report}\n{}", postfix.log());
    }
    assert!(report.contains(CONTENT), "{report}");
}

#[test]
fn what_was_acknowledged_reaches_the_other_server_after_a_kill() {
    if !postfix::available().unwrap() {
        return;
    }
    let port = free_port();
    let configuration = configuration(port, "tls = \"opportunistic\"\n");
    let mut server = Server::start(&configuration).unwrap();
    // Nobody listens there yet.
    send(&server, &["bob@elsewhere.test"], CONTENT);
    server.signal_kill().unwrap();
    server.ended().unwrap();
    server.run(&configuration).unwrap();
    let transport = format!("lmtp:inet:{}", server.addresses().unwrap().lmtp);
    let _postfix =
        Postfix::elsewhere(("127.0.0.1", port), &transport, Tls::Offered, server.certificate()).unwrap();
    assert!(received(&server, "bob").ends_with(CONTENT));
    assert_eq!(server.maildrop("bob").unwrap().count().unwrap(), 1);
    assert_eq!(server.maildrop("alice").unwrap().count().unwrap(), 0);
}

//! Mail goes to Exim, under TLS by DANE, and to `OpenSMTPD`, whose TLS may fail, and comes back from them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::net::TcpListener;

use mailstack_tests::certificate::Certificate;
use mailstack_tests::deadline::wait_for;
use mailstack_tests::mta::{Kind, Mta, Places};
use mailstack_tests::name_server::{NameServer, Zone, tlsa};
use mailstack_tests::server::{Configuration, Server};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tempfile::TempDir;

/// Where the other server takes mail: the one under test has 127.0.0.1, and sends nothing to itself.
const ELSEWHERE: &str = "127.0.0.2";
const CONTENT: &str = "From: <alice@example.test>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\
    Message-ID: <1@example.test>\r\nSubject: round trip\r\nMIME-Version: 1.0\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n.a dot\r\n..two\r\ngr\u{fc}n\r\n";

/// The server under test, the other one, and what DNS says of that.
struct World {
    server: Server,
    mta: Mta,
    _names: NameServer,
    _folder: TempDir,
}

fn world(kind: Kind) -> World {
    let port = TcpListener::bind((ELSEWHERE, 0)).unwrap().local_addr().unwrap().port();
    let folder = TempDir::new().unwrap();
    let certificate = Certificate::make(folder.path()).unwrap();
    let zone = format!("@ MX 10 mx\nmx A {ELSEWHERE}\n");
    let zone = match kind {
        Kind::Exim => {
            let leaf = CertificateDer::from_pem_slice(&fs::read(&certificate.chain).unwrap()).unwrap();
            let promise = format!("_{port}._tcp.mx TLSA {}", tlsa(3, 0, 1, &leaf));
            Zone::signed("elsewhere.test", &(zone + &promise))
        }
        // Built with OpenSSL 3, the one of Debian 12 offers STARTTLS and then cannot do it: mail goes in clear where nothing
        // was promised (RFC 7435 §4).
        Kind::OpenSmtpd => Zone::unsigned("elsewhere.test", &zone),
    };
    let names = NameServer::start(&[zone]).unwrap();
    let configuration = Configuration {
        relay: format!("retry_seconds = 1\nretry_seconds_max = 1\nport = {port}"),
        tables: names.table(folder.path()).unwrap() + "\n[mta_sts]\nenabled = false\n",
        ..Configuration::default()
    };
    let server = Server::start(&configuration).unwrap();
    let places = Places { own: (ELSEWHERE, port), back: server.addresses().unwrap().reception.port() };
    let mta = Mta::start(kind, places, &certificate).unwrap();
    World { server, mta, _names: names, _folder: folder }
}

impl World {
    /// Alice sends a message elsewhere.
    fn send(&self, recipients: &[&str]) {
        let mut smtp = self.server.submission("alice").unwrap();
        smtp.envelope("alice@example.test", recipients).unwrap();
        smtp.data(CONTENT.as_bytes()).unwrap().positive().unwrap();
        smtp.quit().unwrap();
    }

    /// Waits for an account's first message.
    fn received(&self, account: &str) -> String {
        let arrived = wait_for("mail to arrive", || {
            let mut maildrop = self.server.maildrop(account)?;
            Ok(if maildrop.count()? > 0 { Some(maildrop.retrieve(1)?) } else { None })
        });
        let log =
            self.server.log().lines().filter(|line| !line.contains("pop3d")).collect::<Vec<_>>().join("\n");
        assert!(arrived.is_ok(), "{}\n{log}", self.mta.log());
        String::from_utf8(arrived.unwrap()).unwrap()
    }

    /// That it has all of this in it.
    fn has(&self, message: &str, expected: &[&str]) {
        for expected in expected {
            assert!(message.contains(expected), "{expected} is not in\n{message}\n{}", self.mta.log());
        }
    }
}

fn goes_both_ways(kind: Kind, received: &str, protection: &str) {
    if !kind.available().unwrap() {
        return;
    }
    let world = world(kind);
    world.send(&["bob@elsewhere.test"]);
    let stored = world.received("bob");
    assert!(stored.starts_with("Return-Path: <alice@example.test>\r\n"), "{stored}");
    assert!(stored.ends_with(CONTENT), "{stored}");
    world.has(&stored, &[received, "by mail.example.test (mailstack) with ESMTPS\r\n"]);
    world.has(&world.server.log(), &[protection]);
    assert_eq!(world.server.maildrop("bob").unwrap().count().unwrap(), 1);
    assert_eq!(world.server.maildrop("alice").unwrap().count().unwrap(), 0);
}

fn refuses(kind: Kind, status: &str, words: &str) {
    if !kind.available().unwrap() {
        return;
    }
    let world = world(kind);
    world.send(&["nobody@elsewhere.test", "bob@elsewhere.test"]);
    assert!(world.received("bob").ends_with(CONTENT));
    let whom = "Final-Recipient: rfc822; nobody@elsewhere.test\r\nAction: failed\r\n";
    let report = world.received("alice");
    world.has(&report, &["Return-Path: <>\r\n", &format!("{whom}Status: {status}\r\n"), words, CONTENT]);
}

/// What it has taken and cannot deliver comes back as a report of its own.
fn reports(kind: Kind, words: &str) {
    if !kind.available().unwrap() {
        return;
    }
    let world = world(kind);
    world.send(&["lost@elsewhere.test"]);
    let report = world.received("alice");
    world.has(&report, &["Return-Path: <>\r\n", "There is no such mailbox here", words]);
    assert_eq!(world.server.maildrop("alice").unwrap().count().unwrap(), 1);
}

#[test]
fn mail_goes_to_exim_and_comes_back_as_it_was() {
    goes_both_ways(Kind::Exim, "(Exim 4", "_SHA384, verified)\" status=2.");
}

#[test]
fn mail_goes_to_opensmtpd_and_comes_back_as_it_was() {
    goes_both_ways(Kind::OpenSmtpd, "(OpenSMTPD) with ESMTP", "place=\"mx.elsewhere.test [127.0.0.2]");
}

#[test]
fn what_exim_refuses_goes_back_and_the_others_get_it() {
    refuses(Kind::Exim, "5.1.1", "Diagnostic-Code: smtp; 550 no such user");
}

#[test]
fn what_opensmtpd_refuses_goes_back_and_the_others_get_it() {
    refuses(Kind::OpenSmtpd, "5.2.4", "Diagnostic-Code: smtp; 524 5.2.4 Mailing list expansion problem");
}

#[test]
fn a_report_of_exim_reaches_whom_it_is_for() {
    reports(Kind::Exim, "X-Failed-Recipients: nobody@example.test");
}

#[test]
fn a_report_of_opensmtpd_reaches_whom_it_is_for() {
    reports(Kind::OpenSmtpd, "MAILER-DAEMON");
}

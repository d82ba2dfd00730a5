//! Mail goes where signed DNS says, and under the TLS that it promises (DANE), or waits.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::net::TcpListener;

use mailstack_tests::deadline::wait_for;
use mailstack_tests::name_server::{NameServer, Zone, tlsa};
use mailstack_tests::postfix::{self, Postfix, Tls};
use mailstack_tests::server::{Configuration, Server};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tempfile::TempDir;

/// Where Postfix takes mail: the server under test has 127.0.0.1, and sends nothing to itself.
const POSTFIX: &str = "127.0.0.2";
/// A digest of no certificate.
const WRONG: &str = "3 1 1 0000000000000000000000000000000000000000000000000000000000000000";

/// What the domain says of its host, and what the host has.
struct Case {
    zone: fn(&str) -> Zone,
    /// Records for the host, `{port}` for the port of SMTP, `{right}` and `{wrong}` for data.
    records: &'static str,
    tls: Tls,
    /// What the queue says of why the message waits; nothing where it arrives.
    waits_for: Option<&'static str>,
}

fn signed(text: &str) -> Zone {
    Zone::signed("elsewhere.test", text)
}

fn unsigned(text: &str) -> Zone {
    Zone::unsigned("elsewhere.test", text)
}

fn bogus(text: &str) -> Zone {
    Zone::bogus("elsewhere.test", text)
}

fn plays(case: &Case) {
    let port = TcpListener::bind((POSTFIX, 0)).unwrap().local_addr().unwrap().port();
    // The certificate is made with the server, whose DNS must be there before it: one is read from another world.
    let folder = TempDir::new().unwrap();
    let certificate = mailstack_tests::certificate::Certificate::make(folder.path()).unwrap();
    let leaf = CertificateDer::from_pem_slice(&fs::read(&certificate.chain).unwrap()).unwrap();
    let records = case.records.replace("{port}", &port.to_string()).replace("{wrong}", WRONG);
    let records = records.replace("{right}", &tlsa(3, 0, 1, &leaf));
    let text = format!("@ MX 10 mx\nmx A {POSTFIX}\n{records}");
    let names = NameServer::start(&[(case.zone)(&text)]).unwrap();
    let configuration = Configuration {
        relay: format!("retry_seconds = 1\nretry_seconds_max = 1\nport = {port}"),
        tables: names.table(folder.path()).unwrap() + "\n[mta_sts]\nenabled = false\n",
        ..Configuration::default()
    };
    let server = Server::start(&configuration).unwrap();
    let transport = format!("lmtp:inet:{}", server.addresses().unwrap().lmtp);
    let postfix = Postfix::elsewhere((POSTFIX, port), &transport, case.tls, &certificate).unwrap();
    let mut smtp = server.submission("alice").unwrap();
    smtp.envelope("alice@example.test", &["bob@elsewhere.test"]).unwrap();
    smtp.data(b"Subject: hello\r\n\r\ntext\r\n").unwrap().positive().unwrap();
    smtp.quit().unwrap();
    match case.waits_for {
        None => {
            let arrived = wait_for("mail to arrive", || {
                let mut maildrop = server.maildrop("bob")?;
                Ok(if maildrop.count()? > 0 { Some(maildrop.retrieve(1)?) } else { None })
            });
            assert!(arrived.is_ok(), "{records}\n{}\n{}", postfix.log(), server.log());
        }
        Some(reason) => {
            let said = wait_for("the reason", || {
                let said = server.mailstack(&["queue", "list", "--json"], "")?;
                Ok(said.contains(reason).then_some(said))
            });
            assert!(said.is_ok(), "{records}: {}", server.log());
            assert_eq!(server.maildrop("bob").unwrap().count().unwrap(), 0);
        }
    }
}

#[test]
fn dane_says_whose_certificate_is_right_and_a_broken_promise_stops_mail() {
    if !postfix::available().unwrap() {
        return;
    }
    for case in [
        Case { zone: signed, records: "_{port}._tcp.mx TLSA {right}", tls: Tls::Offered, waits_for: None },
        Case {
            zone: signed,
            records: "_{port}._tcp.mx TLSA {wrong}",
            tls: Tls::Offered,
            waits_for: Some("certificate"),
        },
        // Somebody between takes the offer of STARTTLS away.
        Case {
            zone: signed,
            records: "_{port}._tcp.mx TLSA {right}",
            tls: Tls::Missing,
            waits_for: Some("does not offer STARTTLS"),
        },
        // Nothing is promised: TLS with whomever, or none.
        Case { zone: signed, records: "", tls: Tls::Missing, waits_for: None },
        Case { zone: unsigned, records: "_{port}._tcp.mx TLSA {wrong}", tls: Tls::Offered, waits_for: None },
        Case { zone: bogus, records: "", tls: Tls::Offered, waits_for: Some("cannot be trusted") },
    ] {
        plays(&case);
    }
}

//! Strangers are asked to come again (RFC 6647), whoever does is let in, and is known after a restart.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::deadline::wait_for;
use mailstack_tests::name_server::{NameServer, Zone};
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::{Reply, Smtp};
use tempfile::TempDir;

/// What a client at this address hears when it names bob.
fn named(server: &Server, address: &str, reverse_path: &str) -> (Smtp, Reply) {
    let mut smtp = server.reception_of(address).unwrap();
    smtp.ask(&format!("MAIL FROM:<{reverse_path}>")).unwrap().positive().unwrap();
    let reply = smtp.ask("RCPT TO:<bob@example.test>").unwrap();
    (smtp, reply)
}

#[test]
fn a_domain_may_stand_for_all_hosts_that_it_lets_send() {
    let zone = Zone::unsigned("b.example", "@ TXT \"v=spf1 ip4:192.0.2.0/24 ip4:203.0.0.0/8 -all\"");
    let names = NameServer::start(&[zone]).unwrap();
    let folder = TempDir::new().unwrap();
    let greylist = "[greylist]\nenabled = true\nwait_seconds = 1\nspf = true\n[checks]\nenabled = false\n";
    let tables = format!("{}\n{greylist}", names.table(folder.path()).unwrap());
    let smtp = "proxy_trusted = [\"127.0.0.1\"]";
    let server = Server::start(&Configuration { smtp, tables, ..Configuration::default() }).unwrap();
    assert_eq!(named(&server, "192.0.2.1", "a@b.example").1.code, 451);
    // Each time from another network.
    let mut network = 0_u16;
    let again = wait_for("the stranger to be let in", || {
        network += 1;
        let [high, low] = network.to_be_bytes();
        let (smtp, reply) = named(&server, &format!("203.{high}.{low}.1"), "a@b.example");
        Ok((reply.code == 250).then_some(smtp))
    });
    again.unwrap().data(b"Message-ID: <again@b.example>\r\n\r\ntext\r\n").unwrap().positive().unwrap();
    let told = server.mailstack(&["explain", "again@b.example"], "").unwrap();
    assert!(told.contains("greylist=pass by [greylist] spf: "), "{told}");
    // Whoever may not send its mail is as strange as before.
    assert_eq!(named(&server, "198.51.100.7", "a@b.example").1.code, 451);
}

#[test]
fn a_stranger_is_let_in_when_it_comes_again_and_is_known_from_then_on() {
    let smtp = "proxy_trusted = [\"127.0.0.1\"]";
    let tables = "[greylist]\nenabled = true\nwait_seconds = 1\n".to_owned();
    let configuration = Configuration { smtp, tables, ..Configuration::default() };
    let mut server = Server::start(&configuration).unwrap();

    let (mut smtp, reply) = named(&server, "192.0.2.1", "a@b.example");
    assert_eq!(reply.code, 451);
    assert!(
        reply.text.contains("4.7.1 You are not known here yet, please try again in 1 seconds"),
        "{reply:?}"
    );
    // A client that goes on all the same hears nothing that makes it give up.
    assert_eq!(smtp.ask("DATA").unwrap().code, 451);
    let again = wait_for("the stranger to be let in", || {
        let (smtp, reply) = named(&server, "192.0.2.2", "a@b.example");
        Ok((reply.code == 250).then_some(smtp))
    });
    let mut smtp = again.unwrap();
    smtp.data(b"Message-ID: <again@b.example>\r\n\r\ntext\r\n").unwrap().positive().unwrap();
    smtp.quit().unwrap();
    let told = server.mailstack(&["explain", "again@b.example"], "").unwrap();
    assert!(told.contains("greylist=pass: it has come again after "), "{told}");

    server.terminate().unwrap();
    server.ended().unwrap();
    server.run(&configuration).unwrap();
    named(&server, "192.0.2.1", "a@b.example").1.positive().unwrap();
    assert_eq!(named(&server, "192.0.2.1", "other@b.example").1.code, 451);

    // Private networks are not asked; and who only looks whether somebody could answer hears so, until content is to come.
    named(&server, "10.0.0.1", "a@b.example").1.positive().unwrap();
    let (mut smtp, reply) = named(&server, "203.0.113.1", "");
    reply.positive().unwrap();
    assert_eq!(smtp.ask("DATA").unwrap().code, 451);
    smtp.ask("RSET").unwrap().positive().unwrap();
    let report = wait_for("the report to be let in", || {
        let (mut smtp, reply) = named(&server, "203.0.113.1", "");
        reply.positive()?;
        Ok((smtp.ask("DATA")?.code == 354).then_some(()))
    });
    report.unwrap();
}

//! Mail that is to be read later is acknowledged at once, and seen when its time has come.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::deadline::wait_for;
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::Smtp;

fn submit(smtp: &mut Smtp, hold: &str) {
    smtp.ask(&format!("MAIL FROM:<alice@example.test> {hold}")).unwrap().positive().unwrap();
    smtp.ask("RCPT TO:<bob@example.test>").unwrap().positive().unwrap();
    smtp.data(format!("Subject: {hold}\r\n\r\ntext\r\n").as_bytes()).unwrap().positive().unwrap();
}

fn count(server: &Server) -> usize {
    server.maildrop("bob").unwrap().count().unwrap()
}

#[test]
fn mail_is_seen_when_its_time_has_come_and_a_restart_does_not_change_that() {
    let configuration = Configuration::default();
    let mut server = Server::start(&configuration).unwrap();
    let mut smtp = server.submission("alice").unwrap();
    submit(&mut smtp, "HOLDFOR=100000");
    submit(&mut smtp, "HOLDFOR=100000");
    assert_eq!(count(&server), 0);
    submit(&mut smtp, "HOLDFOR=1");
    wait_for("the message whose time comes soon", || Ok((count(&server) == 1).then_some(()))).unwrap();
    smtp.quit().unwrap();
    let listed = server.mailstack(&["account", "list", "--plain"], "").unwrap();
    let bob = listed.lines().find(|line| line.starts_with("bob@")).unwrap();
    assert_eq!(bob.split('\t').nth(1), Some("3"), "what is held counts: {bob}");

    server.terminate().unwrap();
    server.ended().unwrap();
    server.run(&configuration).unwrap();
    let mut maildrop = server.maildrop("bob").unwrap();
    assert_eq!(maildrop.count().unwrap(), 1);
    let message = maildrop.retrieve(1).unwrap();
    assert!(String::from_utf8_lossy(&message).contains("Subject: HOLDFOR=1\r\n"));
}

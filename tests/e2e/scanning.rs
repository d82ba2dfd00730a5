//! rspamd looks at what comes in, and its word counts: mail is taken, junk, put off or refused, also while it is away.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::rspamd::{self, Rspamd};
use mailstack_tests::server::{Configuration, Server};
use mailstack_tests::smtp::Reply;

/// What rspamd rejects, for tests of whoever asks it, and two more of the kind for its other actions.
const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";
const ADD_HEADER: &str = "YJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

fn server(scanner: &str) -> Server {
    let tables = format!("[[scan.scanners]]\n{scanner}\n");
    Server::start(&Configuration { tables, ..Configuration::default() }).unwrap()
}

/// What a message with this text is answered.
fn sent(server: &Server, id: &str, text: &str) -> Reply {
    let mut smtp = server.reception().unwrap();
    smtp.envelope("a@b.example", &["bob@example.test"]).unwrap();
    let content = format!("Message-ID: <{id}@b.example>\r\nSubject: {id}\r\n\r\n{text}\r\n");
    smtp.data(content.as_bytes()).unwrap()
}

fn explained(server: &Server, id: &str) -> String {
    server.mailstack(&["explain", &format!("{id}@b.example")], "").unwrap()
}

#[test]
fn what_rspamd_says_of_a_message_is_done() {
    if !rspamd::available().unwrap() {
        return;
    }
    let rspamd = Rspamd::start("").unwrap();
    let server = server(&format!("at = \"{}\"", rspamd.address()));
    sent(&server, "usual", "text").positive().unwrap();
    let told = explained(&server, "usual");
    assert!(told.contains("scan=pass: no action, score "), "{told}");
    // More than lies in memory on its way there.
    sent(&server, "large", &"text\r\n".repeat(100_000)).positive().unwrap();
    assert!(explained(&server, "large").contains("scan=pass: no action, score "));
    let refused = sent(&server, "bad", GTUBE);
    assert_eq!(refused.code, 550, "{refused:?}");
    assert!(refused.text.contains("5.7.1 The message is taken for junk or harmful"), "{refused:?}");
    sent(&server, "junk", ADD_HEADER).positive().unwrap();
    let told = explained(&server, "junk");
    assert!(
        told.contains("scan=junk: add header, score ") && told.contains("taken for junk: scan=junk"),
        "{told}"
    );
    // Users are not looked at, unless the administrator wants it.
    let mut smtp = server.submission("alice").unwrap();
    smtp.envelope("alice@example.test", &["bob@example.test"]).unwrap();
    smtp.data(format!("Subject: x\r\n\r\n{GTUBE}\r\n").as_bytes()).unwrap().positive().unwrap();
    assert_eq!(server.maildrop("bob").unwrap().count().unwrap(), 4, "{}", server.log());
}

#[test]
fn while_a_scanner_is_away_holds_what_the_configuration_says() {
    let accepting = server("at = \"127.0.0.1:9\"");
    sent(&accepting, "away", "text").positive().unwrap();
    let told = explained(&accepting, "away");
    assert!(told.contains("scan=pass by [[scan.scanners]] 127.0.0.1:9 when_away = \"accept\""), "{told}");
    assert!(accepting.log().contains("a scanner is away"), "{}", accepting.log());
    let deferring = server("at = \"127.0.0.1:9\"\nwhen_away = \"defer\"");
    let reply = sent(&deferring, "away", "text");
    assert_eq!(reply.code, 451, "{reply:?}");
}

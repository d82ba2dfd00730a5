//! Who asks to hear of a delivery hears of it, once, and nobody else does (RFC 3461 §4.1, RFC 3464).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mailstack_tests::deadline::wait_for;
use mailstack_tests::server::Server;

const CONTENT: &[u8] =
    b"From: alice@example.test\r\nMessage-ID: <it@example.test>\r\nSubject: it\r\n\r\nsecret text\r\n";

/// Sends it from alice to these, each with what is asked for it.
fn send(server: &Server, mail: &str, recipients: &[&str]) {
    let mut smtp = server.submission("alice").unwrap();
    smtp.ask(&format!("MAIL FROM:<alice@example.test>{mail}")).unwrap().positive().unwrap();
    for recipient in recipients {
        smtp.ask(&format!("RCPT TO:{recipient}")).unwrap().positive().unwrap();
    }
    smtp.data(CONTENT).unwrap().positive().unwrap();
    smtp.quit().unwrap();
}

/// All that alice has got, once there is so much, and nothing waits to come.
fn reports(server: &Server, count: usize) -> Vec<String> {
    wait_for("an empty queue and reports", || {
        let waits = server.mailstack(&["queue", "list"], "")? != "nothing of that waits\n";
        let there = server.maildrop("alice")?.count()?;
        Ok((!waits && there >= count).then_some(()))
    })
    .unwrap();
    let mut maildrop = server.maildrop("alice").unwrap();
    let all = (1..=maildrop.count().unwrap()).map(|number| maildrop.retrieve(number).unwrap());
    all.map(|octets| String::from_utf8(octets).unwrap()).collect()
}

#[test]
fn a_delivery_here_is_told_to_whoever_asks_with_what_they_call_it() {
    let server = Server::usual().unwrap();
    let asked = "NOTIFY=SUCCESS ORCPT=rfc822;Bob+2Blist@example.test";
    let recipients =
        [format!("<bob@example.test> {asked}"), "<carol@example.test> NOTIFY=FAILURE".to_owned()];
    send(&server, " RET=FULL ENVID=QQ+3D1", &[&recipients[0], &recipients[1]]);
    let [report] = reports(&server, 1).try_into().unwrap();
    for expected in [
        "Return-Path: <>\r\n",
        "To: <alice@example.test>\r\n",
        "Subject: Delivered: your message to bob@example.test\r\n",
        "Auto-Submitted: auto-replied\r\n",
        "Your message has been delivered, as you wanted to know, to:\r\n\r\n    bob@example.test\r\n",
        "Original-Envelope-Id: QQ=1\r\n",
        "Original-Recipient: rfc822; Bob+list@example.test\r\nFinal-Recipient: rfc822; bob@example.test\r\n\
         Action: delivered\r\nStatus: 2.1.5\r\nLast-Attempt-Date: ",
        // RFC 3461 §4.3: RET is about failures.
        "Content-Type: text/rfc822-headers\r\n",
        "Subject: it\r\n",
    ] {
        assert!(report.contains(expected), "{expected} is not in\n{report}");
    }
    assert!(!report.contains("carol@") && !report.contains("secret text"), "{report}");
    for name in ["bob", "carol"] {
        assert_eq!(server.maildrop(name).unwrap().count().unwrap(), 1, "{name}");
    }
    let told = server.mailstack(&["explain", "it@example.test"], "").unwrap();
    for line in [
        "bob@example.test: its sender gets a report of the delivery",
        "attempt 1: here: delivered here, of which its sender is told",
        "  done",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(!told.contains("relayed"), "{told}");
}

#[test]
fn nobody_hears_of_what_was_not_asked_for_or_did_not_arrive() {
    let server = Server::usual().unwrap();
    server.mailstack(&["rules", "set", "bob@example.test", "-"], "always discard\n").unwrap();
    send(&server, "", &["<bob@example.test> NOTIFY=SUCCESS", "<carol@example.test>"]);
    send(&server, "", &["<carol@example.test> NOTIFY=NEVER"]);
    // RFC 3461 §6.2: nobody is told of a report's delivery.
    let mut smtp = server.reception().unwrap();
    smtp.ask("EHLO x.test").unwrap();
    smtp.ask("MAIL FROM:<>").unwrap().positive().unwrap();
    smtp.ask("RCPT TO:<carol@example.test> NOTIFY=SUCCESS").unwrap().positive().unwrap();
    smtp.data(CONTENT).unwrap().positive().unwrap();
    smtp.quit().unwrap();
    assert_eq!(server.maildrop("carol").unwrap().count().unwrap(), 3);
    assert_eq!(reports(&server, 0), [] as [&str; 0]);
}

//! Mail that is not taken is noted, with whom it was from and for and what the client was told; what is taken is not.

use mailstore::{IntakeError, Refusal};
use smtpd::Config;
use smtpd::session::Kind;

use crate::accounts::Accounts;
use crate::messages::FailAt;
use crate::session::{BareSession, greeted};

fn session(kind: Kind) -> BareSession {
    greeted(kind, &Config::default(), Accounts::new())
}

/// What was noted since the last time: sender, recipients, and the codes of the reply.
fn noted(session: &mut BareSession) -> Vec<String> {
    let refusals = session.refusals();
    let line = |refusal: Refusal| {
        assert_eq!((refusal.session.as_str(), refusal.peer.as_str()), ("bare", "127.0.0.1"));
        let said: Vec<_> = refusal.said.split(' ').take(2).collect();
        format!("{} {} {}", refusal.reverse_path, refusal.recipients.join(","), said.join(" "))
    };
    refusals.into_iter().map(line).collect()
}

const ENVELOPE: &str = "MAIL FROM:<x@far.test>\r\nRCPT TO:<bob@example.test>\r\n";

#[test]
fn each_recipient_that_is_refused_is_noted() {
    let mut session = session(Kind::Reception);
    session.ask("MAIL FROM:<x@far.test>\r\nRCPT TO:<nobody@example.test>\r\nRCPT TO:<bob@example.test>\r\n");
    assert_eq!(noted(&mut session), ["<x@far.test> nobody@example.test 550 5.1.1"]);
    session.ask("RCPT TO:<y@elsewhere.test>\r\nRCPT TO:<b\r\nNONSENSE\r\nDATA\r\nA: b\r\n\r\n.\r\n");
    assert_eq!(noted(&mut session), ["<x@far.test> y@elsewhere.test 550 5.7.1"]);
    session.ask("MAIL FROM:<x@far.test> SIZE=99999999999\r\n");
    assert_eq!(noted(&mut session), ["<x@far.test>  552 5.3.4"]);
}

#[test]
fn content_that_is_refused_is_noted_for_all_its_recipients() {
    let mut session = session(Kind::Reception);
    let twice = format!("{ENVELOPE}RCPT TO:<alice@example.test>\r\nDATA\r\n");
    session.ask(&twice);
    session.ask(format!("{}\r\n\r\n.\r\n", "Received: x\r\n".repeat(200)));
    assert_eq!(noted(&mut session), ["<x@far.test> bob@example.test,alice@example.test 554 5.4.6"]);
    session.messages.failure = Some((FailAt::Commit, IntakeError::Full { free_octets: 0 }));
    session.ask(format!("{ENVELOPE}DATA\r\n"));
    session.ask("A: b\r\n\r\n.\r\n");
    assert_eq!(noted(&mut session), ["<x@far.test> bob@example.test 452 4.3.1"]);
    session.messages.failure = Some((FailAt::Draft, IntakeError::Full { free_octets: 0 }));
    session.ask(format!("{ENVELOPE}DATA\r\nDATA\r\n"));
    assert_eq!(noted(&mut session), ["<x@far.test> bob@example.test 452 4.3.1"], "the same twice is once");
}

#[test]
fn chunks_that_are_refused_are_noted() {
    let mut session = session(Kind::Reception);
    session.messages.failure = Some((FailAt::Draft, IntakeError::Full { free_octets: 0 }));
    session.ask(format!("{ENVELOPE}BDAT 3\r\nabcBDAT 3 LAST\r\nabc"));
    assert_eq!(noted(&mut session), ["<x@far.test> bob@example.test 452 4.3.1"]);
}

#[test]
fn by_lmtp_each_recipient_is_noted_by_its_own_verdict() {
    let mut session = session(Kind::Lmtp);
    session.ask(
        "MAIL FROM:<x@far.test>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<dora@example.test>\r\nDATA\r\n",
    );
    let said = session.ask(format!("{}.\r\n", "12345678\r\n".repeat(1100)));
    assert_eq!(noted(&mut session), ["<x@far.test> dora@example.test 552 5.2.2"], "{said}");
}

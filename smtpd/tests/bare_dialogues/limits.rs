//! Every limit of a session, at its edge.

use smtpd::Config;
use smtpd::session::Kind;

use crate::accounts::Accounts;
use crate::session::{BareSession, LOGIN, greeted};

const ENVELOPE: &str = "MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\n";

fn small() -> Config {
    Config {
        content_octets_max: 1000,
        recipients_max: 100,
        errors_max: 3,
        commands_max: 5,
        login_failures_max: 2,
        ..Config::default()
    }
}

fn reception() -> BareSession {
    greeted(Kind::Reception, &small(), Accounts::new())
}

#[test]
fn the_error_over_the_limit_ends_the_session() {
    let mut session = reception();
    assert_eq!(session.codes("WHAT\r\nMAIL\r\nDATA\r\n"), [500, 501, 503]);
    assert!(!session.is_closed());
    assert_eq!(session.codes("NOOP\r\nWHAT\r\nNOOP\r\n"), [250, 421]);
    assert!(session.is_closed());
}

#[test]
fn the_command_over_the_limit_ends_the_session_and_a_message_begins_the_count_anew() {
    let message = format!("{ENVELOPE}DATA\r\n");
    // EHLO was the first.
    let mut session = reception();
    assert_eq!(session.codes(format!("NOOP\r\nRSET\r\nVRFY x\r\n{message}")), [250, 250, 252, 250, 250, 354]);
    assert_eq!(session.codes("A: b\r\n\r\n.\r\n"), [250]);
    assert_eq!(session.codes("NOOP\r\n".repeat(5)), [250; 5]);
    assert_eq!(session.codes("NOOP\r\nNOOP\r\n"), [421]);
    assert!(session.is_closed());
}

#[test]
fn the_login_after_too_many_failures_ends_the_session() {
    let wrong = "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB3cm9uZw==\r\n";
    let mut session = greeted(Kind::Submission, &small(), Accounts::new());
    assert_eq!(session.codes(wrong), [535]);
    assert_eq!(session.codes(wrong), [535]);
    assert_eq!(session.codes(LOGIN), [421]);
    assert!(session.is_closed());
}

#[test]
fn one_failure_less_leaves_room_for_the_right_password() {
    let wrong = "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB3cm9uZw==\r\n";
    let mut session = greeted(Kind::Submission, &small(), Accounts::new());
    assert_eq!(session.codes(wrong), [535]);
    assert_eq!(session.codes(LOGIN), [235]);
}

#[test]
fn the_recipient_over_the_limit_is_for_another_time() {
    let mut session = reception();
    let recipients = "RCPT TO:<bob@example.test>\r\n".repeat(101);
    let codes = session.codes(format!("MAIL FROM:<>\r\n{recipients}"));
    assert_eq!(codes[..101], [250; 101]);
    assert_eq!(codes[101..], [452]);
    assert_eq!(session.codes("DATA\r\n"), [354]);
    assert_eq!(session.codes(".\r\n"), [250]);
}

#[test]
fn refused_recipients_have_an_end() {
    let mut session = reception();
    let recipients = "RCPT TO:<nobody@example.test>\r\n".repeat(101);
    let codes = session.codes(format!("MAIL FROM:<>\r\n{recipients}"));
    assert_eq!(codes[1..101], [550; 100]);
    assert_eq!(codes[101..], [421]);
    assert!(session.is_closed());
}

#[test]
fn a_declared_size_is_checked_at_its_edge() {
    let mut session = reception();
    assert_eq!(session.codes("MAIL FROM:<> SIZE=1001\r\nMAIL FROM:<> SIZE=1000\r\n"), [552, 250]);
}

#[test]
fn the_real_size_is_checked_at_its_edge() {
    // The dot that is stuffed does not count (RFC 1870 §5).
    let most = format!("..{}\r\n", "x".repeat(997));
    let mut session = reception();
    assert_eq!(session.codes(format!("{ENVELOPE}DATA\r\n")), [250, 250, 354]);
    assert_eq!(session.codes(format!("{most}.\r\n")), [250]);
    assert_eq!(session.codes(format!("{ENVELOPE}DATA\r\n")), [250, 250, 354]);
    assert_eq!(session.codes(format!("x{most}.\r\n")), [552]);
    assert_eq!(session.messages.committed().len(), 1);
    assert_eq!(session.codes(ENVELOPE), [250, 250]);
}

#[test]
fn chunks_count_together() {
    let mut session = reception();
    let chunk = "x".repeat(500);
    assert_eq!(session.codes(ENVELOPE), [250, 250]);
    assert_eq!(session.codes(format!("BDAT 500\r\n{chunk}BDAT 500\r\n{chunk}")), [250, 250]);
    assert_eq!(session.codes("BDAT 1\r\nx"), [552]);
    assert_eq!(session.codes("BDAT 0 LAST\r\n"), [552]);
    assert!(session.messages.committed().is_empty());
    assert_eq!(session.codes(ENVELOPE), [250, 250]);
}

#[test]
fn a_command_line_is_limited_and_the_line_of_a_login_is_longer() {
    let mut session = greeted(Kind::Submission, &small(), Accounts::new());
    assert_eq!(session.codes(format!("NOOP {}\r\n", "x".repeat(510 - 5))), [250]);
    assert_eq!(session.codes(format!("NOOP {}\r\n", "x".repeat(511 - 5))), [500]);
    assert_eq!(session.codes(format!("AUTH PLAIN {}\r\n", "A".repeat(12286 - 12))), [501]);
    assert_eq!(session.codes(format!("AUTH PLAIN {}\r\n", "A".repeat(20000))), [500]);
    assert!(!session.is_closed());
}

#[test]
fn a_refused_chunk_is_swallowed_up_to_twice_the_size_limit() {
    let mut session = reception();
    assert_eq!(session.codes(format!("BDAT 2000\r\n{}NOOP\r\n", "x".repeat(2000))), [503, 250]);
    assert_eq!(session.codes("BDAT 2001\r\nNOOP\r\n"), [552]);
    assert!(session.is_closed());
    for claim in [2001, u64::MAX] {
        let mut session = reception();
        assert_eq!(session.codes(format!("{ENVELOPE}BDAT {claim} LAST\r\nNOOP\r\n")), [250, 250, 552]);
        assert!(session.is_closed());
    }
}

#[test]
fn content_that_goes_on_over_twice_the_size_limit_ends_the_session() {
    let mut session = reception();
    assert_eq!(session.codes(format!("{ENVELOPE}DATA\r\n")), [250, 250, 354]);
    assert!(session.codes("x".repeat(2000)).is_empty());
    assert_eq!(session.codes("x"), [552]);
    assert!(session.is_closed());

    let mut session = reception();
    assert_eq!(session.codes(ENVELOPE), [250, 250]);
    let chunk = format!("BDAT 900\r\n{}", "x".repeat(900));
    assert_eq!(session.codes(chunk.repeat(4)), [250, 552, 552]);
    assert!(session.is_closed());
    assert!(session.messages.committed().is_empty());
}
